"""How a call of `grpc.aio` has ended.

Where the server ends a call while a message is being written to it, grpcio fails to write and says `INTERNAL` of the
call, before the server's own status has come or after it. What the server said is the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from ..grpc_statuses import INTERNAL
from ._grpc_status import Ended

UNWRITTEN = 'Failed "execute_batch"'
SAID_WITHIN_S = 10.0
"""The transport has ended the call by then, or the connection is lost, which is a status, too."""


async def ended_of(native: Any) -> Ended:
    """How grpcio says now that a call has ended; waits for that."""
    code = await native.code()
    return Ended(
        code.value[0],
        await native.details() or "",
        tuple(await native.initial_metadata() or ()),
        tuple(await native.trailing_metadata() or ()),
        await native.debug_error_string() or "",
    )


def _at_once(work: Coroutine[Any, Any, Ended]) -> Ended | None:
    """What it returns, if it has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as stop:
        found: Ended = stop.value
        return found
    work.close()
    return None


class Ends:
    """All that grpcio says of how a call with a stream of requests has ended: it may say two things."""

    __slots__ = ("_said", "_settled")

    def __init__(self, native: Any) -> None:
        self._said: Ended | None = None
        self._settled = asyncio.Event()
        native.add_done_callback(self._hear)

    def _hear(self, native: Any) -> None:
        ended = _at_once(ended_of(native))
        if ended is not None and self._said is None and not _unwritten(ended):
            self._said = ended
            self._settled.set()

    async def last(self, ended: Ended) -> Ended:
        """The end of a call of which grpcio has said that."""
        if not _unwritten(ended):
            return ended
        with suppress(TimeoutError):
            async with asyncio.timeout(SAID_WITHIN_S):
                await self._settled.wait()
        return self._said or ended


def _unwritten(ended: Ended) -> bool:
    """Whether it says no more than that a message could not be written."""
    return ended.code == INTERNAL and UNWRITTEN in ended.debug
