"""What istiod sent, read from the recorded `.pb` files and kept as JSON objects (Envoy's field names).

A recording knows the real addresses that its endpoints name and can be rewritten to other ports, so that backends
listen on ports of the kernel's choice and several runs go side by side.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

from tests.differential import messages
from tests.support.behaviour import Address

Resource: TypeAlias = dict[str, Any]  # a protobuf message in JSON form: only its own shape describes it

KINDS = (
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.listener.v3.Listener",
    "istio.networking.nds.v1.NameTable",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.config.route.v3.RouteConfiguration",
)
LOCALHOST = {"localhost": "127.0.0.1"}


@dataclass(slots=True)
class Recording:
    """Resources by name, as the last response left them."""

    listeners: dict[str, Resource] = field(default_factory=dict)
    routes: dict[str, Resource] = field(default_factory=dict)
    clusters: dict[str, Resource] = field(default_factory=dict)
    assignments: dict[str, Resource] = field(default_factory=dict)
    names: dict[str, Resource] = field(default_factory=dict)
    originals: dict[str, Resource] = field(default_factory=dict)
    node: Resource = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, *, until: int | None = None) -> Self:
        """Replay a folder of state-of-the-world responses, optionally only up to the file numbered `until`."""
        loaded = cls()
        if (folder / "node.json").exists():
            loaded.node = json.loads((folder / "node.json").read_text())
        for path in sorted(folder.glob("*.pb")):
            if until is not None and int(path.name.split("-")[0]) > until:
                break
            loaded.apply(*messages.decode(path.read_bytes()))
        return loaded

    def write(self, folder: Path) -> None:
        """Write the resources as `.pb` files, for another reader of recordings."""
        held = (self.clusters, self.listeners, self.names, self.assignments, self.routes)
        for number, (kind, resources) in enumerate(zip(KINDS, held, strict=True), 1):
            data = messages.encode(kind, list(resources.values()), "1")
            (folder / f"{number:03}-{kind.rpartition('.')[2]}.pb").write_bytes(data)

    def apply(self, kind: str, resources: list[Resource]) -> None:
        """One response: listeners and clusters are replaced as a whole, routes and assignments are added to."""
        if kind == "Listener":
            self.listeners = {r["name"]: r for r in resources}
        elif kind == "Cluster":
            self.clusters = {r["name"]: r for r in resources}
            names = sorted(r["name"] for r in resources if r.get("type") == "ORIGINAL_DST")
            self.originals = {name: assignment(name, original_address(name, names)) for name in names}
        elif kind == "RouteConfiguration":
            self.routes.update({r["name"]: r for r in resources})
        elif kind == "NameTable":
            self.names = {str(number): r for number, r in enumerate(resources)}
        elif kind == "ClusterLoadAssignment":
            self.assignments.update({r["cluster_name"]: r for r in resources})

    def addresses(self) -> set[Address]:
        """Every endpoint that a real server must listen on."""
        return {address_of(s) for s in self._sockets()}

    def rewritten(self, ports: Mapping[Address, int]) -> Self:
        """A copy whose endpoints have the ports that the backends really listen on."""
        other = copy.deepcopy(self)
        for socket_address in other._sockets():
            socket_address["port_value"] = ports.get(address_of(socket_address), socket_address["port_value"])
        return other

    def _sockets(self) -> Iterator[Resource]:
        inline = (c["load_assignment"] for c in self.clusters.values() if "load_assignment" in c)
        for one in [*self.assignments.values(), *self.originals.values(), *inline]:
            for group in one.get("endpoints", ()):
                for endpoint in group.get("lb_endpoints", ()):
                    yield endpoint["endpoint"]["address"]["socket_address"]


def original_address(name: str, names: list[str]) -> Address:
    """The backend that stands for whatever a program dials through an ORIGINAL_DST cluster."""
    return f"127.0.9.{names.index(name) + 1}", 80


def assignment(cluster: str, *addresses: Address) -> Resource:
    """A load assignment of one locality."""
    hosts = [{"endpoint": {"address": {"socket_address": {"address": a, "port_value": p}}}} for a, p in addresses]
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": hosts}]}


def address_of(socket_address: Resource) -> Address:
    """The address of a `socket_address`, with localhost as a number."""
    name = str(socket_address["address"])
    return LOCALHOST.get(name, name), int(socket_address["port_value"])
