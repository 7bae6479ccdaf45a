"""One try over one connection: from the moment that aiohttp is given it until it has released it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import ClientOSError, ClientPayloadError, ClientResponse, ServerDisconnectedError, SocketTimeoutError, hdrs
from aiohttp.connector import Connection as LibraryConnection

from ...actions import BodyEnd, Deliver
from ...driver import finish
from .connecting import Handler

if TYPE_CHECKING:
    from .exchange import Exchange

EARLY_S = 0.002
"""A timer may wake this much too early."""


BROKEN = (ClientPayloadError, ClientOSError, ServerDisconnectedError)
"""What a body raises that the other side has not sent whole."""


class DeadlineError(Exception):
    """The machine's deadline passed."""


class IdleError(Exception):
    """No byte came or went for too long."""


class Upgradable(LibraryConnection):
    """A connection that may become a WebSocket's, which writes to its transport."""

    @property
    def transport(self) -> Any:
        transport = super().transport
        return None if transport is None else Written(transport, self._connector)


class Written:
    """A transport; its attempt hears of what is written."""

    __slots__ = ("_attempt", "_transport")

    def __init__(self, transport: asyncio.Transport, attempt: Any) -> None:
        self._transport = transport
        self._attempt = attempt

    def write(self, data: Any) -> None:
        self._attempt.wrote()
        self._transport.write(data)

    def writelines(self, list_of_data: Any) -> None:
        self._attempt.wrote()
        self._transport.writelines(list_of_data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Attempt:
    """Stands where a `Connection` of aiohttp's has its connector: it is told of the release."""

    __slots__ = (
        "_deadline",
        "_delivered",
        "_ended",
        "_idle_s",
        "_loop",
        "_timer",
        "at_once",
        "exchange",
        "handler",
        "kind",
        "plain",
        "released",
        "response",
    )

    force_close = False
    _timeout_ceil_threshold = 5.0

    def __init__(self, exchange: Exchange, handler: Handler | None, *, plain: bool = False) -> None:
        """`plain`: nothing of the mesh's bounds it; the library goes its own way, or an answer is there already."""
        self.exchange = exchange
        self.handler = handler
        self.plain = plain
        self.response: ClientResponse | None = None
        self.released = False
        self.at_once = False
        """Whether the request was written in one piece, with no help of aiohttp's."""
        self.kind = ""
        self._loop = exchange.loop
        self._delivered = False
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._idle_s: float | None = None
        if handler is not None:
            handler.attempt = self
            handler.watched = False

    def connection(self, key: Any) -> LibraryConnection:
        """For the library."""
        if self.handler is None:
            raise AssertionError("an attempt of the library's own")
        made = Upgradable if b"upgrade" in self.exchange.call.request.headers else LibraryConnection
        return made(self, key, self.handler, self._loop)  # type: ignore[arg-type]

    # -- deadlines -----------------------------------------------------------------------------------------------

    def until(self, deadline: float | None, idle_s: float | None) -> None:
        """Until when the try may take, and how long it may have no byte."""
        self._deadline, self._idle_s = deadline, idle_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.handler is not None and idle_s is not None:
            self.handler.watched = True
            self.handler.active_at = self._loop.time()
        if deadline is not None or idle_s is not None:
            self._wait()

    def wrote(self) -> None:
        """A part of the body, or of what a WebSocket says, has gone out."""
        if self._idle_s is not None and self.handler is not None:
            self.handler.active_at = self._loop.time()

    def _left_s(self) -> tuple[float, type[Exception]]:
        now = self.exchange.pool.runtime.clock()
        left, error = float("inf"), DeadlineError
        if self._deadline is not None:
            left = self._deadline - now
        if self._idle_s is not None and self.handler is not None:
            idle = self.handler.active_at + self._idle_s - self._loop.time()
            if idle < left:
                return idle, IdleError
        return left, error

    def _wait(self) -> None:
        self._timer = self._loop.call_later(max(0.0, self._left_s()[0]), self._look)

    def _look(self) -> None:
        self._timer = None
        if self.released:
            return
        left, error = self._left_s()
        if left > EARLY_S:
            self._wait()
        else:
            self._cut(error())

    def _cut(self, error: Exception) -> None:
        """The time is over."""
        handler = self.handler
        if handler is None:
            return
        self.kind = "idle" if isinstance(error, IdleError) else "timeout"
        if self._delivered:
            told = (
                "the response stalled for longer than the route allows"
                if self.kind == "idle"
                else "the route's timeout passed before the response was complete"
            )
            content = self.response.content if self.response is not None else None
            if content is not None:
                content.set_exception(SocketTimeoutError(told))
            self._end()
            handler.abort()
        else:
            handler.set_exception(error)

    # -- the end -------------------------------------------------------------------------------------------------

    def _release(self, key: Any, protocol: Handler, *, should_close: bool = False) -> None:
        """aiohttp is done with the connection."""
        del key
        if should_close or protocol.should_close:
            protocol.close()
        protocol.attempt = None
        self.over()

    def over(self) -> None:
        """Nothing more comes."""
        if self.released:
            return
        self.released = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._delivered:
            self._end()

    def lost(self) -> None:
        """The connection has ended; the caller may not read on, and hear of it, for long."""
        if self._delivered and self._broken():
            self._end()

    def deliver(self, deliver: Deliver) -> None:
        """From now on the caller has its response; that may have been read to its end already."""
        self._delivered = True
        if self.released or self._broken():
            self._end()
        elif not self.plain:
            self.until(deliver.deadline, deliver.idle_s)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        content = self.response.content if self.response is not None else None
        complete = not self.kind and (content is None or content.is_eof())
        kind = "" if complete else self.kind or ("reset" if self._broken() else "caller")
        finish(self.exchange.machine, BodyEnd(complete, self.exchange.sent, self._received(), kind))

    def _broken(self) -> bool:
        """Whether it was the other side that has ended the response."""
        error = self.response.content.exception() if self.response is not None else None
        return isinstance(error, BROKEN)

    def _received(self) -> int:
        """The length of the body as it was sent."""
        response = self.response
        if response is None:
            return 0
        read = int(getattr(response.content, "total_bytes", 0))
        if hdrs.CONTENT_ENCODING not in response.headers:
            return read
        said = response.headers.get(hdrs.CONTENT_LENGTH, "")
        return int(said) if said.isdigit() else read
