"""Base64url and JSON as Envoy reads them: absl::WebSafeBase64Unescape, and protobuf's JSON as a Struct."""

from __future__ import annotations

import json
import re
from binascii import a2b_base64
from collections.abc import Mapping
from math import isinf
from typing import TypeAlias

Json: TypeAlias = "bool | float | str | tuple[Json, ...] | dict[str, Json] | None"
"""Numbers are doubles, as in a Struct."""

DEEPEST = 100
"""So deep may objects and lists lie in one another."""

_SPACE = re.compile(rb"[ \t\n\v\f\r]+")
_URL_SAFE = re.compile(rb"([-_0-9A-Za-z]*)(={0,2})")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_SURROGATE = re.compile("[\ud800-\udfff]")


class MalformedError(ValueError):
    """Not what it has to be. Says nothing of the content."""


def base64url(data: bytes) -> bytes:
    """Decoded; padding may be there, whole, or not; white space counts for nothing.

    Raises:
        MalformedError: it is something else.
    """
    if _SPACE.search(data) is not None:
        data = _SPACE.sub(b"", data)
    found = _URL_SAFE.fullmatch(data)
    if found is None:
        raise MalformedError
    digits, pad = found.groups()
    missing = -len(digits) % 4
    if missing == 3 or len(pad) not in (0, missing):
        raise MalformedError
    return a2b_base64(digits.translate(_TO_STANDARD) + b"=" * missing)


def json_object(data: bytes) -> dict[str, Json]:
    """A JSON object; null is one without members.

    Raises:
        MalformedError: it is none, names a member twice, lies too deep, or holds what no double or UTF-8 text can.
    """
    try:
        text = data.decode()
        if text.count("[") + text.count("{") > DEEPEST:
            _measure(text)
        found = json.loads(
            text, object_pairs_hook=_object, parse_int=_number, parse_float=_number, parse_constant=_refuse
        )
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise MalformedError
        if "\\u" in text and _SURROGATE.search(json.dumps(found, ensure_ascii=False)) is not None:
            raise MalformedError
    except (ValueError, RecursionError):
        raise MalformedError from None
    return {key: _frozen(value) for key, value in found.items()}


def _measure(text: str) -> None:
    """What lies too deep is refused before anybody descends to it."""
    depth, quoted, escaped = 0, False, False
    for each in text:
        if quoted:
            quoted, escaped = escaped or each != '"', not escaped and each == "\\"
        elif each == '"':
            quoted = True
        elif each in "[{":
            depth += 1
            if depth > DEEPEST:
                raise MalformedError
        elif each in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError
    return found


def _number(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise MalformedError
    return number


def _refuse(text: str) -> float:
    raise MalformedError(text)


def _frozen(value: object) -> Json:
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return value  # type: ignore[return-value]  # json makes nothing else


def member(values: Mapping[str, Json], path: str) -> tuple[bool, Json]:
    """Whether there is a member at a path of names with dots, and what it is."""
    names = path.split(".")
    held: Json = dict(values)
    for name in names:
        if not isinstance(held, dict) or name not in held:
            return False, None
        held = held[name]
    return True, held
