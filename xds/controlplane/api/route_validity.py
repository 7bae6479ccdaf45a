"""What makes a VirtualService invalid beyond the types of its fields, as Istio's own admission refuses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus

from ..hosts import covered, matches
from . import header_validity as headers
from .problems import Problem
from .virtual_service import (
    Abort,
    CorsPolicy,
    Delay,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
    HTTPRouteDestination,
    RouteDestination,
    StringMatch,
    TCPRoute,
    TLSRoute,
    VirtualService,
)

MESH = "mesh"
RETRY_ON = frozenset(
    {
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "envoy-ratelimited",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    }
)
GRPC_STATUS = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
_CODES = frozenset({0, 301, 302, 303, 307, 308})
_SHORTEST_S = 0.001


def virtual_service(made: VirtualService) -> Iterator[Problem]:
    if not made.http and not made.tls and not made.tcp:
        yield (), "must have at least one of http, tls, tcp"
    if not made.hosts:
        for name in ("gateways", "tls", "tcp"):
            if getattr(made, name):
                yield (name,), "cannot be set where there are no hosts: that makes it a delegate"
    mesh = not made.gateways or MESH in made.gateways
    for index, host in enumerate(made.hosts):
        if host == "*" and mesh and len(made.gateways) < 2:
            yield ("hosts", index), "* is not allowed for the mesh gateway"
        for other in made.hosts[:index]:
            if matches(host, other):
                yield ("hosts", index), f"covers the same as {other}"
    for index, tls in enumerate(made.tls):
        for place, match in enumerate(tls.match):
            for number, asked in enumerate(match.sni_hosts):
                if not any(covered(asked, by) for by in made.hosts):
                    yield ("tls", index, "match", place, "sniHosts", number), f"{asked} is within none of the hosts"
    for index, route in enumerate(made.http):
        if not made.hosts and route.delegate is not None:
            yield ("http", index, "delegate"), "cannot be set in a delegate"


def http_route(made: HTTPRoute) -> Iterator[Problem]:
    if made.delegate is not None:
        for name in ("redirect", "route"):
            if getattr(made, name):
                yield (_json(name),), "cannot be set together with delegate"
        return
    actions = [name for name in ("route", "redirect", "direct_response") if getattr(made, name)]
    if not actions:
        yield (), "must have one of route, redirect, directResponse, delegate"
    for name in actions[1:]:
        yield (_json(name),), f"cannot be set together with {_json(actions[0])}"
    if actions and actions[0] != "route":
        for name in ("fault", "rewrite"):
            if getattr(made, name) is not None:
                yield (name,), f"cannot be set together with {_json(actions[0])}"
    if made.mirror is not None and made.mirrors:
        yield ("mirrors",), "cannot be set together with mirror"
    yield from _weights(made.route)
    if made.timeout is not None and 0 < made.timeout < _SHORTEST_S:
        yield ("timeout",), "must be at least 1ms"
    request = made.headers.request if made.headers is not None else None
    if headers.authorities(request) + bool(made.rewrite and made.rewrite.authority) > 1:
        yield ("headers", "request"), "sets the authority more than once"
    for at, held in ((("headers",), made.headers), *((("route", i), r.headers) for i, r in enumerate(made.route))):
        for keys, text in headers.outside(held.response if held is not None else None):
            yield (*at, *(("headers",) if at[0] == "route" else ()), "response", *keys), text
    if made.redirect is not None and made.redirect.prefix_rewrite:
        for index, match in enumerate(made.match):
            if match.uri is not None and match.uri.prefix is None:
                yield ("match", index, "uri"), "must be a prefix: prefixRewrite replaces one"


def http_match(made: HTTPMatchRequest) -> Iterator[Problem]:
    for key, conditions in (("headers", made.headers), ("withoutHeaders", made.without_headers)):
        for name, match in conditions.items():
            if not name.startswith("@request.auth.claims") and name not in headers.PSEUDO and not _header(name):
                yield (key, name), "is no header's name"
            yield from _match((key, name), match, star=True)
    for name, match in made.query_params.items():
        yield from _match(("queryParams", name), match, star=False)
    for key in ("scheme", "method", "authority"):
        yield from _match((key,), getattr(made, key), star=False)
    if made.uri is not None and made.uri.regex in ("", "*"):
        yield ("uri", "regex"), f'"{made.uri.regex}" is no regular expression'


def _header(name: str) -> bool:
    return headers.NAME.fullmatch(name) is not None


def _match(at: tuple[str, ...], match: StringMatch | None, *, star: bool) -> Iterator[Problem]:
    """`*` stands for a header that is there, with any value."""
    if match is None:
        return
    if match.prefix == "":
        yield (*at, "prefix"), "must not be empty"
    if match.regex == "" or (match.regex == "*" and not star):
        yield (*at, "regex"), f'"{match.regex}" is no regular expression'


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"})


def cors(made: CorsPolicy) -> Iterator[Problem]:
    for index, origin in enumerate(made.allow_origins or ()):
        if not (origin.exact or origin.prefix or origin.regex):
            yield ("allowOrigins", index), "must not be empty"
        elif origin.regex == "*":
            yield ("allowOrigins", index, "regex"), '"*" is no regular expression'
    for index, method in enumerate(made.allow_methods):
        if method not in _METHODS:
            yield ("allowMethods", index), f'"{method}" is no method'
    for key, names in (("allowHeaders", made.allow_headers), ("exposeHeaders", made.expose_headers)):
        for index, name in enumerate(names):
            if name != "*" and not _header(name):
                yield (key, index), f'"{name}" is no header\'s name'
    if made.max_age is not None and (made.max_age < _SHORTEST_S or made.max_age % 1):
        yield ("maxAge",), "must be whole seconds, and some"


def delay(made: Delay) -> Iterator[Problem]:
    if made.fixed_delay is not None and made.fixed_delay < _SHORTEST_S:
        yield ("fixedDelay",), "must be at least 1ms"


def _json(name: str) -> str:
    return "directResponse" if name == "direct_response" else name


def redirect(made: HTTPRedirect) -> Iterator[Problem]:
    if not (made.uri or made.authority or made.scheme or made.port is not None or made.prefix_rewrite):
        yield (), "must have at least one of uri, authority, port, scheme"
    if made.redirect_code not in _CODES:
        codes = ", ".join(str(code) for code in sorted(_CODES - {0}))
        yield ("redirectCode",), f"must be one of {codes}, not {made.redirect_code}"
    if made.uri and made.prefix_rewrite:
        yield ("prefixRewrite",), "cannot be set together with uri"
    if made.scheme not in ("", "http", "https"):
        yield ("scheme",), f"must be one of http, https, not {made.scheme}"


def rewrite(made: HTTPRewrite) -> Iterator[Problem]:
    if not made.uri and not made.authority and made.uri_regex_rewrite is None:
        yield (), "must have one of uri, authority, uriRegexRewrite"
    if made.uri and made.uri_regex_rewrite is not None:
        yield ("uriRegexRewrite",), "cannot be set together with uri"
    if made.uri_regex_rewrite is not None and not (made.uri_regex_rewrite.match and made.uri_regex_rewrite.rewrite):
        yield ("uriRegexRewrite",), "needs both match and rewrite"


def retries(made: HTTPRetry) -> Iterator[Problem]:
    if made.attempts < 0:
        yield ("attempts",), f"must be at least 0, not {made.attempts}"
    if made.attempts == 0:
        for name, key in (("per_try_timeout", "perTryTimeout"), ("retry_on", "retryOn")):
            if getattr(made, name):
                yield (key,), "cannot be set where attempts is 0, which switches retries off"
        if made.retry_remote_localities is not None:
            yield ("retryRemoteLocalities",), "cannot be set where attempts is 0, which switches retries off"
    if made.backoff is not None and made.backoff < _SHORTEST_S:
        yield ("backoff",), "must be at least 1ms"
    if made.per_try_timeout is not None and made.per_try_timeout < _SHORTEST_S:
        yield ("perTryTimeout",), "must be at least 1ms"
    known = {str(int(status)) for status in HTTPStatus}
    for part in made.retry_on.split(",") if made.retry_on else ():
        if part.strip() not in RETRY_ON and part.strip() not in known:
            yield ("retryOn",), f'"{part.strip()}" is no condition to retry on'


def fault(made: HTTPFaultInjection) -> Iterator[Problem]:
    if made.delay is None and made.abort is None:
        yield (), "must have one of delay, abort"


def abort(made: Abort) -> Iterator[Problem]:
    if made.http2_error is not None:
        yield ("http2Error",), "is not implemented by Istio"
    if made.grpc_status is not None and made.grpc_status not in GRPC_STATUS:
        yield ("grpcStatus",), f'"{made.grpc_status}" is no status of gRPC'
    if made.http_status is not None and not 200 <= made.http_status <= 599:
        yield ("httpStatus",), f"must be between 200 and 599, not {made.http_status}"


def tls_route(made: TLSRoute) -> Iterator[Problem]:
    if not made.route:
        yield ("route",), "is required"
    if not made.match:
        yield ("match",), "is required"
    for index, match in enumerate(made.match):
        if not match.sni_hosts:
            yield ("match", index, "sniHosts"), "is required"
    yield from _weights(made.route)


def tcp_route(made: TCPRoute) -> Iterator[Problem]:
    if not made.route:
        yield ("route",), "is required"
    yield from _weights(made.route)


def _weights(routes: Sequence[HTTPRouteDestination | RouteDestination]) -> Iterator[Problem]:
    weights = [destination.weight for destination in routes]
    for index, weight in enumerate(weights):
        if weight < 0:
            yield ("route", index, "weight"), f"must be at least 0, not {weight}"
    if len(weights) > 1 and sum(weights) == 0:
        yield ("route",), "has weights that sum to 0: at least one destination needs a weight"
