"""Moments at which something is to be ended, of which few ever come: one thread for them all, while there are any."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from threading import Condition, Thread
from time import monotonic

MOST_STALE = 256
"""So many that were called off may stand among those that are waited for, or as many as these are."""


class Alarm:
    """One of them."""

    __slots__ = ("_alarms", "ring")

    def __init__(self, alarms: Alarms, ring: Callable[[], object]) -> None:
        self._alarms = alarms
        self.ring: Callable[[], object] | None = ring

    def off(self) -> None:
        """Call it off."""
        if self.ring is not None:
            self.ring = None
            self._alarms.stale()


class Alarms:
    """Those of one channel, or of the calls of a mesh."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._stale = 0
        self._runs = False

    def at(self, when: float, ring: Callable[[], object]) -> Alarm:
        """Have something called at a moment of the monotonic clock, in a thread of its own; it must be quick."""
        alarm = Alarm(self, ring)
        with self._changed:
            heappush(self._waiting, (when, next(self._numbers), alarm))
            if not self._runs:
                self._runs = True
                Thread(target=self._run, name="proxyless-alarms", daemon=True).start()
            elif self._waiting[0][2] is alarm:
                self._changed.notify()
        return alarm

    def stale(self) -> None:
        """One has been called off."""
        with self._changed:
            self._stale += 1
            if self._stale > MOST_STALE and 2 * self._stale > len(self._waiting):
                self._waiting = [each for each in self._waiting if each[2].ring is not None]
                heapify(self._waiting)
                self._stale = 0
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._waiting and self._waiting[0][2].ring is None:
                    heappop(self._waiting)
                    self._stale = max(0, self._stale - 1)
                if not self._waiting:
                    self._runs = False
                    return
                left = self._waiting[0][0] - monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                alarm = heappop(self._waiting)[2]
                ring, alarm.ring = alarm.ring, None
            if ring is not None:
                ring()
