"""The messages of a rate limit service (envoy.service.ratelimit.v3), to and from bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from ..model.rate_limit_service import UNITS_S, Code, DescriptorStatus, RateLimitAnswer, RateLimitQuery
from .decode.values import named
from .schema import types as pb

METHOD = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"

CODES: tuple[Code, ...] = get_args(Code)
WINDOWS_S = (0, *(UNITS_S[each] for each in ("SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "YEAR", "WEEK")))
"""By the number of the unit."""


def encode_query(query: RateLimitQuery) -> bytes:
    """A RateLimitRequest."""
    message = pb.service_ratelimit_v3.RateLimitRequest(domain=query.domain)
    for each in query.descriptors:
        descriptor = message.descriptors.add()
        for key, value in each.entries:
            descriptor.entries.add(key=key, value=value)
        if each.hits is not None:
            descriptor.hits_addend.value = each.hits
        descriptor.is_negative_hits = each.negative
    return message.SerializeToString()


def decode_answer(raw: bytes) -> RateLimitAnswer:
    """A RateLimitResponse.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    message = pb.service_ratelimit_v3.RateLimitResponse.FromString(raw)
    return RateLimitAnswer(
        named(CODES, message.overall_code),
        tuple(_status(each) for each in message.statuses),
        _headers(message.response_headers_to_add),
        _headers(message.request_headers_to_add),
        message.raw_body,
    )


def _status(message: pb.service_ratelimit_v3.RateLimitResponse.DescriptorStatus) -> DescriptorStatus:
    code = named(CODES, message.code)
    if not message.HasField("current_limit"):
        return DescriptorStatus(code)
    limit = message.current_limit
    return DescriptorStatus(
        code,
        limit.requests_per_unit,
        named(WINDOWS_S, limit.unit),
        limit.name,
        message.limit_remaining,
        message.duration_until_reset.seconds,
    )


def _headers(messages: Iterable[pb.core_v3.HeaderValue]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((each.key.lower().encode(), each.value.encode() or each.raw_value) for each in messages)
