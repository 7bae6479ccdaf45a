"""What ends a call besides the timeout of its route: streams without a byte for long, or that last for long.

(envoy source: ConnectionManagerImpl::ActiveStream and its timers; docs/envoy-facts.md, "Timeouts".) Few calls have any
of it: for the others there is no `StreamLimits`, and nothing here runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, final

from .replies import (
    LocalReply,
    duration_timeout,
    request_timeout,
    route_timeout,
    stream_idle_timeout,
    upstream_duration_timeout,
)
from .request import RequestView
from .routing import grpc_timeout

if TYPE_CHECKING:
    from ..xds.model.listener import HttpConnectionManager
    from .call import OutgoingCall
    from .cluster import ClusterRuntime
    from .routing import CompiledRoute

End = Literal["route", "idle", "duration", "request", "upstream"]

ROUTE: End = "route"

EARLY_S = 0.002
"""A timer may wake this much too early."""

REQUEST_TIMEOUT = 408

FLAGS: dict[End, tuple[str, ...]] = {
    "route": ("UT",),
    "idle": ("SI",),
    "duration": (),
    "request": (),
    "upstream": ("UMSDR",),
}
"""Response flags of a response that is cut."""


CUT_FLAGS = {"timeout": "UT", "idle": "UT", "caller": "DC", "remote-reset": "UR", "refused-stream": "UR"}
"""How a response was cut to the flag of the call; a connection that ended early is UC, to HTTP/1.1 a protocol error."""


@final
class StreamLimits:
    """The limits of one call; moments are those of the runtime's clock, None without one.

    `idle_s`: how long no byte may come or go; until there is a response, `idle_at` is when that is over.
    `duration_at`: when the stream has lasted too long. `request_at`: when the request must have been sent.
    `try_s`: how long a try may take with its body, until `try_at` the one that is under way. `grpc_s`: what a gRPC
    request is told instead of its own `grpc-timeout`.
    """

    __slots__ = ("duration_at", "grpc_s", "idle_at", "idle_s", "request_at", "try_at", "try_s")

    def __init__(
        self,
        started: float,
        idle_s: float | None = None,
        duration_s: float | None = None,
        request_s: float | None = None,
        try_s: float | None = None,
        grpc_s: float | None = None,
    ) -> None:
        self.idle_s = idle_s
        self.idle_at = None if idle_s is None else started + idle_s
        self.duration_at = None if duration_s is None else started + duration_s
        self.request_at = None if request_s is None else started + request_s
        self.try_s = try_s
        self.try_at: float | None = None
        self.grpc_s = grpc_s

    def begin_try(self, now: float) -> None:
        """The request goes over a connection."""
        if self.try_s is not None:
            self.try_at = now + self.try_s

    def sent(self, now: float) -> None:
        """The request has been sent whole."""
        self.request_at = None
        if self.idle_s is not None:
            self.idle_at = now + self.idle_s

    def answered(self) -> None:
        """From now on each part of the body may take as long as the whole wait for the head might."""
        self.idle_at = None

    def postpone(self, waited_s: float) -> None:
        """The call has waited for its configuration, which a sidecar would have had."""
        if self.idle_at is not None:
            self.idle_at += waited_s
        if self.duration_at is not None:
            self.duration_at += waited_s

    def first(self, deadline: float | None, *, uploading: bool = False) -> tuple[float | None, End]:
        """What ends first, and when: these limits or the route's timeout. While uploading, single bytes are waited for
        and the route's timeout has not begun."""
        candidates: tuple[tuple[float | None, End], ...] = (
            (None if uploading else self.idle_at, "idle"),
            (self.duration_at, "duration"),
            (self.request_at if uploading else None, "request"),
            (self.try_at, "upstream"),
        )
        found, end = deadline, ROUTE
        for moment, what in candidates:
            if moment is not None and (found is None or moment < found):
                found, end = moment, what
        return found, end


def reply_of(end: End, *, incomplete: bool) -> LocalReply:
    """What the caller is told when it comes before the response; 408 where more of the request may come, of which the
    route's own timeout does not ask."""
    reply = REPLIES[end]()
    return replace(reply, status=REQUEST_TIMEOUT) if incomplete and end != ROUTE else reply


REPLIES: dict[End, Callable[[], LocalReply]] = {
    "route": route_timeout,
    "idle": stream_idle_timeout,
    "duration": duration_timeout,
    "request": request_timeout,
    "upstream": upstream_duration_timeout,
}


def cut_by(call: OutgoingCall, kind: str) -> tuple[str, ...]:
    """The flags of a response that is cut."""
    limits = call.limits
    if limits is not None:
        if kind == "timeout":
            return FLAGS[limits.first(call.deadline)[1]]
        own = call.idle_s()
        if kind == "idle" and limits.idle_s is not None and (own is None or limits.idle_s < own):
            return FLAGS["idle"]
    return (CUT_FLAGS.get(kind, "UC" if call.cluster is not None and call.cluster.http2 else "UPE"),)


def limits_of(
    route: CompiledRoute, http: HttpConnectionManager, cluster: ClusterRuntime, request: RequestView, started: float
) -> StreamLimits | None:
    """The limits of a call through this route; None without any."""
    idle_s = route.idle_timeout_s
    if idle_s is None:
        idle_s = http.stream_idle_timeout_s
    duration_s, grpc_s = _duration_s(route, http, request)
    request_s = http.request_timeout_s
    try_s = cluster.config.http.max_stream_duration_s
    if not idle_s and duration_s is None and request_s is None and try_s is None:
        return None
    return StreamLimits(started, idle_s or None, duration_s, request_s, try_s, grpc_s)


def _duration_s(
    route: CompiledRoute, http: HttpConnectionManager, request: RequestView
) -> tuple[float | None, float | None]:
    """(how long the stream may last, what a gRPC request is told of it)."""
    own = route.stream_duration
    if own is None:
        return http.max_stream_duration_s, None
    asked_s = grpc_timeout(request.header(b"grpc-timeout")) if own.grpc_header_max_s is not None else None
    if asked_s is None or own.grpc_header_max_s is None:
        found = http.max_stream_duration_s if own.max_s is None else own.max_s or None
    else:
        found = min(asked_s, own.grpc_header_max_s) if own.grpc_header_max_s else asked_s
        if found and own.grpc_header_offset_s is not None:
            found = max(0.0, found - own.grpc_header_offset_s)
    return found, found if request.is_grpc else None
