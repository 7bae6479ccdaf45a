"""envoy.config.accesslog.v3.AccessLog: the loggers that write lines; others are named by coverage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...model.access_log import DEFAULT, STDERR, STDOUT, AccessLog
from ...model.local_reply import BodyFormat
from ..opening import open_any, type_of
from ..refused import NotUnderstoodError, RefusedError
from ..schema import find
from ..schema import types as pb
from .formats import checked_format
from .local_reply import body_format, checked_json, log_filter
from .values import struct

END_OF_HTTP = 6
END_OF_TCP = 3
"""envoy.data.accesslog.v3.AccessLogType of lines that are written when all is over."""

LOGGERS = "envoy.extensions.access_loggers."
WITHOUT_QUERY = "envoy.formatter.req_without_query"


def access_logs(messages: Iterable[pb.accesslog_v3.AccessLog], kind: int = END_OF_HTTP) -> tuple[AccessLog, ...]:
    """Those that write lines. `kind` is what lines are of."""
    made = []
    for each in messages:
        found = _logger(each)
        if found is not None:
            filter_ = log_filter(each.filter, kind) if each.HasField("filter") else None
            made.append(replace(found, filter=filter_))
    return tuple(made)


def _logger(message: pb.accesslog_v3.AccessLog) -> AccessLog | None:
    config = open_any(message.typed_config)
    try:
        if isinstance(config, pb.access_loggers_file_v3.FileAccessLog):
            return AccessLog(config.path, _file_format(config))
        if isinstance(config, pb.access_loggers_stream_v3.StdoutAccessLog):
            return AccessLog(STDOUT, _format(config.log_format) if config.HasField("log_format") else DEFAULT)
        if isinstance(config, pb.access_loggers_stream_v3.StderrAccessLog):
            return AccessLog(STDERR, _format(config.log_format) if config.HasField("log_format") else DEFAULT)
    except NotUnderstoodError:
        return None  # its format lies in a file
    type_name = type_of(message.typed_config)
    if not type_name.startswith(LOGGERS) and (not type_name or find(type_name) is not None):
        raise RefusedError(f"Didn't find a registered implementation for '{message.name}' with type URL: '{type_name}'")
    return None


def _file_format(message: pb.access_loggers_file_v3.FileAccessLog) -> BodyFormat:
    match message.WhichOneof("access_log_format"):
        case "log_format":
            return _format(message.log_format)
        case "format":
            return BodyFormat(checked_format(message.format)) if message.format else DEFAULT
        case "json_format":
            return BodyFormat("", checked_json(struct(message.json_format)))
        case "typed_json_format":
            return BodyFormat("", checked_json(struct(message.typed_json_format)))
        case _:
            return DEFAULT


def _format(message: pb.core_v3.SubstitutionFormatString) -> BodyFormat:
    commands = frozenset(
        {"REQ_WITHOUT_QUERY"} if any(each.name == WITHOUT_QUERY for each in message.formatters) else ()
    )
    return body_format(message, commands)
