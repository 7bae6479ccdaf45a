"""What a proxy serves itself: the service ports that lead to its workload."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from ..api import kubernetes
from ..api.service_entry import WorkloadEntry
from ..objects import Object
from . import endpoints as eps
from .endpoints import Endpoint
from .instances import NOWHERE, entry_port
from .node import Node
from .services import Port, Service
from .world import World


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A service port that this proxy serves, and the port its application listens on."""

    service: Service
    port: Port
    target: int


def found_targets(
    node: Node, pod: Object[kubernetes.Pod] | None, labels: Mapping[str, str], world: World
) -> tuple[Target, ...]:
    """The service ports that lead to a workload, the oldest service's first."""
    found: list[Target] = []
    if node.cluster_id in ("", world.mesh.cluster_id):
        found += _of_kubernetes(node, pod, labels, world)
    for service, endpoint in at_addresses(node, world):
        port = service.port(endpoint.number)
        if port is not None:
            found.append(Target(service, port, endpoint.port))
    return tuple(sorted(found, key=lambda target: (target.service.created, target.service.hostname)))


def at_addresses(node: Node, world: World) -> Iterator[tuple[Service, Endpoint]]:
    """The endpoints of ServiceEntries of its namespace that stand at one of its addresses."""
    namespace = node.text("NAMESPACE")
    for address in node.addresses:
        for service, endpoint in world.external_by_address.get(address, ()):
            if namespace in ("", service.namespace):
                yield service, endpoint


def _of_kubernetes(
    node: Node, pod: Object[kubernetes.Pod] | None, labels: Mapping[str, str], world: World
) -> list[Target]:
    """As a WorkloadEntry, as a Pod, else as what its labels say it is."""
    entry = _entry(node, world)
    if entry is not None:
        return list(_of_entry(entry, world))
    namespace = pod.meta.namespace if pod is not None else node.namespace
    own = pod.meta.labels if pod is not None else labels
    selecting = [
        service
        for service in world.kubernetes_services.get(namespace, ())
        if service.selector and service.selector.items() <= own.items()
    ]
    found: list[Target] = []
    for service in selecting:
        found += _unique(service, _pod_ports(pod) if pod is not None else _said_ports(node))
    # For a proxy without a Pod istiod would stop here; on a laptop few write Pods.
    return found if selecting else _by_address(node, world)


def _entry(node: Node, world: World) -> Object[WorkloadEntry] | None:
    """The WorkloadEntry at its first address; of several the one of its name, else one of its namespace."""
    there = world.entries_by_ip.get(node.addresses[0], [])
    if len(there) > 1:
        name, _, namespace = node.name.partition(".")
        for entry in there:
            if (entry.meta.name, entry.meta.namespace) == (name, node.namespace) and namespace == node.namespace:
                return entry
        for entry in there:
            if entry.meta.namespace == node.namespace:
                return entry
    return there[0] if there else None


def _of_entry(entry: Object[WorkloadEntry], world: World) -> Iterator[Target]:
    labels = world.entry_workload(entry).labels
    for service in world.kubernetes_services.get(entry.meta.namespace, ()):
        if not service.selector or service.resolution != "ClientSideLB":
            continue
        if service.selector.items() <= labels.items():
            source = cast(Object[kubernetes.Service], service.source)
            for written in source.spec.ports:
                port, number = service.port_named(written.name), entry_port(written, entry.spec.ports)
                if port is not None and number is not None and port.protocol != "UDP":
                    yield Target(service, port, number)


@dataclass(frozen=True, slots=True)
class _Ports:
    """The ports of a workload by name and transport."""

    named: Mapping[tuple[str, str], int]

    def target(self, port: kubernetes.ServicePort) -> int | None:
        if isinstance(port.target_port, int):
            return port.target_port
        if isinstance(port.target_port, str):
            if port.target_port.isdecimal():
                return int(port.target_port)
            return self.named.get((port.target_port, port.protocol))
        return port.port


def _pod_ports(pod: Object[kubernetes.Pod]) -> _Ports:
    named: dict[tuple[str, str], int] = {}
    for container in eps.containers(pod.spec.spec):
        for port in container.ports:
            named.setdefault((port.name, port.protocol), port.container_port)
    return _Ports(named)


def _said_ports(node: Node) -> _Ports:
    """What a proxy says of its Pod's ports itself: `POD_PORTS`, as JSON in a string."""
    said: Any = node.metadata.get("POD_PORTS")
    if isinstance(said, str):
        try:
            said = json.loads(said)
        except ValueError:
            said = None
    named: dict[tuple[str, str], int] = {}
    for each in said if isinstance(said, list) else ():
        number = each.get("containerPort") if isinstance(each, dict) else None
        if isinstance(number, (int, float)):
            named.setdefault((str(each.get("name", "")), str(each.get("protocol") or "TCP")), int(number))
    return _Ports(named)


def _unique(service: Service, ports: _Ports) -> list[Target]:
    """Each target port and protocol once."""
    out: dict[tuple[int, str], Target] = {}
    source = cast(Object[kubernetes.Service], service.source)
    for written in source.spec.ports:
        port, number = service.port_named(written.name), ports.target(written)
        if port is not None and number is not None:
            out.setdefault((number, port.protocol), Target(service, port, number))
    return list(out.values())


def _by_address(node: Node, world: World) -> list[Target]:
    """Kubernetes' services that no selector ties to the workload, but whose slices hold its address."""
    out = []
    for service in world.kubernetes_services.get(node.namespace, ()):
        for endpoint in world.instances.get(service.key, NOWHERE).all:
            if not endpoint.number and endpoint.address == node.addresses[0]:
                port = service.port_named(endpoint.port_name)
                if port is not None:
                    out.append(Target(service, port, endpoint.port))
    return out
