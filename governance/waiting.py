"""Waking those who wait for the next snapshot, be they threads or tasks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def call_in(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Call a function in a loop's thread; a loop that is gone has nobody left to tell."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function)


class Changes:
    """A counter that goes up with every snapshot, and the callers who wait for it to do so."""

    __slots__ = ("_lock", "_wakers", "generation")

    def __init__(self) -> None:
        self.generation = 0
        self._lock = Lock()
        self._wakers: set[Callable[[], None]] = set()

    def advance(self) -> None:
        """A new snapshot is in force: wake everybody."""
        with self._lock:
            self.generation += 1
            wakers, self._wakers = self._wakers, set()
        for wake in wakers:
            wake()

    def _register(self, wake: Callable[[], None], seen: int) -> bool:
        with self._lock:
            if self.generation != seen:
                return False
            self._wakers.add(wake)
            return True

    def wait(self, seen: int, timeout: float | None) -> bool:
        """Block until the generation is no longer `seen`; False when `timeout` seconds have passed."""
        event = Event()
        if not self._register(event.set, seen):
            return True
        try:
            return event.wait(timeout)
        finally:
            self._wakers.discard(event.set)

    async def wait_async(self, seen: int, limit_s: float | None) -> bool:
        """The same for a task."""
        import asyncio  # whoever waits has a loop, so it is there; a process without one is spared 2 MB

        loop = asyncio.get_running_loop()
        event = asyncio.Event()

        def wake() -> None:
            call_in(loop, event.set)

        if not self._register(wake, seen):
            return True
        try:
            await asyncio.wait_for(event.wait(), limit_s)
        except TimeoutError:
            return False
        finally:
            self._wakers.discard(wake)
        return True
