"""What a rate limit service is asked, and what it says (envoy.service.ratelimit.v3)."""

from typing import Literal

from .records import dataclass

Code = Literal["UNKNOWN", "OK", "OVER_LIMIT"]

UNITS_S = {
    "SECOND": 1,
    "MINUTE": 60,
    "HOUR": 3600,
    "DAY": 86400,
    "WEEK": 604800,
    "MONTH": 2592000,
    "YEAR": 31536000,
}
"""Seconds of envoy.service.ratelimit.v3.RateLimitResponse.RateLimit.Unit."""


@dataclass(frozen=True, slots=True)
class LimitedDescriptor:
    """envoy.extensions.common.ratelimit.v3.RateLimitDescriptor. `hits` None: one, or what the service takes it for."""

    entries: tuple[tuple[str, str], ...]
    hits: int | None = None
    negative: bool = False


@dataclass(frozen=True, slots=True)
class RateLimitQuery:
    """envoy.service.ratelimit.v3.RateLimitRequest."""

    domain: str
    descriptors: tuple[LimitedDescriptor, ...]


@dataclass(frozen=True, slots=True)
class DescriptorStatus:
    """RateLimitResponse.DescriptorStatus; without `requests_per_unit` no limit is configured for the descriptor."""

    code: Code
    requests_per_unit: int | None = None
    window_s: int = 0
    name: str = ""
    remaining: int = 0
    reset_s: int = 0


@dataclass(frozen=True, slots=True)
class RateLimitAnswer:
    """envoy.service.ratelimit.v3.RateLimitResponse."""

    code: Code
    statuses: tuple[DescriptorStatus, ...] = ()
    response_headers: tuple[tuple[bytes, bytes], ...] = ()
    request_headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
