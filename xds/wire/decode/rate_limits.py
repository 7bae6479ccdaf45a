"""Rate limit actions (envoy.config.route.v3.RateLimit)."""

from __future__ import annotations

from collections.abc import Iterable

from ...model.route import RateLimit, RateLimitAction
from ..refused import NotUnderstoodError
from ..schema import types as pb
from .extensions import RATE_LIMIT_DESCRIPTORS, extension
from .matchers import header_matcher, query_matcher


def rate_limits(messages: Iterable[pb.route_v3.RateLimit]) -> tuple[RateLimit, ...]:
    """In order."""
    return tuple(
        RateLimit(tuple(_action(each) for each in message.actions), message.stage.value, message.disable_key)
        for message in messages
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
        case "extension":
            extension(message.extension.name, message.extension.typed_config, RATE_LIMIT_DESCRIPTORS)
            return RateLimitAction(kind)
        case _:
            return RateLimitAction(kind)
