"""VirtualServices: short names resolved, delegates merged, indexed by who may see them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

from ..api.virtual_service import Destination, HTTPMatchRequest, HTTPRoute, StringMatch, VirtualService
from ..hosts import fully_qualified
from ..mesh import MeshConfig
from ..objects import Object
from .gateway_routes import GATEWAY, PARENTS, SEMANTICS

MESH = "mesh"
"""The reserved gateway that means every sidecar."""

VirtualServiceObject = Object[VirtualService]


@dataclass(frozen=True, slots=True, eq=False)
class Routing:
    """A VirtualService as it applies to sidecars."""

    source: VirtualServiceObject
    spec: VirtualService
    export_to: frozenset[str]  # namespaces, or "*", never "."
    gateway_semantics: bool = False
    """Whether it is a route of the Gateway API, which names services and not what calls to them look like."""
    _leads: list[Mapping[str, set[int]]] = field(default_factory=list)

    def destinations(self, namespace: str) -> Mapping[str, set[int]]:
        """The hosts that calls of a namespace are sent to, and the ports; 0 for a port not said."""
        if self._leads:
            return self._leads[0]
        out: dict[str, set[int]] = {}
        for destination in _sent_to(self.spec, namespace):
            out.setdefault(destination.host, set()).add(destination.port.number if destination.port else 0)
        if not any(match.source_namespace for http in self.spec.http for match in http.match):
            self._leads.append(out)  # the same for all
        return out

    @property
    def name(self) -> str:
        return self.source.meta.name

    @property
    def written_as(self) -> str:
        """The objects that say it, for people."""
        if not self.gateway_semantics:
            return str(self.source.ref)
        kinds = (each.split("/", 1) for each in self.source.meta.annotations.get(PARENTS, "").split(",") if each)
        return ", ".join(f"{kind} {self.namespace}/{name.rpartition('.')[0]}" for kind, name in kinds)

    @property
    def namespace(self) -> str:
        return self.source.meta.namespace


def _sent_to(spec: VirtualService, namespace: str) -> Iterator[Destination]:
    for http in spec.http:
        sources = {match.source_namespace for match in http.match if match.source_namespace}
        if sources and namespace not in sources:
            continue
        yield from (route.destination for route in http.route)
        if http.mirror is not None:
            yield http.mirror
        yield from (mirror.destination for mirror in http.mirrors)
    for tcp in spec.tcp:
        yield from (route.destination for route in tcp.route)
    for tls in spec.tls:
        yield from (route.destination for route in tls.route)


class VirtualServices:
    """All VirtualServices that apply to the mesh gateway, oldest first."""

    def __init__(
        self,
        objects: Iterable[VirtualServiceObject],
        mesh: MeshConfig,
        kept: dict[tuple[object, ...], Routing] | None = None,
    ) -> None:
        self._mesh = mesh
        self._kept = kept or {}
        self.made: dict[tuple[object, ...], Routing] = {}
        found = sorted(objects, key=lambda item: item.age)
        delegates = {(item.meta.namespace, item.meta.name): item for item in found if not item.spec.hosts}
        self.all = [
            routing for item in found if item.spec.hosts and (routing := self._routing(item, delegates)) is not None
        ]
        self._index()

    def _index(self) -> None:
        self._public: dict[str, list[int]] = {}
        self._private: dict[str, list[int]] = {}
        for place, routing in enumerate(self.all):
            if "*" in routing.export_to:
                self._public.setdefault(routing.namespace, []).append(place)
            elif "~" not in routing.export_to:
                for namespace in routing.export_to:
                    self._private.setdefault(namespace, []).append(place)

    def _routing(
        self, source: VirtualServiceObject, delegates: dict[tuple[str, str], VirtualServiceObject]
    ) -> Routing | None:
        if source.spec.gateways and MESH not in source.spec.gateways:
            return None
        used = tuple(
            delegates.get((route.delegate.namespace or source.meta.namespace, route.delegate.name))
            for route in source.spec.http
            if route.delegate
        )
        key = (source, *used)
        made = self._kept.get(key) or self._merged(source, used)
        self.made[key] = made
        return made

    def _merged(self, source: VirtualServiceObject, delegates: tuple[VirtualServiceObject | None, ...]) -> Routing:
        namespace = source.meta.namespace
        if source.meta.annotations.get(SEMANTICS) == GATEWAY:
            return Routing(source, source.spec, self._exports(source), gateway_semantics=True)
        spec = resolved(source.spec, namespace, self._mesh.domain_suffix)
        if delegates:
            remaining = iter(delegates)
            routes: list[HTTPRoute] = []
            for route in spec.http:
                if route.delegate is None:
                    routes.append(route)
                    continue
                delegate = next(remaining)
                if delegate is None or not self._exports(delegate) & {"*", namespace}:
                    continue
                theirs = resolved(delegate.spec, delegate.meta.namespace, self._mesh.domain_suffix)
                routes += merge_routes(route, theirs.http)
            spec = replace(spec, http=tuple(routes))
        return Routing(source, spec, self._exports(source))

    def _exports(self, source: VirtualServiceObject) -> frozenset[str]:
        said = source.spec.export_to or self._mesh.default_virtual_service_export_to
        return frozenset(source.meta.namespace if part == "." else part for part in said)

    def visible_to(self, namespace: str, within: Collection[str] | None = None) -> list[Routing]:
        """Those that only this namespace sees first, then those exported to it, then the public ones.

        Of each, routes of the Gateway API of the own namespace come first. `within` leaves out other namespaces'.
        """
        named = [self.all[place] for place in self._private.get(namespace, ())]
        private = [each for each in named if each.namespace == namespace]
        exported = [each for each in named if each.namespace != namespace]
        spaces = self._public.values() if within is None else [self._public.get(each, []) for each in within]
        public = [self.all[place] for place in sorted(place for places in spaces for place in places)]
        found = [each for group in (private, exported, public) for each in sorted(group, key=_first(namespace))]
        return found if within is None else [each for each in found if each.namespace in within]


def successors(before: Sequence[Routing], after: Sequence[Routing]) -> dict[Routing, Routing] | None:
    """Those that say something else of the same hosts, by the ones that they take the place of.

    None where more is different: others came, went or moved, or are seen elsewhere.
    """
    if len(before) != len(after):
        return None
    out = {}
    for old, new in compress(zip(before, after, strict=True), map(operator.is_not, before, after)):
        if _stands_as(old) != _stands_as(new):
            return None
        out[old] = new
    return out


def _stands_as(routing: Routing) -> object:
    return routing.spec.hosts, routing.namespace, routing.export_to, routing.gateway_semantics


def _first(namespace: str) -> Callable[[Routing], bool]:
    return lambda routing: not (routing.gateway_semantics and routing.namespace == namespace)


def resolved(spec: VirtualService, namespace: str, domain: str) -> VirtualService:
    """Short names in hosts and destinations stand for services of the object's own namespace."""

    def host(destination: Destination) -> Destination:
        return replace(destination, host=fully_qualified(destination.host, namespace, domain))

    return replace(
        spec,
        hosts=tuple(fully_qualified(name, namespace, domain) for name in spec.hosts),
        http=tuple(
            replace(
                route,
                route=tuple(replace(item, destination=host(item.destination)) for item in route.route),
                mirror=host(route.mirror) if route.mirror else None,
                mirrors=tuple(replace(item, destination=host(item.destination)) for item in route.mirrors),
            )
            for route in spec.http
        ),
        tcp=tuple(
            replace(route, route=tuple(replace(item, destination=host(item.destination)) for item in route.route))
            for route in spec.tcp
        ),
        tls=tuple(
            replace(route, route=tuple(replace(item, destination=host(item.destination)) for item in route.route))
            for route in spec.tls
        ),
    )


def merge_routes(root: HTTPRoute, delegate: Iterable[HTTPRoute]) -> list[HTTPRoute]:
    """The delegate's routes under the root's conditions and defaults; those that contradict the root are left out."""
    merged = []
    for route in delegate:
        match = _merge_matches(root.match, route.match)
        if match is None:
            continue
        merged.append(
            replace(
                route,
                match=match,
                name="-".join(part for part in (root.name, route.name) if part),
                rewrite=route.rewrite or root.rewrite,
                direct_response=route.direct_response or root.direct_response,
                timeout=root.timeout if route.timeout is None else route.timeout,
                retries=route.retries or root.retries,
                fault=route.fault or root.fault,
                mirror=route.mirror or root.mirror,
                mirror_percent=root.mirror_percent if route.mirror_percent is None else route.mirror_percent,
                mirror_percentage=route.mirror_percentage or root.mirror_percentage,
                cors_policy=route.cors_policy or root.cors_policy,
                mirrors=route.mirrors or root.mirrors,
                headers=route.headers or root.headers,
            )
        )
    return merged


def _merge_matches(
    root: tuple[HTTPMatchRequest, ...], leaf: tuple[HTTPMatchRequest, ...]
) -> tuple[HTTPMatchRequest, ...] | None:
    if not root or not leaf:
        return leaf or root
    out: list[HTTPMatchRequest] = []
    for below in leaf:
        fitting = [_merge_match(above, below) for above in root if not _contradict(above, below)]
        if not fitting:
            return None
        out += fitting
    return tuple(out)


def _merge_match(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> HTTPMatchRequest:
    return replace(
        leaf,
        name="-".join(part for part in (root.name, leaf.name) if part),
        uri=leaf.uri or root.uri,
        scheme=leaf.scheme or root.scheme,
        method=leaf.method or root.method,
        authority=leaf.authority or root.authority,
        headers=root.headers | leaf.headers,
        without_headers=root.without_headers | leaf.without_headers,
        query_params=root.query_params | leaf.query_params,
        port=leaf.port or root.port,
        source_labels=root.source_labels | leaf.source_labels,
        source_namespace=leaf.source_namespace or root.source_namespace,
        gateways=leaf.gateways or root.gateways,
        stat_prefix=leaf.stat_prefix or root.stat_prefix,
    )


def _contradict(root: HTTPMatchRequest, leaf: HTTPMatchRequest) -> bool:
    """Whether the leaf is not within the root's conditions."""
    pairs = [
        (root.uri, leaf.uri),
        (root.scheme, leaf.scheme),
        (root.method, leaf.method),
        (root.authority, leaf.authority),
        *((root.headers.get(key), match) for key, match in leaf.headers.items()),
        *((root.without_headers.get(key), match) for key, match in leaf.without_headers.items()),
        *((root.query_params.get(key), match) for key, match in leaf.query_params.items()),
    ]
    return (
        any(_outside(above, below) for above, below in pairs)
        or root.ignore_uri_case != leaf.ignore_uri_case
        or bool(root.port and leaf.port and root.port != leaf.port)
        or bool(root.source_namespace and leaf.source_namespace != root.source_namespace)
        or any(root.source_labels.get(key, value) != value for key, value in leaf.source_labels.items())
        or bool(root.gateways and leaf.gateways and not set(leaf.gateways) <= set(root.gateways))
    )


def _outside(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    if root is None or leaf is None:
        return False
    if (root.regex and (leaf.regex or leaf.prefix or leaf.exact)) or (leaf.regex and (root.prefix or root.exact)):
        return True
    if root.exact:
        return bool(leaf.prefix) or leaf.exact != root.exact
    if root.prefix:
        said = leaf.prefix or leaf.exact
        return not said.startswith(root.prefix) if said else True
    return True
