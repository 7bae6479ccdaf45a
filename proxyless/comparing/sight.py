"""What one client is told by one folder, and the runtime that decides by it.

No thread and no socket: what makes the control plane's resources is asked for them. Everything is decoded when it is
first looked at, and once for both sides and all clients that are told the same bytes; endpoints are not even made
before. Names that only DNS knows stand for themselves, so that a comparison asks nobody and says the same everywhere.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..governance.forwarding import Workload
from ..governance.runtime import Options, Runtime
from ..xds.controlplane.discovery import rules
from ..xds.controlplane.discovery.resources import Resources
from ..xds.controlplane.emit.inbound import inbound_listeners
from ..xds.controlplane.emit.messages import pack
from ..xds.controlplane.emit.outbound import outbound_listeners
from ..xds.controlplane.emit.view import View
from ..xds.graph import DNS_TYPES, tables_of
from ..xds.identity.bootstrap import Node
from ..xds.model.cluster import Cluster
from ..xds.model.endpoint import ClusterLoadAssignment
from ..xds.model.listener import Listener
from ..xds.model.names import NameTable
from ..xds.model.resource import Resource, ResourceError, ResourceType
from ..xds.model.snapshot import Snapshot
from ..xds.model.values import Locality
from ..xds.wire import codec

INBOUND = "virtualInbound"

T = TypeVar("T")


class Draws:
    """What the runtime draws from: some numbers, then almost one, by which nothing random happens."""

    def __init__(self) -> None:
        self.next: list[float] = []

    def __call__(self) -> float:
        return self.next.pop(0) if self.next else LAST


LAST = 0.999999999


class Pool:
    """Resources that are held, by their bytes: what is told to many is decoded once."""

    def __init__(self) -> None:
        self._by_bytes: dict[tuple[ResourceType, bytes], Resource[Any]] = {}
        self._by_message: dict[int, tuple[object, Resource[Any]]] = {}
        self._tables: dict[str, Resource[Any]] = {}

    def held(self, type_: ResourceType, name: str, message: Any) -> Resource[Any]:
        """A resource of a packed message; the same object for the same bytes."""
        known = self._by_message.get(id(message))
        if known is not None and known[0] is message:
            return known[1]
        raw = message.value
        found = self._by_bytes.get((type_, raw))
        if found is None:
            # A table shares its virtual hosts with the one before it.
            before = self._tables.get(name) if type_ is ResourceType.ROUTE else None
            found = self._by_bytes[type_, raw] = codec.resource(type_, name, "diff", raw, before)
            found.previous = None  # what cannot be decoded is left out, as by an Envoy that starts
            if type_ is ResourceType.ROUTE:
                self._tables[name] = found
                table = decoded_or_none(found)
                for each in table.virtual_hosts if table is not None else ():
                    each.previous = None
        self._by_message[id(message)] = (message, found)
        return found


def decoded_or_none(resource: Resource[T] | None) -> T | None:
    """The value, where there is one."""
    try:
        return resource.get() if resource is not None else None
    except ResourceError:
        return None


class Asked(Mapping[str, T], Generic[T]):
    """What is made when it is asked for."""

    def __init__(self, names: Collection[str], make: Callable[[str], T | None]) -> None:
        self._names = names
        self._make = make
        self._made: dict[str, T | None] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._made:
            self._made[name] = self._make(name)
        found = self._made[name]
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def decoded(resources: Mapping[str, Resource[T]]) -> Mapping[str, T]:
    """Those resources that can be decoded, each when it is asked for."""
    return Asked(resources, lambda name: decoded_or_none(resources.get(name)))


@dataclass(frozen=True, slots=True)
class Tables:
    """What does not depend on where a client stands: many share it."""

    listeners: Mapping[str, Resource[Listener]]
    routes: Mapping[str, Resource[Any]]
    extensions: Mapping[str, Resource[Any]]
    names: Resource[NameTable] | None


def tables(resources: Resources, view: View, pool: Pool) -> Tables:
    """Listeners of outgoing calls, their routes, and the names that are known."""
    made = {each.name: pool.held(ResourceType.LISTENER, each.name, pack(each)) for each in outbound_listeners(view)}
    listeners = list(decoded(made).values())
    wanted = {name for each in listeners for name in tables_of(each)}
    extensions = _discovered(listeners)

    def named(type_: rules.ResourceType, of: ResourceType, names: Collection[str]) -> dict[str, Resource[Any]]:
        made = resources.make(type_, view, sorted(names)) if names else ()
        return {name: pool.held(of, name, message) for name, message in made}

    (known,) = [pool.held(ResourceType.NAMES, "", message) for _, message in resources.make(rules.NAMES, view, ())]
    return Tables(
        made,
        named(rules.ROUTE, ResourceType.ROUTE, wanted),
        named(rules.EXTENSION, ResourceType.EXTENSION, extensions),
        known,
    )


class Sight:
    """What a client is told of the calls that it makes. `listeners`, `clusters` leave out what Envoy would refuse."""

    def __init__(self, resources: Resources, view: View, node: Node, pool: Pool, told: Tables) -> None:
        self._resources = resources
        self._view = view
        self._pool = pool
        self.told = told
        self.held = {
            name: pool.held(ResourceType.CLUSTER, name, message)
            for name, message in resources.clusters(view, None)
            if name and not name.startswith("inbound|")
        }
        """Clusters as they are told."""
        self.clusters: Mapping[str, Cluster] = decoded(self.held)
        self.listeners: Mapping[str, Listener] = decoded(told.listeners)
        self.assignments: Mapping[str, Resource[ClusterLoadAssignment]] = Asked(self.held, self._assignment)
        self.names: NameTable = decoded_or_none(told.names) or NameTable()
        resolved = Asked(self.held, self._resolved)
        snapshot = Snapshot(
            1, True, told.listeners, told.routes, self.held, self.assignments, resolved, told.extensions, self.names
        )
        self.snapshot = snapshot
        self.draws = Draws()
        options = Options(
            search=node.search,
            locality=Locality(*node.locality) if node.locality else None,
            workload=Workload(*node.names),
        )
        self.runtime = Runtime(options, rng=random.Random(0))
        self.runtime.uniform = self.draws
        self.runtime.publish(snapshot)

    def endpoints(self, cluster: Cluster) -> ClusterLoadAssignment:
        """Where a cluster's endpoints are, as configured."""
        if cluster.type == "EDS":
            found = decoded_or_none(self.assignments.get(cluster.assignment_name))
            return found or ClusterLoadAssignment(cluster.name)
        return cluster.load_assignment or ClusterLoadAssignment(cluster.name)

    def made_of(self, assignment: str) -> Hashable:
        """What an assignment is made of."""
        return self._resources.made_of(assignment, self._view)

    @property
    def patched(self) -> bool:
        """Whether clusters are not simply what the control plane makes of services."""
        return "CLUSTER" in self._view.patches

    def _assignment(self, name: str) -> Resource[ClusterLoadAssignment]:
        ((_, message),) = self._resources.make(rules.ENDPOINT, self._view, [name])
        return self._pool.held(ResourceType.ENDPOINT, name, message)

    def _resolved(self, name: str) -> ClusterLoadAssignment | None:
        cluster = self.clusters.get(name)
        if cluster is None or cluster.type not in DNS_TYPES:
            return None
        return cluster.load_assignment or ClusterLoadAssignment(name)


def own_listener(view: View) -> bytes:
    """What a workload is told of its own ports: the bytes of its listener for incoming connections."""
    return next((pack(each).value for each in inbound_listeners(view) if each.name == INBOUND), b"")


def _discovered(listeners: Collection[Listener]) -> set[str]:
    return {
        each.discovery
        for listener in listeners
        for chain in listener.all_chains()
        if chain.http is not None
        for each in chain.http.http_filters
        if each.discovery
    }
