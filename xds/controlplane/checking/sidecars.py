"""Sidecars against the mesh: hosts that match nothing, selectors that select nothing, which of several counts."""

from __future__ import annotations

from collections.abc import Iterator

from ..api.decode import nearest
from ..api.sidecar import IstioEgressListener, Sidecar
from ..hosts import covered, is_ip, is_wildcard, matches
from ..objects import Object
from ..registry import protocols
from ..registry.authn import selects
from ..registry.egress import needs_port
from ..registry.scope import Scope
from . import refused
from .finding import Keys, Said
from .mesh import Mesh


def sidecar(source: Object[Sidecar], mesh: Mesh) -> Iterator[Said]:
    spec, namespace = source.spec, source.meta.namespace
    yield from _selection(source, mesh)
    for index, listener in enumerate(spec.egress):
        yield from _hosts(("spec", "egress", index), listener, source, mesh)
        if listener.port is None and listener.bind and not is_ip(listener.bind):
            why = "Envoy refuses the listeners: without port the services' ports count, and such a place has none"
            yield "error", ("spec", "egress", index, "bind"), f"{why}; istiod sends them all the same"
    for index in refused.sockets(source, mesh):
        why = "Envoy refuses the listener: hosts of DYNAMIC_DNS are called at its port, and a Unix socket has none"
        yield "error", ("spec", "egress", index, "port", "number"), f"{why}; istiod sends it all the same"
    policy = spec.outbound_traffic_policy
    if policy is not None and policy.egress_proxy is not None:
        yield from _egress_proxy(Scope(mesh.world, namespace, source), policy.egress_proxy.host)
    for index, ingress in enumerate(spec.ingress):
        at: Keys = ("spec", "ingress", index)
        if ingress.tls is not None:
            yield "warning", (*at, "tls"), "has no effect: istiod reads it only with ENABLE_TLS_ON_SIDECAR_INGRESS"
        pool = ingress.connection_pool
        if pool is not None and pool.http is not None and protocols.parse(ingress.port.protocol) not in protocols.HTTP:
            yield "warning", (*at, "connectionPool", "http"), "has no effect: the port's protocol is not HTTP"


def _selection(source: Object[Sidecar], mesh: Mesh) -> Iterator[Said]:
    """Whom it holds for, and which other Sidecars go before it there."""
    namespace, selector = source.meta.namespace, source.spec.workload_selector
    others = mesh.world.sidecars.by_namespace[namespace]
    if selector is None:
        first = next(each for each in others if each.spec.workload_selector is None)
        if first is not source:
            yield "warning", (), f"has no effect: {first.ref} is older, or first by name, and holds for the namespace"
        return
    at: Keys = ("spec", "workloadSelector")
    if not selector.labels:
        yield "warning", at, "has no labels: it selects every workload of the namespace, before any other Sidecar"
    mine = [
        workload.labels
        for (where, _), workload in mesh.world.workloads.items()
        if where == namespace and selects(selector.labels, workload.labels)
    ]
    if not mine:
        if mesh.has_workloads:
            yield "warning", at, "selects no workload"
        return
    held = [mesh.world.sidecars.of_workload(namespace, labels) for labels in mine]
    if source not in held and held[0] is not None:
        yield "warning", at, f"has no effect: {held[0].ref} is older, or first by name, and selects the same workloads"


def _hosts(at: Keys, listener: IstioEgressListener, source: Object[Sidecar], mesh: Mesh) -> Iterator[Said]:
    seen: list[tuple[str, str]] = []
    everywhere = source is mesh.world.sidecars.default
    for index, written in enumerate(listener.hosts):
        here: Keys = (*at, "hosts", index)
        where, _, name = written.partition("/")
        if where.startswith("~"):
            continue
        if ("*", "*") in seen or (where, name) in seen or (name != "*" and (where, "*") in seen):
            yield "warning", here, f"{written} is among the hosts before it"
        seen.append((where, name))
        if (where, name) != ("*", "*") and not (where == "." and everywhere):
            where = source.meta.namespace if where == "." else where
            said = _unmatched(where, name, listener, source.meta.namespace, mesh)
            if said:
                yield "warning", here, said


def _unmatched(where: str, name: str, listener: IstioEgressListener, namespace: str, mesh: Mesh) -> str:
    """Why a host picks nothing; empty where it picks something."""
    world = mesh.world
    services = [each for each in world.services if where in ("*", each.namespace) and covered(each.hostname, name)]
    routings = [
        each
        for each in world.virtual_services.all
        if where in ("*", each.namespace) and any(matches(host, name) for host in each.spec.hosts)
    ]
    if not services and not routings:
        near = "" if is_wildcard(name) else nearest(name, mesh.hosts)
        owners = sorted(world.by_host.get(name, {}))
        if owners:
            near = f": that host is one of {', '.join(owners)}"
        space = "any namespace" if where == "*" else f"namespace {where}"
        return f"matches no service and no VirtualService of {space}{near}"
    seen = [each for each in services if world.exported.sees(namespace, each)]
    visible = world.virtual_services.visible_to(namespace)
    if not seen and not any(each in visible for each in routings):
        return f"matches nothing that is exported to {namespace}"
    if seen and listener.port is not None and needs_port(listener):
        number = listener.port.number
        if not any(each.port(number) for each in seen):
            return f"matches no service with port {number}"
    return ""


def _egress_proxy(scope: Scope, host: str) -> Iterator[Said]:
    if host not in scope.by_host:
        at = ("spec", "outboundTrafficPolicy", "egressProxy", "host")
        yield "error", at, f"{host} is no service that this Sidecar imports: calls to unknown hosts are answered 503"
