"""Whose endpoints are whose: gathers those of every service from slices, entries, workloads and local processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, cast

from ..api import kubernetes
from ..api.service_entry import ServiceEntry, WorkloadEntry
from ..objects import Object, by_namespace
from . import endpoints as eps
from . import processes
from .authn import selects
from .endpoints import Endpoint, Workload
from .services import Service

if TYPE_CHECKING:
    from .world import Memory, World

ServiceKey = tuple[str, str]
_SERVICE = "kubernetes.io/service-name"
_MULTI_CLUSTER = "multicluster.kubernetes.io/service-name"


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

    def of_ports(self, service: Service) -> list[Endpoint]:
        """Those of any of a service's ports."""
        numbers = {port.number for port in service.ports}
        names = {port.name for port in service.ports}
        return [e for e in self.all if (e.number in numbers if e.number else e.port_name in names)]


NOWHERE = Instances()


def seen_accounts(
    instances: Mapping[ServiceKey, Instances], before: Mapping[ServiceKey, frozenset[str]], world: World
) -> dict[ServiceKey, frozenset[str]]:
    """The accounts of each service's endpoints; of a service of Kubernetes' that has none left, of those that it had.

    istiod remembers them, so that a service which comes and goes is no new one to its clients.
    """
    out = {key: found.accounts for key, found in instances.items() if found.all}
    for key, known in before.items():
        service = world.service(*key) if key not in out else None
        if service is not None and service.registry == "Kubernetes":
            out[key] = known
    return out


@dataclass(slots=True)
class EndpointMemory:
    """What the gatherings of one world leave for those of the next, by what it was made of."""

    entries: dict[tuple[object, ...], Workload] = field(default_factory=dict)
    slices: dict[tuple[object, ...], list[Endpoint]] = field(default_factory=dict)

    def or_else(self, before: EndpointMemory) -> EndpointMemory:
        """Where nothing was made anew, what was there before."""
        return EndpointMemory(self.entries or before.entries, self.slices or before.slices)


class Gathering:
    """Collects the endpoints of one world. istiod sends those of entries before those of Kubernetes."""

    def __init__(self, world: World, kept: Memory, memory: Memory) -> None:
        self._world = world
        self._kept = kept.endpoints
        self._memory = memory.endpoints
        self._entries = by_namespace(e for e in world.of_kind("WorkloadEntry", WorkloadEntry) if eps.serves(e))
        deployments = world.of_kind("Deployment", kubernetes.Deployment)
        self._deployments = by_namespace(each for each in deployments if processes.written(each))
        self._selects = bool(self._entries or deployments)

    @cached_property
    def _pods(self) -> dict[str, list[Object[kubernetes.Pod]]]:
        """Those that serve, by namespace, each list by name."""
        serving = (pod for pod in self._world.pods.values() if pod.spec.serves)
        return by_namespace(sorted(serving, key=lambda item: item.meta.name))

    def endpoints(self) -> dict[ServiceKey, tuple[Endpoint, ...]]:
        external: dict[ServiceKey, list[Endpoint]] = {}
        kubernetes_own: dict[ServiceKey, list[Endpoint]] = {}
        for service in self._world.services:
            if service.registry == "External":
                self._add_entry(service, external.setdefault(service.key, []))
        for key, found in self._slices():
            kubernetes_own.setdefault(key, []).extend(found)
        out: dict[ServiceKey, tuple[Endpoint, ...]] = {key: tuple(found) for key, found in external.items()}
        sliced = {key: eps.unique(found) for key, found in kubernetes_own.items()}
        for service in self._world.services if self._selects else ():
            if service.registry == "Kubernetes" and service.selector:
                sliced[service.key] = (*sliced.get(service.key, ()), *self._selected_by_service(service))
        for key, unique in sliced.items():
            out[key] = (*out.get(key, ()), *unique)
        return out

    # -- Kubernetes -------------------------------------------------------------------------------------------------

    def _slices(self) -> Iterator[tuple[ServiceKey, list[Endpoint]]]:
        for slice_ in self._world.of_kind("EndpointSlice", kubernetes.EndpointSlice):
            name = slice_.meta.labels.get(_SERVICE, "")
            if name and _MULTI_CLUSTER not in slice_.meta.labels and slice_.spec.address_type != "FQDN":
                key = self._key(name, slice_.meta.namespace)
                yield key, self._slice(slice_, key)
        for old in self._world.of_kind("Endpoints", kubernetes.Endpoints):
            yield self._key(old.meta.name, old.meta.namespace), eps.old_endpoints(old, self._located)

    def _key(self, name: str, namespace: str) -> ServiceKey:
        return namespace, f"{name}.{namespace}.svc.{self._world.mesh.domain_suffix}"

    def _slice(self, source: Object[kubernetes.EndpointSlice], key: ServiceKey) -> list[Endpoint]:
        known = self._world.by_host.get(key[1], {}).get(key[0])
        service = known if known is not None and known.registry == "Kubernetes" else None
        targets = tuple(
            id(self._located(given.target_ref, address, source.meta.namespace))
            for given in source.spec.endpoints
            for address in given.addresses
        )
        memo = (source, targets, service is None, service is not None and service.keeps_sessions)
        made = self._kept.slices.get(memo)
        if made is None:
            made = eps.slice_endpoints(source, self._located, service)
        self._memory.slices[memo] = made
        return made

    def _located(self, target: kubernetes.ObjectReference | None, address: str, namespace: str) -> Workload | None:
        """A named Pod, or else one that has the address, in the slice's namespace."""
        workloads = self._world.workloads
        if target is not None and target.kind == "Pod":
            return workloads.get((target.namespace or namespace, target.name))
        for pod in self._world.pods_by_ip.get(address, ()):
            if pod.meta.namespace == namespace:
                return workloads[namespace, pod.meta.name]
        return eps.NO_POD

    def _selected_by_service(self, service: Service) -> Iterator[Endpoint]:
        """WorkloadEntries, where callers balance themselves, and processes of Deployments."""
        source = cast(Object[kubernetes.Service], service.source)
        entries = self._entries.get(service.namespace, ()) if service.resolution == "ClientSideLB" else ()
        for entry in entries:
            if not eps.only_by_name(entry.spec):
                workload = self._world.entry_workload(entry)
                if selects(service.selector, workload.labels):
                    yield from service_endpoints(source.spec, entry.spec, workload)
        for deployment in self._deployments.get(service.namespace, ()):
            yield from processes.endpoints(deployment, source.spec, self._world.mesh)

    # -- entries ----------------------------------------------------------------------------------------------------

    def _add_entry(self, service: Service, there: list[Endpoint]) -> None:
        """A ServiceEntry's own endpoints, or the Pods and WorkloadEntries that it selects."""
        source = cast(Object[ServiceEntry], service.source)
        ports = {endpoint.number for endpoint in there}
        if source.spec.workload_selector is None:
            made = eps.entry_endpoints(source, service, self._world.mesh, self._world.network_of)
        else:
            made = list(self._selected_by_entry(source, service))
        # One endpoint is all that a round robin over DNS may have, also if two entries claim the host.
        for each in made:
            if service.resolution != "DNSRoundRobinLB" or each.number not in ports:
                there.append(each)
                ports.add(each.number)

    def _selected_by_entry(self, source: Object[ServiceEntry], service: Service) -> Iterator[Endpoint]:
        namespace, world = source.meta.namespace, self._world
        for pod in self._pods.get(namespace, ()):
            workload = world.workloads[namespace, pod.meta.name]
            if selects(service.selector, workload.labels):
                as_entry = WorkloadEntry(pod.spec.status.pod_ip, eps.named_ports(pod.spec.spec))
                yield from eps.workload_endpoints(as_entry, workload, source.spec, "HEALTHY")
        for deployment in self._deployments.get(namespace, ()):
            yield from processes.of_entry(deployment, service.selector or {}, source.spec, world.mesh)
        for entry in sorted(self._entries.get(namespace, ()), key=lambda item: item.meta.name):
            if service.is_dns or not eps.only_by_name(entry.spec):
                workload = world.entry_workload(entry)
                if selects(service.selector, workload.labels):
                    yield from eps.workload_endpoints(entry.spec, workload, source.spec)


def service_endpoints(service: kubernetes.Service, entry: WorkloadEntry, workload: Workload) -> Iterator[Endpoint]:
    """A WorkloadEntry as an endpoint of each port of a Service."""
    for port in service.ports:
        number = entry_port(port, entry.ports)
        if number is not None:
            yield Endpoint(entry.address, number, port.name, workload, weight=entry.weight)


def entry_port(port: kubernetes.ServicePort, named: Mapping[str, int]) -> int | None:
    """Where a WorkloadEntry serves a port of a Service.

    A target by name must be one of the entry's own ports; one by number gives way to a port of the entry that is named
    as the Service's.
    """
    if isinstance(port.target_port, str):
        return named.get(port.target_port) or None
    target = port.target_port if isinstance(port.target_port, int) else 0
    return named.get(port.name) or target or port.port
