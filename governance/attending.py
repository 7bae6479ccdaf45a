"""A thread that looks after a runtime: it begins when there is something to look at first, and ends with the mesh.

It holds the runtime weakly between two looks, so that a mesh which nobody has any more goes, and the thread with it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import Condition, Thread
from typing import ClassVar
from weakref import ref

from .runtime import Runtime

LONGEST_S = 1.0
"""Between two looks: so soon is it noticed that the runtime is gone."""


class Attendant(ABC):
    """Looks after one runtime. `wake` is called when there is something new to see."""

    name: ClassVar[str]
    """Of its thread."""

    def __init__(self, runtime: ref[Runtime]) -> None:
        self._runtime = runtime
        self._changed = Condition()
        self._thread: Thread | None = None
        self._closed = False

    @abstractmethod
    def look(self, runtime: Runtime) -> float:
        """Do what is due; seconds until there is more to do, infinite where nothing is known to come."""

    def end(self) -> None:  # noqa: B027  # not everybody has something to give up
        """The thread ends: give up what is under way."""

    def over(self) -> bool:
        """Whether there is nothing to look after any more."""
        return self._closed or self._runtime() is None

    def wake(self) -> None:
        """The clusters, or their endpoints, have changed."""
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Look no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def forked(self) -> None:
        """In a child: the threads are the parent's."""
        self._changed = Condition()
        self._thread = None

    def _run(self) -> None:
        while not self._closed:
            runtime = self._runtime()
            if runtime is None:
                break
            wait_s = min(self.look(runtime), LONGEST_S)
            del runtime
            with self._changed:
                if not self._closed:
                    self._changed.wait(wait_s)
        self.end()
