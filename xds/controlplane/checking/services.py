"""Services against the mesh: is anybody behind them, and what do their ports carry."""

from __future__ import annotations

from collections.abc import Iterator

from ..api import kubernetes
from ..api.decode import nearest
from ..objects import Object
from ..registry import protocols
from ..registry.instances import NOWHERE
from ..registry.services import Service
from .finding import Keys, Said
from .mesh import Mesh


def service(source: Object[kubernetes.Service], mesh: Mesh) -> Iterator[Said]:
    spec, meta = source.spec, source.meta
    made = mesh.world.service(meta.namespace, f"{meta.name}.{meta.namespace}.svc.{mesh.world.mesh.domain_suffix}")
    instances = mesh.world.instances.get(made.key, NOWHERE) if made is not None else NOWHERE
    if spec.type != "ExternalName" and not instances.all:
        where = "no EndpointSlice says where, nor a Deployment's proxyless.dev/endpoints"
        why = where if spec.selector else "it has no selector, and no EndpointSlice is its own"
        yield "warning", (), f"has no endpoints ({why}): calls are answered 503"
    yield from _names(spec.ports)
    for index, port in enumerate(spec.ports):
        at: Keys = ("spec", "ports", index)
        if port.protocol == "SCTP":
            yield "warning", (*at, "protocol"), "SCTP has no effect: such a port is not served"
        elif port.protocol != "UDP" and port.app_protocol is None and port.name:
            first = port.name.partition("-")[0].lower()
            near = "" if protocols.parse(first) != "Unsupported" else nearest(first, protocols.NAMES)
            if near:
                yield "warning", (*at, "name"), f"{first} is no protocol{near}: what the port carries is guessed"
    families = {":" in address for address in spec.cluster_ips}
    if len(families) > 1:
        why = "has a second family, by which a process does not know calls: it looks at the first alone"
        yield "warning", ("spec", "clusterIPs"), why
    if made is not None:
        yield from _one_port(source, made, mesh)


def _names(ports: tuple[kubernetes.ServicePort, ...]) -> Iterator[Said]:
    """Names by which endpoints are found; Kubernetes refuses a Service that lacks one."""
    known: set[str] = set()
    for index, port in enumerate(ports):
        at: Keys = ("spec", "ports", index)
        if not port.name and len(ports) > 1:
            yield "error", at, "has no name: where there are several ports Kubernetes refuses that"
        elif port.name in known:
            yield "error", (*at, "name"), f'"{port.name}" is another port\'s name already: Kubernetes refuses that'
        known.add(port.name)


def _one_port(source: Object[kubernetes.Service], made: Service, mesh: Mesh) -> Iterator[Said]:
    """Ports of a workload that an older service says to carry something else: its own side follows that one."""
    told: set[str] = set()
    for endpoint in mesh.world.instances.get(made.key, NOWHERE).all:
        first = mesh.served.get((id(endpoint.workload), endpoint.port))
        own = made.port_named(endpoint.port_name)
        if first is None or own is None or first[0].source is source or own.name in told:
            continue
        if own.protocol != first[1].protocol:
            told.add(own.name)
            index = next(index for index, port in enumerate(source.spec.ports) if port.name == own.name)
            why = f"is {own.protocol}, but {first[1].protocol} in {first[0].source.ref}, which counts there"
            yield "warning", ("spec", "ports", index), f"leads to port {endpoint.port} of the same workloads: it {why}"
