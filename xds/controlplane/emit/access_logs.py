"""Access logs: what Telemetry objects ask for, through the providers that every mesh has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from ...wire.schema.types import access_loggers_file_v3, accesslog_v3, core_v3, filters_cel_v3
from ..api.telemetry import AccessLogging, Telemetry
from ..mesh import MeshConfig
from .messages import pack

Side = Literal["CLIENT", "SERVER"]
AccessLog = accesslog_v3.AccessLog

FILE_PROVIDER = "envoy"
"""The one built-in provider that writes access logs; its name is compared in any case."""

_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
_STDOUT = "/dev/stdout"


@dataclass(frozen=True, slots=True)
class _Wanted:
    disabled: bool = False
    expression: str | None = None


def access_logs(applied: Sequence[Telemetry], side: Side, mesh: MeshConfig, *, listener: bool) -> list[AccessLog]:
    """The logs of a connection manager or TCP proxy, or (listener) those of connections that no chain takes."""
    wanted = _wanted([t.access_logging for t in applied if t.access_logging], side)
    if not any(provider.lower() == FILE_PROVIDER for provider in wanted):
        return [_file_log(mesh.access_log_file, None, listener)] if mesh.access_log_file else []
    return [
        _file_log(mesh.access_log_file or _STDOUT, found.expression, listener)
        for provider, found in sorted(wanted.items())
        if provider.lower() == FILE_PROVIDER and not found.disabled
    ]


def _wanted(levels: Sequence[Sequence[AccessLogging]], side: Side) -> dict[str, _Wanted]:
    """By provider. The innermost level that names providers says which ones there are."""
    in_scope: set[str] = set()
    expressions: dict[str, str | None] = {}
    for level in levels:
        named = set()
        for item in level:
            if _matches(item, side):
                for provider in item.providers:
                    named.add(provider.name)
                    expressions[provider.name] = item.filter.expression if item.filter else None
        in_scope = named or in_scope
    found: dict[str, _Wanted] = {}
    inherited: tuple[str, ...] = ()
    for level in levels:
        for item in level:
            inherited = tuple(provider.name for provider in item.providers) or inherited
            for name in inherited:
                if name in in_scope and _matches(item, side):
                    found[name] = _Wanted(True) if item.disabled else _Wanted(False, expressions.get(name))
    return found


def _matches(item: AccessLogging, side: Side) -> bool:
    return item.match is None or item.match.mode in ("CLIENT_AND_SERVER", side)


@cache
def _file_log(path: str, expression: str | None, listener: bool) -> AccessLog:
    source = core_v3.DataSource(inline_string=_FORMAT)
    config = access_loggers_file_v3.FileAccessLog(
        path=path, log_format=core_v3.SubstitutionFormatString(text_format_source=source)
    )
    filters = []
    if listener:
        flags = accesslog_v3.ResponseFlagFilter(flags=["NR"])
        filters.append(accesslog_v3.AccessLogFilter(response_flag_filter=flags))
    if expression is not None:
        filters.append(accesslog_v3.AccessLogFilter(extension_filter=_expression(expression)))
    return AccessLog(name="envoy.access_loggers.file", filter=_all_of(filters), typed_config=pack(config))


def _expression(expression: str) -> accesslog_v3.ExtensionFilter:
    config = filters_cel_v3.ExpressionFilter(expression=expression)
    return accesslog_v3.ExtensionFilter(name="envoy.access_loggers.extension_filters.cel", typed_config=pack(config))


def _all_of(filters: list[accesslog_v3.AccessLogFilter]) -> accesslog_v3.AccessLogFilter | None:
    if len(filters) > 1:
        return accesslog_v3.AccessLogFilter(and_filter=accesslog_v3.AndFilter(filters=filters))
    return filters[0] if filters else None
