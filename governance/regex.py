"""RE2, Envoy's own engine: linear time, the same dialect, the same answers."""

from typing import Protocol

import re2

from ..xds.model.matchers import RegexRewrite


class BadRegexError(ValueError):
    """RE2 refuses the pattern or the substitution; the text says why."""


class Match(Protocol):
    """The part of a match that is used here."""

    def span(self, group: int = 0) -> tuple[int, int]: ...

    def group(self, group: int) -> bytes | None: ...


class Program(Protocol):
    """A compiled expression over bytes."""

    @property
    def groups(self) -> int: ...

    def fullmatch(self, text: bytes) -> Match | None: ...

    def search(self, text: bytes, pos: int) -> Match | None: ...


def compile_regex(pattern: str) -> Program:
    """A program for bytes.

    Raises:
        BadRegexError: RE2 refuses it.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        program: Program = re2.compile(pattern.encode(), options)
    except re2.error as error:
        text = error.args[0]
        raise BadRegexError(text.decode() if isinstance(text, bytes) else str(text)) from error
    return program


_META = frozenset("\\^$.|?*+()[]{}")


def literal_prefix(pattern: str) -> str:
    """Text that every match of the whole pattern begins with; empty where that is not obvious."""
    if "|" in pattern:
        return ""
    pattern = pattern.removeprefix("^")
    size = next((index for index, char in enumerate(pattern) if char in _META), len(pattern))
    if size < len(pattern) and pattern[size] in "?*{":
        size -= 1  # the character before may be missing
    return pattern[: max(size, 0)]


_ESCAPE = re2.compile(rb"(?s)(\\.?|)([^\\]*)")


class Rewriter:
    """envoy.type.matcher.v3.RegexMatchAndSubstitute: what RE2's GlobalReplace does, with `\\0` to `\\9` as groups.

    Envoy accepts a substitution that makes no sense: with a group that the pattern does not have nothing is replaced,
    and what stands behind a backslash that means nothing is left out (seen).
    """

    __slots__ = ("_pieces", "_program")

    def __init__(self, rewrite: RegexRewrite) -> None:
        self._program = compile_regex(rewrite.pattern)
        self._pieces = _parse_template(rewrite.substitution.encode(), self._program.groups)

    def __call__(self, text: bytes) -> bytes:
        pieces = self._pieces
        if pieces is None:
            return text
        out: list[bytes] = []
        position, last_end, size = 0, -1, len(text)
        while position <= size:
            match = self._program.search(text, position)
            if match is None:
                break
            start, end = match.span()
            out.append(text[position:start])
            if start == last_end and start == end:
                # An empty match right behind the last one is skipped, unlike in Python's own engine.
                position = start + _rune(text, start)
                out.append(text[start:position])
                continue
            out += [piece if isinstance(piece, bytes) else match.group(piece) or b"" for piece in pieces]
            position = last_end = end
        out.append(text[position:])
        return b"".join(out)


def _rune(text: bytes, start: int) -> int:
    """How many bytes the character at `start` has; one where it is no UTF-8."""
    lead = text[start] if start < len(text) else 0
    size = 1 if lead < 0xC2 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    try:
        text[start : start + size].decode()
    except UnicodeDecodeError:
        return 1
    return size


def _parse_template(template: bytes, groups: int) -> list[bytes | int] | None:
    """Texts and numbers of groups; it ends where a backslash makes no sense. None: a group that does not exist."""
    pieces: list[bytes | int] = []
    ended = False
    for escape, text in _ESCAPE.findall(template):
        if escape[1:].isdigit() and int(escape[1:]) > groups:
            return None
        if ended:
            continue
        if escape == b"\\\\":
            pieces.append(b"\\")
        elif escape[1:].isdigit():
            pieces.append(int(escape[1:]))
        elif escape:
            ended = True
            continue
        pieces.append(text)
    return [piece for piece in pieces if piece != b""]
