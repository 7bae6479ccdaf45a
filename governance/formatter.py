"""Envoy's `%...%` substitution in header values and bodies (docs: "Access logging", "Custom request/response headers").

A value without a command compiles to constant bytes. What a command asks for and is not there formats to nothing,
unlike in access logs. Commands that cannot be filled in here raise `UnsupportedFormatError`; the header is then left
out and named, never sent with the raw command in it.
"""

import re
from collections.abc import Callable

from ..xds.model.formats import COMMAND
from ..xds.model.records import dataclass
from .commands import Command, UnsupportedFormatError, command, nothing
from .subject import Subject

__all__ = ["DASH", "Asked", "Formatter", "UnsupportedFormatError", "compile_value", "pieces_of"]
DASH = b"-"
"""What is not there, everywhere but in headers."""

Formatter = Callable[[Subject], bytes]

_COMMAND = re.compile(rf"%%|{COMMAND}|%", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asked:
    """A command of a format, its parameters, and how many bytes of its value count."""

    name: str
    parameters: str
    limit: int | None

    def compiled(self) -> Command:
        """Its value."""
        filled, limit = command(self.name, self.parameters), self.limit
        if limit is None:
            return filled

        def cut(subject: Subject) -> bytes | None:
            found = filled(subject)
            return None if found is None else found[:limit]

        return cut


def pieces_of(value: str) -> list[bytes | Asked]:
    """Constant parts and commands, in order; none of the parts is empty.

    Raises:
        UnsupportedFormatError: a stray `%`.
    """
    pieces: list[bytes | Asked] = []
    text = b""
    end = 0
    for match in _COMMAND.finditer(value):
        text += value[end : match.start()].encode("utf-8", "surrogateescape")
        end = match.end()
        token = match.group(0)
        if token == "%%":
            text += b"%"
        elif token == "%":
            raise UnsupportedFormatError(f"stray % in {value!r}")
        else:
            if text:
                pieces.append(text)
            text = b""
            pieces.append(Asked(match[1], match[2] or "", int(match[3]) if match[3] else None))
    text += value[end:].encode("utf-8", "surrogateescape")
    return [*pieces, text] if text else pieces


def compile_value(value: str, absent: bytes = b"") -> bytes | Formatter:
    """Constant bytes, or a function of what is known of a request; what is not there is `absent`.

    Raises:
        UnsupportedFormatError: a command that is not supported, or a stray `%`.
    """
    if "%" not in value:
        return value.encode("utf-8", "surrogateescape")
    template, commands = b"", []
    for piece in pieces_of(value):
        compiled = piece if isinstance(piece, bytes) else piece.compiled()
        if compiled is nothing:
            compiled = absent
        if isinstance(compiled, bytes):
            template += compiled.replace(b"%", b"%%")
        else:
            template += b"%b"
            commands.append(compiled)
    return _formatter(template, tuple(commands), absent) if commands else template % ()


def _formatter(template: bytes, commands: tuple[Command, ...], absent: bytes) -> Formatter:
    """A line of an access log has two dozen commands: its constant parts cost nothing."""

    def formatter(subject: Subject) -> bytes:
        values = []
        for each in commands:
            found = each(subject)
            values.append(absent if found is None else found)
        return template % tuple(values)

    return formatter
