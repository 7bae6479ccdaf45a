"""What the machine of a call asks for and every asyncio suite does alike: waiting, asking, a race between tries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from ..actions import Ask, AwaitConfig, AwaitRace, AwaitSlot, Run, Sleep
from ..driver import drive_async
from ..waiting import call_in
from ._blocking import Patient
from ._underway import Underway


async def await_config(exchange: Underway, action: AwaitConfig) -> None:
    runtime = exchange.pool.runtime
    if not await runtime.changes.wait_async(action.seen, exchange.patience(action.started)):
        raise exchange.library.connect_timeout(runtime.late(action.missing))


async def await_slot(call: Patient, action: AwaitSlot) -> bool:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    action.waiter.wake = lambda: call_in(loop, event.set)
    if action.waiter.grant is not None:
        return True
    limit_s, own = call.slot_limit(action)
    try:
        return await asyncio.wait_for(event.wait(), limit_s)
    except TimeoutError:
        return call.without_slot(own=own)


async def sleep(exchange: Underway, action: Sleep) -> None:
    del exchange
    await asyncio.sleep(action.seconds)


async def ask(exchange: Underway, action: Ask) -> Any:
    del exchange
    return await action.service.ask_async(action.request, action.timeout_s)


async def await_race(call: Any, action: AwaitRace) -> None:
    del call
    race, event = action.race, asyncio.Event()
    race.wake = event.set
    if not race.events:
        with suppress(TimeoutError):
            left = None if action.until is None else max(0.0, action.until - monotonic())
            await asyncio.wait_for(event.wait(), left)
    race.wake = None


def beside(action: Run, perform: Sequence[Callable[[Any, Any], Awaitable[Any]]], branch: Any) -> Task:
    """Run a machine in a task of its own, with what a suite performs."""

    async def work() -> None:
        try:
            await drive_async(action.machine, perform, branch)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            action.failed(error)

    return Task(asyncio.get_running_loop().create_task(work()))


class Task:
    """A try in a task of its own."""

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def abandon(self) -> None:
        self._task.cancel()
