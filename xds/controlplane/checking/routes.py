"""VirtualServices against the mesh: do hosts, ports and subsets exist, can every route be reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_interface

from ..api.decode import nearest
from ..api.virtual_service import Destination, HTTPRoute, VirtualService
from ..hosts import is_ip
from ..objects import Object
from ..registry.virtual_services import MESH, merge_routes
from .conditions import impossible
from .finding import Keys, Said
from .mesh import Mesh
from .overlaps import never_reached

_NEARLY_ALL = frozenset(range(90, 111)) - {100}


def virtual_service(source: Object[VirtualService], mesh: Mesh) -> Iterator[Said]:
    spec = source.spec
    if spec.gateways and MESH not in spec.gateways:
        yield "warning", ("spec", "gateways"), "has no effect here: only the gateway mesh is served"
        return
    for index, gateway in enumerate(spec.gateways):
        if gateway != MESH:
            yield "warning", ("spec", "gateways", index), "has no effect: only the gateway mesh is served"
    if not spec.hosts and source.ref not in mesh.delegates:
        yield "warning", (), "has no effect: it has no hosts, and no VirtualService delegates to it"
    yield from _hosts(source, mesh)
    for index, route in enumerate(spec.http):
        at: Keys = ("spec", "http", index)
        for keys, destination in _destinations(route):
            yield from _destination(at + keys, destination, source.meta.namespace, mesh)
        yield from _weights((*at, "route"), [target.weight for target in route.route])
        yield from _delegate(source, at, route, mesh)
    for kind in ("tls", "tcp"):
        for index, route in enumerate(getattr(spec, kind)):
            for place, target in enumerate(route.route):
                keys = ("spec", kind, index, "route", place, "destination")
                yield from _destination(keys, target.destination, source.meta.namespace, mesh)
    yield from _subnets(spec)
    yield from never_reached(spec)
    yield from impossible(source, mesh)


def _weights(at: Keys, weights: list[int]) -> Iterator[Said]:
    """Weights are shares of their sum. One near 100 was meant to be 100, unless all are alike (thirds of 33)."""
    total = sum(weights)
    if total in _NEARLY_ALL and len(set(weights)) > 1:
        shares = ", ".join(f"{100 * weight / total:.3g} %" for weight in weights)
        yield "warning", at, f"has weights that add up to {total}: the shares are {shares}"


def _subnets(spec: VirtualService) -> Iterator[Said]:
    for index, route in enumerate(spec.tls):
        for place, match in enumerate(route.match):
            networks = Counter(str(ip_interface(each).network) for each in match.destination_subnets)
            for network in (each for each, count in networks.items() if count > 1):
                why = f"Envoy refuses the listener: {network} is given twice; istiod sends it all the same"
                yield "error", ("spec", "tls", index, "match", place, "destinationSubnets"), why


def _hosts(source: Object[VirtualService], mesh: Mesh) -> Iterator[Said]:
    namespace = source.meta.namespace
    for index, host in enumerate(source.spec.hosts):
        name = mesh.qualified(host, namespace)
        first = mesh.routed(namespace).get(name)
        if first is not None and first.source is not source and first.source.ref != source.ref:
            yield (
                "warning",
                ("spec", "hosts", index),
                f"{name} is routed by {first.written_as}, which is older or comes first",
            )
        elif not mesh.any_similar(name) and not is_ip(host):
            yield (
                "warning",
                ("spec", "hosts", index),
                f"{name} is no service: calls are routed on port 80 only{nearest(name, mesh.hosts)}",
            )


def _destinations(route: HTTPRoute) -> Iterator[tuple[Keys, Destination]]:
    for index, target in enumerate(route.route):
        yield ("route", index, "destination"), target.destination
    if route.mirror is not None:
        yield ("mirror",), route.mirror
    for index, mirror in enumerate(route.mirrors):
        yield ("mirrors", index, "destination"), mirror.destination


def _destination(at: Keys, destination: Destination, namespace: str, mesh: Mesh) -> Iterator[Said]:
    service = mesh.service(destination.host, namespace)
    if service is None:
        name = mesh.qualified(destination.host, namespace)
        yield "error", (*at, "host"), f"{name} is no service that {namespace} can see{nearest(name, mesh.hosts)}"
        return
    ports = [port.number for port in service.ports]
    if destination.port is not None and destination.port.number not in ports:
        known = ", ".join(map(str, ports)) or "none"
        yield "error", (*at, "port"), f"{destination.port.number} is no port of {service.hostname}: it has {known}"
    elif destination.port is None and len(ports) > 1:
        yield "warning", at, f"names no port, and {service.hostname} has several: the called port is taken"
    subsets = mesh.subsets(destination, namespace)
    if destination.subset and destination.subset not in subsets:
        known = f": there are {', '.join(sorted(subsets))}" if subsets else ": no DestinationRule defines any"
        yield "error", (*at, "subset"), f'"{destination.subset}" is no subset of {service.hostname}{known}'


def _delegate(source: Object[VirtualService], at: Keys, route: HTTPRoute, mesh: Mesh) -> Iterator[Said]:
    if route.delegate is None:
        return
    namespace = route.delegate.namespace or source.meta.namespace
    delegates = mesh.world.of_kind("VirtualService", VirtualService)
    found = next((d for d in delegates if (d.meta.namespace, d.meta.name) == (namespace, route.delegate.name)), None)
    if found is None:
        yield "error", (*at, "delegate"), f"VirtualService {namespace}/{route.delegate.name} does not exist"
    elif found.spec.hosts:
        yield (
            "error",
            (*at, "delegate"),
            f"VirtualService {namespace}/{route.delegate.name} has hosts: it is no delegate",
        )
    else:
        for index, theirs in enumerate(found.spec.http):
            if theirs.delegate is None and not merge_routes(route, (theirs,)):
                why = f"leaves out spec.http[{index}] of {found.ref}: its match is not within the one here"
                yield "warning", (*at, "delegate"), why
