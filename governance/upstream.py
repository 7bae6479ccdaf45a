"""The request that goes to an endpoint: what Envoy's router makes of one that was admitted (governance.admission).

The order of what is added is Envoy's (docs/envoy-facts.md, "Request headers"); a header that the program sent itself is
overwritten in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .formatter import Formatter
from .forwarding import put
from .headers import HeaderList, apply_levels, formats
from .request import RawHeaders, RequestView, strip_query
from .routing import CompiledRoute, Target
from .subject import Subject
from .trace_context import carrying

if TYPE_CHECKING:
    from .balancing.host import Host
    from .call import OutgoingCall
    from .cluster import ClusterRuntime
    from .http_runtime import HttpRuntime

DECORATOR = b"x-envoy-decorator-operation"
EXPECTED = b"x-envoy-expected-rq-timeout-ms"
GRPC_TIMEOUT = b"grpc-timeout"
ATTEMPT_COUNT = b"x-envoy-attempt-count"
TIMEOUT_RETRY = b"x-envoy-is-timeout-retry"
ORIGINAL_HOST = b"x-envoy-original-host"
ORIGINAL_PATH = b"x-envoy-original-path"
FORWARDED_HOST = b"x-forwarded-host"

_LENGTHLESS = frozenset({b"GET", b"HEAD", b"DELETE", b"TRACE", b"CONNECT"})


class UpstreamRequest:
    """Method, authority, path and headers as they go out; the headers move a little with every try."""

    __slots__ = (
        "_http",
        "_request",
        "_route",
        "_tells_grpc",
        "authority",
        "headers",
        "method",
        "path",
    )

    def __init__(
        self,
        call: OutgoingCall,
        route: CompiledRoute,
        target: Target,
        expected_s: float | None,
        http: HttpRuntime,
        cluster: ClusterRuntime,
        grpc_s: float | None,
    ) -> None:
        # All by their places: to make an object with names for its arguments takes twice as long.
        request = call.request
        method = self.method = request.method
        known = request.headers
        headers = list(request.raw_headers)
        if grpc_s is not None:
            put(headers, GRPC_TIMEOUT, _grpc_timeout(grpc_s), sent=GRPC_TIMEOUT in known)
        if route.decorator is not None and http.config.tracing and not http.config.tracing.operation:
            if DECORATOR in known:
                put(headers, DECORATOR, route.decorator)
            else:
                headers.append((DECORATOR, route.decorator))
        if expected_s is not None and not http.quiet:
            if EXPECTED in known:
                put(headers, EXPECTED, _milliseconds(expected_s))
            else:
                headers.append((EXPECTED, _milliseconds(expected_s)))
        tells_grpc = self._tells_grpc = route.limits_grpc and request.is_grpc
        if tells_grpc and expected_s is not None:
            put(headers, GRPC_TIMEOUT, _grpc_timeout(expected_s), sent=GRPC_TIMEOUT in known)
        if route.counts_attempts:
            if ATTEMPT_COUNT in known:
                put(headers, ATTEMPT_COUNT, b"1")
            else:
                headers.append((ATTEMPT_COUNT, b"1"))
        levels = target.request_levels
        if levels or target.host_rewrite is not None:
            subject = call.subject() if formats(levels) else None
            if target.host_rewrite is not None:
                # The chosen cluster's host comes before all that the route says, and leaves no trace.
                headers = apply_levels(levels[: target.own_levels], headers, request, live=True, subject=subject)
                levels = levels[target.own_levels :]
                request = request.having(headers)
                request.authority = target.host_rewrite
            if levels:
                headers = apply_levels(levels, headers, request, live=True, subject=subject)
        self._http, self._request, self._route = http, request, route
        self.authority = request.authority
        self.path = request.path
        if route.rewrites:
            self._rewrite(route, request, headers, call.subject)
        if call.trace is not None and (context := call.trace.lines()):
            headers = carrying(headers, context)
        if (
            method not in _LENGTHLESS
            and not cluster.http2
            and b"content-length" not in known
            and b"transfer-encoding" not in known
        ):
            headers.append((b"content-length", b"0"))
        self.headers = headers

    def _rewrite(
        self,
        route: CompiledRoute,
        request: RequestView,
        headers: HeaderList,
        describe: Callable[[], Subject],
    ) -> None:
        if route.host_format is not None:
            self.authority = _filled(route.host_format, request.having(headers), describe) or request.authority
        else:
            self.authority = route.authority(request.having(headers) if route.host_rewrite_header else request)
        if self.authority is not request.authority:
            self._moved(headers, request.authority)
        new = None
        if route.path_rewrite is not None:
            new = route.path_rewrite(request.path)
        elif route.path_format is not None:
            new = _filled(route.path_format, request.having(headers), describe)
            new = new + request.path[len(strip_query(request.path)) :] if new else None
        if new is not None:
            if not self._http.quiet:
                put(headers, ORIGINAL_PATH, request.path)
            self.path = new

    def _moved(self, headers: HeaderList, before: bytes) -> None:
        """Remember the host that is written over."""
        if not self._http.quiet:
            put(headers, ORIGINAL_HOST, before)
        if self._route.appends_host and before:
            sent = next((value for name, value in headers if name.lower() == FORWARDED_HOST), b"")
            if sent.split(b",")[-1] != before:
                put(headers, FORWARDED_HOST, sent + b"," + before if sent else before)

    def towards(self, host: Host) -> None:
        """auto_host_rewrite: the name of the endpoint of this try, if it has one."""
        name = host.endpoint.hostname.encode()
        if name:
            headers = list(self.headers)
            self._moved(headers, self.authority)
            self.headers, self.authority = headers, name

    def view(self) -> RequestView:
        """The request as it went out last: what response headers are formatted from."""
        request = self._request
        view = RequestView(self.method, request.scheme, self.authority, self.path, self.headers, request.source)
        view.remote = request.remote
        return view

    def copied(self, authority: bytes, headers: HeaderList) -> UpstreamRequest:
        """The same request with another authority and other headers."""
        made = object.__new__(UpstreamRequest)
        made.method, made.path = self.method, self.path
        made.authority, made.headers = authority, headers
        made._http, made._request, made._route = self._http, self._request, self._route
        made._tells_grpc = self._tells_grpc
        return made

    def again(self, attempt: int, expected_s: float | None, *, timed_out: bool = False) -> None:
        """Say in the headers which try this is, how long it may take, and whether the one before took too long."""
        new: HeaderList = []
        for pair in self.headers:
            if pair[0] == ATTEMPT_COUNT and self._route.counts_attempts:
                pair = (ATTEMPT_COUNT, b"%d" % attempt)
            elif pair[0] == EXPECTED and expected_s is not None:
                pair = (EXPECTED, _milliseconds(expected_s))
            elif pair[0] == GRPC_TIMEOUT and self._tells_grpc and expected_s is not None:
                pair = (GRPC_TIMEOUT, _grpc_timeout(expected_s))
            new.append(pair)
        if self._route.vhost.include_is_timeout_retry_header:
            put(new, TIMEOUT_RETRY, b"true" if timed_out else b"false")
        self.headers = new


def counted(headers: RawHeaders, attempts: int) -> HeaderList:
    """The headers of a response that says how many tries it took (VirtualHost.include_attempt_count_in_response)."""
    said = list(headers)
    put(said, ATTEMPT_COUNT, b"%d" % attempts)
    return said


def _filled(value: bytes | Formatter, request: RequestView, describe: Callable[[], Subject]) -> bytes:
    if isinstance(value, bytes):
        return value
    subject = describe()
    subject.request = request
    return value(subject)


def _milliseconds(seconds: float) -> bytes:
    return b"%d" % max(0, int(seconds * 1000 + 1e-6))


def _grpc_timeout(seconds: float) -> bytes:
    """At most eight digits and a unit (envoy source: Grpc::Common::toGrpcTimeout)."""
    value = max(0, int(seconds * 1000 + 1e-6))
    for unit, next_one in ((b"m", 1000), (b"S", 60), (b"M", 60)):
        if value < 100_000_000:
            return b"%d%s" % (value, unit)
        value //= next_one
    return b"%dH" % min(value, 99_999_999)
