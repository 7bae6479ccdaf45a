"""Coverage of replies that are rewritten, filters of access logs, and bodies with formats."""

from __future__ import annotations

from collections.abc import Mapping

from .common import NO_RUNTIME
from .status import Entry, honoured, meaningless, not_yet

LOG = "envoy.config.accesslog.v3."
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3."

TAKES_NONE = "it takes nothing"

LOCAL_REPLY: Mapping[str, Entry] = {
    MANAGER + "LocalReplyConfig": honoured("mappers body_format"),
    MANAGER + "ResponseMapper": honoured("filter status_code body body_format_override headers_to_add"),
    "envoy.config.core.v3.SubstitutionFormatString": {
        **honoured("text_format json_format text_format_source omit_empty_values content_type"),
        **meaningless("keys are in order anyhow, as in Envoy", "json_format_options"),
        **not_yet("commands of extensions are not known: the body stays as it is", "formatters"),
    },
    LOG + "AccessLogFilter": {
        **honoured(
            "status_code_filter duration_filter not_health_check_filter runtime_filter and_filter or_filter "
            "header_filter response_flag_filter grpc_status_filter metadata_filter log_type_filter extension_filter"
        ),
        **not_yet(f"whether it is traced is not asked: {TAKES_NONE}", "traceable_filter"),
    },
    LOG + "StatusCodeFilter": honoured("comparison"),
    LOG + "DurationFilter": honoured("comparison"),
    LOG + "ComparisonFilter": honoured("op value"),
    LOG + "NotHealthCheckFilter": {},
    LOG + "RuntimeFilter": {
        **honoured("percent_sampled use_independent_randomness"),
        **meaningless(NO_RUNTIME, "runtime_key"),
    },
    LOG + "AndFilter": honoured("filters"),
    LOG + "OrFilter": honoured("filters"),
    LOG + "HeaderFilter": honoured("header"),
    LOG + "ResponseFlagFilter": honoured("flags"),
    LOG + "GrpcStatusFilter": honoured("statuses exclude"),
    LOG + "MetadataFilter": {
        **honoured("match_if_key_not_found"),
        **not_yet("no filter writes any: there is nothing to compare", "matcher"),
    },
    LOG + "LogTypeFilter": honoured("types exclude"),
    LOG + "ExtensionFilter": {
        **meaningless("the type decides, as in Envoy", "name"),
        **honoured("typed_config"),
    },
    "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter": {
        **honoured("expression"),
        **not_yet("what it allows of texts is refused", "cel_config"),
    },
}
