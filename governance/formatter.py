"""Envoy's `%...%` substitution in header values and bodies (docs: "Access logging", "Custom request/response headers").

A value without a command compiles to constant bytes. What a command asks for and is not there formats to nothing,
unlike in access logs. Commands that cannot be filled in here raise `UnsupportedFormatError`; the header is then left
out and named, never sent with the raw command in it.
"""

import re
from collections.abc import Callable

from .commands import Command, UnsupportedFormatError, command
from .subject import Subject

__all__ = ["DASH", "Formatter", "UnsupportedFormatError", "compile_value"]
DASH = b"-"
"""What is not there, everywhere but in headers."""

Formatter = Callable[[Subject], bytes]

_COMMAND = re.compile(r"%%|%([A-Z][A-Z0-9_]*)(?:\((.*?)\))?(?::(\d+))?%|%", re.DOTALL)


def compile_value(value: str, absent: bytes = b"") -> bytes | Formatter:
    """Constant bytes, or a function of what is known of a request; what is not there is `absent`.

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
            pieces.append(_limited(command(match.group(1), match.group(2)), match.group(3), absent))
    pieces.append(value[end:].encode())
    if all(isinstance(piece, bytes) for piece in pieces):
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))
    fixed = tuple(piece for piece in pieces if piece != b"")
    return lambda subject: b"".join(piece if isinstance(piece, bytes) else piece(subject) for piece in fixed)


def _limited(filled: Command, limit: str | None, absent: bytes) -> Formatter:
    size = int(limit) if limit else None

    def formatter(subject: Subject) -> bytes:
        found = filled(subject)
        return absent if found is None else found[:size]

    return formatter
