"""One rule of a Gateway API route as a route of a VirtualService, which is how istiod reads it.

A backend that does not exist or that no kind describes stays with its weight and no host: its share of the calls is
answered 500. What makes the whole route unusable is raised as `RouteError`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ..api.gateway_api import (
    AnyBackendRef,
    BackendRef,
    GRPCBackendRef,
    GRPCMethodMatch,
    GRPCRouteFilter,
    GRPCRouteMatch,
    GRPCRouteRule,
    HTTPBackendRef,
    HTTPCORSFilter,
    HTTPHeader,
    HTTPHeaderFilter,
    HTTPHeaderMatch,
    HTTPPathMatch,
    HTTPRequestMirrorFilter,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPURLRewriteFilter,
)
from ..api.virtual_service import (
    CorsPolicy,
    Destination,
    HeaderOperations,
    Headers,
    HTTPDirectResponse,
    HTTPMatchRequest,
    HTTPMirrorPolicy,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
    PortSelector,
    RegexRewrite,
    RouteDestination,
    StringMatch,
)

R = TypeVar("R", BackendRef, HTTPBackendRef | GRPCBackendRef)
Keys = tuple[str | int, ...]

NETWORKING = "networking.istio.io"
_MULTICLUSTER = "multicluster.x-k8s.io"
_RETRIED = ("connect-failure", "refused-stream", "unavailable", "cancelled")
_ATTEMPTS = 2
_NO_BACKENDS = 500
_ANY_ORIGIN = r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$"
_SPECIAL = frozenset("\\.+*?()|[]{}^$")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a route's condition says: where in the spec, the condition's reason, and what is wrong there."""

    keys: Keys
    reason: str
    message: str


class RouteError(Exception):
    """The route as a whole has no effect."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.message)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Backends:
    """What backends are looked up in: Kubernetes services by namespace and name, and the hosts of all services."""

    domain: str
    services: Collection[tuple[str, str]]
    hosts: Collection[str]

    def destination(self, to: AnyBackendRef, namespace: str, keys: Keys) -> tuple[Destination, Trouble | None]:
        """Where a backend is. A route for the mesh needs no ReferenceGrant for another namespace."""
        where = namespace if to.namespace is None else to.namespace
        kind = (to.group, to.kind)
        if kind == (NETWORKING, "Hostname"):
            if to.namespace is not None:
                message = "cannot be set for a Hostname"
                raise RouteError(Trouble((*keys, "namespace"), "InvalidDestination", message))
            host, known = to.name, to.name in self.hosts
        elif kind in (("", "Service"), (_MULTICLUSTER, "ServiceImport")):
            if to.kind == "Service" and "." in to.name:
                message = f'"{to.name}" is a host name: the name of the Service is wanted'
                raise RouteError(Trouble((*keys, "name"), "InvalidDestination", message))
            host, known = f"{to.name}.{where}.svc.{self.domain}", (where, to.name) in self.services
        else:
            named = f"{to.group}/{to.kind}" if to.group else to.kind
            return Destination(), Trouble(
                keys, "InvalidKind", f"{named} is no kind of backend: its share is answered 500"
            )
        if not to.port:
            raise RouteError(Trouble(keys, "InvalidDestination", "needs a port"))
        made = Destination(host=host, port=PortSelector(to.port))
        message = f"{host} is no service: its share is answered 500"
        return made, None if known else Trouble(keys, "BackendNotFound", message)


@dataclass(slots=True)
class Conversion:
    """Converts rules of one route; `troubles` are those that leave the route in force."""

    backends: Backends
    namespace: str
    name: str
    troubles: list[Trouble]

    def http(self, rule: HTTPRouteRule, position: int) -> list[HTTPRoute]:
        """One route for each match."""
        keys: Keys = ("rules", position)
        made = self._filtered(HTTPRoute(name=self._named(rule.name, position)), rule.filters, keys)
        made = _timed(replace(made, retries=_retries(rule)), rule)
        made = self._sent(made, rule.backend_refs, keys)
        return _for_each(made, [_http_match(match) for match in rule.matches])

    def grpc(self, rule: GRPCRouteRule, position: int) -> list[HTTPRoute]:
        keys: Keys = ("rules", position)
        made = self._filtered(HTTPRoute(name=self._named(rule.name, position)), rule.filters, keys)
        made = self._sent(made, rule.backend_refs, keys)
        return _for_each(made, [_grpc_match(match) for match in rule.matches])

    def connections(self, refs: Sequence[BackendRef], position: int) -> tuple[RouteDestination, ...]:
        """Where TCP connections go; nowhere, if every weight is 0."""
        chosen = _weighed(refs)
        if not chosen:
            nowhere = Destination(host="internal.cluster.local", subset="zero-weight", port=PortSelector(65535))
            return (RouteDestination(nowhere),)
        out = []
        for index, ref, weight in chosen:
            keys = ("rules", position, "backendRefs", index)
            out.append(RouteDestination(self._destination(ref, keys), weight))
        return tuple(out)

    def _named(self, name: str, position: int) -> str:
        return name or f"{self.namespace}.{self.name}.{position}"

    def _destination(self, ref: AnyBackendRef, keys: Keys) -> Destination:
        made, trouble = self.backends.destination(ref, self.namespace, keys)
        if trouble is not None:
            self.troubles.append(trouble)
        return made

    def _filtered(self, made: HTTPRoute, filters: Sequence[HTTPRouteFilter | GRPCRouteFilter], keys: Keys) -> HTTPRoute:
        for index, each in enumerate(filters):
            at = (*keys, "filters", index)
            match each:
                case HTTPRouteFilter(type="RequestRedirect", request_redirect=HTTPRequestRedirectFilter() as held):
                    made = replace(made, redirect=_redirect(held))
                case HTTPRouteFilter(type="URLRewrite", url_rewrite=HTTPURLRewriteFilter() as held):
                    made = replace(made, rewrite=_rewrite(held))
                case HTTPRouteFilter(type="CORS", cors=HTTPCORSFilter() as held):
                    made = replace(made, cors_policy=_cors(held))
                case _ if each.type == "RequestMirror" and each.request_mirror is not None:
                    made = self._mirrored(made, each.request_mirror, each, at)
                case _:
                    made = replace(made, headers=_headers(made.headers, each, at))
        return made

    def _mirrored(
        self, made: HTTPRoute, held: HTTPRequestMirrorFilter, each: HTTPRouteFilter | GRPCRouteFilter, at: Keys
    ) -> HTTPRoute:
        """A mirror that leads nowhere is left out; of a GRPCRoute it takes the whole route with it."""
        keys = (*at, "requestMirror", "backendRef")
        to, trouble = self.backends.destination(held.backend_ref, self.namespace, keys)
        if trouble is None:
            return replace(made, mirrors=(*made.mirrors, HTTPMirrorPolicy(to, _share(held))))
        trouble = replace(trouble, message=trouble.message.partition(":")[0] + ": nothing is mirrored to it")
        if isinstance(each, GRPCRouteFilter):
            raise RouteError(trouble)
        self.troubles.append(trouble)
        return made

    def _sent(self, made: HTTPRoute, refs: Sequence[HTTPBackendRef | GRPCBackendRef], keys: Keys) -> HTTPRoute:
        chosen = _weighed(refs)
        if not chosen and made.redirect is None:
            return replace(made, direct_response=HTTPDirectResponse(status=_NO_BACKENDS))
        out = []
        for index, ref, weight in chosen:
            at = (*keys, "backendRefs", index)
            to = self._destination(ref, at)
            headers: Headers | None = None
            filters: tuple[HTTPRouteFilter | GRPCRouteFilter, ...] = ref.filters
            for place, each in enumerate(filters):
                headers = _headers(headers, each, (*at, "filters", place))
            out.append(HTTPRouteDestination(to, weight, headers))
        return replace(made, route=tuple(out))


def _weighed(refs: Sequence[R]) -> list[tuple[int, R, int]]:
    """Position, backend and weight of those that get something; a single one needs no weight."""
    chosen = [(index, ref, ref.weight) for index, ref in enumerate(refs) if ref.weight]
    return [(index, ref, 0) for index, ref, _ in chosen] if len(chosen) == 1 else chosen


def _for_each(made: HTTPRoute, matches: Sequence[HTTPMatchRequest]) -> list[HTTPRoute]:
    return [replace(made, match=(match,)) for match in matches] or [made]


def _http_match(match: HTTPRouteMatch) -> HTTPMatchRequest:
    method = StringMatch(exact=match.method) if match.method is not None else None
    return HTTPMatchRequest(
        uri=_path(match.path),
        headers=_conditions(match.headers),
        query_params=_conditions(match.query_params),
        method=method,
    )


def _grpc_match(match: GRPCRouteMatch) -> HTTPMatchRequest:
    uri = _called(match.method) if match.method is not None else None
    return HTTPMatchRequest(uri=uri, headers=_conditions(match.headers))


def _path(path: HTTPPathMatch) -> StringMatch:
    if path.type == "Exact":
        return StringMatch(exact=path.value)
    if path.type == "RegularExpression":
        return StringMatch(regex=path.value)
    return StringMatch(prefix=path.value.removesuffix("/") or "/")


def _called(wanted: GRPCMethodMatch) -> StringMatch:
    """A method as the path that calls it has: `/service/method`."""
    service, method = wanted.service, wanted.method
    if wanted.type == "Exact":
        if not method:
            return StringMatch(prefix=f"/{service}/")
        return StringMatch(exact=f"/{service}/{method}") if service else StringMatch(regex=f"/[^/]+/{method}")
    return StringMatch(regex=f"/{service or '[^/]+'}/{method or '.+'}")


def _conditions(wanted: Sequence[HTTPHeaderMatch]) -> dict[str, StringMatch]:
    return {
        each.name: StringMatch(exact=each.value) if each.type == "Exact" else StringMatch(regex=each.value)
        for each in wanted
    }


def _headers(known: Headers | None, each: HTTPRouteFilter | GRPCRouteFilter, keys: Keys) -> Headers:
    known = known or Headers()
    if each.type == "RequestHeaderModifier" and each.request_header_modifier is not None:
        return replace(known, request=_operations(each.request_header_modifier))
    if each.type == "ResponseHeaderModifier" and each.response_header_modifier is not None:
        return replace(known, response=_operations(each.response_header_modifier))
    raise RouteError(Trouble((*keys, "type"), "InvalidFilter", f"{each.type} is not supported here"))


def _operations(wanted: HTTPHeaderFilter) -> HeaderOperations:
    return HeaderOperations(set=_by_name(wanted.set), add=_by_name(wanted.add), remove=wanted.remove)


def _by_name(headers: Sequence[HTTPHeader]) -> dict[str, str]:
    """In lower case; of several for a name the first counts."""
    out: dict[str, str] = {}
    for header in headers:
        out.setdefault(header.name.lower(), header.value)
    return out


def _share(held: HTTPRequestMirrorFilter) -> Percent | None:
    if held.fraction is not None:
        return Percent(100 * held.fraction.numerator / held.fraction.denominator)
    return Percent(float(held.percent)) if held.percent is not None else None


def _redirect(held: HTTPRequestRedirectFilter) -> HTTPRedirect:
    """Without a port the one of the request stays, or that of the scheme where one is given."""
    made = HTTPRedirect(redirect_code=held.status_code, authority=held.hostname, scheme=held.scheme or "")
    if held.port is not None:
        made = replace(made, port=held.port)
    else:
        made = replace(made, derive_port="FROM_PROTOCOL_DEFAULT" if held.scheme else "FROM_REQUEST_PORT")
    if held.path is None:
        return made
    return replace(made, uri=held.path.replace_full_path or "", prefix_rewrite=held.path.replace_prefix_match or "")


def _rewrite(held: HTTPURLRewriteFilter) -> HTTPRewrite | None:
    made = HTTPRewrite(authority=held.hostname)
    if held.path is not None and held.path.type == "ReplacePrefixMatch":
        made = replace(made, uri=(held.path.replace_prefix_match or "").removesuffix("/") or "/")
    elif held.path is not None:
        made = replace(made, uri_regex_rewrite=RegexRewrite("/.*", held.path.replace_full_path or ""))
    return None if made == HTTPRewrite() else made


def _cors(held: HTTPCORSFilter) -> CorsPolicy:
    return CorsPolicy(
        allow_origins=tuple(_origin(origin) for origin in held.allow_origins) or None,
        allow_methods=held.allow_methods,
        allow_headers=held.allow_headers,
        expose_headers=held.expose_headers,
        max_age=float(held.max_age),
        allow_credentials=True if held.allow_credentials else None,
        unmatched_preflights="IGNORE",
    )


def _origin(origin: str) -> StringMatch:
    if origin == "*":
        return StringMatch(regex=_ANY_ORIGIN)
    if "*" not in origin:
        return StringMatch(exact=origin)
    if origin.count("*") == 1 and origin.endswith("*"):
        return StringMatch(prefix=origin[:-1])
    return StringMatch(regex=f"^{quoted(origin).replace(_STAR, '.*')}$")


_STAR = "\\*"


def quoted(text: str) -> str:
    """A pattern of RE2 for a text as it is, with nothing escaped that need not be."""
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in text)


def _retries(rule: HTTPRouteRule) -> HTTPRetry | None:
    retry = rule.retry
    if retry is None:
        return None
    attempts = _ATTEMPTS if retry.attempts is None else retry.attempts
    conditions = ",".join([*_RETRIED, *map(str, retry.codes)]) if attempts else ""
    return HTTPRetry(attempts=attempts, retry_on=conditions, backoff=retry.backoff)


def _timed(made: HTTPRoute, rule: HTTPRouteRule) -> HTTPRoute:
    """The time of a whole request; that of one try is the whole one's where nothing is retried."""
    timeouts = rule.timeouts
    if timeouts is None:
        return made
    if timeouts.request:
        made = replace(made, timeout=timeouts.request)
    if timeouts.backend_request:
        if made.retries is not None:
            return replace(made, retries=replace(made.retries, per_try_timeout=timeouts.backend_request))
        return replace(made, timeout=timeouts.backend_request)
    return made


def precedence(route: HTTPRoute) -> tuple[bool, int, int, bool, int, int]:
    """Sort key: exact paths, then prefixes, then patterns; the longest; then by method, headers, parameters."""
    if not route.match:
        return (True, 0, 0, False, 0, 0)
    match = route.match[0]
    rank, length = _rank(match.uri)
    return (False, -rank, -length, match.method is None, -len(match.headers), -len(match.query_params))


def _rank(uri: StringMatch | None) -> tuple[int, int]:
    if uri is None:
        return -1, 0
    for rank, value in ((3, uri.exact), (2, uri.prefix), (1, uri.regex)):
        if value is not None:
            return rank, len(value.encode())
    return -1, -1
