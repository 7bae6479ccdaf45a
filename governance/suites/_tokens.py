"""Names of headers that were looked at before."""

from __future__ import annotations

import re

_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_MOST = 1024


class Tokens:
    """Names that are tokens, and not among those that somebody else shall look at: RFC 9110, 5.6.2."""

    __slots__ = ("_left_alone", "lower")

    def __init__(self, *left_alone: bytes) -> None:
        self._left_alone = frozenset(left_alone)
        self.lower: dict[bytes, bytes] = {}
        """In lower case, as far as they are remembered."""

    def learn(self, name: bytes) -> bytes | None:
        """The name in lower case, remembered from now on; None for what is none of these."""
        small = name.lower()
        if _NAME.fullmatch(name) is None or small in self._left_alone:
            return None
        if len(self.lower) >= _MOST:
            self.lower.clear()
        self.lower[name] = small
        return small
