"""How much may be on its way to clients at once.

grpc copies a message and holds the copy until the client has taken it, so a thousand clients that connect together
would hold a thousand times what they are sent. One that does not read stops counting after a moment: it holds its own
message, and nobody else up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST_BYTES = 64 << 20
SMALL_BYTES = 16 << 10
PATIENCE_S = 1.0


class Gate:
    """For one event loop. First come, first served."""

    def __init__(self, most: int = MOST_BYTES, patience_s: float = PATIENCE_S) -> None:
        self._most, self._patience_s = most, patience_s
        self._held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def passed(self, size: int) -> AsyncIterator[None]:
        """Waits until a message of that many bytes has room; small ones always have."""
        if size <= SMALL_BYTES:
            yield
            return
        size = min(size, self._most)
        await self._enter(size)
        left = [size]

        def leave() -> None:
            self._leave(left.pop() if left else 0)

        timer = asyncio.get_running_loop().call_later(self._patience_s, leave)
        try:
            yield
        finally:
            timer.cancel()
            leave()

    async def _enter(self, size: int) -> None:
        if not self._waiting and self._held + size <= self._most:
            self._held += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(size)
            raise

    def _leave(self, size: int) -> None:
        self._held -= size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.done():  # cancelled
                self._waiting.popleft()
                continue
            if self._held + wanted > self._most:
                return
            self._waiting.popleft()
            self._held += wanted
            turn.set_result(None)
