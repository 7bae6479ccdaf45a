"""The body of a request in aiohttp: what its `Payload` would write, read part by part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp.payload import BytesPayload, Payload

if TYPE_CHECKING:
    from .attempt import Attempt


class Whole:
    """A body that is at hand."""

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.body:
            yield self.body


class Pulled:
    """A body that a payload writes, each part when it is asked for: payloads push, and cannot pause between tries."""

    __slots__ = ("_payload",)

    def __init__(self, payload: Payload) -> None:
        self._payload = payload

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = _Parts()
        task = asyncio.get_running_loop().create_task(parts.fill(self._payload))
        try:
            while (part := await parts.next()) is not None:
                yield part
            await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


class _Parts:
    """What a payload takes for aiohttp's writer: one part at a time, taken before the next is written."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)

    async def fill(self, payload: Payload) -> None:
        try:
            await payload.write(self)  # type: ignore[arg-type]  # the part of a writer that payloads use
        finally:
            await self._queue.put(None)

    async def write(self, chunk: Any, **_: Any) -> None:
        if chunk:
            await self._queue.put(bytes(chunk))

    async def drain(self) -> None:
        """Every part has been taken."""

    async def next(self) -> bytes | None:
        return await self._queue.get()


def source_of(payload: Payload) -> Whole | Pulled:
    """A body, to be read as often as one likes if it is at hand."""
    return Whole(bytes(payload._value)) if isinstance(payload, BytesPayload) else Pulled(payload)


class Body:
    """What a request of aiohttp's is given in place of its payload: says how far it has gone out."""

    __slots__ = ("_attempt", "_upload")

    def __init__(self, upload: AsyncIterable[bytes], attempt: Attempt) -> None:
        self._upload = upload
        self._attempt = attempt

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """All of it, as far as that length."""
        left = content_length
        exchange = self._attempt.exchange
        exchange.sent = 0
        parts = aiter(self._upload)
        while True:
            try:
                part = await anext(parts, None)
            except Exception as error:
                exchange.broken = error  # the program's own, whose body it is
                raise
            if part is None:
                return
            if left is not None:
                part, left = part[:left], left - len(part[:left])
            if part:
                await writer.write(part)
                exchange.sent += len(part)
                self._attempt.wrote()

    async def write(self, writer: Any) -> None:
        """All of it."""
        await self.write_with_length(writer, None)
