"""envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ...model.forwarding import ClientCert, ClientCertMode, Forwarding, StripPort, Underscores
from ...model.listener import HttpConnectionManager, PathAction, Spelling
from ...model.values import Cidr
from ..opening import open_any, type_of
from ..refused import NotUnderstoodError, RefusedError
from ..schema import find
from ..schema import types as pb
from .access_log import access_logs
from .http_filters import http_filters
from .local_reply import local_reply_config
from .route_configuration import inline_configuration
from .tracing import tracing
from .values import cidrs, named, seconds

ESCAPED_SLASHES: tuple[PathAction, ...] = (
    "KEEP_UNCHANGED",  # IMPLEMENTATION_SPECIFIC_DEFAULT
    "KEEP_UNCHANGED",
    "REJECT_REQUEST",
    "UNESCAPE_AND_REDIRECT",
    "UNESCAPE_AND_FORWARD",
)
ServerHeader = Literal["OVERWRITE", "APPEND_IF_ABSENT", "PASS_THROUGH"]
SERVER_HEADERS: tuple[ServerHeader, ...] = ("OVERWRITE", "APPEND_IF_ABSENT", "PASS_THROUGH")

ALWAYS_FORWARD_ONLY = 4
CLIENT_CERT_MODES: tuple[ClientCertMode, ...] = (
    "SANITIZE",
    "FORWARD_ONLY",
    "APPEND_FORWARD",
    "SANITIZE_SET",
    "ALWAYS_FORWARD_ONLY",
)
UNDERSCORES: tuple[Underscores, ...] = ("ALLOW", "REJECT_REQUEST", "DROP_HEADER")

MAX_HEADERS = 100
MAX_HEADERS_KB = 60
"""When unset."""

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
        forwarding=_forwarding(message),
        client_cert=_client_cert(message),
        server_name=message.server_name or "envoy",
        server_header=named(SERVER_HEADERS, message.server_header_transformation),
        request_id_in_response=message.always_set_request_id_in_response,
        request_timeout_s=seconds(message.request_timeout) or None,
        stream_idle_timeout_s=idle,
        max_stream_duration_s=seconds(message.common_http_protocol_options.max_stream_duration) or None,
        tracing=tracing(message),
        access_logs=access_logs(message.access_log),
        max_request_headers_kb=message.max_request_headers_kb.value or MAX_HEADERS_KB,
        max_headers=message.common_http_protocol_options.max_headers_count.value or MAX_HEADERS,
        spelling=_spelling(message.http_protocol_options.header_key_format),
        local_reply=local_reply_config(message.local_reply_config) if message.HasField("local_reply_config") else None,
    )


def _spelling(message: pb.core_v3.Http1ProtocolOptions.HeaderKeyFormat) -> Spelling:
    """Envoy's proper words are about responses: what goes on is spelled as the cluster says, unless it is kept."""
    if not message.HasField("stateful_formatter"):
        return "lower"
    formatter = open_any(message.stateful_formatter.typed_config)
    if isinstance(formatter, pb.preserve_case_v3.PreserveCaseFormatterConfig):
        return "as it came, own proper" if formatter.formatter_type_on_envoy_headers else "as it came"
    return "lower"


def _forwarding(message: pb.http_connection_manager_v3.HttpConnectionManager) -> Forwarding:
    strip: StripPort = "matching" if message.strip_matching_host_port else "no"
    ports = message.forward_proto_config
    underscores = message.common_http_protocol_options.headers_with_underscores_action
    return Forwarding(
        use_remote_address=message.use_remote_address.value,
        skip_xff_append=message.skip_xff_append,
        xff_num_trusted_hops=message.xff_num_trusted_hops,
        internal_cidrs=_internal(message.internal_address_config.cidr_ranges),
        append_x_forwarded_port=message.append_x_forwarded_port,
        ports_as_https=frozenset(ports.https_destination_ports),
        overwrite_scheme=message.scheme_header_transformation.scheme_to_overwrite,
        add_user_agent=message.add_user_agent.value,
        via=message.via,
        generate_request_id=not message.HasField("generate_request_id") or message.generate_request_id.value,
        preserve_external_request_id=message.preserve_external_request_id,
        keep_client_cert=message.forward_client_cert_details == ALWAYS_FORWARD_ONLY,
        strip_port="any" if message.strip_any_host_port else strip,
        strip_trailing_dot=message.strip_trailing_host_dot,
        underscores=named(UNDERSCORES, underscores),
    )


def _client_cert(message: pb.http_connection_manager_v3.HttpConnectionManager) -> ClientCert:
    details = message.set_current_client_cert_details
    return ClientCert(
        named(CLIENT_CERT_MODES, message.forward_client_cert_details),
        subject=details.subject.value,
        cert=details.cert,
        chain=details.chain,
        dns=details.dns,
        uri=details.uri,
    )


def _internal(ranges: Iterable[pb.core_v3.CidrRange]) -> tuple[Cidr, ...]:
    for each in ranges:
        try:
            cidrs([each])
        except RefusedError:
            said = f"{each.address_prefix}/{each.prefix_len.value}"
            raise RefusedError(f"invalid ip/mask combo '{said}' (format is <ip>/<# mask bits>)") from None
    return cidrs(ranges)


def _refuse(message: pb.http_connection_manager_v3.HttpConnectionManager) -> None:
    """What Envoy refuses beyond its validation rules."""
    if message.common_http_protocol_options.HasField("max_response_headers_kb"):
        raise RefusedError("Error: max_response_headers_kb cannot be set on http_connection_manager.")
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
