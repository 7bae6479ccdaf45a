"""The messages of a streamed request on their way out: kept as far as they may be sent again.

A try reads them from the first on; what no try has read yet is asked of the program, by one try at a time. When the
response has begun there is no other try, and nothing is kept any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from threading import Lock
from typing import Any

from ..framing import PREFIX, framed


class Kept:
    """What sync code and tasks have in common. `most`: bytes that are kept; None for no limit."""

    __slots__ = ("_ended", "_first", "_lost", "_messages", "_most", "_settled", "_size", "on_end", "sent")

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._first = 0
        self._size = 0
        self._most: int | None = 0
        self._ended = False
        self._lost = False
        self._settled = False
        self.sent = 0
        self.on_end: Callable[[], None] | None = None

    def keep(self, most: int | None) -> None:
        """So much of it may be sent again."""
        self._most = most

    @property
    def replayable(self) -> bool:
        """Whether all that has been sent could be sent again."""
        return not self._lost and self._first == 0 and (self._most is None or self._size <= self._most)

    def settle(self) -> None:
        """There is no other try."""
        self._settled = True

    def _add(self, message: bytes) -> None:
        self._messages.append(message)
        self._size += len(message) + PREFIX

    def _passed(self, at: int) -> None:
        """A try has taken the message at that place."""
        if self._settled or not self.replayable:
            gone = at + 1 - self._first
            if gone > 0:
                del self._messages[:gone]
                self._first = at + 1

    def _check(self) -> None:
        """The program has failed to say a message, or was interrupted: no try goes on as though that were the end."""
        if self._lost:
            raise RuntimeError("the requests of this call have come to an early end")

    def _finish(self) -> None:
        if not self._ended:
            self._ended = True
            if self.on_end is not None:
                self.on_end()


class Requests(Kept):
    """For sync code. `source`: what the program gives, `encode`: what makes bytes of it."""

    __slots__ = ("_encode", "_lock", "_source")

    def __init__(self, source: Iterator[Any], encode: Callable[[Any], bytes]) -> None:
        super().__init__()
        self._source = source
        self._encode = encode
        self._lock = Lock()

    def __iter__(self) -> Iterator[bytes]:
        at = 0
        while True:
            with self._lock:
                if at < self._first:
                    return  # of a try that is over
                if at - self._first >= len(self._messages):
                    message = self._next()
                    if message is None:
                        return
                found = self._messages[at - self._first]
                self._passed(at)
            at += 1
            self.sent += len(found)
            yield found

    def _next(self) -> bytes | None:
        """What the program says next, which is kept; None when there is no more."""
        if self._ended:
            return None
        self._check()
        try:
            message = self._encode(next(self._source))
        except StopIteration:
            self._finish()
            return None
        except BaseException:
            self._lost = True
            raise
        self._add(message)
        return message

    def collect(self, most: int) -> bytes:
        """What there is, framed, until it ends or is longer than that; it stays to be sent."""
        body = b""
        with self._lock:
            while len(body) <= most and (message := self._next()) is not None:
                body += framed(message)
        return body


class AsyncRequests(Kept):
    """For tasks. `ask` is awaited for the next message; None when there are no more."""

    __slots__ = ("_ask", "_lock")

    def __init__(self, ask: Callable[[], Any], lock: Any) -> None:
        super().__init__()
        self._ask = ask
        self._lock = lock

    async def __aiter__(self) -> AsyncIterator[bytes]:
        at = 0
        while True:
            async with self._lock:
                if at < self._first:
                    return  # of a try that is over
                if at - self._first >= len(self._messages):
                    message = await self._next()
                    if message is None:
                        return
                found = self._messages[at - self._first]
                self._passed(at)
            at += 1
            self.sent += len(found)
            yield found

    async def _next(self) -> bytes | None:
        """What the program says next, which is kept; None when there is no more."""
        if self._ended:
            return None
        self._check()
        try:
            message: bytes | None = await self._ask()
        except BaseException:
            self._lost = True
            raise
        if message is None:
            self._finish()
        else:
            self._add(message)
        return message

    async def collect(self, most: int) -> bytes:
        """What there is, framed, until it ends or is longer than that; it stays to be sent."""
        body = b""
        async with self._lock:
            while len(body) <= most and (message := await self._next()) is not None:
                body += framed(message)
        return body
