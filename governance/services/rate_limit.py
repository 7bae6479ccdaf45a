"""The rate limit service (envoy.service.ratelimit.v3.RateLimitService)."""

from __future__ import annotations

from ...xds.model.filters import GrpcTarget
from ...xds.model.rate_limit_service import RateLimitAnswer, RateLimitQuery
from ...xds.wire.rate_limit_service import METHOD, decode_answer, encode_query
from .grpc import Services, Unary


def rate_limiter(services: Services, target: GrpcTarget) -> Unary[RateLimitQuery, RateLimitAnswer]:
    """The one behind a cluster."""
    return services.unary(target, METHOD, encode_query, decode_answer)
