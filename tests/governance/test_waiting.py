"""Threads and tasks that wait for the next snapshot."""

from __future__ import annotations

import asyncio
from threading import Thread
from time import monotonic

from proxyless.governance.waiting import Changes, call_in


def test_a_change_that_has_come_is_not_waited_for() -> None:
    changes = Changes()
    changes.advance()
    assert changes.wait(0, None)
    assert asyncio.run(changes.wait_async(0, None))


def test_a_thread_waits_until_its_time_is_over() -> None:
    changes = Changes()
    begin = monotonic()
    assert not changes.wait(0, 0.05)
    assert monotonic() - begin >= 0.05
    assert not changes._wakers


def test_a_task_waits_until_its_time_is_over() -> None:
    changes = Changes()
    assert not asyncio.run(changes.wait_async(0, 0.05))
    assert not changes._wakers


def test_a_change_wakes_every_thread_once() -> None:
    changes = Changes()
    woken: list[bool] = []
    threads = [Thread(target=lambda: woken.append(changes.wait(0, 10))) for _ in range(5)]
    for each in threads:
        each.start()
    while len(changes._wakers) < 5:
        pass
    changes.advance()
    for each in threads:
        each.join(5)
    assert woken == [True] * 5
    assert not changes._wakers


def test_a_change_wakes_tasks_of_another_threads_loop() -> None:
    changes = Changes()

    async def wait() -> list[bool]:
        tasks = [asyncio.create_task(changes.wait_async(0, 10)) for _ in range(5)]
        await asyncio.sleep(0)
        Thread(target=changes.advance).start()
        return await asyncio.gather(*tasks)

    assert asyncio.run(wait()) == [True] * 5
    assert changes.generation == 1


def test_one_callers_short_patience_does_not_disturb_another() -> None:
    """peers.md, kitex: a short deadline removed the waiter that others shared."""
    changes = Changes()

    async def wait() -> list[bool]:
        patient = [asyncio.create_task(changes.wait_async(0, 10)) for _ in range(2)]
        hasty = asyncio.create_task(changes.wait_async(0, 0.01))
        cancelled = asyncio.create_task(changes.wait_async(0, None))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert not await hasty
        changes.advance()
        return await asyncio.gather(*patient)

    assert asyncio.run(wait()) == [True, True]


def test_a_thread_and_a_task_may_wait_for_the_same_change() -> None:
    changes = Changes()
    results: list[bool] = []
    threads = [
        Thread(target=lambda: results.append(changes.wait(0, 10))),
        Thread(target=lambda: results.append(asyncio.run(changes.wait_async(0, 10)))),
    ]
    for each in threads:
        each.start()
    while len(changes._wakers) < 2:
        pass
    changes.advance()
    for each in threads:
        each.join(5)
    assert results == [True, True]


def test_a_loop_that_is_gone_has_nobody_left_to_tell() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    called: list[int] = []
    call_in(loop, lambda: called.append(1))
    assert called == []


def test_a_change_after_a_loop_has_gone_is_told_to_the_others() -> None:
    changes = Changes()

    async def leave() -> None:
        task = asyncio.create_task(changes.wait_async(0, None))
        await asyncio.sleep(0)
        waker = next(iter(changes._wakers))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        changes._wakers.add(waker)

    asyncio.run(leave())
    changes.advance()
    assert changes.wait(0, 0.0)
