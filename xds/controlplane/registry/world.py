"""One state of the mesh, derived from the objects of a source. Immutable; what did not change is taken over."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

from ..api import kubernetes
from ..api.backend_policy import BackendTLSPolicySpec
from ..api.destination_rule import DestinationRule
from ..api.envoy_filter import EnvoyFilter
from ..api.extensions import TrafficExtension, WasmPlugin
from ..api.gateway import NetworkGatewaySpec
from ..api.mesh_config import MeshMap
from ..api.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from ..api.service_entry import ServiceEntry, WorkloadEntry
from ..api.sidecar import Sidecar
from ..api.telemetry import Telemetry
from ..api.virtual_service import VirtualService
from ..keys.sources import NO_KEYS, Keys
from ..mesh import MeshConfig
from ..objects import Object, Ref, same
from . import backend_policies, network_gateways
from . import endpoints as eps
from .authn import PeerAuthentications
from .backend_policies import BackendPolicies
from .destination_rules import DestinationRules, Rule
from .endpoints import Endpoint, Workload
from .exports import Exports
from .extensions import Extensions
from .gateway_routes import ROUTE_KINDS, GatewayRoutes, Parents, RouteObject, converted
from .gateway_rules import Backends
from .instances import NOWHERE, EndpointMemory, Gathering, Instances, ServiceKey, seen_accounts
from .meshes import HOME, Settings, holds, settings
from .networks import NO_ADDRESSES, Addresses, Gateways, Ranges
from .policies import Policies
from .services import Port, Service, from_kubernetes, from_service_entry, in_every_domain, with_aliases
from .sidecars import Sidecars
from .telemetry import Telemetries
from .virtual_services import Routing, VirtualServices
from .visibility import capped, discovered, labels_of, namespace_labels

T = TypeVar("T")


_NO_OBJECTS: list[Object[Any]] = []


@dataclass(slots=True)
class Memory:
    """What a world hands to its successor, by the objects it was made of."""

    services: dict[tuple[object, ...], tuple[Service, ...]] = field(default_factory=dict)
    workloads: dict[tuple[object, ...], Workload] = field(default_factory=dict)
    endpoints: EndpointMemory = field(default_factory=EndpointMemory)
    instances: dict[ServiceKey, Instances] = field(default_factory=dict)
    accounts: dict[ServiceKey, frozenset[str]] = field(default_factory=dict)
    rules: dict[tuple[object, ...], Rule] = field(default_factory=dict)
    routings: dict[tuple[object, ...], Routing] = field(default_factory=dict)
    lists: dict[str, list[Object[Any]]] = field(default_factory=dict)
    parts: dict[str, tuple[tuple[object, ...], Any]] = field(default_factory=dict)
    trimmed: WeakValueDictionary[tuple[object, ...], Service] = field(default_factory=WeakValueDictionary)


def _by_place(item: Object[object]) -> tuple[str, str]:
    return item.meta.namespace, item.meta.name


def _replaced(before: World, objects: tuple[Object[object], ...], mesh: MeshConfig) -> list[Object[object]] | None:
    """The objects that say something else than before, where nothing else is different and the mesh stays the same."""
    if mesh is not before.settings.base or before.mesh.discovery_selectors or len(objects) != len(before.given):
        return None
    pairs = list(compress(zip(before.given, objects, strict=True), map(operator.is_not, before.given, objects)))
    if any(old.ref != new.ref or holds(old) or holds(new) for old, new in pairs):
        return None
    return [new for _, new in pairs]


class World:
    """The mesh at one version. Parts are derived when first asked for.

    `mesh` is what holds where no object says otherwise, `keys` what was fetched for RequestAuthentications, `addresses`
    what the names of gateways of other networks were resolved to.
    """

    def __init__(
        self,
        objects: Iterable[Object[object]],
        mesh: MeshConfig,
        before: World | None = None,
        keys: Keys = NO_KEYS,
        addresses: Addresses = NO_ADDRESSES,
    ) -> None:
        self.keys = keys
        self.addresses = addresses
        self.beside_routes: object = object()
        """The same for worlds that differ in VirtualServices alone."""
        self.given: tuple[Object[object], ...] = tuple(objects)
        replaced = _replaced(before, self.given, mesh) if before is not None else None
        if before is not None and replaced is not None:
            self._succeed(before, replaced)
            return
        self.by_ref: dict[Ref, Object[object]] = {item.ref: item for item in self.given}
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
            self.memory.lists[kind] = known if known is not None and same(known, items) else items

    def _succeed(self, before: World, replaced: list[Object[object]]) -> None:
        """The same objects but for some that say something else: each stands where the one before it stood."""
        self.by_ref = dict(before.by_ref)
        self.settings, self.mesh, self._kept = before.settings, before.mesh, before.memory
        self.memory = Memory(trimmed=self._kept.trimmed, lists=dict(self._kept.lists))
        for item in replaced:
            self.by_ref[item.ref] = item
        kinds = {item.kind for item in replaced}
        if kinds <= {"VirtualService"} and self.keys is before.keys and self.addresses is before.addresses:
            self.beside_routes = before.beside_routes
        for kind in kinds:
            self.memory.lists[kind] = [self.by_ref[item.ref] for item in self._kept.lists[kind]]

    def settle(self) -> None:
        """Derives everything that a successor is compared with."""
        _ = self.instances, self.gateways, self.destination_rules, self.virtual_services

    def of_kind(self, kind: str, _message: type[T]) -> list[Object[T]]:
        """Every object of a kind; `_message` is the kind's, for the type checker."""
        return cast(list[Object[T]], self.memory.lists.get(kind, _NO_OBJECTS))

    def _part(self, name: str, inputs: tuple[object, ...], make: Callable[[], T]) -> T:
        """A part that stays the same object while what it is made of does."""
        known = self._kept.parts.get(name)
        made = known[1] if known is not None and same(known[0], inputs) else make()
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
        return self._part("services by key", (self.services,), self._services_by_key)

    def _services_by_key(self) -> dict[ServiceKey, tuple[Service, ...]]:
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
        return namespace_labels(self.of_kind("Namespace", kubernetes.Namespace))

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
        return self._part("services by host", (self.services,), self._services_by_host)

    def _services_by_host(self) -> dict[str, dict[str, Service]]:
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
        made = self._part("workloads", self._of_kinds("Pod", "Node", "Namespace"), self._all_workloads)
        self.memory.workloads = self.memory.workloads or self._kept.workloads
        return made

    def _all_workloads(self) -> dict[tuple[str, str], Workload]:
        nodes = {item.meta.name: item for item in self.of_kind("Node", kubernetes.Node)}
        out = {}
        for pod in self.pods.values():
            node = nodes.get(pod.spec.spec.node_name)
            network = self.network_of(pod.spec.status.pod_ip, pod.meta.labels)
            key = (pod, node, network)
            made = self._kept.workloads.get(key) or eps.pod_workload(pod, node, self.mesh, network)
            self.memory.workloads[key] = made
            out[pod.meta.namespace, pod.meta.name] = made
        return out

    @cached_property
    def pods(self) -> dict[tuple[str, str], Object[kubernetes.Pod]]:
        """By namespace and name."""
        pods = self.of_kind("Pod", kubernetes.Pod)
        return self._part(
            "pods",
            (pods,),
            lambda: {(pod.meta.namespace, pod.meta.name): pod for pod in pods if not pod.spec.failed},
        )

    @cached_property
    def pods_by_ip(self) -> dict[str, list[Object[kubernetes.Pod]]]:
        """Those that serve; several share the address of a node."""
        return self._part("pods by ip", (self.pods,), self._pods_by_ip)

    def _pods_by_ip(self) -> dict[str, list[Object[kubernetes.Pod]]]:
        out: dict[str, list[Object[kubernetes.Pod]]] = {}
        for pod in self.pods.values():
            if pod.spec.serves:
                out.setdefault(pod.spec.status.pod_ip, []).append(pod)
        return out

    @cached_property
    def entries_by_ip(self) -> dict[str, list[Object[WorkloadEntry]]]:
        """WorkloadEntries that count, by address, each list by namespace and name."""
        out: dict[str, list[Object[WorkloadEntry]]] = {}
        for entry in sorted(self.of_kind("WorkloadEntry", WorkloadEntry), key=_by_place):
            if eps.serves(entry) and not eps.only_by_name(entry.spec):
                out.setdefault(entry.spec.address, []).append(entry)
        return out

    def entry_workload(self, entry: Object[WorkloadEntry]) -> Workload:
        """What a WorkloadEntry is."""
        spec = eps.whole(entry)
        key = (entry, spec.network or self.network_of(spec.address, spec.labels))
        made = self._kept.endpoints.entries.get(key) or eps.entry_workload(
            spec, eps.entry_name(entry.meta), entry.meta.namespace, self.mesh, self.network_of
        )
        self.memory.endpoints.entries[key] = made
        return made

    @cached_property
    def instances(self) -> dict[ServiceKey, Instances]:
        """The endpoints of each service, by namespace and host."""
        kinds = self._of_kinds("EndpointSlice", "Endpoints", "WorkloadEntry", "Deployment", "Namespace")
        made = self._part("instances", (self.services, self.workloads, *kinds), self._all_instances)
        self.memory.endpoints = self.memory.endpoints.or_else(self._kept.endpoints)
        self.memory.instances = made
        kept = self._kept
        self.memory.accounts = kept.accounts if made is kept.instances else seen_accounts(made, kept.accounts, self)
        return made

    @property
    def seen_accounts(self) -> dict[ServiceKey, frozenset[str]]:
        """The accounts of each service's endpoints, or of those that it had last."""
        _ = self.instances
        return self.memory.accounts

    def _all_instances(self) -> dict[ServiceKey, Instances]:
        out = {}
        for key, endpoints in Gathering(self, self._kept, self.memory).endpoints().items():
            kept = self._kept.instances.get(key)
            out[key] = kept if kept is not None and kept.all == endpoints else Instances.of(endpoints)
        return out

    def network_of(self, address: str, labels: Mapping[str, str]) -> str:
        """The network of a workload: a label says it, else the namespace of istiod, else the mesh's networks."""
        return labels.get(eps.NETWORK) or self._home_network or self._ranges.of(address)

    @cached_property
    def gateways(self) -> Gateways:
        """Through which other networks are reached; the same object while none changes."""
        kinds = self._of_kinds("Node", "Gateway")
        return self._part("gateways", (self.services, *kinds, self.addresses), self._found_gateways)

    def _found_gateways(self) -> Gateways:
        nodes, found = self.of_kind("Node", kubernetes.Node), self.of_kind("Gateway", NetworkGatewaySpec)
        candidates = network_gateways.Candidates(self.services, nodes, found)
        made = network_gateways.gateways(candidates, self.mesh, lambda name: self.addresses.get(name, ()))
        known = self._kept.parts.get("gateways")
        before = cast(Gateways, known[1]) if known is not None else Gateways()
        return before if (before.by_cluster, before.names) == (made.by_cluster, made.names) else made

    @cached_property
    def _home_network(self) -> str:
        return self._namespace_labels.get(HOME, {}).get(eps.NETWORK, "")

    @cached_property
    def _ranges(self) -> Ranges:
        return Ranges(self.mesh)

    @cached_property
    def kubernetes_services(self) -> dict[str, list[Service]]:
        """Kubernetes' services by namespace, oldest first."""
        return self._part("kubernetes services", (self.services,), self._by_namespace)

    def _by_namespace(self) -> dict[str, list[Service]]:
        out: dict[str, list[Service]] = {}
        for service in self.services:
            if service.registry == "Kubernetes":
                out.setdefault(service.namespace, []).append(service)
        return out

    @cached_property
    def external_by_address(self) -> dict[str, list[tuple[Service, Endpoint]]]:
        """The endpoints of ServiceEntries by address, each list in the order of the services."""
        return self._part("external by address", (self.services, self.instances), self._external_by_address)

    def _external_by_address(self) -> dict[str, list[tuple[Service, Endpoint]]]:
        out: dict[str, list[tuple[Service, Endpoint]]] = {}
        for service in self.services:
            if service.registry == "External":
                for endpoint in self.instances.get(service.key, NOWHERE).all:
                    if endpoint.number:
                        out.setdefault(endpoint.address, []).append((service, endpoint))
        return out

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
        policies = self.backend_policies.rules
        made = self._part(
            "rules",
            (objects, *policies),
            lambda: DestinationRules([*objects, *policies], self.mesh, self._kept.rules),
        )
        self.memory.rules = made.made
        return made

    @cached_property
    def backend_policies(self) -> BackendPolicies:
        """What BackendTLSPolicies come to."""
        policies = self.of_kind(backend_policies.KIND, BackendTLSPolicySpec)
        if not policies:
            return backend_policies.NONE
        inputs = (policies, *self._of_kinds("Service", "ServiceEntry", "ConfigMap"))
        return self._part("backend policies", inputs, lambda: self._policies_of_backends(policies))

    def _policies_of_backends(self, policies: list[Object[BackendTLSPolicySpec]]) -> BackendPolicies:
        def by_name(items: Iterable[Object[T]]) -> dict[tuple[str, str], Object[T]]:
            return {(item.meta.namespace, item.meta.name): item for item in items}

        roots = [item for item in self.of_kind("ConfigMap", MeshMap) if item.spec.data.ca_crt or item.spec.data.cacert]
        targets = backend_policies.Targets(
            self.mesh.domain_suffix,
            by_name(self.of_kind("Service", kubernetes.Service)),
            by_name(self.of_kind("ServiceEntry", ServiceEntry)),
            by_name(roots),
        )
        known = self._kept.parts.get("backend policies")
        before = cast(BackendPolicies, known[1]) if known is not None else backend_policies.NONE
        return backend_policies.rules_of(policies, targets, before)

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
            Backends(domain, services, self.by_host),
            before,
        )
        return before if same(made.objects, before.objects) and made.troubles == before.troubles else made

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
    def extensions(self) -> Extensions:
        plugins = self.of_kind("WasmPlugin", WasmPlugin)
        others = self.of_kind("TrafficExtension", TrafficExtension)
        return self._part("extensions", (plugins, others), lambda: Extensions(plugins, others, self.mesh))

    @cached_property
    def telemetries(self) -> Telemetries:
        objects = self.of_kind("Telemetry", Telemetry)
        return self._part("telemetries", (objects,), lambda: Telemetries(objects, self.mesh))
