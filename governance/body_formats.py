"""Bodies made by a format (envoy.config.core.v3.SubstitutionFormatString), as text or as JSON.

In JSON values keep their types: numbers, metadata. What is not there is `-` inside of text and null alone; with
`omit_empty_values` it is nothing, and goes with its key, as do objects in which nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..xds.model.local_reply import BodyFormat
from ..xds.model.values import MetadataValue
from .commands import metadata_value
from .formatter import DASH, Asked, Formatter, compile_value, pieces_of
from .plain import escaped, plain_text, quoted, written
from .subject import Subject

NULL = b"null"
NUMBERS = frozenset(
    f"{name}{unit}"
    for unit, names in {
        "": ("COMMON_DURATION", "DURATION", "GRPC_STATUS_NUMBER", "RESPONSE_CODE", "UPSTREAM_REQUEST_ATTEMPT_COUNT"),
        "_DURATION": ("REQUEST", "RESPONSE", "RESPONSE_TX"),
        "_PORT": ("DOWNSTREAM_DIRECT_LOCAL", "DOWNSTREAM_LOCAL", "UPSTREAM_REMOTE"),
        "_BYTES": ("REQUEST_HEADERS", "RESPONSE_HEADERS", "RESPONSE_TRAILERS"),
        "_COUNT": ("ROUTE_RESOLUTION",),
        "_RECEIVED": ("BYTES",),
        "_SENT": ("BYTES",),
    }.items()
    for name in names
)
"""Commands whose values are numbers in JSON."""

Value = Callable[[Subject], "bytes | None"]
"""A part of a JSON document, as it is written; None where it is left out."""


def compile_body(body: BodyFormat) -> Formatter:
    """A function of what is known of a request.

    Raises:
        UnsupportedFormatError: a command that cannot be filled in here.
    """
    if body.json is not None:
        value = _object(body.json, omit=body.omit_empty_values)
        return lambda subject: (value(subject) or b"{}") + b"\n"
    text = compile_value(body.text, b"" if body.omit_empty_values else DASH)
    return (lambda subject: text) if isinstance(text, bytes) else text


def _value(value: MetadataValue, *, omit: bool) -> Value:
    if isinstance(value, str):
        return _text(value, omit=omit)
    if isinstance(value, Mapping):
        return _object(value, omit=omit)
    if isinstance(value, tuple):
        return _list(value, omit=omit)
    constant = None if value is None and omit else written(value)
    return lambda subject: constant


def _object(fields: Mapping[str, MetadataValue], *, omit: bool) -> Value:
    compiled = [(quoted(key.encode()), _value(value, omit=omit)) for key, value in sorted(fields.items(), key=_bytes)]

    def value(subject: Subject) -> bytes | None:
        found = [b"%b:%b" % (key, part) for key, each in compiled if (part := each(subject)) is not None]
        return b"{%b}" % b",".join(found) if found or not omit else None

    return value


def _bytes(field: tuple[str, MetadataValue]) -> bytes:
    return field[0].encode()


def _list(items: tuple[MetadataValue, ...], *, omit: bool) -> Value:
    compiled = [_value(each, omit=omit) for each in items]
    return lambda subject: b"[%b]" % b",".join(p for each in compiled if (p := each(subject)) is not None)


def _text(text: str, *, omit: bool) -> Value:
    pieces = pieces_of(text)
    if len(pieces) == 1 and isinstance(pieces[0], Asked):
        alone, absent = _alone(pieces[0]), None if omit else NULL
        return lambda subject: absent if (found := alone(subject)) is None else found
    missing = b"" if omit else DASH
    parts = [escaped(each) if isinstance(each, bytes) else _inner(each, missing) for each in pieces]
    return lambda subject: b'"%b"' % b"".join(p if isinstance(p, bytes) else p(subject) for p in parts)


def _inner(asked: Asked, missing: bytes) -> Formatter:
    filled = asked.compiled()
    return lambda subject: missing if (found := filled(subject)) is None else escaped(found)


def _alone(asked: Asked) -> Value:
    """What stands alone has its type."""
    filled = asked.compiled()
    read = metadata_value(asked.name, asked.parameters)
    if read is not None:

        def of_metadata(subject: Subject) -> bytes | None:
            found = read(subject)
            if isinstance(found, str):
                return quoted(plain_text(found)[: asked.limit])
            return None if found is None else written(found)

        return of_metadata
    if asked.name in NUMBERS:
        return filled
    return lambda subject: None if (found := filled(subject)) is None else quoted(found)
