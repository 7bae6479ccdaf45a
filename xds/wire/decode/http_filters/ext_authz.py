"""envoy.extensions.filters.http.ext_authz.v3: the filter, and what a route says to it."""

from __future__ import annotations

from collections.abc import Iterable

from ....model.ext_authz import BodySettings, ExtAuthz, ExtAuthzPerRoute, HttpAuthorizer, Names
from ....model.filters import GrpcTarget, UnenforceableFilter
from ....model.rbac import WithMetadata
from ....model.values import AppendAction, HeaderMutation
from ...refused import NotUnderstoodError, RefusedError
from ...schema import types as pb
from ..formats import checked_format
from ..inert import NOT_DONE
from ..matchers import string_matcher, understood
from ..rbac import metadata_condition
from ..values import runtime_fraction, seconds
from .global_ratelimit import REMOVED, V2

TYPE = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
DEFAULT_TIMEOUT_S = 0.2
NEVER_S = 86400.0
"""A timeout of zero."""

STATUSES = range(100, 512)
"""What Envoy takes for a status."""

CLOSING = ("decoder_header_mutation_rules", "shadow_mode")
"""What is not done, and changes what passes."""

Service = GrpcTarget | HttpAuthorizer


def ext_authz(message: pb.http_ext_authz_v3.ExtAuthz) -> ExtAuthz | UnenforceableFilter:
    """The filter's configuration."""
    if message.transport_api_version == V2:
        spelled = " ".join(str(message).split())
        raise RefusedError(f"V2 xDS transport protocol version is deprecated in {spelled} {REMOVED}")
    if message.HasField("allowed_headers") and message.http_service.authorization_request.HasField("allowed_headers"):
        raise RefusedError("Invalid duplicate configuration for allowed_headers.")
    for field, _ in message.ListFields():
        if field.name in CLOSING:
            return UnenforceableFilter(TYPE, f"{field.name}: {NOT_DONE}")
    try:
        service, timeout_s = _service(message)
        condition = _condition(message)
        hidden = tuple(string_matcher(each) for each in message.disallowed_headers.patterns)
    except NotUnderstoodError as error:
        return UnenforceableFilter(TYPE, str(error))
    status = message.status_on_error.code
    return ExtAuthz(
        service=service,
        timeout_s=timeout_s,
        allowed_headers=_names(message.allowed_headers.patterns) if message.HasField("allowed_headers") else None,
        disallowed_headers=hidden,
        body=_body(message.with_request_body) if message.HasField("with_request_body") else None,
        failure_mode_allow=message.failure_mode_allow,
        failure_mode_allow_header=message.failure_mode_allow_header_add,
        clear_route_cache=message.clear_route_cache,
        status_on_error=status if status in STATUSES else 403,
        validate_mutations=message.validate_mutations,
        namespaces=tuple(message.metadata_context_namespaces),
        route_namespaces=tuple(message.route_metadata_context_namespaces),
        enabled=runtime_fraction(message.filter_enabled) if message.HasField("filter_enabled") else None,
        enabled_metadata=condition,
        deny_at_disable=message.deny_at_disable.default_value.value,
        peer_certificate=message.include_peer_certificate,
        tls_session=message.include_tls_session,
        raw_headers=message.encode_raw_headers,
        takes_metadata=(
            not message.HasField("enable_dynamic_metadata_ingestion") or message.enable_dynamic_metadata_ingestion.value
        ),
        max_denied_body=message.max_denied_response_body_bytes,
    )


def ext_authz_per_route(message: pb.http_ext_authz_v3.ExtAuthzPerRoute) -> ExtAuthzPerRoute | UnenforceableFilter:
    """What a route says."""
    if message.disabled:
        return ExtAuthzPerRoute(disabled=True)
    settings = message.check_settings
    if settings.disable_request_body_buffering and settings.HasField("with_request_body"):
        raise RefusedError(
            "Invalid configuration for check_settings. Only one of disable_request_body_buffering or "
            "with_request_body can be set."
        )
    service: Service | None = None
    timeout_s = DEFAULT_TIMEOUT_S
    if settings.WhichOneof("service_override"):
        try:
            service, timeout_s = _service(settings)
        except NotUnderstoodError as error:
            return UnenforceableFilter(TYPE, str(error))
    return ExtAuthzPerRoute(
        context=dict(settings.context_extensions),
        no_body=settings.disable_request_body_buffering,
        body=_body(settings.with_request_body) if settings.HasField("with_request_body") else None,
        service=service,
        timeout_s=timeout_s,
    )


def _service(message: pb.http_ext_authz_v3.ExtAuthz | pb.http_ext_authz_v3.CheckSettings) -> tuple[Service, float]:
    if message.HasField("http_service"):
        http = message.http_service
        return _http(http), seconds(http.server_uri.timeout) or NEVER_S
    grpc = message.grpc_service
    if grpc.WhichOneof("target_specifier") != "envoy_grpc":
        raise NotUnderstoodError(f"google_grpc: {NOT_DONE}")
    target = GrpcTarget(
        grpc.envoy_grpc.cluster_name,
        grpc.envoy_grpc.authority,
        tuple((each.key.lower(), each.value) for each in grpc.initial_metadata),
    )
    return target, (seconds(grpc.timeout) or NEVER_S) if grpc.HasField("timeout") else DEFAULT_TIMEOUT_S


def _http(message: pb.http_ext_authz_v3.HttpService) -> HttpAuthorizer:
    request, response = message.authorization_request, message.authorization_response
    if message.path_prefix and message.path_override:
        raise RefusedError("Only one of path_prefix or path_override may be set for the HTTP service.")
    return HttpAuthorizer(
        cluster=message.server_uri.cluster,
        prefix=message.path_prefix,
        override=message.path_override,
        allowed_headers=_names(request.allowed_headers.patterns),
        headers_to_add=tuple(
            HeaderMutation(each.key, checked_format(each.value), AppendAction.OVERWRITE_IF_EXISTS_OR_ADD)
            for each in request.headers_to_add
        ),
        upstream=_names(response.allowed_upstream_headers.patterns),
        upstream_append=_names(response.allowed_upstream_headers_to_append.patterns),
        client=_names(response.allowed_client_headers.patterns),
        client_on_success=_names(response.allowed_client_headers_on_success.patterns),
        metadata=_names(response.dynamic_metadata_from_headers.patterns),
    )


def _names(messages: Iterable[pb.matcher_v3.StringMatcher]) -> Names:
    return understood(string_matcher, messages)


def _body(message: pb.http_ext_authz_v3.BufferSettings) -> BodySettings:
    return BodySettings(message.max_request_bytes, message.allow_partial_message, message.pack_as_bytes)


def _condition(message: pb.http_ext_authz_v3.ExtAuthz) -> WithMetadata | None:
    return metadata_condition(message.filter_enabled_metadata) if message.HasField("filter_enabled_metadata") else None
