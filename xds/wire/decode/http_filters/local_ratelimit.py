"""envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit."""

from __future__ import annotations

from typing import Literal

from ....model.filters import LimitDescriptor, LocalRateLimit, TokenBucket
from ...refused import RefusedError
from ...schema import types as pb
from ..rate_limits import rate_limits
from ..values import header_options, named, runtime_fraction, seconds

MIN_FILL_MS = 50
VH_LIMITS: tuple[Literal["OVERRIDE", "INCLUDE", "IGNORE"], ...] = ("OVERRIDE", "INCLUDE", "IGNORE")


def local_ratelimit(message: pb.http_local_ratelimit_v3.LocalRateLimit) -> LocalRateLimit:
    """The filter's configuration; a status below 400 becomes 429, as in Envoy."""
    status = message.status.code
    if any(each.HasField("stage") or each.disable_key for each in message.rate_limits):
        raise RefusedError("'stage' field and 'disable_key' field are not supported")
    return LocalRateLimit(
        stat_prefix=message.stat_prefix,
        bucket=_bucket(message.token_bucket, "") if message.HasField("token_bucket") else None,
        enabled=runtime_fraction(message.filter_enabled) if message.HasField("filter_enabled") else None,
        enforced=runtime_fraction(message.filter_enforced) if message.HasField("filter_enforced") else None,
        status=status if status >= 400 else 429,
        descriptors=_descriptors(message),
        response_headers=header_options(message.response_headers_to_add),
        request_headers_when_not_enforced=header_options(message.request_headers_to_add_when_not_enforced),
        stage=message.stage,
        x_ratelimit_headers=message.enable_x_ratelimit_headers == 1,
        vh_rate_limits=named(VH_LIMITS, message.vh_rate_limits),
        always_consume_default=(
            not message.HasField("always_consume_default_token_bucket")
            or message.always_consume_default_token_bucket.value
        ),
        resource_exhausted=message.rate_limited_as_resource_exhausted,
        per_connection=message.local_rate_limit_per_downstream_connection,
        rate_limits=rate_limits(message.rate_limits),
        max_dynamic_descriptors=(
            message.max_dynamic_descriptors.value if message.HasField("max_dynamic_descriptors") else 20
        ),
    )


def _descriptors(message: pb.http_local_ratelimit_v3.LocalRateLimit) -> tuple[LimitDescriptor, ...]:
    found: list[LimitDescriptor] = []
    seen: set[tuple[tuple[str, str], ...]] = set()
    for each in message.descriptors:
        entries = tuple((entry.key, entry.value) for entry in each.entries)
        if entries in seen:
            text = ", ".join(f"{key}={value}" for key, value in entries)
            raise RefusedError(f"duplicate descriptor in the local rate descriptor: {text}")
        seen.add(entries)
        found.append(LimitDescriptor(entries, _bucket(each.token_bucket, "descriptor ")))
    return tuple(found)


def _bucket(message: pb.type_v3.TokenBucket, what: str) -> TokenBucket:
    per_fill = message.tokens_per_fill.value if message.HasField("tokens_per_fill") else 1
    interval_s = seconds(message.fill_interval)
    # Envoy counts whole milliseconds, and none of them is no limit to it: such a bucket is as good as always full.
    if message.max_tokens and 0 < int(interval_s * 1000 + 1e-6) < MIN_FILL_MS:
        raise RefusedError(f"local rate limit {what}token bucket fill timer must be >= 50ms")
    return TokenBucket(message.max_tokens, per_fill, interval_s)
