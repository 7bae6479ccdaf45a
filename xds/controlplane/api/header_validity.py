"""What a VirtualService may do to headers: Envoy refuses a whole table for one value that it cannot read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .problems import Problem
from .virtual_service import HeaderOperations

NAME = re.compile(r"[-_A-Za-z0-9]+")
PSEUDO = frozenset({":method", ":scheme", ":authority", ":path", ":status"})
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VALUE = re.compile(r"(?:[^%]|%%|%[^%(]+(?:\((?:[^)\\]|\\.)*\) *)?%)*")
"""Text, `%%` for a percent sign, and what is put in: `%NAME%`, `%NAME(argument)%`."""


def operations(made: HeaderOperations) -> Iterator[Problem]:
    for key, headers in (("set", made.set), ("add", made.add)):
        for name, value in headers.items():
            if not name:
                yield (key,), "has a header without a name"
            if _CONTROL.search(value) or not _VALUE.fullmatch(value):
                yield (key, name), f'"{value}" is no value: a percent sign is written %%'
    if "" in made.remove:
        yield ("remove", made.remove.index("")), "is a header without a name"


def outside(made: HeaderOperations | None) -> Iterator[Problem]:
    """Of a response: names that are no headers of it."""
    for key in ("set", "add", "remove"):
        for name in getattr(made, key) if made is not None else ():
            if is_internal(name):
                at = (key, name) if key != "remove" else (key, tuple(getattr(made, key)).index(name))
                yield at, f"{name} cannot be changed"


def is_internal(name: str) -> bool:
    return name.startswith(":") or name.lower() == "host"


def is_authority(name: str) -> bool:
    return name.lower() in (":authority", "host")


def authorities(made: HeaderOperations | None) -> int:
    """How often the authority is written."""
    return sum(is_authority(name) for held in (made.set, made.add) for name in held) if made is not None else 0
