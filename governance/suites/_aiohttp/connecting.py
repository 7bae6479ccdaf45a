"""Connections of the mesh's that speak with aiohttp's own parser."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import ConnectionTimeoutError, SocketTimeoutError
from aiohttp.client_proto import ResponseHandler

from ...peer import Peer, Principals
from ...waiting import call_in

if TYPE_CHECKING:
    from .attempt import Attempt
    from .http2 import Link


H = TypeVar("H", bound=asyncio.BaseProtocol)


class NotConnectedError(Exception):
    """A connection could not be made, or not be secured."""

    flag = "UF"
    """Envoy's, where it is the mesh that has refused."""


class Handler(ResponseHandler):
    """aiohttp's parser of responses, over a connection that many attempts use one after the other."""

    attempt: Attempt | None = None
    watched = False
    """Whether somebody wants to know when the last bytes came."""
    active_at = 0.0

    def start_timeout(self) -> None:
        attempt = self.attempt
        if attempt is not None:
            # Of an answer that is there already nobody waits for a byte.
            exchange = attempt.exchange
            self._read_timeout = None if attempt.plain or exchange.read_s is None else exchange.reads()
        super().start_timeout()

    def data_received(self, data: bytes) -> None:
        if self.watched:
            self.active_at = self._loop.time()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.attempt is not None:
            self.attempt.lost()


class Connection:
    """One of them as the pools of the mesh see it (governance.pool.Connection)."""

    __slots__ = ("_loop", "_poll", "handler", "handshake", "http2", "principals")

    def __init__(self, handler: Handler | Link, loop: asyncio.AbstractEventLoop, *, http2: bool) -> None:
        self.handler = handler
        self.http2 = http2
        self.principals: Principals | None = None
        self.handshake: Callable[[], Peer] | None = None
        self._loop = loop
        self._poll: Callable[[int], list[tuple[int, int]]] | None = None
        plain = handler.transport.get_extra_info("socket") if handler.transport is not None else None
        if plain is not None and hasattr(select, "poll"):
            # Over HTTP/2 the other side may say something at any time: only its end counts.
            events = getattr(select, "POLLRDHUP", 0) if http2 else select.POLLIN
            poll = select.poll()
            poll.register(plain.fileno(), events)
            self._poll = poll.poll

    def peer(self) -> Peer | None:
        """Who has completed its handshake."""
        return None if self.handshake is None else self.handshake()

    def usable(self) -> bool:
        """Open and able to take a request."""
        handler = self.handler
        return handler.is_connected() and not handler.should_close

    def fresh(self) -> bool:
        """Usable, and the other side has not closed it meanwhile: the event loop may not have seen that yet."""
        return self.usable() and not (self._poll is not None and self._poll(0))

    def close(self) -> None:
        if not self._loop.is_closed():
            call_in(self._loop, self.handler.close)


class Stream:
    """A connection that has been made, and that nobody reads yet: the face that `Steps` know of a library's stream."""

    __slots__ = ("_loop", "_sock", "handler")

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._sock = sock
        self._loop = loop
        self.handler: Handler | None = None

    async def opened(self, factory: Callable[[], H], context: Any = None, name: str | None = None) -> H:
        """Have it read, with TLS of the program's own where there is a context."""
        options = {} if context is None else {"ssl": context, "server_hostname": name}
        _, handler = await self._loop.create_connection(factory, sock=self._sock, **options)
        return handler

    async def start_tls(self, context: Any, name: str | None, timeout: float | None) -> Stream:  # noqa: ASYNC109
        """The same connection, secured; the context knows the name to ask for."""
        del name
        try:
            async with asyncio.timeout(timeout):
                self.handler = await self.opened(lambda: Handler(self._loop), context, "mesh")
        except TimeoutError as error:
            self._sock.close()
            if error.errno is None:
                raise ConnectionTimeoutError("the TLS handshake took too long") from error
            raise NotConnectedError(str(error)) from error
        except OSError as error:
            self._sock.close()
            raise NotConnectedError(str(error)) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        transport = self.handler.transport if self.handler is not None else None
        return None if transport is None else transport.get_extra_info(info)

    async def aclose(self) -> None:
        if self.handler is None:
            self._sock.close()
        else:
            self.handler.close()


class Backend:
    """Makes connections; in place of a network backend of httpcore's."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Any = (),
    ) -> Stream:
        """To an address."""
        loop = asyncio.get_running_loop()
        async with _Bound(timeout):
            family, address = await _resolved(loop, host, port)
            return await _connected(loop, socket.socket(family, socket.SOCK_STREAM), address, socket_options)

    async def connect_unix_socket(self, path: str, timeout: float | None = None) -> Stream:  # noqa: ASYNC109
        """To a socket in the file system."""
        loop = asyncio.get_running_loop()
        async with _Bound(timeout):
            return await _connected(loop, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path, ())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolved(loop: asyncio.AbstractEventLoop, host: str, port: int) -> tuple[int, Any]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:  # a name: asked for in a thread
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return found[0][0], found[0][4]
    return family, (host, port)


async def _connected(loop: asyncio.AbstractEventLoop, sock: socket.socket, address: Any, options: Any) -> Stream:
    try:
        sock.setblocking(False)
        for option in options:
            sock.setsockopt(*option)
        await loop.sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return Stream(sock, loop)


class _Bound:
    """A bound in time; what goes wrong within is aiohttp's ConnectionTimeoutError or a `NotConnectedError`."""

    def __init__(self, seconds: float | None) -> None:
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise ConnectionTimeoutError("timed out") from late
        if isinstance(error, OSError):
            raise NotConnectedError(str(error)) from error


class Library:
    """The exceptions of aiohttp, under the names that all libraries' have here."""

    connect_timeout = ConnectionTimeoutError
    connect_error = NotConnectedError
    read_timeout = SocketTimeoutError
