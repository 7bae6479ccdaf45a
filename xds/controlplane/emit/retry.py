"""Retry policies, and istiod's own where a route says none."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus

from ...wire.schema.types import route_v3
from ..api.virtual_service import HTTPRetry
from . import filters
from .messages import duration, u32

DEFAULT = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
INBOUND = "reset-before-request"
ATTEMPTS = 2
HOST_ATTEMPTS = 5


@lru_cache(256)
def outbound(wanted: HTTPRetry | None, mesh: HTTPRetry | None = None, *, hashed: bool) -> route_v3.RetryPolicy | None:
    """None where retries are switched off. A hashed request goes to the same host again. To be copied, never changed:
    most routes of a mesh have the same.
    """
    wanted = wanted or mesh
    if wanted is not None and wanted.attempts <= 0:
        return None
    made = _standard()
    elsewhere = not hashed
    if wanted is not None:
        made.num_retries.value = wanted.attempts
        if wanted.retry_on:
            made.retry_on, codes = conditions(wanted.retry_on)
            made.retriable_status_codes.extend(codes)
        if wanted.per_try_timeout is not None:
            made.per_try_timeout.CopyFrom(duration(wanted.per_try_timeout))
        if wanted.retry_ignore_previous_hosts is not None:
            elsewhere = wanted.retry_ignore_previous_hosts
        if wanted.retry_remote_localities:
            made.retry_priority.CopyFrom(filters.previous_priorities())
        if wanted.backoff is not None:
            made.retry_back_off.base_interval.CopyFrom(duration(wanted.backoff))
    if elsewhere:
        made.retry_host_predicate.append(filters.previous_hosts())
    return made


def _standard() -> route_v3.RetryPolicy:
    return route_v3.RetryPolicy(
        retry_on=DEFAULT, num_retries=u32(ATTEMPTS), host_selection_retry_max_attempts=HOST_ATTEMPTS
    )


def inbound(wanted: HTTPRetry | None = None) -> route_v3.RetryPolicy | None:
    """To the application, which is one host: only attempts, conditions and backoff of the mesh's policy count."""
    if wanted is None:
        return route_v3.RetryPolicy(retry_on=INBOUND, num_retries=u32(ATTEMPTS))
    if wanted.attempts <= 0:
        return None
    made = route_v3.RetryPolicy(retry_on=INBOUND, num_retries=u32(wanted.attempts))
    if wanted.retry_on:
        made.retry_on, codes = conditions(wanted.retry_on)
        made.retriable_status_codes.extend(codes)
    if wanted.backoff is not None:
        made.retry_back_off.base_interval.CopyFrom(duration(wanted.backoff))
    return made


def conditions(text: str) -> tuple[str, list[int]]:
    """`5xx,409` -> conditions for Envoy and the status codes that stand among them."""
    names, codes = [], []
    for part in (part.strip() for part in text.split(",")):
        if part.isdecimal() and int(part) in _KNOWN:
            codes.append(int(part))
        elif part:
            names.append(part)
    joined = ",".join(names)
    if codes and "retriable-status-codes" not in joined:
        joined += ",retriable-status-codes"
    return joined, codes


# The codes that Go's net/http has a text for.
_KNOWN = frozenset(int(status) for status in HTTPStatus) - {306}
