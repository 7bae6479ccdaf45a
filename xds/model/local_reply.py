"""Bodies with formats, and how replies of the mesh's own are rewritten (http_connection_manager.v3, accesslog.v3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from .matchers import HeaderMatcher
from .records import dataclass
from .values import Fraction, HeaderMutation, MetadataValue

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class BodyFormat:
    """envoy.config.core.v3.SubstitutionFormatString: `json`, else `text`. `content_type` is that of JSON, if no other
    is said; empty where nothing is."""

    text: str = ""
    json: Mapping[str, MetadataValue] | None = field(default=None, hash=False)
    omit_empty_values: bool = False
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """envoy.config.accesslog.v3.ComparisonFilter, of the status or of the whole milliseconds since the request came."""

    what: Literal["status", "duration"]
    op: Literal["EQ", "GE", "LE", "NE"]
    value: int


@dataclass(frozen=True, slots=True)
class Share:
    """envoy.config.accesslog.v3.RuntimeFilter: a share of the requests, told by their ids unless `independent`."""

    fraction: Fraction
    independent: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """envoy.config.accesslog.v3.AndFilter, OrFilter."""

    how: Literal["all", "any"]
    filters: tuple[LogFilter, ...]


@dataclass(frozen=True, slots=True)
class ResponseFlags:
    """envoy.config.accesslog.v3.ResponseFlagFilter: one of these; any at all where there are none."""

    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class GrpcStatuses:
    """envoy.config.accesslog.v3.GrpcStatusFilter."""

    statuses: frozenset[int]
    exclude: bool = False


@dataclass(frozen=True, slots=True)
class Expression:
    """envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter: what CEL says of a request."""

    text: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A filter whose answer does not depend on the request, or cannot here."""

    matches: bool


LogFilter = Comparison | Share | Joined | HeaderMatcher | ResponseFlags | GrpcStatuses | Expression | Decided
"""envoy.config.accesslog.v3.AccessLogFilter, of which local replies take as many."""


@dataclass(frozen=True, slots=True)
class ResponseMapper:
    """envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper; None where nothing is said."""

    filter: LogFilter
    status_code: int | None = None
    body: bytes | None = None
    body_format: BodyFormat | None = None
    """body_format_override."""
    headers: tuple[HeaderMutation, ...] = ()
    """headers_to_add."""


@dataclass(frozen=True, slots=True)
class LocalReplyConfig:
    """envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig."""

    mappers: tuple[ResponseMapper, ...] = ()
    body_format: BodyFormat | None = None
