"""What an internal request says itself of its timeouts and retries, by `x-envoy-*` headers.

(envoy source: FilterUtility::finalTimeout and finalHedgingParams, RetryStateImpl; docs/envoy-facts.md, "Requests that
steer".) Asked only where a request is internal (governance.forwarding): of all others admission takes these headers.
What they ask for becomes a route and a retry policy of this one call, so that nothing behind knows the difference.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from ..xds.model.matchers import HeaderMatcher
from ..xds.model.records import dataclass
from ..xds.model.route import RetryPolicy
from .matching import decimal
from .replies import LocalReply
from .request import RequestView
from .retry import GRPC_CONDITIONS, CompiledRetry, compile_retry
from .timing import StreamLimits

if TYPE_CHECKING:
    from .cluster import ClusterRuntime
    from .routing import CompiledRoute

RETRY_ON = b"x-envoy-retry-on"
RETRY_GRPC_ON = b"x-envoy-retry-grpc-on"
MAX_RETRIES = b"x-envoy-max-retries"
STATUS_CODES = b"x-envoy-retriable-status-codes"
HEADER_NAMES = b"x-envoy-retriable-header-names"
TIMEOUT = b"x-envoy-upstream-rq-timeout-ms"
PER_TRY_TIMEOUT = b"x-envoy-upstream-rq-per-try-timeout-ms"
HEDGE = b"x-envoy-hedge-on-per-try-timeout"
ALT_RESPONSE = b"x-envoy-upstream-rq-timeout-alt-response"
DURATION = b"x-envoy-upstream-stream-duration-ms"
ALT_STAT_NAME = b"x-envoy-upstream-alt-stat-name"
"""Names a statistic that is not kept here."""

RETRYING = frozenset({RETRY_ON, RETRY_GRPC_ON, MAX_RETRIES, STATUS_CODES, HEADER_NAMES})
STEERING = RETRYING | {TIMEOUT, PER_TRY_TIMEOUT, HEDGE, ALT_RESPONSE, DURATION, ALT_STAT_NAME}

MOST_MS = 10**12
"""More than thirty years: as good as any longer time, and no timer overflows."""


@dataclass(frozen=True, slots=True)
class Steering:
    """One call's own `route` (times of a try, hedging), `retry`, `timeout_s` and limit of a try with its body.

    `try_s` None: the header says nothing; 0: there is none. `alt_response`: a timeout is a 204.
    """

    route: CompiledRoute
    retry: CompiledRetry | None
    timeout_s: float | None
    try_s: float | None
    alt_response: bool

    def limits(self, found: StreamLimits | None, started: float) -> StreamLimits | None:
        """What else ends the call, with what the request says of it."""
        if self.try_s is None:
            return found
        limits = StreamLimits(started) if found is None else found
        limits.try_s = self.try_s or None
        return limits

    def reply(self, reply: LocalReply) -> LocalReply:
        """A timeout in the words that the request wants."""
        return replace(reply, status=204, body=b"") if self.alt_response and "UT" in reply.flags else reply


def steer(request: RequestView, route: CompiledRoute, cluster: ClusterRuntime) -> Steering | None:
    """None where the request says nothing; else its headers are taken off, as they are not passed on."""
    known = request.headers
    if STEERING.isdisjoint(known):
        return None
    own = copy(route)
    per_try_s = _seconds(known.get(PER_TRY_TIMEOUT))
    if per_try_s is not None:
        times = route.retry or compile_retry(RetryPolicy(per_try_timeout_s=1.0))
        own.retry = times and replace(times, per_try_timeout_s=per_try_s or None)
    hedge = known.get(HEDGE)
    if hedge in (b"true", b"false"):
        own.hedges = hedge == b"true"
    timeout_s = _seconds(known.get(TIMEOUT))
    timeout_s = route.timeout_of(request) if timeout_s is None else timeout_s or None
    times = own.retry
    if times is not None and times.per_try_timeout_s and timeout_s and times.per_try_timeout_s >= timeout_s:
        own.retry = replace(times, per_try_timeout_s=None)
    retry = route.retry if cluster.retry is None else cluster.retry
    if not RETRYING.isdisjoint(known):
        retry = compile_retry(_merged(_policy(route, cluster), known))
    steering = Steering(own, retry, timeout_s, _seconds(known.get(DURATION)), ALT_RESPONSE in known)
    unsteer(request)
    return steering


def unsteer(request: RequestView) -> None:
    """Take the headers off that steer: whoever has read them passes none of them on."""
    request.replace_headers([pair for pair in request.raw_headers if pair[0].lower() not in STEERING])


def _policy(route: CompiledRoute, cluster: ClusterRuntime) -> RetryPolicy:
    """The configured one: even one without conditions says how often and how."""
    own = route.action.retry if route.action is not None else None
    return cluster.config.http.retry or own or route.vhost.retry or RetryPolicy()


def _merged(policy: RetryPolicy, known: dict[bytes, bytes]) -> RetryPolicy:
    """Conditions, codes and names are added; the number of retries is the request's, where it is one."""
    on = [word for word in _words(known.get(RETRY_ON)) if word not in GRPC_CONDITIONS]
    grpc_on = [word for word in _words(known.get(RETRY_GRPC_ON)) if word in GRPC_CONDITIONS]
    count = decimal(known.get(MAX_RETRIES, b""))
    codes = (decimal(word.encode()) for word in _words(known.get(STATUS_CODES)))
    return replace(
        policy,
        retry_on=(*policy.retry_on, *on, *grpc_on),
        num_retries=policy.num_retries if count is None or count < 0 else count,
        retriable_status_codes=(*policy.retriable_status_codes, *(code for code in codes if code is not None)),
        retriable_headers=(
            *policy.retriable_headers,
            *(HeaderMatcher(word.lower()) for word in _words(known.get(HEADER_NAMES))),
        ),
    )


def _words(value: bytes | None) -> list[str]:
    return [] if value is None else [word.strip() for word in value.decode("latin-1").split(",") if word.strip()]


def _seconds(value: bytes | None) -> float | None:
    """Of whole milliseconds; None where there is no such number."""
    number = None if value is None else decimal(value)
    return None if number is None or number < 0 else min(number, MOST_MS) / 1000.0
