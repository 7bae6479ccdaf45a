"""What was decided about one request, in words that Envoy's access log, `explain` and httpx can all say."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

from tests.differential.requests import Request
from tests.differential.rig import Observation
from tests.support.behaviour import Arrival, Headers

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[49ab][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A request id; in place of version 4, Envoy writes 9, a or b where the request is traced (one in a hundred)."""

RIG = frozenset({"x-backend"})
"""Headers that steer the backends and are no part of a comparison."""

TRACING = frozenset({"x-request-id", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid"})
"""What `explain` leaves out: new with every request."""

UNROUTED = frozenset({"path_normalization_failed", "query_missing_content_type", "upgrade_failed"})
"""Refused whatever the route; Envoy finds one afterwards, for the log and for response mutations alone."""

PROXIED = frozenset({"via_upstream", "websocket_handshake_unsuccessful"})
"""A backend answered. Where it declines to upgrade, Envoy gives its status alone."""

RESPONSE = frozenset({"server", "date", "x-envoy-upstream-service-time", "connection", "transfer-encoding"})
"""What a response has because a proxy stands there (proxyless is none), or because of one connection."""

MADE = re.compile(r'="[0-9a-f]{16}"(?=; )')
LENGTH = "content-length"
"""Of a proxied response it says how long the backend's description of the request is, address included."""

PASSTHROUGH = "PassthroughCluster"
TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Decision:
    """One request's fate. `place` is table/virtual host/route index, `tcp`, or empty where no route takes it.

    `status`, `flags`, `body` and `location` are those of an answer that no backend gave; method, authority, path and
    headers (names in lower case, in order, without the host) those of the request that reached one; `answer` the
    headers that came back in either case. None where a fact does not exist, or is not comparable (see `from_envoy`).
    """

    place: str = ""
    cluster: str | None = None
    status: int | None = None
    flags: str | None = None
    body: str | None = None
    location: str | None = None
    method: str | None = None
    authority: str | None = None
    path: str | None = None
    headers: Headers | None = None
    backend: str | None = None
    answer: Headers | None = None

    def differences(
        self, other: Decision, *, ignoring: frozenset[str] = frozenset()
    ) -> dict[str, tuple[object, object]]:
        """Fields that are not equal, with both values."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return {name: (mine, its) for name, mine, its in pairs if mine != its and name not in ignoring}


def from_envoy(request: Request, seen: Observation) -> Decision:
    """What Envoy logged and the backend saw.

    Passed through (PassthroughCluster), a request leaves proxyless unchanged by contract, so only the place counts.
    """
    log = seen.log
    if log is None:
        return Decision(place="not logged", status=seen.response.status)
    routed = seen.details not in UNROUTED
    place = str(log["route_id"] or "") if routed else ""
    cluster = log["cluster"] if routed else None
    if log["details"] is None:
        return Decision(place=TCP, cluster=cluster)
    if seen.details in PROXIED:
        if cluster == PASSTHROUGH:
            return Decision(place=place, cluster=cluster)
        arrived = own_arrivals(seen.arrivals)[-1]
        came_back = answered(seen.response.headers) if seen.details == "via_upstream" else None
        return arrived_as(Decision(place=place, cluster=cluster, answer=came_back), request, arrived)
    return Decision(
        place=place,
        cluster=cluster,
        status=seen.response.status,
        flags=None if seen.flags == "-" else seen.flags,
        body=seen.response.body.decode("utf-8", "replace"),
        location=seen.response.header("location"),
        answer=answered(seen.response.headers) if routed else None,
    )


def arrived_as(decision: Decision, request: Request, arrival: Arrival) -> Decision:
    """The decision, completed by what arrived at a backend."""
    return Decision(
        place=decision.place,
        cluster=decision.cluster,
        method=arrival.method,
        authority=utf8(arrival.authority),
        path=utf8(arrival.target),
        headers=comparable(arrival.headers, request),
        backend="{}:{}".format(*arrival.backend),
        answer=decision.answer,
    )


def own_arrivals(arrivals: tuple[Arrival, ...]) -> tuple[Arrival, ...]:
    """Without the copies that went to mirrors, unless all look like ones: an internal request is marked alike."""
    return tuple(each for each in arrivals if each.header("x-envoy-internal") != "true") or arrivals


def comparable(headers: Headers, request: Request) -> Headers:
    """Headers in lower case and in order, without host and pseudo headers; a request id made on the way is a word."""
    result = []
    for name, value in headers:
        lower = name.lower()
        if lower == "host" or lower.startswith(":") or lower in RIG:
            continue
        if lower == "x-request-id" and value != request.header(lower) and UUID.fullmatch(value):
            value = "<uuid>"
        result.append((lower, utf8(value)))
    return tuple(result)


def without_tracing(decision: Decision) -> Decision:
    """As `explain` can say it: without headers that are new with every request, the backend, the response."""
    kept = decision.headers
    if kept is not None:
        kept = tuple(pair for pair in kept if pair[0] not in TRACING)
    return replace(decision, headers=kept, backend=None, answer=None)


def answered(headers: Headers) -> Headers:
    """The headers of a response in lower case and in order, without what only Envoy adds.

    A cookie that hashing made stands for the program's connection, whose port is chance.
    """
    lower = ((name.lower(), MADE.sub('="<made>"', value)) for name, value in headers)
    return tuple((name, _answered(name, value)) for name, value in lower if name not in RESPONSE)


def _answered(name: str, value: str) -> str:
    if name == "x-request-id" and UUID.fullmatch(value):
        return "<uuid>"
    return "<n>" if name == LENGTH else value.strip()  # as it is read from a connection


def utf8(text: str) -> str:
    """Bytes that were read as Latin-1, as the UTF-8 that they were."""
    return text.encode("latin-1").decode("utf-8", "replace")
