"""Events in the order of their times."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Clockwork:
    """A clock that jumps from one event to the next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def __call__(self) -> float:
        return self.now

    def at(self, when: float, happen: Callable[[], None]) -> None:
        """Do it then."""
        heappush(self._events, (when, next(self._order), happen))

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Do it so much later."""
        self.at(self.now + seconds, happen)

    def run(self, until: float) -> None:
        """Let everything happen that happens before then."""
        while self._events and self._events[0][0] <= until:
            self.now, _, happen = heappop(self._events)
            happen()
        self.now = until
