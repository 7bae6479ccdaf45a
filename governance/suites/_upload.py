"""A request's body on its way out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..bodies import most_kept

if TYPE_CHECKING:
    from ..call import OutgoingCall

MAX_COPIED = 1024 * 1024
"""Bytes of a streamed body that are kept for copies of the request (mirroring)."""


class Upload:
    """A request body on its way out. Says when it has been sent; one that is not too long can be sent again.

    `again`: the source can be iterated as often as one likes; else what it yields is kept, as Envoy buffers it. `most`:
    the longest that is sent again (None: any). `copied`: it is kept for copies of the request, too.
    """

    __slots__ = ("_again", "_iterator", "_kept", "_most", "_room", "_size", "_source", "complete", "on_end")

    def __init__(self, source: Any, *, again: bool, most: int | None, copied: bool = False) -> None:
        self._source = source
        self._again = again
        self._kept: list[bytes] = []
        self._most = most
        self._room = None if most is None else max(most, MAX_COPIED) if copied else most
        self._size = 0
        self._iterator: Any = None
        self.complete = False
        self.on_end: Callable[[], None] | None = None

    @property
    def size(self) -> int:
        """Bytes of it, as far as they are known."""
        return self._size

    @property
    def at_hand(self) -> bool:
        """Whether nobody has to be waited for while it is sent."""
        return self._again

    @property
    def replayable(self) -> bool:
        """Whether it could be sent again, as far as it is known."""
        return self._most is None or self._size <= self._most

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._room is None or self._size <= self._room:
            self._kept.append(chunk)
        else:
            self._kept.clear()

    def kept(self) -> bytes | None:
        """A streamed body that has been sent, whole; None if it was too large to be kept."""
        return b"".join(self._kept) if self._room is None or self._size <= self._room else None

    def gone(self, size: int) -> None:
        """A body that is at hand has been sent in one piece."""
        self._size = max(size, self._size)
        self._ended()

    def _ended(self) -> None:
        if not self.complete:
            self.complete = True
            on_end = self.on_end
            self.on_end = None  # it knows the call, which knows this: both would wait for a collection
            if on_end is not None:
                on_end()

    def __iter__(self) -> Iterator[bytes]:
        if self._again:
            size = 0
            for chunk in self._source:
                size += len(chunk)
                self._size = max(size, self._size)
                yield chunk
        else:
            yield from list(self._kept)
            if self._iterator is None:
                self._iterator = iter(self._source)
            for chunk in self._iterator:
                self._keep(chunk)
                yield chunk
        self._ended()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._again:
            size = 0
            async for chunk in self._source:
                size += len(chunk)
                self._size = max(size, self._size)
                yield chunk
        else:
            for chunk in list(self._kept):
                yield chunk
            if self._iterator is None:
                self._iterator = aiter(self._source)
            async for chunk in self._iterator:
                self._keep(chunk)
                yield chunk
        self._ended()


def upload_of(call: OutgoingCall, source: Any, *, again: bool, copied: bool) -> Upload:
    """The body of a call; what is not sent again is not kept."""
    most = most_kept(call) if call.may_be_sent_again else 0
    return Upload(source, again=again, most=most, copied=copied)


class Begun:
    """A body whose beginning has been read already: that, then the rest."""

    __slots__ = ("_first", "_rest")

    def __init__(self, first: bytes, rest: Any) -> None:
        self._first = first
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        async for chunk in self._rest:
            yield chunk
