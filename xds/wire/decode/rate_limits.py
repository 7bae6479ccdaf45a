"""Rate limit actions (envoy.config.route.v3.RateLimit)."""

from __future__ import annotations

from collections.abc import Iterable

from ...model.route import RateLimit, RateLimitAction
from ..refused import NotUnderstoodError
from ..schema import types as pb
from .extensions import RATE_LIMIT_DESCRIPTORS, extension
from .matchers import header_matcher, query_matcher
from .values import named, xds_cidrs

ROUTE_ENTRY = 1
"""RateLimit.Action.MetaData.source."""

X_RATELIMIT = (None, False, True)
"""RateLimit.XRateLimitOption."""


def rate_limits(messages: Iterable[pb.route_v3.RateLimit]) -> tuple[RateLimit, ...]:
    """In order."""
    return tuple(_rate_limit(each) for each in messages)


def _rate_limit(message: pb.route_v3.RateLimit) -> RateLimit:
    return RateLimit(
        tuple(_action(each) for each in message.actions),
        message.stage.value,
        message.disable_key,
        message.hits_addend.number.value if message.hits_addend.HasField("number") else None,
        message.hits_addend.is_negative_hits,
        message.apply_on_stream_done,
        named(X_RATELIMIT, message.x_ratelimit_option),
    )


def _action(message: pb.route_v3.RateLimit.Action) -> RateLimitAction:
    try:
        return _understood(message)
    except NotUnderstoodError:
        # Nothing to say: the descriptor is given up, as with an action whose header is absent.
        return RateLimitAction("not_understood")


def _understood(message: pb.route_v3.RateLimit.Action) -> RateLimitAction:
    kind = message.WhichOneof("action_specifier") or ""
    match kind:
        case "request_headers":
            headers = message.request_headers
            return RateLimitAction(
                kind, headers.descriptor_key, header=headers.header_name, skip_if_absent=headers.skip_if_absent
            )
        case "query_parameters":
            query = message.query_parameters
            return RateLimitAction(
                kind, query.descriptor_key, header=query.query_parameter_name, skip_if_absent=query.skip_if_absent
            )
        case "generic_key":
            return RateLimitAction(kind, message.generic_key.descriptor_key, message.generic_key.descriptor_value)
        case "header_value_match":
            by_header = message.header_value_match
            return RateLimitAction(
                kind,
                by_header.descriptor_key,
                by_header.descriptor_value,
                expect_match=not by_header.HasField("expect_match") or by_header.expect_match.value,
                headers=tuple(header_matcher(each) for each in by_header.headers),
            )
        case "query_parameter_value_match":
            by_query = message.query_parameter_value_match
            return RateLimitAction(
                kind,
                by_query.descriptor_key,
                by_query.descriptor_value,
                expect_match=not by_query.HasField("expect_match") or by_query.expect_match.value,
                query_parameters=tuple(query_matcher(each) for each in by_query.query_parameters),
            )
        case "masked_remote_address":
            masked = message.masked_remote_address
            return RateLimitAction(
                kind,
                prefix_len=masked.v4_prefix_mask_len.value if masked.HasField("v4_prefix_mask_len") else None,
                v6_prefix_len=masked.v6_prefix_mask_len.value if masked.HasField("v6_prefix_mask_len") else None,
            )
        case "remote_address_match":
            by_address = message.remote_address_match
            if "%" in by_address.descriptor_value:
                raise NotUnderstoodError("formats of descriptor_value are not supported")
            return RateLimitAction(
                kind,
                by_address.descriptor_key,
                by_address.descriptor_value,
                expect_match=not by_address.address_matcher.invert_match,
                ranges=xds_cidrs(by_address.address_matcher.ranges),
            )
        case "metadata":
            by_metadata = message.metadata
            return RateLimitAction(
                kind,
                by_metadata.descriptor_key,
                skip_if_absent=by_metadata.skip_if_absent,
                default_value=by_metadata.default_value,
                of_route=by_metadata.source == ROUTE_ENTRY,
                path=_path(by_metadata.metadata_key),
            )
        case "dynamic_metadata":
            dynamic = message.dynamic_metadata
            return RateLimitAction(
                "metadata",
                dynamic.descriptor_key,
                default_value=dynamic.default_value,
                path=_path(dynamic.metadata_key),
            )
        case "extension":
            extension(message.extension.name, message.extension.typed_config, RATE_LIMIT_DESCRIPTORS)
            return RateLimitAction(kind)
        case _:
            return RateLimitAction(kind)


def _path(key: pb.metadata_v3.MetadataKey) -> tuple[str, ...]:
    return (key.key, *(each.key for each in key.path))
