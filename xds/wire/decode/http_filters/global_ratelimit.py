"""envoy.extensions.filters.http.ratelimit.v3: the filter, and what a route says to it."""

from __future__ import annotations

from typing import Literal, cast

from ....model.filters import GlobalRateLimit, GrpcTarget, RateLimitPerRoute, UnenforceableFilter
from ...refused import RefusedError
from ...schema import types as pb
from ..inert import NOT_DONE
from ..rate_limits import rate_limits
from ..values import header_options, named, runtime_fraction, seconds

TYPE = "envoy.extensions.filters.http.ratelimit.v3.RateLimit"
DEFAULT_TIMEOUT_S = 0.02

VH_LIMITS: tuple[Literal["OVERRIDE", "INCLUDE", "IGNORE"], ...] = ("OVERRIDE", "INCLUDE", "IGNORE")

V2 = 1
REMOVED = (
    ". The v2 xDS major version has been removed and is no longer supported. See the advice in "
    "https://www.envoyproxy.io/docs/envoy/latest/faq/api/envoy_v3."
)


def global_ratelimit(message: pb.http_ratelimit_v3.RateLimit) -> GlobalRateLimit | UnenforceableFilter:
    """The filter's configuration; statuses below 400 (and, on errors, none) are Envoy's own."""
    if message.rate_limit_service.transport_api_version == V2:
        spelled = " ".join(str(message.rate_limit_service).split())
        raise RefusedError(f"V2 xDS transport protocol version is deprecated in {spelled} {REMOVED}")
    grpc = message.rate_limit_service.grpc_service
    if grpc.WhichOneof("target_specifier") != "envoy_grpc":
        return UnenforceableFilter(TYPE, f"google_grpc: {NOT_DONE}")
    limited, failed = message.rate_limited_status.code, message.status_on_error.code
    timeout_s = seconds(message.timeout) if message.HasField("timeout") else DEFAULT_TIMEOUT_S
    return GlobalRateLimit(
        domain=message.domain,
        service=GrpcTarget(
            grpc.envoy_grpc.cluster_name,
            grpc.envoy_grpc.authority,
            tuple((each.key.lower(), each.value) for each in grpc.initial_metadata),
        ),
        stage=message.stage,
        request_type=cast(Literal["both", "internal", "external"], message.request_type or "both"),
        timeout_s=timeout_s,
        failure_mode_deny=message.failure_mode_deny,
        failure_mode_deny_share=(
            runtime_fraction(message.failure_mode_deny_percent)
            if message.HasField("failure_mode_deny_percent")
            else None
        ),
        resource_exhausted=message.rate_limited_as_resource_exhausted,
        x_ratelimit_headers=message.enable_x_ratelimit_headers == 1,
        x_envoy_ratelimited=not message.disable_x_envoy_ratelimited_header,
        status=limited if limited >= 400 else 429,
        status_on_error=failed or 500,
        response_headers=header_options(message.response_headers_to_add),
        enabled=runtime_fraction(message.filter_enabled) if message.HasField("filter_enabled") else None,
        enforced=runtime_fraction(message.filter_enforced) if message.HasField("filter_enforced") else None,
        rate_limits=rate_limits(message.rate_limits),
    )


def ratelimit_per_route(message: pb.http_ratelimit_v3.RateLimitPerRoute) -> RateLimitPerRoute:
    """What a route says; Envoy does not look at its `override_option`."""
    limits = named(VH_LIMITS, message.vh_rate_limits)
    return RateLimitPerRoute(limits, rate_limits(message.rate_limits), message.domain)
