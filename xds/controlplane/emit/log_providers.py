"""Access loggers: what writes or sends a line, by the extension provider or by what MeshConfig says of all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.message import Message

from ...wire.schema.types import (
    access_loggers_file_v3,
    accesslog_v3,
    core_v3,
    grpc_v3,
    open_telemetry_v3,
    opentelemetry_common_v1,
    req_without_query_v3,
)
from ..api.extension_providers import (
    EnvoyFileAccessLog,
    EnvoyHttpAls,
    EnvoyOtelAls,
    EnvoyTcpAls,
    ExtensionProvider,
)
from ..mesh import MeshConfig
from ..registry.world import World
from .messages import pack, value
from .providers import Backend, backend

AccessLog = accesslog_v3.AccessLog
Format = core_v3.SubstitutionFormatString

BUILT_IN = "envoy"
SERVICE = "envoy_accesslog_service"
"""The cluster of Envoy's log service, which is part of a proxy's bootstrap."""

_FILE = "envoy.access_loggers.file"
_HTTP = "envoy.access_loggers.http_grpc"
_TCP_ALS = "envoy.tcp_grpc_access_log"
_OTEL = "envoy.access_loggers.open_telemetry"
_STDOUT = "/dev/stdout"
_WITHOUT_QUERY = "%REQ_WITHOUT_QUERY"
_PEERS = ("upstream_peer", "downstream_peer")
_OLD_PEERS = (
    *_PEERS,
    "wasm.upstream_peer",
    "wasm.upstream_peer_id",
    "wasm.downstream_peer",
    "wasm.downstream_peer_id",
)

TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
JSON: Mapping[str, Any] = {
    "authority": "%REQ(:AUTHORITY)%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "duration": "%DURATION%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "response_code": "%RESPONSE_CODE%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "response_flags": "%RESPONSE_FLAGS%",
    "route_name": "%ROUTE_NAME%",
    "start_time": "%START_TIME%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "user_agent": "%REQ(USER-AGENT)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
}


def of_provider(provider: ExtensionProvider, world: World) -> AccessLog | None:
    """The logger of a provider; None for one that writes no logs.

    Raises:
        ProviderError: its service is none.
    """
    match provider.provider:
        case EnvoyFileAccessLog() as file:
            if in_format_of_mesh(provider.name, file):
                return of_mesh(file.path, world.mesh)
            return _logger(_FILE, _file(file))
        case EnvoyHttpAls() as als:
            return _logger(_HTTP, _http_als(als, backend(als.service, als.port, world)))
        case EnvoyTcpAls() as als:
            to = backend(als.service, als.port, world)
            states = als.filter_state_objects_to_log or _PEERS
            common = _common(als.log_name or "tcp_envoy_accesslog", to, states)
            return _logger(_TCP_ALS, grpc_v3.TcpGrpcAccessLogConfig(common_config=common))
        case EnvoyOtelAls() as otel:
            return _logger(_OTEL, _otel(otel, backend(otel.service, otel.port, world)))
        case _:
            return None


def in_format_of_mesh(name: str, file: EnvoyFileAccessLog) -> bool:
    """Whether the mesh says how lines look: of the built-in provider that says nothing of it, which has no path then
    but its own."""
    return name == BUILT_IN and file.log_format is None and not file.omit_empty_values


def of_mesh(path: str, mesh: MeshConfig) -> AccessLog:
    """A file in the mesh's own format."""
    if mesh.access_log_encoding == "TEXT":
        made = _text(mesh.access_log_format)
    else:
        made = _json(_parsed(mesh.access_log_format) or JSON)
    return _logger(_FILE, access_loggers_file_v3.FileAccessLog(path=path, log_format=made))


def of_service(*, http: bool, listener: bool) -> AccessLog:
    """Envoy's log service, which MeshConfig switches on for everything."""
    to = Backend("", SERVICE)
    if http and not listener:
        common = _common("http_envoy_accesslog", to, _OLD_PEERS)
        return _logger(_HTTP, grpc_v3.HttpGrpcAccessLogConfig(common_config=common))
    common = _common("listener_envoy_accesslog" if listener else "tcp_envoy_accesslog", to, _OLD_PEERS)
    return _logger(_TCP_ALS, grpc_v3.TcpGrpcAccessLogConfig(common_config=common))


def _logger(name: str, config: Message) -> AccessLog:
    return AccessLog(name=name, typed_config=pack(config))


def _file(wanted: EnvoyFileAccessLog) -> access_loggers_file_v3.FileAccessLog:
    written = wanted.log_format
    labels = written.labels if written is not None else None
    text = (written.text if written is not None else "") or ""
    made = _text(text) if labels is None else _json(_object(labels) or JSON)
    made.omit_empty_values = wanted.omit_empty_values
    return access_loggers_file_v3.FileAccessLog(path=wanted.path or _STDOUT, log_format=made)


def _text(written: str) -> Format:
    """A line is ended where its format does not."""
    text = written if not written or written.endswith("\n") else written + "\n"
    text = text or TEXT
    source = core_v3.DataSource(inline_string=text)
    return Format(text_format_source=source, formatters=_formatters([text]))


def _json(labels: Mapping[str, Any]) -> Format:
    made = Format(json_format=value(dict(labels)).struct_value, formatters=_formatters(labels.values()))
    made.json_format_options.SetInParent()
    return made


def _formatters(written: Iterable[object]) -> list[core_v3.TypedExtensionConfig]:
    if not any(isinstance(text, str) and _WITHOUT_QUERY in text for text in written):
        return []
    config = pack(req_without_query_v3.ReqWithoutQuery())
    return [core_v3.TypedExtensionConfig(name="envoy.formatter.req_without_query", typed_config=config)]


def _parsed(text: str) -> Mapping[str, Any] | None:
    """A format of JSON; what is none has no say."""
    try:
        return _object(json.loads(text)) if text else None
    except ValueError:
        return None


def _object(found: object) -> Mapping[str, Any] | None:
    return found if isinstance(found, dict) else None


def _common(name: str, to: Backend, states: Iterable[str]) -> grpc_v3.CommonGrpcAccessLogConfig:
    return grpc_v3.CommonGrpcAccessLogConfig(
        log_name=name,
        grpc_service=to.grpc(),
        transport_api_version=core_v3.ApiVersion.Value("V3"),
        filter_state_objects_to_log=states,
    )


def _http_als(als: EnvoyHttpAls, to: Backend) -> grpc_v3.HttpGrpcAccessLogConfig:
    states = als.filter_state_objects_to_log or _PEERS
    return grpc_v3.HttpGrpcAccessLogConfig(
        common_config=_common(als.log_name or "http_envoy_accesslog", to, states),
        additional_request_headers_to_log=als.additional_request_headers_to_log,
        additional_response_headers_to_log=als.additional_response_headers_to_log,
        additional_response_trailers_to_log=als.additional_response_trailers_to_log,
    )


def _otel(wanted: EnvoyOtelAls, to: Backend) -> open_telemetry_v3.OpenTelemetryAccessLogConfig:
    """The line is the body, labels are attributes in the order of their names."""
    text = (wanted.log_format.text if wanted.log_format is not None else "") or TEXT
    labels = (_object(wanted.log_format.labels) if wanted.log_format is not None else None) or {}
    attributes = [
        opentelemetry_common_v1.KeyValue(
            key=key,
            value=opentelemetry_common_v1.AnyValue(string_value=labels[key] if isinstance(labels[key], str) else ""),
        )
        for key in sorted(labels)
    ]
    made = open_telemetry_v3.OpenTelemetryAccessLogConfig(
        common_config=_common(wanted.log_name or "otel_envoy_accesslog", to, _OLD_PEERS),
        disable_builtin_labels=True,
        body=opentelemetry_common_v1.AnyValue(string_value=text),
        formatters=_formatters([text, *labels.values()]),
    )
    if attributes:
        made.attributes.values.extend(attributes)
    return made
