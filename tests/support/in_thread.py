"""What runs in a thread of its own until a test is over: servers of `socketserver`, event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from socketserver import BaseServer
from typing import Any, TypeVar

S = TypeVar("S", bound=BaseServer)
T = TypeVar("T")
WAIT_S = 60.0


@contextmanager
def in_thread(server: S) -> Iterator[S]:
    """The server at work; it is closed afterwards."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(WAIT_S)
        server.server_close()


class Loop:
    """An event loop, from now on until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """The result when it is there; `cancel()` cancels the task."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """The result, waited for."""
        return self.begin(work).result(WAIT_S)

    @property
    def tasks(self) -> int:
        """How many there are."""
        return len(asyncio.all_tasks(self._loop))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
