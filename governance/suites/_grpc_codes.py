"""Statuses of grpcio's and their numbers."""

from __future__ import annotations

from typing import Any

import grpc

_BY_NUMBER: dict[int, Any] = {each.value[0]: each for each in grpc.StatusCode}
_UNKNOWN: int = grpc.StatusCode.UNKNOWN.value[0]


def code_of(number: int) -> Any:
    """A `grpc.StatusCode`; UNKNOWN for a number that none has."""
    return _BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN)


def number_of(code: Any) -> int:
    """Of a status, which may be one of grpcio's or its number."""
    found = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return found if isinstance(found, int) else _UNKNOWN
