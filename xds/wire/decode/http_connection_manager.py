"""envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager."""

from __future__ import annotations

from typing import Literal

from ...model.listener import HttpConnectionManager, PathAction
from ..opening import type_of
from ..refused import NotUnderstoodError, RefusedError
from ..schema import find
from ..schema import types as pb
from .http_filters import http_filters
from .route_configuration import inline_configuration
from .values import named, seconds

ESCAPED_SLASHES: tuple[PathAction, ...] = (
    "KEEP_UNCHANGED",  # IMPLEMENTATION_SPECIFIC_DEFAULT
    "KEEP_UNCHANGED",
    "REJECT_REQUEST",
    "UNESCAPE_AND_REDIRECT",
    "UNESCAPE_AND_FORWARD",
)
ServerHeader = Literal["OVERWRITE", "APPEND_IF_ABSENT", "PASS_THROUGH"]
SERVER_HEADERS: tuple[ServerHeader, ...] = ("OVERWRITE", "APPEND_IF_ABSENT", "PASS_THROUGH")

ClientCert = Literal["SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"]
CLIENT_CERTS: tuple[ClientCert, ...] = (
    "SANITIZE",
    "FORWARD_ONLY",
    "APPEND_FORWARD",
    "SANITIZE_SET",
    "ALWAYS_FORWARD_ONLY",
)

HTTP3 = 3

EXTENSIONS = {
    "original_ip_detection_extensions": (
        "Original IP detection",
        "envoy.extensions.http.original_ip_detection.",
    ),
    "early_header_mutation_extensions": (
        "Early header mutation",
        "envoy.extensions.http.early_header_mutation.",
    ),
}


def http_connection_manager(
    message: pb.http_connection_manager_v3.HttpConnectionManager,
) -> HttpConnectionManager:
    """The manager with its filters and its routes, inline or by name.

    Raises:
        NotUnderstoodError: routes that depend on the request's scope.
    """
    _refuse(message)
    filters = http_filters(message.http_filters)
    if message.WhichOneof("route_specifier") == "scoped_routes":
        raise NotUnderstoodError("scoped_routes is not supported")
    idle = seconds(message.stream_idle_timeout) or None if message.HasField("stream_idle_timeout") else 300.0
    return HttpConnectionManager(
        stat_prefix=message.stat_prefix,
        route_config=inline_configuration(message.route_config) if message.HasField("route_config") else None,
        rds=message.rds.route_config_name,
        http_filters=filters,
        normalize_path=message.normalize_path.value,
        merge_slashes=message.merge_slashes,
        escaped_slashes=named(ESCAPED_SLASHES, message.path_with_escaped_slashes_action),
        strip_any_host_port=message.strip_any_host_port,
        strip_matching_host_port=message.strip_matching_host_port,
        strip_trailing_host_dot=message.strip_trailing_host_dot,
        use_remote_address=message.use_remote_address.value,
        server_name=message.server_name or "envoy",
        server_header=named(SERVER_HEADERS, message.server_header_transformation),
        generate_request_id=not message.HasField("generate_request_id") or message.generate_request_id.value,
        preserve_external_request_id=message.preserve_external_request_id,
        always_set_request_id_in_response=message.always_set_request_id_in_response,
        request_timeout_s=seconds(message.request_timeout) or None,
        stream_idle_timeout_s=idle,
        tracing=message.HasField("tracing"),
        skip_xff_append=message.skip_xff_append,
        max_request_headers_kb=message.max_request_headers_kb.value or 60,
        forward_client_cert=named(CLIENT_CERTS, message.forward_client_cert_details),
    )


def _refuse(message: pb.http_connection_manager_v3.HttpConnectionManager) -> None:
    """What Envoy refuses beyond its validation rules."""
    rds = message.rds
    if message.HasField("rds") and not rds.HasField("config_source") and not rds.route_config_name.startswith("xdstp:"):
        raise RefusedError(
            "An RDS config must have either a 'config_source' or an xDS-TP based 'route_config_name'. Error while "
            f'parsing RDS config: route_config_name: "{rds.route_config_name}"'
        )
    if message.codec_type == HTTP3:
        raise RefusedError("HTTP/3 codec configured on non-QUIC listener.")
    if message.strip_matching_host_port and message.strip_any_host_port:
        raise RefusedError("Error: Only one of `strip_matching_host_port` or `strip_any_host_port` can be set.")
    if message.original_ip_detection_extensions:
        for given, name in (
            (message.use_remote_address.value, "use_remote_address"),
            (message.xff_num_trusted_hops, "xff_num_trusted_hops"),
        ):
            if given:
                raise RefusedError(f"Original IP detection extensions and {name} may not be mixed")
    for field, (what, prefix) in EXTENSIONS.items():
        for each in getattr(message, field):
            type_name = type_of(each.typed_config)
            if not type_name.startswith(prefix) and (not type_name or find(type_name) is not None):
                raise RefusedError(f"{what} extension not found: '{each.name}'")
    if message.HasField("request_id_extension"):
        _refuse_request_id(message.request_id_extension)
    seen: set[str] = set()
    for upgrade in message.upgrade_configs:
        folded = upgrade.upgrade_type.lower()
        if folded in seen:
            raise RefusedError(f"Error: multiple upgrade configs with the same name: '{upgrade.upgrade_type}'")
        seen.add(folded)
        http_filters(upgrade.filters)


def _refuse_request_id(message: pb.http_connection_manager_v3.RequestIDExtension) -> None:
    type_name = type_of(message.typed_config)
    if type_name and not type_name.startswith("envoy.extensions.request_id.") and find(type_name) is not None:
        raise RefusedError(f"Didn't find a registered implementation for type: '{type_name}'")
