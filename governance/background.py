"""What goes on beside the calls: how much at once, and what came of it.

Mirrored requests run here. They may neither slow a call nor fail it, so there is a limit to them, and what is above it
is dropped and counted. A suite performs them by its own means: `workers` are its threads, `tasks` its tasks.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, Literal, Protocol

LIMIT = 256
"""How many may be under way or waiting for a thread, in a process."""

Outcome = Literal["answered", "failed", "dropped"]


class Workers(Protocol):
    """Threads that end with the mesh."""

    def stop(self) -> None:
        """Take nothing more; what is under way ends by itself."""


class Background:
    """The work beside the calls of one mesh."""

    __slots__ = ("_lock", "active", "counts", "limit", "tasks", "workers")

    def __init__(self, limit: int = LIMIT) -> None:
        self._lock = Lock()
        self.limit = limit
        self.active = 0
        self.counts: dict[Outcome, int] = {"answered": 0, "failed": 0, "dropped": 0}
        self.workers: Workers | None = None
        self.tasks: set[Any] = set()
        """An event loop holds its tasks weakly: here they are kept until they are done."""

    def begin(self) -> bool:
        """Whether there is room for one more, which is then under way."""
        with self._lock:
            if self.active < self.limit:
                self.active += 1
                return True
            self.counts["dropped"] += 1
            return False

    def drop(self) -> None:
        """One that was not even begun."""
        with self._lock:
            self.counts["dropped"] += 1

    def ended(self, outcome: Outcome) -> None:
        """One that had begun is over."""
        with self._lock:
            self.active -= 1
            self.counts[outcome] += 1

    def close(self) -> None:
        """The mesh ends."""
        workers, self.workers = self.workers, None
        if workers is not None:
            workers.stop()
