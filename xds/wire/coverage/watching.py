"""Coverage of what lets others see requests: tracing and access logs."""

from __future__ import annotations

from collections.abc import Mapping

from .conditions import not_without_query, switched_on
from .status import Entry, Status, all_of, honoured, meaningless, not_yet

MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3."
TRACE = "envoy.config.trace.v3."
TAG = "envoy.type.tracing.v3.CustomTag"
UUID = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig"

SDK = "where spans go, and under whose name, is the business of the program's own OpenTelemetry SDK"

TRACING = "client_sampling random_sampling overall_sampling custom_tags operation upstream_operation"

LOG = "envoy.config.accesslog.v3."
FILE = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
STREAM = "envoy.extensions.access_loggers.stream.v3."
FORMATS = "text_format json_format text_format_source omit_empty_values"
FORMAT: Mapping[str, Status] = {
    **honoured(FORMATS),
    **meaningless("keys are in order anyhow, as in Envoy", "json_format_options"),
    **meaningless("a line has no type", "content_type"),
    **not_yet("commands of this extension are not known", "formatters", not_without_query),
}

WATCHING: Mapping[str, Entry] = {
    MANAGER + "HttpConnectionManager.Tracing": {
        **honoured(f"provider spawn_upstream_span max_path_tag_length no_context_propagation {TRACING}"),
        **not_yet("spans have no events", "verbose"),
    },
    MANAGER + "RequestIDExtension": honoured("typed_config"),
    UUID: honoured("pack_trace_reason use_request_id_for_trace_sampling"),
    "envoy.type.v3.Percent": honoured("value"),
    "envoy.config.route.v3.Tracing": honoured(TRACING),
    TRACE + "Tracing.Http": {
        **honoured("typed_config"),
        **meaningless("the type decides, as in Envoy", "name"),
    },
    TRACE + "OpenTelemetryConfig": {
        **meaningless(
            SDK,
            "grpc_service http_service service_name resource_detectors max_cache_size "
            "set_telemetry_sdk_resource_attributes set_service_name_resource_attribute",
        ),
        **not_yet("the connection manager's shares are what samples", "sampler"),
    },
    TRACE + "ZipkinConfig": {
        **honoured("trace_id_128bit trace_context_option split_spans_for_request"),
        **meaningless(
            SDK,
            "collector_cluster collector_endpoint collector_endpoint_version collector_hostname collector_service "
            "timestamp_trace_ids",
        ),
        **not_yet("no span is shared: both sides have one each", "shared_span_context", switched_on),
    },
    **{
        TRACE + kind: all_of("no spans are made for this tracer, and no headers of its own")
        for kind in ("DatadogConfig", "SkyWalkingConfig")
    },
    TAG: honoured("tag literal environment request_header metadata value"),
    TAG + ".Literal": honoured("value"),
    TAG + ".Environment": honoured("name default_value"),
    TAG + ".Header": honoured("name default_value"),
    TAG + ".Metadata": honoured("kind metadata_key default_value"),
    LOG + "AccessLog": {
        **honoured("filter typed_config"),
        **meaningless("the type decides, as in Envoy", "name"),
    },
    FILE: honoured("path format json_format typed_json_format log_format"),
    FILE + ".log_format": FORMAT,
    STREAM + "StdoutAccessLog": honoured("log_format"),
    STREAM + "StdoutAccessLog.log_format": FORMAT,
    STREAM + "StderrAccessLog": honoured("log_format"),
    STREAM + "StderrAccessLog.log_format": FORMAT,
    **{
        "envoy.extensions.access_loggers." + kind: all_of("lines are written here, not sent to a service")
        for kind in (
            "grpc.v3.HttpGrpcAccessLogConfig",
            "grpc.v3.TcpGrpcAccessLogConfig",
            "open_telemetry.v3.OpenTelemetryAccessLogConfig",
        )
    },
    "envoy.type.metadata.v3.MetadataKind": honoured("request route cluster host"),
    **{f"envoy.type.metadata.v3.MetadataKind.{kind}": {} for kind in ("Request", "Route", "Cluster", "Host")},
}
