"""When a failed attempt is tried again (envoy source: RetryStateImpl).

Retrying hides a failure from one caller and adds load for all of them; that is why the number of retries under way in a
cluster is limited (thresholds), and why each waits for a random share of a doubling interval before it goes out.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ..xds.model.matchers import HeaderMatcher
from ..xds.model.route import RetryPolicy
from .matching import RequestTest, header_test
from .request import RawHeaders, RequestView

DEFAULT_BASE_S = 0.025
"""Runtime key upstream.base_retry_backoff_ms."""

GRPC_STATUSES = {
    "cancelled": b"1",
    "deadline-exceeded": b"4",
    "resource-exhausted": b"8",
    "internal": b"13",
    "unavailable": b"14",
}

GATEWAY_ERRORS = frozenset({502, 503, 504})

RESET_CONDITIONS = {
    "connect-failure": frozenset({"connect-failure", "connect-timeout"}),
    "refused-stream": frozenset({"refused-stream"}),
    "reset": frozenset(
        {"connect-failure", "connect-timeout", "refused-stream", "remote-reset", "reset", "per-try-timeout"}
    ),
    "reset-before-request": frozenset({"connect-failure", "connect-timeout"}),
}
"""Which resets a condition covers; 5xx and gateway-error cover all of them."""


@dataclass(frozen=True, slots=True)
class CompiledRetry:
    """A retry policy ready to answer."""

    conditions: frozenset[str]
    retries: int
    per_try_timeout_s: float | None
    status_codes: frozenset[int]
    grpc_statuses: frozenset[bytes]
    response_headers: tuple[RequestTest, ...]
    resets: frozenset[str]
    base_s: float
    max_s: float
    avoid_previous_hosts: bool
    host_attempts: int
    policy: RetryPolicy

    def wants_response(self, status: int, headers: RawHeaders) -> bool:
        """Whether a response with these headers is a failure that the policy retries."""
        conditions = self.conditions
        if "envoy-ratelimited" in conditions and _rate_limited(headers):
            return True
        wanted = (
            (
                500 <= status < 600
                and ("5xx" in conditions or ("gateway-error" in conditions and status in GATEWAY_ERRORS))
            )
            or (status == 409 and "retriable-4xx" in conditions)
            or status in self.status_codes
        )
        if not wanted and self.grpc_statuses:
            for name, value in headers:
                if len(name) == 11 and name.lower() == b"grpc-status":
                    wanted = value in self.grpc_statuses
                    break
        if not wanted and self.response_headers:
            view = RequestView(b"", b"", b"", b"", [(b":status", b"%d" % status), *headers])
            wanted = any(test(view) for test in self.response_headers)
        return wanted and not _rate_limited(headers)

    def wants_reset(self, kind: str) -> bool:
        """Whether a stream that ended without a response is retried; an overflow never is."""
        return kind in self.resets

    def back_off_s(self, attempt: int, uniform: Callable[[], float]) -> float:
        """Seconds to wait before the retry that follows `attempt` (1 is the first try): full jitter, doubling."""
        interval = min(self.base_s * 2.0 ** min(attempt - 1, 32), self.max_s)
        return interval * uniform()


def _rate_limited(headers: RawHeaders) -> bool:
    """An Envoy behind this one said that it limits: only `envoy-ratelimited` retries that."""
    return any(len(name) == 19 and name.lower() == b"x-envoy-ratelimited" for name, _ in headers)


def compile_retry(policy: RetryPolicy | None) -> CompiledRetry | None:
    """None where nothing is ever retried."""
    if policy is None or not policy.retry_on:
        return None
    conditions = frozenset(policy.retry_on)
    resets: frozenset[str] = frozenset()
    for condition in conditions:
        resets |= RESET_CONDITIONS.get(condition, frozenset())
    if conditions & {"5xx", "gateway-error"}:
        resets |= RESET_CONDITIONS["reset"]
    base = policy.back_off.base_s if policy.back_off else DEFAULT_BASE_S
    longest = policy.back_off.max_s if policy.back_off else 10 * base
    return CompiledRetry(
        conditions=conditions,
        retries=policy.num_retries,
        per_try_timeout_s=policy.per_try_timeout_s or None,
        status_codes=frozenset(policy.retriable_status_codes)
        if "retriable-status-codes" in conditions
        else frozenset(),
        grpc_statuses=frozenset(GRPC_STATUSES[each] for each in conditions if each in GRPC_STATUSES),
        response_headers=_tests(policy.retriable_headers) if "retriable-headers" in conditions else (),
        resets=resets,
        base_s=base,
        max_s=longest,
        avoid_previous_hosts="envoy.retry_host_predicates.previous_hosts" in policy.host_predicates,
        host_attempts=policy.host_selection_attempts,
        policy=policy,
    )


def _tests(matchers: tuple[HeaderMatcher, ...]) -> tuple[RequestTest, ...]:
    return tuple(header_test(matcher) for matcher in matchers)
