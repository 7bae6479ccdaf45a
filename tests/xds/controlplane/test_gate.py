"""How much is on its way at once, and who waits for it."""

from __future__ import annotations

import asyncio

import pytest

from proxyless.xds.controlplane.gate import SMALL_BYTES, Gate

BIG = 10 * SMALL_BYTES
NEVER_S = 3600.0


class Writer:
    def __init__(self, gate: Gate, size: int) -> None:
        self.inside = False
        self.entered = asyncio.Event()
        self._end = asyncio.Event()
        self.task = asyncio.create_task(self._write(gate, size))

    async def _write(self, gate: Gate, size: int) -> None:
        async with gate.passed(size):
            self.inside = True
            self.entered.set()
            await self._end.wait()
        self.inside = False

    async def finish(self) -> None:
        self._end.set()
        await self.task


async def settled(*writers: Writer) -> list[bool]:
    for _ in range(5):
        await asyncio.sleep(0)
    return [each.inside for each in writers]


def test_what_has_no_room_waits_in_turn_and_small_messages_pass() -> None:
    async def run() -> None:
        gate = Gate(2 * BIG, NEVER_S)
        one, two, three, four = (Writer(gate, size) for size in (BIG, BIG, 2 * BIG, BIG))
        small = Writer(gate, SMALL_BYTES)
        assert await settled(one, two, three, four, small) == [True, True, False, False, True]
        await one.finish()
        assert await settled(three, four) == [False, False]  # nobody overtakes
        await two.finish()
        assert await settled(three, four) == [True, False]
        await three.finish()
        assert await settled(four) == [True]
        await four.finish()
        await small.finish()
        huge = Writer(gate, 100 * BIG)
        assert await settled(huge) == [True]
        await huge.finish()

    asyncio.run(run())


def test_who_goes_away_gives_back_what_it_had_or_waited_for() -> None:
    async def run() -> None:
        gate = Gate(BIG, NEVER_S)
        inside, waiting, last = (Writer(gate, BIG) for _ in range(3))
        assert await settled(inside, waiting, last) == [True, False, False]
        waiting.task.cancel()
        inside.task.cancel()
        assert await settled(waiting, last) == [False, True]
        # Let in and cancelled in the same moment.
        another, behind = Writer(gate, BIG), Writer(gate, BIG)
        assert await settled(another, behind) == [False, False]
        last._end.set()
        await asyncio.wait([last.task])  # which lets `another` in, whose turn has not come yet
        another.task.cancel()
        assert await settled(behind) == [True]
        await behind.finish()
        with pytest.raises(asyncio.CancelledError):
            await another.task
        assert gate._held == 0

    asyncio.run(run())


def test_one_that_is_not_read_holds_nobody_up() -> None:
    async def run() -> None:
        gate = Gate(BIG, 0.0)
        stuck = Writer(gate, BIG)
        assert await settled(stuck) == [True]
        other = Writer(gate, BIG)
        await other.entered.wait()
        await stuck.finish()
        await other.finish()
        assert gate._held == 0

    asyncio.run(run())
