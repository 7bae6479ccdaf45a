"""Copies of requests beside the calls: threads for sync code, tasks for asyncio (governance.background).

The threads are few, made when there is something to do, and daemons: a program that ends does not wait for them, and
one that has closed its mesh has none left as soon as they are done.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from ..actions import BodyEnd, Deliver
from ..background import Background
from ..driver import drive, drive_async, finish
from ._exchange import Exchange

THREADS = 8
"""At most; what is more waits, within the limit of the background."""


class Threads:
    """A few threads that take one job after the other."""

    def __init__(self, most: int = THREADS) -> None:
        self._most = most
        self._lock = Lock()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = 0
        self._idle = 0

    def submit(self, job: Callable[[], None]) -> None:
        """Have it done, soon."""
        with self._lock:
            self._jobs.put(job)
            if self._idle:
                self._idle -= 1
                return
            if self._threads == self._most:
                return
            self._threads += 1
        Thread(target=self._work, name="proxyless-background", daemon=True).start()

    def stop(self) -> None:
        """The threads end when they have done what is there."""
        with self._lock:
            for _ in range(self._threads):
                self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                self._idle += 1


def in_thread(background: Background, job: Callable[[], None]) -> None:
    """Have something done by the threads of a mesh."""
    workers = background.workers
    if not isinstance(workers, Threads):
        workers = background.workers = Threads()
    workers.submit(job)


def as_task(background: Background, job: Any) -> None:
    """Have a coroutine run by this event loop, which cancels it when it ends."""
    import asyncio  # is there: a coroutine runs

    task = asyncio.get_running_loop().create_task(job)
    background.tasks.add(task)
    task.add_done_callback(background.tasks.discard)


def run_copy(exchange: Exchange, perform: Any) -> None:
    """A copy from its first action to the last byte of its response, in a thread."""
    try:
        outcome = drive(exchange.machine, perform, exchange)
        if isinstance(outcome, Deliver):
            response: Any = outcome.head.handle
            complete = False
            try:
                for _ in response.stream:
                    pass
                complete = True
            finally:
                response.close()
                finish(exchange.machine, BodyEnd(complete))
    except Exception:  # nobody is there to hear of it; the machine has counted it
        exchange.machine.close()


async def run_copy_async(exchange: Exchange, perform: Any) -> None:
    """The same as a task."""
    try:
        outcome = await drive_async(exchange.machine, perform, exchange)
        if isinstance(outcome, Deliver):
            response: Any = outcome.head.handle
            complete = False
            try:
                async for _ in response.stream:
                    pass
                complete = True
            finally:
                await response.aclose()
                finish(exchange.machine, BodyEnd(complete))
    except Exception:  # nobody is there to hear of it; the machine has counted it
        exchange.machine.close()
