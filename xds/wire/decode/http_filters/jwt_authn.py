"""envoy.extensions.filters.http.jwt_authn.v3: the filter, and what a route says to it."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from urllib.parse import urlsplit

from ....model.filters import UnenforceableFilter
from ....model.jwt import (
    CLOCK_SKEW_S,
    JwtAuthentication,
    JwtPerRoute,
    JwtProvider,
    JwtRequirement,
    JwtRule,
    RemoteJwks,
)
from ....model.route import RouteMatch
from ...refused import NotUnderstoodError, RefusedError
from ...schema import types as pb
from ..matchers import string_matcher
from ..values import data_source, optional, seconds

TYPE = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
CACHE_S = 600.0
STATUS_HEADER = "x-jwt-signature-verified"


def jwt_authn(message: pb.jwt_authn_v3.JwtAuthentication) -> JwtAuthentication | UnenforceableFilter:
    """The filter's configuration. What is not understood closes the chain: no request may pass unverified."""
    names = sorted(message.requirement_map)
    for each in message.rules:
        if each.HasField("requirement_name") and each.requirement_name not in message.requirement_map:
            listed = ",".join(names)
            raise RefusedError(f"Wrong requirement_name: {each.requirement_name}. It should be one of [{listed}]")
    try:
        providers = tuple((name, _provider(name, message.providers[name])) for name in sorted(message.providers))
        named = {name: _requirement(message, message.requirement_map[name]) for name in names}
        rules = [_rule(message, each, named) for each in message.rules]
        if message.HasField("filter_state_rules"):
            for required in message.filter_state_rules.requires.values():
                _requirement(message, required)
            raise NotUnderstoodError("filter_state_rules: there is no filter state")
    except NotUnderstoodError as error:
        return UnenforceableFilter(TYPE, str(error))
    return JwtAuthentication(
        providers,
        tuple(filter(None, rules)),
        tuple(named.items()),
        message.bypass_cors_preflight,
        message.strip_failure_response,
    )


def jwt_per_route(message: pb.jwt_authn_v3.PerRouteConfig) -> JwtPerRoute:
    """What a route says."""
    return JwtPerRoute(None if message.disabled else message.requirement_name)


def _rule(
    config: pb.jwt_authn_v3.JwtAuthentication,
    message: pb.jwt_authn_v3.RequirementRule,
    named: dict[str, JwtRequirement],
) -> JwtRule | None:
    requirement = None
    if message.HasField("requirement_name"):
        requirement = named[message.requirement_name]
    elif message.HasField("requires"):
        requirement = _requirement(config, message.requires)
    if message.match.HasField("connect_matcher"):
        return None  # nobody sends CONNECT to an app
    return JwtRule(_match(message.match), requirement)


def _match(message: pb.route_v3.RouteMatch) -> RouteMatch:
    """Envoy looks at the path, the headers and the parameters, and at nothing else that a match may say."""
    from ..route import route_match  # routes hold configurations of filters

    kept = pb.route_v3.RouteMatch()
    kept.CopyFrom(message)
    kept.ClearField("runtime_fraction")
    kept.ClearField("grpc")
    kept.ClearField("tls_context")
    kept.ClearField("dynamic_metadata")
    kept.ClearField("cookies")
    kept.ClearField("filter_state")
    match = route_match(kept)
    if match.never is not None:
        raise NotUnderstoodError(f"match of a rule: {match.never}")
    return match


def _requirement(config: pb.jwt_authn_v3.JwtAuthentication, message: pb.jwt_authn_v3.JwtRequirement) -> JwtRequirement:
    match message.WhichOneof("requires_type"):
        case "provider_name":
            return JwtRequirement("provider", _known(config, message.provider_name))
        case "provider_and_audiences":
            asked = message.provider_and_audiences
            return JwtRequirement("provider", _known(config, asked.provider_name), tuple(asked.audiences))
        case "requires_any":
            return JwtRequirement("any", parts=_parts(config, message.requires_any.requirements))
        case "requires_all":
            return JwtRequirement("all", parts=_parts(config, message.requires_all.requirements))
        case "allow_missing":
            return JwtRequirement("missing")
        case "allow_missing_or_failed":
            return JwtRequirement("missing_or_failed")
        case "extract_only_without_validation":
            header = message.extract_only_without_validation.verification_status_header or STATUS_HEADER
            return JwtRequirement("unverified", status_header="" if header == "-" else header)
        case _:
            return JwtRequirement()


def _parts(
    config: pb.jwt_authn_v3.JwtAuthentication, messages: Iterable[pb.jwt_authn_v3.JwtRequirement]
) -> tuple[JwtRequirement, ...]:
    return tuple(_requirement(config, each) for each in messages)


def _known(config: pb.jwt_authn_v3.JwtAuthentication, name: str) -> str:
    if name not in config.providers:
        raise RefusedError(f"Required provider ['{name}'] is not configured.")
    return name


def _provider(name: str, message: pb.jwt_authn_v3.JwtProvider) -> JwtProvider:
    lifetime_s = inf if message.require_expiration else None
    if message.HasField("max_lifetime"):
        lifetime_s = message.max_lifetime.seconds + message.max_lifetime.nanos / 1e9
    headers = tuple((each.name.lower(), each.value_prefix) for each in message.from_headers)
    parameters, cookies = tuple(message.from_params), tuple(message.from_cookies)
    if not (headers or parameters or cookies):
        headers, parameters = (("authorization", "Bearer "),), ("access_token",)
    return JwtProvider(
        issuer=message.issuer,
        audiences=tuple(message.audiences),
        subjects=string_matcher(message.subjects) if message.HasField("subjects") else None,
        max_lifetime_s=lifetime_s,
        clock_skew_s=message.clock_skew_seconds or CLOCK_SKEW_S,
        local=data_source(message.local_jwks),
        remote=_remote(name, message.remote_jwks) if message.HasField("remote_jwks") else None,
        headers=headers,
        parameters=parameters,
        cookies=cookies,
        forward=message.forward,
        payload_header=message.forward_payload_header.lower(),
        pads_payload=message.pad_forward_payload_header,
        claims=tuple((each.header_name.lower(), each.claim_name) for each in message.claim_to_headers),
        payload_in_metadata=message.payload_in_metadata,
        header_in_metadata=message.header_in_metadata,
        failure_in_metadata=message.failed_status_in_metadata,
        split=tuple(message.normalize_payload_in_metadata.space_delimited_claims),
    )


def _remote(name: str, message: pb.jwt_authn_v3.RemoteJwks) -> RemoteJwks:
    uri, policy, ahead = message.http_uri, message.retry_policy, message.async_fetch
    url = urlsplit(uri.uri)
    if url.scheme not in ("http", "https") or not url.netloc:
        raise RefusedError(f"Provider '{name}' has an invalid URI: '{uri.uri}'")
    base_s, longest_s = 1.0, 10.0
    if policy.HasField("retry_back_off"):
        base_s = seconds(policy.retry_back_off.base_interval)
        longest_s = base_s * 10
        if policy.retry_back_off.HasField("max_interval"):
            longest_s = seconds(policy.retry_back_off.max_interval)
            if longest_s < base_s:
                raise RefusedError("max_interval must be greater than or equal to the base_interval")
    return RemoteJwks(
        uri=uri.uri,
        cluster=uri.cluster,
        timeout_s=seconds(uri.timeout),
        cache_s=seconds(message.cache_duration) if message.HasField("cache_duration") else CACHE_S,
        retries=optional(policy, "num_retries", 1) if message.HasField("retry_policy") else 0,
        back_off_s=base_s,
        max_back_off_s=longest_s,
        ahead=message.HasField("async_fetch"),
        warms=message.HasField("async_fetch") and not ahead.fast_listener,
        refetch_after_failure_s=(
            seconds(ahead.failed_refetch_duration) if ahead.HasField("failed_refetch_duration") else 1.0
        ),
    )
