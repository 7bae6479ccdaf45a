"""That a command is to end, said by a signal's handler."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Ending:
    """What `threading.Event` is, but its `set` may interrupt its `wait`.

    Python runs a signal's handler in the main thread, between any two steps of what that does. An Event would be asked
    for the lock that its `wait` holds at that moment, for ever; `SimpleQueue.put` is made for that.
    """

    def __init__(self) -> None:
        self._said: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        self._said.put(None)

    def is_set(self) -> bool:
        return not self._said.empty()

    def wait(self, timeout_s: float) -> bool:
        """Whether it is, by then."""
        try:
            self._said.get(timeout=timeout_s)
        except Empty:
            return False
        self._said.put(None)
        return True
