"""What makes a VirtualService invalid beyond the types of its fields, as Istio's own admission refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from ..hosts import matches
from .problems import Problem
from .virtual_service import (
    Abort,
    HTTPFaultInjection,
    HTTPRedirect,
    HTTPRetry,
    HTTPRewrite,
    HTTPRoute,
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
    for index, route in enumerate(made.http):
        if not made.hosts and route.delegate is not None:
            yield ("http", index, "delegate"), "cannot be set in a delegate"


def http_route(made: HTTPRoute) -> Iterator[Problem]:
    if made.delegate is not None:
        for name in ("redirect", "route", "direct_response"):
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
    weights = [destination.weight for destination in made.route]
    for index, weight in enumerate(weights):
        if weight < 0:
            yield ("route", index, "weight"), f"must be at least 0, not {weight}"
    if len(weights) > 1 and sum(weights) == 0:
        yield ("route",), "has weights that sum to 0: at least one destination needs a weight"
    if made.timeout is not None and 0 < made.timeout < _SHORTEST_S:
        yield ("timeout",), "must be at least 1ms"


def _json(name: str) -> str:
    return "directResponse" if name == "direct_response" else name


def redirect(made: HTTPRedirect) -> Iterator[Problem]:
    if not (made.uri or made.authority or made.scheme or made.port is not None or made.prefix_rewrite):
        yield (), "must have at least one of uri, authority, port, scheme"
    if made.redirect_code not in _CODES:
        codes = ", ".join(str(code) for code in sorted(_CODES - {0}))
        yield ("redirectCode",), f"must be one of {codes}, not {made.redirect_code}"


def rewrite(made: HTTPRewrite) -> Iterator[Problem]:
    if not made.uri and not made.authority and made.uri_regex_rewrite is None:
        yield (), "must have one of uri, authority, uriRegexRewrite"
    if made.uri and made.uri_regex_rewrite is not None:
        yield ("uriRegexRewrite",), "cannot be set together with uri"


def retries(made: HTTPRetry) -> Iterator[Problem]:
    if made.attempts < 0:
        yield ("attempts",), f"must be at least 0, not {made.attempts}"
    if made.attempts == 0:
        for name, key in (("per_try_timeout", "perTryTimeout"), ("retry_on", "retryOn")):
            if getattr(made, name):
                yield (key,), "cannot be set where attempts is 0, which switches retries off"
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
    if made.http_status is None and made.grpc_status is None:
        yield (), "must have one of httpStatus, grpcStatus"
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


def tcp_route(made: TCPRoute) -> Iterator[Problem]:
    if not made.route:
        yield ("route",), "is required"
