"""Whose turn it is to be pushed to: a few at a time, who are told the same one after the other.

As many as istiod pushes to at once (PILOT_PUSH_THROTTLE), so that what is encoded for one is there for its kin and goes
when they have it. A client that does not read keeps its turn for a moment only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

PATIENCE_S = 1.0


class Pushed(Protocol):
    """A stream."""

    @property
    def pushing(self) -> bool:
        """Whether a push is under way."""

    def push(self) -> None: ...


def at_once() -> int:
    """istiod's number for a machine of that size."""
    return min(15 + 5 * (os.cpu_count() or 1), 100)


S = TypeVar("S", bound=Pushed)


class Turns(Generic[S]):
    """Not for several threads. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float], do: Callable[[Callable[[], None]], None], most: int = 0) -> None:
        self._clock, self._do = clock, do
        self._most = most or at_once()
        self._due: dict[S, None] = {}
        self._under_way: dict[S, float] = {}

    def __len__(self) -> int:
        return len(self._due) + len(self._under_way)

    def want(self, streams: Iterable[S]) -> None:
        """They are to be told of the newest state."""
        for stream in streams:
            self._due[stream] = None
        self.go_on()

    def done(self, stream: S) -> None:
        """It has all that it was to be told, or is closed."""
        self._under_way.pop(stream, None)
        if self._due:
            self.go_on()

    def forget(self, stream: S) -> None:
        self._due.pop(stream, None)
        self.done(stream)

    def go_on(self) -> None:
        if self._due and len(self._under_way) >= self._most:
            late = self._clock() - PATIENCE_S
            for stream in [each for each, since in self._under_way.items() if since <= late]:
                del self._under_way[stream]
        while self._due and len(self._under_way) < self._most:
            stream = next(iter(self._due))
            del self._due[stream]
            self._do(stream.push)
            if stream.pushing:
                self._under_way.setdefault(stream, self._clock())
