"""When a failed attempt is tried again, and after what pause (envoy source: RetryStateImpl, RetryPolicyImpl).

Retrying hides a failure from one caller and adds load for all of them; that is why the number of retries under way in a
cluster is limited (thresholds), and why each waits for a random share of a doubling interval before it goes out, or for
as long as the response itself asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from ..xds.model.matchers import HeaderMatcher
from ..xds.model.records import dataclass
from ..xds.model.route import OMIT_CANARIES, PREVIOUS_HOSTS, RetryPolicy
from ..xds.model.values import MetadataValue
from .grpc_statuses import CANCELLED, DEADLINE_EXCEEDED, INTERNAL, RESOURCE_EXHAUSTED, UNAVAILABLE
from .matching import RequestTest, decimal, header_test
from .request import RawHeaders, RequestView

if TYPE_CHECKING:
    from .upstream import UpstreamRequest

DEFAULT_BASE_MS = 25
"""Runtime key upstream.base_retry_backoff_ms."""

GRPC_CONDITIONS = {
    "cancelled": b"%d" % CANCELLED,
    "deadline-exceeded": b"%d" % DEADLINE_EXCEEDED,
    "resource-exhausted": b"%d" % RESOURCE_EXHAUSTED,
    "internal": b"%d" % INTERNAL,
    "unavailable": b"%d" % UNAVAILABLE,
}
"""Conditions that are statuses of gRPC's, as its headers say them."""

GATEWAY_ERRORS = frozenset({502, 503, 504})
TOO_EARLY = 425

CONNECT = frozenset({"connect-failure", "connect-timeout"})
"""Nothing has been sent yet."""

RESET_CONDITIONS = {
    "connect-failure": CONNECT,
    "refused-stream": frozenset({"refused-stream"}),
    "reset": CONNECT | {"refused-stream", "remote-reset", "reset", "per-try-timeout", "max-stream-duration"},
    "reset-before-request": CONNECT,
}
"""Which resets a condition covers; 5xx and gateway-error cover all of them.

`http3-post-connect-failure` is no condition here: no HTTP/3 is spoken.
"""

KNOWN = frozenset(GRPC_CONDITIONS).union(
    ("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx"),
    ("refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure"),
)
"""The words of `retry_on`; others are ignored."""

Retry = Literal["", "pause", "at once"]
"""Whether there is another try, and whether it waits first."""


@dataclass(frozen=True, slots=True)
class CompiledRetry:
    """A retry policy ready to answer. `wants` is False where it gives no condition: then only its times count."""

    wants: bool
    gated: bool
    """Whether `allows` has something to say."""
    conditions: frozenset[str]
    retries: int
    per_try_timeout_s: float | None
    per_try_idle_timeout_s: float | None
    status_codes: frozenset[int]
    grpc_statuses: frozenset[bytes]
    response_headers: tuple[RequestTest, ...]
    request_headers: tuple[RequestTest, ...]
    resets: frozenset[str]
    base_ms: int
    max_ms: int
    reset_headers: tuple[tuple[bytes, bool], ...]
    """Names, and whether their values are points in time (else numbers of seconds)."""
    reset_max_ms: int
    picky: bool
    """Whether a retry may want another endpoint than any request."""
    avoid_previous_hosts: bool
    omit_canaries: bool
    omitted_metadata: tuple[tuple[tuple[str, MetadataValue], ...], ...]
    host_attempts: int
    priority_frequency: int
    policy: RetryPolicy

    @property
    def timed(self) -> bool:
        """Whether it limits the time of a try."""
        return self.per_try_timeout_s is not None or self.per_try_idle_timeout_s is not None

    def allows(self, upstream: UpstreamRequest) -> bool:
        """Whether this request, as it goes out, may be retried at all (RetryPolicy.retriable_request_headers)."""
        if not self.wants or not self.request_headers:
            return self.wants
        request = upstream.view()
        return any(test(request) for test in self.request_headers)

    def wants_response(self, status: int, headers: RawHeaders, *, early: bool = False) -> Retry:
        """Whether a response with these headers is a failure that is retried; `early`: the request is early data."""
        conditions = self.conditions
        grpc_status: bytes | None = None
        for name, value in headers:
            size = len(name)
            if size == 19 and name.lower() == b"x-envoy-ratelimited":
                # An Envoy behind this one said that it limits.
                return "pause" if "envoy-ratelimited" in conditions else ""
            if size == 11 and grpc_status is None and name.lower() == b"grpc-status":
                grpc_status = value
        if 500 <= status < 600 and (
            "5xx" in conditions or ("gateway-error" in conditions and status in GATEWAY_ERRORS)
        ):
            return "pause"
        if status == 409 and "retriable-4xx" in conditions:
            return "pause"
        if status in self.status_codes and not (status == TOO_EARLY and early):
            return "at once" if status == TOO_EARLY else "pause"
        if self.response_headers:
            view = RequestView(b"", b"", b"", b"", [(b":status", b"%d" % status), *headers])
            if any(test(view) for test in self.response_headers):
                return "pause"
        return "pause" if grpc_status is not None and grpc_status in self.grpc_statuses else ""

    def wants_reset(self, kind: str) -> bool:
        """Whether a stream that ended without a response is retried; an overflow never is."""
        return kind in self.resets

    def back_off(self) -> BackOff:
        """The pauses of one call."""
        return BackOff(self)

    def asked_pause_ms(self, headers: RawHeaders, now: float) -> int | None:
        """What a response asks for (RetryPolicy.rate_limited_retry_back_off); `now` in seconds since 1970.

        The first header that is there, is a number and does not ask for too much counts.
        """
        for wanted, is_time in self.reset_headers:
            for name, value in headers:
                if name.lower() == wanted:
                    ms = _interval_ms(value, now if is_time else None)
                    if ms is not None and ms <= self.reset_max_ms:
                        return ms
                    break
        return None


class BackOff:
    """The pauses of one call: whole milliseconds, a random share of an interval that doubles (envoy source:
    JitteredExponentialBackOffStrategy), or half as much again as the response asks for (JitteredLowerBound...)."""

    __slots__ = ("_max_ms", "_next_ms")

    def __init__(self, policy: CompiledRetry) -> None:
        self._next_ms = policy.base_ms
        self._max_ms = policy.max_ms

    def pause_s(self, uniform: Callable[[], float], asked_ms: int | None = None) -> float:
        """Seconds until the next try."""
        if asked_ms is not None and asked_ms > 1:
            return (asked_ms + int(uniform() * (asked_ms >> 1))) / 1000.0
        interval = self._next_ms
        self._next_ms = interval * 2 if interval < self._max_ms // 2 else self._max_ms
        return int(uniform() * interval) / 1000.0


def _interval_ms(value: bytes, now: float | None) -> int | None:
    number = decimal(value)
    if number is None or number < 0:
        return None
    if now is not None:
        number -= int(now)
        if number < 0:
            return None
    return number * 1000


def compile_retry(policy: RetryPolicy | None) -> CompiledRetry | None:
    """None where nothing is ever retried and no try has a timeout of its own."""
    if policy is None:
        return None
    conditions = frozenset(policy.retry_on) & KNOWN
    if not conditions and not policy.per_try_timeout_s and not policy.per_try_idle_timeout_s:
        return None
    resets: frozenset[str] = frozenset()
    for condition in conditions:
        resets |= RESET_CONDITIONS.get(condition, frozenset())
    if conditions & {"5xx", "gateway-error"}:
        resets |= RESET_CONDITIONS["reset"]
    base_ms = _whole_ms(policy.back_off.base_s) if policy.back_off else DEFAULT_BASE_MS
    limited = policy.rate_limited
    avoids, omits = (each in policy.host_predicates for each in (PREVIOUS_HOSTS, OMIT_CANARIES))
    omitted = tuple(tuple(each.items()) for each in policy.omitted_metadata if each)
    return CompiledRetry(
        wants=bool(conditions),
        gated=not conditions or bool(policy.retriable_request_headers),
        conditions=conditions,
        retries=policy.num_retries,
        per_try_timeout_s=policy.per_try_timeout_s or None,
        per_try_idle_timeout_s=policy.per_try_idle_timeout_s or None,
        status_codes=frozenset(policy.retriable_status_codes)
        if "retriable-status-codes" in conditions
        else frozenset(),
        grpc_statuses=frozenset(GRPC_CONDITIONS[each] for each in conditions if each in GRPC_CONDITIONS),
        response_headers=_tests(policy.retriable_headers) if "retriable-headers" in conditions else (),
        request_headers=_tests(policy.retriable_request_headers),
        resets=resets,
        base_ms=base_ms,
        max_ms=_whole_ms(policy.back_off.max_s) if policy.back_off else 10 * base_ms,
        reset_headers=tuple((each.name.lower().encode(), each.is_time) for each in limited.headers) if limited else (),
        reset_max_ms=_whole_ms(limited.max_s) if limited else 0,
        picky=avoids or omits or bool(omitted) or policy.priority_update_frequency > 0,
        avoid_previous_hosts=avoids,
        omit_canaries=omits,
        omitted_metadata=omitted,
        host_attempts=policy.host_selection_attempts,
        priority_frequency=policy.priority_update_frequency,
        policy=policy,
    )


def _whole_ms(seconds: float) -> int:
    return int(seconds * 1000 + 1e-6)


def _tests(matchers: tuple[HeaderMatcher, ...]) -> tuple[RequestTest, ...]:
    return tuple(header_test(matcher) for matcher in matchers)
