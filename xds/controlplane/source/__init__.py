"""Where objects come from.

A source gives an immutable `Loaded`: every object that is in force, every fault that is known, and notes about what is
valid and has no effect. The rule that holds
the package together: a source never takes an object away because it became unreadable. What the object said last stays
until it is valid again or gone, and the fault says so.

`folder` reads YAML and JSON files and notices changes by polling; `documents` turns text into JSON values; `reading`
turns JSON values into typed objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..objects import Fault, Object


@dataclass(frozen=True, slots=True)
class Loaded:
    """The state of a source at one moment."""

    objects: tuple[Object[object], ...]
    faults: tuple[Fault, ...] = ()
    notes: tuple[Fault, ...] = ()


class Source(Protocol):
    """A place that objects come from; a Kubernetes API server is to be another one.

    `poll` is cheap when nothing changed and returns None then. It is called by one thread at a time.
    """

    def poll(self, names: Collection[str] | None = None, /) -> Loaded | None:
        """`names`: all that may have changed, by what `watch` tells; None if nobody knows."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A source that can tell by itself that something changed. It is looked at all the same, but more seldom."""

    def watch(self, heard: Callable[[set[str]], None], /) -> Callable[[], None]:
        """`heard` is called in any thread; returns what ends it."""
        ...
