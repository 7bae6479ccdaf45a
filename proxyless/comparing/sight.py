"""What one client is told by one folder, complete and at once, and the runtime that decides by it.

No thread and no socket: the control plane's own session is asked type by type. Names that only DNS knows stand for
themselves, so that a comparison asks nobody and says the same everywhere.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection
from typing import Any

from ..errors import ConfigurationError
from ..governance.forwarding import Workload
from ..governance.runtime import Options, Runtime
from ..xds.controlplane.discovery.session import SessionError
from ..xds.controlplane.discovery.sotw import SotwSession
from ..xds.graph import DNS_TYPES, tables_of
from ..xds.identity.bootstrap import Node
from ..xds.model.cluster import Cluster
from ..xds.model.endpoint import ClusterLoadAssignment
from ..xds.model.listener import Listener
from ..xds.model.names import NameTable
from ..xds.model.resource import Resource, ResourceError, ResourceType
from ..xds.model.snapshot import Snapshot
from ..xds.model.values import Locality
from ..xds.protocol.events import Request
from ..xds.wire import codec, envelope
from .folders import Folder

INBOUND = "virtualInbound"


class Draws:
    """What the runtime draws from: some numbers, then almost one, by which nothing random happens."""

    def __init__(self) -> None:
        self.next: list[float] = []

    def __call__(self) -> float:
        return self.next.pop(0) if self.next else LAST


LAST = 0.999999999


class Sight:
    """A client's configuration. `listeners`, `clusters` are decoded; what cannot be is left out, as Envoy would.

    Raises:
        ConfigurationError: the client cannot be served.
    """

    def __init__(self, folder: Folder, node: Node) -> None:
        self._session = SotwSession(folder.plane, "diff")
        self._node = envelope.node_message(node.message())
        clusters = self._ask(ResourceType.CLUSTER)
        listeners = self._ask(ResourceType.LISTENER)
        self.clusters: dict[str, Cluster] = decoded(clusters)
        self.listeners: dict[str, Listener] = decoded(listeners)
        wanted = {each.assignment_name for each in self.clusters.values() if each.type == "EDS"}
        assignments = self._ask(ResourceType.ENDPOINT, wanted)
        routes = self._ask(ResourceType.ROUTE, {name for each in self.listeners.values() for name in tables_of(each)})
        extensions = self._ask(ResourceType.EXTENSION, _discovered(self.listeners.values()))
        names = self._ask(ResourceType.NAMES)
        self.assignments: dict[str, ClusterLoadAssignment] = decoded(assignments)
        table = next(iter(names.values()), None)
        self.names: NameTable = NameTable() if table is None else table.get()
        resolved = {
            name: each.load_assignment or ClusterLoadAssignment(name)
            for name, each in self.clusters.items()
            if each.type in DNS_TYPES
        }
        snapshot = Snapshot(1, True, listeners, routes, clusters, assignments, resolved, extensions, self.names)
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
        inbound = listeners.get(INBOUND)
        self.inbound_raw = b"" if inbound is None else inbound.raw
        self.digest = _digest(
            {name: each for name, each in listeners.items() if name != INBOUND},
            routes,
            clusters,
            assignments,
            extensions,
            names,
        )
        """Of all that concerns outgoing calls."""

    def endpoints(self, cluster: Cluster) -> ClusterLoadAssignment:
        """Where a cluster's endpoints are, as configured."""
        if cluster.type == "EDS":
            return self.assignments.get(cluster.assignment_name) or ClusterLoadAssignment(cluster.name)
        return cluster.load_assignment or ClusterLoadAssignment(cluster.name)

    def _ask(self, type_: ResourceType, names: Collection[str] = ()) -> dict[str, Resource[Any]]:
        if not names and not type_.is_wildcard:
            return {}
        request = Request(type_.value, names=tuple(sorted(names)), first=True)
        try:
            responses = self._session.receive(envelope.write_request(request, self._node))
        except SessionError as error:
            raise ConfigurationError(str(error)) from error
        found: dict[str, Resource[Any]] = {}
        for each in responses:
            for said in envelope.read_response(each.SerializeToString()).resources:
                found[said.name] = codec.resource(type_, said.name, said.version, said.raw)
        return found


def decoded(resources: dict[str, Resource[Any]]) -> dict[str, Any]:
    """Those that can be."""
    found = {}
    for name, each in resources.items():
        try:
            found[name] = each.get()
        except ResourceError:
            continue
    return found


def _discovered(listeners: Collection[Listener]) -> set[str]:
    return {
        each.discovery
        for listener in listeners
        for chain in listener.all_chains()
        if chain.http is not None
        for each in chain.http.http_filters
        if each.discovery
    }


def _digest(*tables: dict[str, Resource[Any]]) -> bytes:
    made = hashlib.sha256()
    for table in tables:
        for name in sorted(table):
            made.update(f"{len(table[name].raw)} {name}\0".encode())
            made.update(table[name].raw)
        made.update(b"\0\0")
    return made.digest()
