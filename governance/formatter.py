"""Envoy's `%...%` substitution in header values (docs: "Access logging", "Custom request/response headers").

A value without a command compiles to constant bytes. What a command asks for and is not there formats to nothing,
unlike in access logs. Commands that need what is not known here raise `UnsupportedFormatError`; the header is then left
out and named, never sent with the raw command in it.
"""

import re
from collections.abc import Callable

from .request import RequestView

Formatter = Callable[[RequestView], bytes]

_COMMAND = re.compile(r"%%|%([A-Z][A-Z0-9_]*)(?:\(([^)]*)\))?(?::(\d+))?%|%")


class UnsupportedFormatError(ValueError):
    """A command that is not known here; the text names it."""


def compile_value(value: str) -> bytes | Formatter:
    """Constant bytes, or a function of the request.

    Raises:
        UnsupportedFormatError: a command that is not supported, or a stray `%`.
    """
    if "%" not in value:
        return value.encode()
    pieces: list[bytes | Formatter] = []
    end = 0
    for match in _COMMAND.finditer(value):
        pieces.append(value[end : match.start()].encode())
        end = match.end()
        token = match.group(0)
        if token == "%%":
            pieces.append(b"%")
        elif token == "%":
            raise UnsupportedFormatError(f"stray % in {value!r}")
        else:
            pieces.append(_command(match.group(1), match.group(2), match.group(3)))
    pieces.append(value[end:].encode())
    if all(isinstance(piece, bytes) for piece in pieces):
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))
    fixed = tuple(piece for piece in pieces if piece != b"")
    return lambda request: b"".join(piece if isinstance(piece, bytes) else piece(request) for piece in fixed)


def _command(name: str, argument: str | None, limit: str | None) -> Formatter:
    size = int(limit) if limit else None
    match name:
        case "REQ" if argument:
            first, _, second = argument.lower().partition("?")
            names = tuple(part.encode() for part in (first, second) if part)

            def header(request: RequestView) -> bytes:
                for wanted in names:
                    found = request.header(wanted)
                    if found is not None:
                        return found[:size]
                return b""

            return header
        case "PROTOCOL" if argument is None:
            return lambda request: b"HTTP/1.1"
        case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" | "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT":
            return lambda request: request.source.encode()
        case _:
            raise UnsupportedFormatError(f"%{name}% is not supported")
