"""One state of the mesh, derived from the objects of a source. Immutable; what did not change is taken over."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from ..api import kubernetes
from ..api.destination_rule import DestinationRule
from ..api.envoy_filter import EnvoyFilter
from ..api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from ..api.service_entry import ServiceEntry, WorkloadEntry
from ..api.sidecar import Sidecar
from ..api.telemetry import Telemetry
from ..api.virtual_service import VirtualService
from ..mesh import MeshConfig
from ..objects import Object, Ref
from . import endpoints as eps
from .authn import PeerAuthentications, selects
from .destination_rules import DestinationRules, Rule
from .endpoints import Endpoint, Workload
from .exports import Exports
from .gateway_routes import ROUTE_KINDS, GatewayRoutes, Parents, RouteObject, converted
from .gateway_rules import Backends
from .meshes import Settings, settings
from .policies import Policies
from .services import Port, Service, from_kubernetes, from_service_entry, in_every_domain, with_aliases
from .sidecars import Sidecars
from .telemetry import Telemetries
from .virtual_services import Routing, VirtualServices
from .visibility import capped, discovered, labels_of, namespace_labels

T = TypeVar("T")
ServiceKey = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """The endpoints of one service (namespace and host)."""

    all: tuple[Endpoint, ...] = ()
    accounts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, endpoints: tuple[Endpoint, ...]) -> Instances:
        accounts = frozenset(e.workload.service_account for e in endpoints if e.workload.service_account)
        return cls(endpoints, accounts)

    def at(self, service: Service, number: int) -> list[Endpoint]:
        """The endpoints of a service port, by number where the endpoint says one, else by the port's name."""
        port = service.port(number)
        name = port.name if port else None
        return [e for e in self.all if (e.number == number if e.number else e.port_name == name)]


NOWHERE = Instances()
_NO_OBJECTS: list[Object[Any]] = []


@dataclass(slots=True)
class Memory:
    """What a world hands to its successor, by the objects it was made of."""

    services: dict[tuple[object, ...], tuple[Service, ...]] = field(default_factory=dict)
    workloads: dict[tuple[object, ...], Workload] = field(default_factory=dict)
    entries: dict[tuple[object, ...], Workload] = field(default_factory=dict)
    slices: dict[tuple[object, ...], list[Endpoint]] = field(default_factory=dict)
    instances: dict[ServiceKey, Instances] = field(default_factory=dict)
    rules: dict[tuple[object, ...], Rule] = field(default_factory=dict)
    routings: dict[tuple[object, ...], Routing] = field(default_factory=dict)
    lists: dict[str, list[Object[Any]]] = field(default_factory=dict)
    parts: dict[str, tuple[tuple[object, ...], Any]] = field(default_factory=dict)
    trimmed: WeakValueDictionary[tuple[object, ...], Service] = field(default_factory=WeakValueDictionary)


class World:
    """The mesh at one version. Parts are derived when first asked for.

    `mesh` is what holds where no object says otherwise.
    """

    def __init__(self, objects: Iterable[Object[object]], mesh: MeshConfig, before: World | None = None) -> None:
        self.by_ref: dict[Ref, Object[object]] = {item.ref: item for item in objects}
        self.settings: Settings = settings(self.by_ref.values(), mesh, before.settings if before is not None else None)
        self.mesh: MeshConfig = self.settings.mesh
        self._kept: Memory = before.memory if before is not None and before.mesh is self.mesh else Memory()
        if self.mesh.discovery_selectors:
            self.by_ref = discovered(self.by_ref, self.mesh)
        self.memory: Memory = Memory(trimmed=self._kept.trimmed)
        found: dict[str, list[Object[Any]]] = {}
        for item in self.by_ref.values():
            found.setdefault(item.kind, []).append(item)
        for kind, items in found.items():
            known = self._kept.lists.get(kind)
            same = known is not None and len(known) == len(items) and all(map(operator.is_, known, items))
            self.memory.lists[kind] = known if same and known is not None else items

    def settle(self) -> None:
        """Derives everything that a successor is compared with."""
        _ = self.instances, self.destination_rules, self.virtual_services

    def of_kind(self, kind: str, _message: type[T]) -> list[Object[T]]:
        """Every object of a kind; `_message` is the kind's, for the type checker."""
        return cast(list[Object[T]], self.memory.lists.get(kind, _NO_OBJECTS))

    def _part(self, name: str, inputs: tuple[object, ...], make: Callable[[], T]) -> T:
        """A part that stays the same object while what it is made of does."""
        known = self._kept.parts.get(name)
        made = known[1] if known is not None and all(map(operator.is_, known[0], inputs)) else make()
        self.memory.parts[name] = (inputs, made)
        return cast(T, made)

    def _of_kinds(self, *kinds: str) -> tuple[object, ...]:
        return tuple(self.memory.lists.get(kind, _NO_OBJECTS) for kind in kinds)

    @cached_property
    def _namespaces(self) -> dict[str, dict[str, str]]:
        return {item.meta.name: item.meta.annotations for item in self.of_kind("Namespace", kubernetes.Namespace)}

    @cached_property
    def services(self) -> list[Service]:
        """All services, oldest first, with their aliases."""
        made = self._part("services", self._of_kinds("Service", "ServiceEntry", "Namespace"), self._all_services)
        self.memory.services = self.memory.services or self._kept.services
        return made

    def _all_services(self) -> list[Service]:
        none: dict[str, str] = {}
        found: list[Service] = []
        for item in self.of_kind("Service", kubernetes.Service):
            annotations = self._namespaces.get(item.meta.namespace, none)
            found += self._made(item, annotations, lambda i=item, a=annotations: (from_kubernetes(i, a, self.mesh),))
        for entry in self.of_kind("ServiceEntry", ServiceEntry):
            annotations = self._namespaces.get(entry.meta.namespace, none)
            found += self._made(entry, annotations, lambda i=entry, a=annotations: from_service_entry(i, a))
        return with_aliases(sorted(found, key=lambda service: service.age))

    def _made(self, item: object, annotations: dict[str, str], make: Any) -> tuple[Service, ...]:
        key = (item, tuple(sorted(annotations.items())))
        made: tuple[Service, ...] = self._kept.services.get(key) or make()
        self.memory.services[key] = made
        return made

    @cached_property
    def services_by_key(self) -> dict[ServiceKey, tuple[Service, ...]]:
        """By namespace and host; a ServiceEntry with several addresses makes several."""
        out: dict[ServiceKey, tuple[Service, ...]] = {}
        for service in self.services:
            out[service.key] = (*out.get(service.key, ()), service)
        return out

    def exports(self, service: Service) -> frozenset[str]:
        """The namespaces that may call a service, as written: `*` is all of them, `.` its own, `~` none."""
        said = service.export_to or self._default_exports
        visibility = self.mesh.service_entry_visibility
        if not visibility.apply_to_sidecars or service.registry == "Kubernetes":
            return said
        return capped(said, service, visibility, labels_of(service.namespace, self._namespace_labels))

    @cached_property
    def _namespace_labels(self) -> dict[str, Mapping[str, str]]:
        return namespace_labels(self.by_ref.values())

    @cached_property
    def _default_exports(self) -> frozenset[str]:
        return frozenset(self.mesh.default_service_export_to)

    @cached_property
    def exported(self) -> Exports:
        return self._part("exported", (self.services,), lambda: Exports(self.services, self.exports))

    def trimmed(self, service: Service, ports: tuple[Port, ...], aliases: tuple[Service, ...] | None = None) -> Service:
        """A service with those ports and aliases only; the same object each time, and itself if nothing is left out."""
        aliases = service.aliases if aliases is None else aliases
        if ports == service.ports and aliases == service.aliases:
            return service
        key = (service, ports, aliases)
        made = self.memory.trimmed.get(key)
        if made is None:
            made = self.memory.trimmed[key] = replace(service, ports=ports, aliases=aliases)
        return made

    def service(self, namespace: str, host: str) -> Service | None:
        return self.by_host.get(host, {}).get(namespace)

    @cached_property
    def by_host(self) -> dict[str, dict[str, Service]]:
        """Services by host and namespace. Of two the older counts, but Kubernetes' before any ServiceEntry's."""
        out: dict[str, dict[str, Service]] = {}
        for service in self.services:
            there = out.setdefault(service.hostname, {})
            known = there.get(service.namespace)
            if known is None or (known.registry != "Kubernetes" and service.registry == "Kubernetes"):
                there[service.namespace] = service
        return out

    @cached_property
    def workloads(self) -> dict[tuple[str, str], Workload]:
        """What each Pod is, by namespace and name."""
        made = self._part("workloads", self._of_kinds("Pod", "Node"), self._all_workloads)
        self.memory.workloads = self.memory.workloads or self._kept.workloads
        return made

    def _all_workloads(self) -> dict[tuple[str, str], Workload]:
        nodes = {item.meta.name: item for item in self.of_kind("Node", kubernetes.Node)}
        out = {}
        for pod in self.of_kind("Pod", kubernetes.Pod):
            node = nodes.get(pod.spec.spec.node_name)
            key = (pod, node)
            made = self._kept.workloads.get(key) or eps.pod_workload(pod, node, self.mesh)
            self.memory.workloads[key] = made
            out[pod.meta.namespace, pod.meta.name] = made
        return out

    @cached_property
    def pods(self) -> dict[tuple[str, str], Object[kubernetes.Pod]]:
        """By namespace and name."""
        return {(pod.meta.namespace, pod.meta.name): pod for pod in self.of_kind("Pod", kubernetes.Pod)}

    @cached_property
    def pods_by_ip(self) -> dict[str, Object[kubernetes.Pod]]:
        return {pod.spec.status.pod_ip: pod for pod in self.of_kind("Pod", kubernetes.Pod) if pod.spec.status.pod_ip}

    @cached_property
    def instances(self) -> dict[ServiceKey, Instances]:
        """The endpoints of each service, by namespace and host."""
        inputs = (self.services, self.workloads, *self._of_kinds("EndpointSlice", "Endpoints", "WorkloadEntry"))
        made = self._part("instances", inputs, self._all_instances)
        self.memory.slices = self.memory.slices or self._kept.slices
        self.memory.entries = self.memory.entries or self._kept.entries
        self.memory.instances = made
        return made

    def _all_instances(self) -> dict[ServiceKey, Instances]:
        found: dict[ServiceKey, list[Endpoint]] = {}
        for slice_ in self.of_kind("EndpointSlice", kubernetes.EndpointSlice):
            name = slice_.meta.labels.get("kubernetes.io/service-name", "")
            if name:
                key = self._service_key(name, slice_.meta.namespace)
                found.setdefault(key, []).extend(self._slice(slice_, key))
        for old in self.of_kind("Endpoints", kubernetes.Endpoints):
            key = self._service_key(old.meta.name, old.meta.namespace)
            found.setdefault(key, []).extend(eps.old_endpoints(old, self.workloads))
        self._add_entries(found)
        out = {}
        for key, endpoints in found.items():
            unique = eps.unique(endpoints) if key in self._kubernetes_hosts else tuple(endpoints)
            kept = self._kept.instances.get(key)
            out[key] = kept if kept is not None and kept.all == unique else Instances.of(unique)
        return out

    @cached_property
    def _kubernetes_hosts(self) -> set[ServiceKey]:
        return {service.key for service in self.services if service.registry == "Kubernetes"}

    def _service_key(self, name: str, namespace: str) -> ServiceKey:
        return namespace, f"{name}.{namespace}.svc.{self.mesh.domain_suffix}"

    def _slice(self, source: Object[kubernetes.EndpointSlice], key: ServiceKey) -> list[Endpoint]:
        pods = self.workloads
        named = tuple(
            id(pods.get((e.target_ref.namespace or source.meta.namespace, e.target_ref.name)))
            for e in source.spec.endpoints
            if e.target_ref is not None
        )
        known = self.by_host.get(key[1], {}).get(key[0])
        memo = (source, named, known is None)
        made = self._kept.slices.get(memo)
        if made is None:
            made = eps.slice_endpoints(source, pods, known)
        self.memory.slices[memo] = made
        return made

    def _add_entries(self, found: dict[ServiceKey, list[Endpoint]]) -> None:
        """ServiceEntries' own endpoints, and the Pods and WorkloadEntries that they (or a Service) select."""
        entries = self.of_kind("WorkloadEntry", WorkloadEntry)
        for service in self.services:
            if service.registry == "Kubernetes":
                if entries and service.selector:
                    found.setdefault(service.key, []).extend(self._selected_by_service(service, entries))
                continue
            source = cast(Object[ServiceEntry], service.source)
            there = found.setdefault(service.key, [])
            ports = {endpoint.number for endpoint in there}
            made = (
                eps.entry_endpoints(source, service, self.mesh)
                if source.spec.workload_selector is None
                else self._selected_by_entry(source, service, entries)
            )
            # One endpoint is all that a round robin over DNS may have, also if two entries claim the host.
            there += [e for e in made if service.resolution != "DNSRoundRobinLB" or e.number not in ports]

    def _selected_by_service(self, service: Service, entries: list[Object[WorkloadEntry]]) -> list[Endpoint]:
        source = cast(Object[kubernetes.Service], service.source)
        out = []
        for entry in entries:
            if entry.meta.namespace != service.namespace or not selects(service.selector, _entry_labels(entry)):
                continue
            workload = self._entry_workload(entry)
            for port in source.spec.ports:
                target = port.target_port if isinstance(port.target_port, int) else 0
                number = entry.spec.ports.get(port.name) or target or port.port
                out.append(Endpoint(entry.spec.address, number, port.name, workload, weight=entry.spec.weight))
        return out

    def _selected_by_entry(
        self, source: Object[ServiceEntry], service: Service, entries: list[Object[WorkloadEntry]]
    ) -> list[Endpoint]:
        out: list[Endpoint] = []
        for pod in sorted(self.of_kind("Pod", kubernetes.Pod), key=lambda item: item.meta.name):
            if pod.meta.namespace == source.meta.namespace and selects(service.selector, pod.meta.labels):
                workload = self.workloads[pod.meta.namespace, pod.meta.name]
                as_entry = WorkloadEntry(address=pod.spec.status.pod_ip)
                out += eps.workload_endpoints(as_entry, workload, source.spec)
        for entry in sorted(entries, key=lambda item: item.meta.name):
            if entry.meta.namespace == source.meta.namespace and selects(service.selector, _entry_labels(entry)):
                out += eps.workload_endpoints(entry.spec, self._entry_workload(entry), source.spec)
        return out

    def _entry_workload(self, entry: Object[WorkloadEntry]) -> Workload:
        key = (entry,)
        made = self._kept.entries.get(key) or eps.entry_workload(
            entry.spec, entry.meta.name, entry.meta.namespace, self.mesh
        )
        self.memory.entries[key] = made
        return made

    def endpoints(self, service: Service, port: int) -> list[Endpoint]:
        """The endpoints of a service's port."""
        return self.instances.get(service.key, NOWHERE).at(service, port)

    def accounts(self, service: Service) -> tuple[str, ...]:
        """The identities that may answer for a service, sorted."""
        found = self.instances.get(service.key, NOWHERE).accounts
        return tuple(sorted(in_every_domain(found.union(service.service_accounts), self.mesh.trust_domain_aliases)))

    @cached_property
    def destination_rules(self) -> DestinationRules:
        objects = self.of_kind("DestinationRule", DestinationRule)
        made = self._part("rules", (objects,), lambda: DestinationRules(objects, self.mesh, self._kept.rules))
        self.memory.rules = made.made
        return made

    @cached_property
    def virtual_services(self) -> VirtualServices:
        objects = self.of_kind("VirtualService", VirtualService)
        routes = self.gateway_routes
        made = self._part(
            "routings",
            (objects, routes),
            lambda: VirtualServices([*objects, *routes.objects], self.mesh, self._kept.routings),
        )
        self.memory.routings = made.made
        return made

    @cached_property
    def gateway_routes(self) -> GatewayRoutes:
        """What routes of the Gateway API come to."""
        inputs = (*self._of_kinds(*ROUTE_KINDS, "Service", "ServiceEntry"), self.services)
        return self._part("gateway routes", inputs, self._converted_routes)

    def _converted_routes(self) -> GatewayRoutes:
        routes = [item for kind in ROUTE_KINDS for item in self.of_kind(kind, object)]
        known = self._kept.parts.get("gateway routes")
        before = cast(GatewayRoutes, known[1]) if known is not None else GatewayRoutes()
        if not routes:
            return before if not before.objects and not before.troubles else GatewayRoutes()
        services = {(item.meta.namespace, item.meta.name) for item in self.of_kind("Service", kubernetes.Service)}
        entries = {
            (item.meta.namespace, item.meta.name): item.spec.hosts
            for item in self.of_kind("ServiceEntry", ServiceEntry)
        }
        domain = self.mesh.domain_suffix
        made = converted(
            cast(list[RouteObject], routes),
            Parents(domain, services, entries),
            Backends(domain, services, {service.hostname for service in self.services}),
            before,
        )
        same = len(made.objects) == len(before.objects) and all(map(operator.is_, made.objects, before.objects))
        return before if same and made.troubles == before.troubles else made

    @cached_property
    def peer_authentications(self) -> PeerAuthentications:
        objects = self.of_kind("PeerAuthentication", PeerAuthentication)
        return self._part("peers", (objects,), lambda: PeerAuthentications(objects, self.mesh))

    @cached_property
    def envoy_filters(self) -> list[Object[EnvoyFilter]]:
        """By priority, the root namespace's before others, then the oldest."""
        root = self.mesh.root_namespace
        return sorted(
            self.of_kind("EnvoyFilter", EnvoyFilter),
            key=lambda item: (item.spec.priority, item.meta.namespace != root, item.age),
        )

    @cached_property
    def sidecars(self) -> Sidecars:
        objects = self.of_kind("Sidecar", Sidecar)
        return self._part("sidecars", (objects,), lambda: Sidecars(objects, self.mesh))

    @cached_property
    def policies(self) -> Policies:
        allowed = self.of_kind("AuthorizationPolicy", AuthorizationPolicy)
        tokens = self.of_kind("RequestAuthentication", RequestAuthentication)
        return self._part("policies", (allowed, tokens), lambda: Policies(allowed, tokens, self.mesh))

    @cached_property
    def telemetries(self) -> Telemetries:
        objects = self.of_kind("Telemetry", Telemetry)
        return self._part("telemetries", (objects,), lambda: Telemetries(objects, self.mesh))


def _entry_labels(entry: Object[WorkloadEntry]) -> Mapping[str, str]:
    return entry.spec.labels | entry.meta.labels
