"""What a route asks for besides a destination: retries, mirrors, hash policies, upgrades (envoy.config.route.v3)."""

from __future__ import annotations

from collections.abc import Iterable

from ...model.route import (
    OMIT_METADATA,
    BackOff,
    HashPolicy,
    InternalRedirectPolicy,
    MirrorPolicy,
    RateLimitedBackOff,
    ResetHeader,
    RetryPolicy,
)
from ...model.values import Fraction, MetadataValue
from ..opening import unchecked
from ..refused import RefusedError
from ..schema import types as pb
from .extensions import (
    EARLY_DATA_POLICIES,
    INTERNAL_REDIRECT_PREDICATES,
    RETRY_HOST_PREDICATES,
    RETRY_OPTIONS_PREDICATES,
    RETRY_PRIORITIES,
    extension,
    type_at,
)
from .matchers import header_matcher, regex_rewrite, understood
from .mutations import mutations
from .values import metadata, optional, runtime_fraction, seconds

HANDLE_INTERNAL_REDIRECT = 1
"""RouteAction.InternalRedirectAction."""

UNIX_TIMESTAMP = 1
"""RetryPolicy.ResetHeaderFormat."""


def retry_policy(message: pb.route_v3.RetryPolicy) -> RetryPolicy:
    """envoy.config.route.v3.RetryPolicy. Host predicates are known by their types and named as Envoy names them."""
    back_off = None
    if message.HasField("retry_back_off"):
        base = max(seconds(message.retry_back_off.base_interval), 0.001)
        longest = 10 * base
        if message.retry_back_off.HasField("max_interval"):
            longest = max(seconds(message.retry_back_off.max_interval), 0.001)
        if longest < base:
            raise RefusedError("retry_policy.max_interval must greater than or equal to the base_interval")
        back_off = BackOff(base, longest)
    frequency = 0
    if message.HasField("retry_priority"):
        type_at(message.retry_priority.name, message.retry_priority.typed_config, RETRY_PRIORITIES)
        opened = unchecked(message.retry_priority.typed_config)
        if isinstance(opened, pb.previous_priorities_v3.PreviousPrioritiesConfig):
            frequency = opened.update_frequency
    for each in message.retry_options_predicates:
        type_at(each.name, each.typed_config, RETRY_OPTIONS_PREDICATES)
    return RetryPolicy(
        retry_on=tuple(each.strip() for each in message.retry_on.split(",") if each.strip()),
        num_retries=message.num_retries.value if message.HasField("num_retries") else 1,
        per_try_timeout_s=seconds(message.per_try_timeout) or None,
        per_try_idle_timeout_s=seconds(message.per_try_idle_timeout) or None,
        retriable_status_codes=tuple(message.retriable_status_codes),
        retriable_headers=understood(header_matcher, message.retriable_headers),
        retriable_request_headers=understood(header_matcher, message.retriable_request_headers),
        host_predicates=tuple(_host_predicate(each) for each in message.retry_host_predicate),
        host_selection_attempts=max(1, message.host_selection_retry_max_attempts),
        back_off=back_off,
        rate_limited=_rate_limited(message.rate_limited_retry_back_off)
        if message.HasField("rate_limited_retry_back_off")
        else None,
        omitted_metadata=tuple(
            _omitted(each) for each in message.retry_host_predicate if _host_predicate(each) == OMIT_METADATA
        ),
        priority_update_frequency=frequency,
    )


def _host_predicate(message: pb.route_v3.RetryPolicy.RetryHostPredicate) -> str:
    type_name = type_at(message.name, message.typed_config, RETRY_HOST_PREDICATES)
    return RETRY_HOST_PREDICATES.get(type_name, message.name)


def _omitted(message: pb.route_v3.RetryPolicy.RetryHostPredicate) -> dict[str, MetadataValue]:
    opened = unchecked(message.typed_config)
    if not isinstance(opened, pb.omit_host_metadata_v3.OmitHostMetadataConfig):
        return {}
    return dict(metadata(opened.metadata_match).get("envoy.lb", {}))


def _rate_limited(message: pb.route_v3.RetryPolicy.RateLimitedRetryBackOff) -> RateLimitedBackOff:
    headers = tuple(ResetHeader(each.name, each.format == UNIX_TIMESTAMP) for each in message.reset_headers)
    if not message.HasField("max_interval"):
        return RateLimitedBackOff(headers)
    return RateLimitedBackOff(headers, max(seconds(message.max_interval), 0.001))


REDIRECT_CODES = frozenset({301, 302, 303, 307, 308})


def internal_redirect(message: pb.route_v3.RouteAction) -> InternalRedirectPolicy | None:
    """RouteAction.internal_redirect_policy, or the two older fields that say less."""
    policy = message.internal_redirect_policy
    if not message.HasField("internal_redirect_policy"):
        if message.internal_redirect_action != HANDLE_INTERNAL_REDIRECT:
            return None
        return InternalRedirectPolicy(optional(message, "max_internal_redirects", 1))
    predicates = [unchecked(each.typed_config) for each in policy.predicates]
    listed = [each for each in predicates if isinstance(each, pb.allow_listed_routes_v3.AllowListedRoutesConfig)]
    names = [frozenset(each.allowed_route_names) for each in listed]
    return InternalRedirectPolicy(
        optional(policy, "max_internal_redirects", 1),
        frozenset(policy.redirect_response_codes) & REDIRECT_CODES
        if policy.redirect_response_codes
        else frozenset({302}),
        policy.allow_cross_scheme_redirect,
        tuple(each.lower().encode() for each in policy.response_headers_to_copy),
        frozenset.intersection(*names) if names else None,
        any(isinstance(each, pb.previous_routes_v3.PreviousRoutesConfig) for each in predicates),
        any(isinstance(each, pb.safe_cross_scheme_v3.SafeCrossSchemeConfig) for each in predicates),
    )


def mirror_policies(messages: Iterable[pb.route_v3.RouteAction.RequestMirrorPolicy]) -> tuple[MirrorPolicy, ...]:
    """RouteAction.RequestMirrorPolicy."""
    return tuple(_mirror_policy(each) for each in messages)


def _mirror_policy(message: pb.route_v3.RouteAction.RequestMirrorPolicy) -> MirrorPolicy:
    if not message.cluster and not message.cluster_header:
        raise RefusedError("Exactly one of cluster or cluster_header in request mirror policy need to be specified")
    if message.cluster and message.cluster_header:
        raise RefusedError(
            f"Only one of cluster '{message.cluster}' or cluster_header '{message.cluster_header}' in request mirror "
            "policy can be specified"
        )
    return MirrorPolicy(
        message.cluster,
        runtime_fraction(message.runtime_fraction) if message.HasField("runtime_fraction") else Fraction(100),
        not message.disable_shadow_host_suffix_append,
        message.cluster_header,
        message.host_rewrite_literal,
        mutations(message.request_headers_mutations),
    )


def hash_policies(messages: Iterable[pb.route_v3.RouteAction.HashPolicy]) -> tuple[HashPolicy, ...]:
    """RouteAction.HashPolicy; one that asks for no property of the connection asks for nothing."""
    return tuple(
        hash_policy(each)
        for each in messages
        if not each.HasField("connection_properties") or each.connection_properties.source_ip
    )


def hash_policy(message: pb.route_v3.RouteAction.HashPolicy) -> HashPolicy:
    """One of them."""
    match message.WhichOneof("policy_specifier"):
        case "header":
            header = message.header
            rewrite = regex_rewrite(header.regex_rewrite) if header.HasField("regex_rewrite") else None
            return HashPolicy("header", header.header_name, message.terminal, rewrite)
        case "cookie":
            cookie = message.cookie
            return HashPolicy(
                "cookie",
                cookie.name,
                message.terminal,
                ttl_s=seconds(cookie.ttl) if cookie.HasField("ttl") else None,
                cookie_path=cookie.path,
                cookie_attributes=tuple((each.name, each.value) for each in cookie.attributes),
            )
        case "query_parameter":
            return HashPolicy("query_parameter", message.query_parameter.name, message.terminal)
        case "connection_properties":
            return HashPolicy("source_ip", terminal=message.terminal)
        case _:
            return HashPolicy("filter_state", message.filter_state.key, message.terminal)


def refuse_unusable(message: pb.route_v3.RouteAction) -> None:
    """What Envoy refuses of policies that have no effect here yet."""
    seen: set[str] = set()
    for upgrade in message.upgrade_configs:
        folded = upgrade.upgrade_type.lower()
        if folded in seen:
            raise RefusedError(f"Duplicate upgrade {upgrade.upgrade_type}")
        seen.add(folded)
        if upgrade.HasField("connect_config") and folded != "connect":
            raise RefusedError(f"Non-CONNECT upgrade type {upgrade.upgrade_type} has ConnectConfig")
    for predicate in message.internal_redirect_policy.predicates:
        extension(predicate.name, predicate.typed_config, INTERNAL_REDIRECT_PREDICATES)
    if message.HasField("early_data_policy"):
        extension(message.early_data_policy.name, message.early_data_policy.typed_config, EARLY_DATA_POLICIES)
