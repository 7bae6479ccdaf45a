"""CORS policies: envoy.extensions.filters.http.cors.v3.CorsPolicy, and envoy.config.route.v3.CorsPolicy before it."""

from __future__ import annotations

from ....model.filters import CorsPolicy
from ...schema import types as pb
from ..matchers import string_matcher, understood
from ..values import runtime_fraction


def cors_policy(message: pb.cors_v3.CorsPolicy | pb.route_v3.CorsPolicy) -> CorsPolicy:
    """The policy of one level."""
    return CorsPolicy(
        allow_origins=understood(string_matcher, message.allow_origin_string_match),
        allow_methods=message.allow_methods,
        allow_headers=message.allow_headers,
        expose_headers=message.expose_headers,
        max_age=message.max_age,
        allow_credentials=message.allow_credentials.value if message.HasField("allow_credentials") else None,
        allow_private_network=(
            message.allow_private_network_access.value if message.HasField("allow_private_network_access") else None
        ),
        forward_not_matching_preflights=(
            message.forward_not_matching_preflights.value
            if message.HasField("forward_not_matching_preflights")
            else None
        ),
        enabled=runtime_fraction(message.filter_enabled) if message.HasField("filter_enabled") else None,
    )
