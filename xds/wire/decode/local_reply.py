"""SubstitutionFormatString, AccessLogFilter, LocalReplyConfig (core.v3, accesslog.v3, http_connection_manager.v3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from ...model.local_reply import (
    JSON,
    BodyFormat,
    Comparison,
    Decided,
    GrpcStatuses,
    Joined,
    LocalReplyConfig,
    LogFilter,
    ResponseFlags,
    ResponseMapper,
    Share,
)
from ...model.values import MetadataValue
from ..opening import open_any
from ..refused import NotUnderstoodError
from ..schema import types as pb
from .expressions import expression
from .formats import checked_format
from .matchers import header_matcher
from .values import data_source, fraction, header_options, named, optional, struct

OPS: tuple[Literal["EQ", "GE", "LE", "NE"], ...] = ("EQ", "GE", "LE", "NE")


def body_format(message: pb.core_v3.SubstitutionFormatString, commands: frozenset[str] = frozenset()) -> BodyFormat:
    """A body's format, checked as Envoy's parser does. `commands`: those of extensions that it may have besides, each
    of the kind of `%REQ(...)%`.

    Raises:
        NotUnderstoodError: a text that lies in a file.
    """
    if message.WhichOneof("format") == "json_format":
        json = checked_json(struct(message.json_format), commands)
        return BodyFormat("", json, message.omit_empty_values, message.content_type or JSON)
    given = message.WhichOneof("format") == "text_format"
    text = message.text_format if given else data_source(message.text_format_source).decode("utf-8", "surrogateescape")
    return BodyFormat(_checked(text, commands), None, message.omit_empty_values, message.content_type)


def checked_json(
    json: Mapping[str, MetadataValue], commands: frozenset[str] = frozenset()
) -> Mapping[str, MetadataValue]:
    """The same for a format of JSON."""
    for each in _texts(json):
        _checked(each, commands)
    return json


def _checked(text: str, commands: frozenset[str]) -> str:
    plain = text
    for each in commands:
        plain = plain.replace(f"%{each}(", "%REQ(")
    checked_format(plain)
    return text


def _texts(value: MetadataValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from _texts(each)


def local_reply_config(message: pb.http_connection_manager_v3.LocalReplyConfig) -> LocalReplyConfig:
    """How replies are rewritten. What lies in files stays as it would be without it."""
    return LocalReplyConfig(
        tuple(_mapper(each) for each in message.mappers),
        _inline_format(message.body_format) if message.HasField("body_format") else None,
    )


def _mapper(message: pb.http_connection_manager_v3.ResponseMapper) -> ResponseMapper:
    body: bytes | None = None
    if message.HasField("body"):
        try:
            body = data_source(message.body)
        except NotUnderstoodError:
            body = None
    return ResponseMapper(
        log_filter(message.filter),
        optional(message, "status_code"),
        body,
        _inline_format(message.body_format_override) if message.HasField("body_format_override") else None,
        header_options(message.headers_to_add),
    )


def _inline_format(message: pb.core_v3.SubstitutionFormatString) -> BodyFormat | None:
    try:
        return body_format(message)
    except NotUnderstoodError:
        return None


def log_filter(message: pb.accesslog_v3.AccessLogFilter, kind: int = 0) -> LogFilter:
    """A filter of access logs: none is a health check or traced, and nothing has written metadata. `kind` is what is
    being logged (envoy.data.accesslog.v3.AccessLogType); nothing at all where it decides about local replies."""
    match message.WhichOneof("filter_specifier"):
        case "status_code_filter":
            return _comparison("status", message.status_code_filter.comparison)
        case "duration_filter":
            return _comparison("duration", message.duration_filter.comparison)
        case "not_health_check_filter":
            return Decided(True)
        case "runtime_filter":
            share = message.runtime_filter
            return Share(fraction(share.percent_sampled), share.use_independent_randomness)
        case "and_filter":
            return Joined("all", tuple(log_filter(each, kind) for each in message.and_filter.filters))
        case "or_filter":
            return Joined("any", tuple(log_filter(each, kind) for each in message.or_filter.filters))
        case "header_filter":
            try:
                return header_matcher(message.header_filter.header)
            except NotUnderstoodError:
                return Decided(False)
        case "response_flag_filter":
            return ResponseFlags(frozenset(message.response_flag_filter.flags))
        case "grpc_status_filter":
            return GrpcStatuses(frozenset(message.grpc_status_filter.statuses), message.grpc_status_filter.exclude)
        case "metadata_filter":
            found = message.metadata_filter
            return Decided(found.match_if_key_not_found.value if found.HasField("match_if_key_not_found") else True)
        case "log_type_filter":
            types = message.log_type_filter
            return Decided((kind in types.types) != types.exclude)
        case "extension_filter":
            config = open_any(message.extension_filter.typed_config)
            if isinstance(config, pb.filters_cel_v3.ExpressionFilter):
                return expression(config.expression)
            return Decided(False)
        case _:
            return Decided(False)


def _comparison(what: Literal["status", "duration"], message: pb.accesslog_v3.ComparisonFilter) -> Comparison:
    return Comparison(what, named(OPS, message.op), message.value.default_value)
