"""MeshConfig.pathNormalization and ProxyConfig.connectionSettings on an HTTP connection manager."""

from __future__ import annotations

from ...wire.schema.types import http_connection_manager_v3
from ..api.mesh_config import ProxyPathNormalization
from ..api.proxy_config import ConnectionSettings
from .messages import duration, u32

Manager = http_connection_manager_v3.HttpConnectionManager

_NEVER_SAID = ("HEADERS_WITH_UNDERSCORES_UNSPECIFIED", "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED")


def normalize(made: Manager, wanted: ProxyPathNormalization) -> None:
    """How paths are rewritten before anything looks at them."""
    kind = wanted.normalization
    made.normalize_path.value = kind != "NONE"
    made.merge_slashes = kind in ("MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES")
    decode = kind == "DECODE_AND_MERGE_SLASHES"
    made.path_with_escaped_slashes_action = Manager.UNESCAPE_AND_FORWARD if decode else Manager.KEEP_UNCHANGED


def settle(made: Manager, wanted: ConnectionSettings) -> None:
    """A proxy's own settings go before the mesh's."""
    common = made.common_http_protocol_options
    for seconds, field in (
        (wanted.http_idle_timeout, "idle_timeout"),
        (wanted.http_max_connection_duration, "max_connection_duration"),
        (wanted.http_max_stream_duration, "max_stream_duration"),
    ):
        if seconds is not None:
            getattr(common, field).CopyFrom(duration(seconds))
    for seconds, field in (
        (wanted.http_stream_idle_timeout, "stream_idle_timeout"),
        (wanted.http_request_timeout, "request_timeout"),
        (wanted.http_request_headers_timeout, "request_headers_timeout"),
        (wanted.http_drain_timeout, "drain_timeout"),
    ):
        if seconds is not None:
            getattr(made, field).CopyFrom(duration(seconds))
    for number, field in (
        (wanted.http_max_concurrent_streams, "max_concurrent_streams"),
        (wanted.http2_initial_stream_window_size, "initial_stream_window_size"),
        (wanted.http2_initial_connection_window_size, "initial_connection_window_size"),
    ):
        if number is not None:
            getattr(made.http2_protocol_options, field).CopyFrom(u32(number))
    action = wanted.http_headers_with_underscores_action
    if action not in _NEVER_SAID:
        # Allowing them is the zero of the field, but the message is there.
        common.SetInParent()
        common.headers_with_underscores_action = type(common).HeadersWithUnderscoresAction.Value(
            action.removeprefix("HEADERS_WITH_UNDERSCORES_")
        )
    if wanted.http_merge_slashes is not None:
        made.merge_slashes = wanted.http_merge_slashes
    escaped = wanted.http_path_with_escaped_slashes_action
    if escaped not in _NEVER_SAID:
        made.path_with_escaped_slashes_action = Manager.PathWithEscapedSlashesAction.Value(escaped)
