"""Request headers handed to h11 in its own form, so that it need not check them again one by one.

h11 runs two regular expressions over each header of a request and then walks through all of them eight times. A mesh
adds headers of its own, which would make every call dearer by that. Ordinary headers are checked here, by stricter
rules than h11's, and carried in a subclass of its `Headers`; where anything is out of the ordinary h11 gets the plain
list and decides. The class is not part of h11's public interface: importing this module fails where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from h11._headers import Headers

from ..headers import HeaderList
from ..spelling import lower
from ._tokens import Tokens

_ORDINARY = bytes(range(0x20, 0x7F))
_LENGTH = b"content-length"
_MAX_LENGTH_DIGITS = 18

_TOKENS = Tokens(b"transfer-encoding")  # whose value h11 puts into a form of its own
_lower = _TOKENS.lower


def checked(pairs: HeaderList, *, in_lower_case: bool = False) -> Any:
    """The headers of a request in h11's form, or as they were where h11 shall look at them itself.

    Names are written as they are spelled, or in lower case.
    """
    full = []
    short = []
    length = b""
    for raw, value in pairs:
        name = _lower.get(raw) or _TOKENS.learn(raw)
        if name is None or value.translate(None, _ORDINARY) or value[:1] == b" " or value[-1:] == b" ":
            return lower(pairs) if in_lower_case else pairs
        if name == _LENGTH:
            if length or not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
                return lower(pairs) if in_lower_case else pairs
            length = value
        full.append((name if in_lower_case else raw, name, value))
        short.append((name, value))
    return CheckedHeaders(full, short)


class CheckedHeaders(Headers):
    """As h11's, with an iterator made in C."""

    __slots__ = ("_pairs",)

    def __init__(self, full: list[tuple[bytes, bytes, bytes]], short: HeaderList) -> None:
        super().__init__(full)
        self._pairs = short

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._pairs)
