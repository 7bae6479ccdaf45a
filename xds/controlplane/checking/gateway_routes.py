"""Routes of the Gateway API against the mesh: their conditions, as istiod writes them into a route's status."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from ..api.backend_policy import BackendTLSPolicySpec
from ..api.decode import extended, path_text
from ..api.gateway_api import GATEWAY_GROUP, GRPCRouteSpec, HTTPRouteSpec, ParentReference, RouteSpec
from ..objects import Fault, Object
from ..registry.gateway_routes import ROUTE_KINDS
from ..registry.gateway_rules import NETWORKING
from ..registry.world import World
from .finding import Said
from .mesh import Mesh

_GATEWAYS = ("Gateway", "ListenerSet")
_MESH = (("", "Service"), (NETWORKING, "ServiceEntry"))


def route(source: Object[RouteSpec], mesh: Mesh) -> Iterator[Said]:
    """An error is a condition that is false; a warning is what has no effect for clients in the mesh."""
    for trouble in mesh.world.gateway_routes.troubles.get(source.ref, ()):
        yield "error", ("spec", *trouble.keys), f"{trouble.message} ({trouble.reason})"
    refs = source.spec.parent_refs
    if not refs:
        yield "warning", ("spec",), "names no parent, so it has no effect"
    for index, ref in enumerate(refs):
        yield from _parent(source, index, ref, mesh)
    yield from _ports(source, mesh)
    governs = any((ref.group, ref.kind) in _MESH for ref in refs)
    if governs and isinstance(source.spec, HTTPRouteSpec | GRPCRouteSpec) and source.spec.hostnames:
        yield "warning", ("spec", "hostnames"), "have no effect for services: their own hosts are taken"


def conditions(world: World) -> tuple[Fault, ...]:
    """What is said of all routes of a world, for who serves it; a place is where the route's document begins."""
    mesh = Mesh(world)
    return tuple(
        Fault(source.place, message, source.ref, path_text(extended(None, keys)))
        for kind in ROUTE_KINDS
        for source in cast(list[Object[RouteSpec]], world.of_kind(kind, object))
        for _, keys, message in route(source, mesh)
    )


def backend_tls_policy(source: Object[BackendTLSPolicySpec], mesh: Mesh) -> Iterator[Said]:
    for trouble in mesh.world.backend_policies.troubles.get(source.ref, ()):
        yield "error", ("spec", *trouble.keys), f"{trouble.message} ({trouble.reason})"


def _parent(source: Object[RouteSpec], index: int, ref: ParentReference, mesh: Mesh) -> Iterator[Said]:
    at = ("spec", "parentRefs", index)
    namespace = ref.namespace or source.meta.namespace
    if (ref.group, ref.kind) not in _MESH:
        if ref.group == GATEWAY_GROUP and ref.kind in _GATEWAYS:
            yield "warning", at, f"{ref.kind} {namespace}/{ref.name} has no effect: only the mesh is served"
        else:
            named = f"{ref.group}/{ref.kind}" if ref.group else ref.kind
            yield "warning", at, f"has no effect: {named} is no parent that routes can have"
        return
    if ref.section_name:
        yield "warning", (*at, "sectionName"), "has no effect for services: port tells their ports apart"
    if ref.kind != "Service":
        return
    host = f"{ref.name}.{namespace}.svc.{mesh.world.mesh.domain_suffix}"
    service = mesh.world.service(namespace, host)
    if service is None:
        return
    if ref.port and service.port(ref.port) is None:
        known = ", ".join(str(port.number) for port in service.ports) or "none"
        yield "warning", (*at, "port"), f"{ref.port} is no port of {host}: it has {known}"
    yield from _older(source, (*at, "name"), host, mesh)


def _ports(source: Object[RouteSpec], mesh: Mesh) -> Iterator[Said]:
    """Backends that are there, and have no such port: nothing says so in a route's conditions."""
    rules: Sequence[Any] = source.spec.rules
    for index, rule in enumerate(rules):
        for place, ref in enumerate(rule.backend_refs):
            if (ref.group, ref.kind) != ("", "Service") or not ref.port:
                continue
            namespace = ref.namespace or source.meta.namespace
            host = f"{ref.name}.{namespace}.svc.{mesh.world.mesh.domain_suffix}"
            service = mesh.world.service(namespace, host)
            if service is not None and service.port(ref.port) is None:
                known = ", ".join(str(port.number) for port in service.ports) or "none"
                at = ("spec", "rules", index, "backendRefs", place, "port")
                yield "error", at, f"{ref.port} is no port of {host}: it has {known}"


def _older(source: Object[RouteSpec], at: tuple[str | int, ...], host: str, mesh: Mesh) -> Iterator[Said]:
    """Own clients follow the route; everyone else whichever of it and a VirtualService is older."""
    for routing in mesh.routings.get(host, ()):
        if routing.gateway_semantics or routing.source.age > source.age:
            continue
        yield "warning", at, f"outside of {source.meta.namespace} {routing.written_as} routes {host}: it is older"
        return
