"""The suite of plain TCP: connections for bytes of the program's own (databases, brokers), to where the mesh says.

As behind a sidecar the listener of the dialled address decides: a cluster's endpoint, picked for each connection, under
its thresholds, by mTLS where it asks for that; or the address itself, where the mesh lets unknown hosts be reached.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from ...xds.model.resource import ResourceError
from ..composition.connections import dials_itself, routed_tcp
from ..opaque import dialled
from ..passing import DIRECT, Life, TcpRoute
from ..plan import Missing
from ..replies import LocalReply
from ..runtime import Runtime
from ..tcp import TcpConnection
from ._blocking import pause
from ._dialling import Dialling
from ._steps import run, run_async
from ._tcp_sockets import Keeper, counted

LIMIT = 2**16
"""Bytes that a StreamReader holds, as asyncio has it."""


class UnreachableError(ConnectionError):
    """The mesh makes no such connection; the text begins with Envoy's response flag, which is `flag` too."""

    flag = "UF"


class Errors:
    """What is raised, for whoever dials."""

    connect_error: type[Exception] = UnreachableError
    connect_timeout: type[Exception] = TimeoutError


ERRORS = Errors()


def _refused(reply: LocalReply) -> UnreachableError:
    error = UnreachableError(f"{reply.flag}: {reply.body.decode() or reply.details.replace('_', ' ')}")
    error.flag = reply.flag
    return error


def _look(runtime: Runtime, host: str, port: int) -> TcpRoute | Missing:
    """Where to. Raises UnreachableError: nowhere."""
    try:
        found = dialled(runtime, host, port)
    except ResourceError as error:
        raise UnreachableError(f"UF: {error}") from error
    if not isinstance(found, Missing):
        found = routed_tcp(runtime, found)
    if isinstance(found, LocalReply):
        raise _refused(found)
    if isinstance(found, Missing):
        runtime.require(found)
        if runtime.closed:
            raise UnreachableError(f"UF: the mesh was closed and does not hold {found.what}")
    return found


def _late(runtime: Runtime, missing: Missing, host: str, port: int) -> TimeoutError:
    return TimeoutError(f"{host}:{port}: {runtime.late(missing.what)}")


@contextmanager
def _as_it_is(host: str, port: int) -> Iterator[None]:
    """The library's own errors, which say what the mesh has to do with them: a name may be misspelt."""
    try:
        yield
    except OSError as error:
        if error.strerror:
            error.strerror += f" (the mesh takes no TCP to {host}:{port}, so it was dialled as it is)"
        raise


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - monotonic(), 0.0)


class Sockets:
    """Opens sockets for a thread."""

    def __init__(self, source: tuple[str, int] | None) -> None:
        self._source = source

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, socket_options: Sequence[Any] = ()
    ) -> _Opened:
        try:
            sock = socket.create_connection((host, port), timeout, self._source)
        except TimeoutError:
            raise
        except OSError as error:
            raise UnreachableError(f"UF: {host}:{port}: {error}") from error
        for option in (*socket_options, (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)):
            sock.setsockopt(*option)
        return _Opened(sock)

    def connect_unix_socket(self, path: str, timeout: float | None = None) -> _Opened:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(timeout)
            sock.connect(path)
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise UnreachableError(f"UF: {path}: {error}") from error
            raise
        return _Opened(sock)

    def sleep(self, seconds: float) -> None:
        pause(seconds)


class _Opened:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def start_tls(self, context: Any, name: str | None, timeout: float | None) -> _Opened:
        try:
            self.sock.settimeout(timeout)
            self.sock = context.wrap_socket(self.sock, server_hostname=name)
        except BaseException as error:
            self.sock.close()
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise UnreachableError(_of_tls(error)) from error
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        """As of httpcore's streams: `ssl_object`."""
        del info
        return self.sock if isinstance(self.sock, ssl.SSLSocket) else None

    def close(self) -> None:
        self.sock.close()


def _of_tls(error: OSError) -> str:
    return str(error.args[-1]) if isinstance(error, ssl.SSLError) and error.args else str(error)


def create_connection(
    runtime: Runtime | None, host: str, port: int, timeout: float | None, source: tuple[str, int] | None
) -> socket.socket:
    """A connection to what a host and port mean to the mesh.

    Raises:
        UnreachableError: the mesh makes none, or nobody is there.
        TimeoutError: not in time.
        OSError: what `socket.create_connection` raises, where the mesh lets the program dial by itself.
    """
    if runtime is None or dials_itself(runtime):
        return socket.create_connection((host, port), timeout, source)
    deadline = None if timeout is None else monotonic() + timeout
    seen = runtime.changes.generation
    while isinstance(found := _look(runtime, host, port), Missing):
        if not runtime.changes.wait(seen, _left(deadline)):
            raise _late(runtime, found, host, port)
        seen = runtime.changes.generation
    if found is DIRECT:
        with _as_it_is(host, port):
            return socket.create_connection((host, port), timeout, source)
    sock = dial(runtime, found, host, port, _left(deadline), source)
    sock.settimeout(timeout)
    return sock


def dial(
    runtime: Runtime,
    route: TcpRoute,
    host: str,
    port: int,
    timeout_s: float | None,
    source: tuple[str, int] | None = None,
) -> socket.socket:
    """A connection to an endpoint of the cluster of a route. Raises as `create_connection`."""
    dialling = Dialling(runtime.plan.cluster, ERRORS, route, runtime, None)
    opened, held = run(dialling.steps(host, port, timeout_s, {}), Sockets(source))
    return counted(opened.sock, runtime.lasting(("tcp", "keeper"), Keeper), held, dialling.life())


# -- for tasks -----------------------------------------------------------------------------------------------------


class _Protocol(asyncio.StreamReaderProtocol):
    """Counts its connection until it is lost, and ends it when its life is over."""

    def __init__(self, reader: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reader, loop=loop)
        self._own_loop = loop
        self._transport_made: Any = None
        self._held: TcpConnection | None = None
        self._life: Life | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._lost = False

    def keep(self, transport: Any, held: TcpConnection, life: Life) -> None:
        """From now on."""
        self._transport_made, self._held, self._life = transport, held, life
        if self._lost:
            held.end()
        else:
            self._look()

    def touch(self) -> None:
        """Bytes went over it."""
        if self._life is not None:
            self._life.touch()

    def _look(self) -> None:
        if self._life is None:
            return
        left_s, ends = self._life.bound(None)
        if not ends or left_s is None:
            return
        if left_s > 0:
            self._timer = self._own_loop.call_later(left_s, self._look)
        else:
            self._transport_made.abort()

    def data_received(self, data: bytes) -> None:
        self.touch()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
        if self._held is not None:
            self._held.end()
        super().connection_lost(exc)


class _Writer(asyncio.StreamWriter):
    def __init__(self, transport: Any, protocol: _Protocol, reader: asyncio.StreamReader, loop: Any) -> None:
        super().__init__(transport, protocol, reader, loop)
        self._counting = protocol

    def write(self, data: Any) -> None:
        self._counting.touch()
        super().write(data)

    def writelines(self, data: Any) -> None:
        self._counting.touch()
        super().writelines(data)


class TaskSockets:
    """Opens sockets for a task."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # as httpcore's backends
        socket_options: Sequence[Any] = (),
    ) -> _TaskOpened:
        loop = asyncio.get_running_loop()

        async def connect() -> socket.socket:
            failed: OSError | None = None
            for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                sock = socket.socket(family, kind, protocol)
                try:
                    sock.setblocking(False)
                    for option in (*socket_options, (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)):
                        sock.setsockopt(*option)
                    await loop.sock_connect(sock, address)
                except BaseException as error:
                    sock.close()
                    if not isinstance(error, OSError):
                        raise
                    failed = error
                else:
                    return sock
            raise failed or OSError("no address")

        return _TaskOpened(await _in_time(connect, timeout, f"{host}:{port}: "), self._limit)

    async def connect_unix_socket(self, path: str, timeout: float | None = None) -> _TaskOpened:  # noqa: ASYNC109
        loop = asyncio.get_running_loop()

        async def connect() -> socket.socket:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.setblocking(False)
                await loop.sock_connect(sock, path)
            except BaseException:
                sock.close()
                raise
            return sock

        return _TaskOpened(await _in_time(connect, timeout, f"{path}: "), self._limit)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _in_time(connect: Callable[[], Awaitable[Any]], limit_s: float | None, where: str) -> Any:
    try:
        async with asyncio.timeout(limit_s):
            return await connect()
    except TimeoutError:
        raise TimeoutError("timed out") from None
    except OSError as error:
        raise UnreachableError(f"UF: {where}{error}" if where else _of_tls(error)) from error


class _TaskOpened:
    def __init__(self, sock: socket.socket, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._transport: Any = None
        self.reader = asyncio.StreamReader(limit=limit, loop=self._loop)
        self.protocol = _Protocol(self.reader, self._loop)

    async def start_tls(self, context: Any, name: str | None, timeout: float | None) -> _TaskOpened:  # noqa: ASYNC109
        del name  # the context knows better
        await _in_time(lambda: self.made(context), timeout, "")
        return self

    async def made(self, context: Any = None) -> Any:
        """The transport; by TLS, with a context."""
        if self._transport is None:
            options = {} if context is None else {"ssl": context, "server_hostname": ""}
            try:
                self._transport, _ = await self._loop.create_connection(
                    lambda: self.protocol, sock=self._sock, **options
                )
            except BaseException:
                self._sock.close()
                raise
        return self._transport

    def get_extra_info(self, info: str) -> Any:
        """As of httpcore's streams: `ssl_object`."""
        return None if self._transport is None else self._transport.get_extra_info(info)

    async def aclose(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._sock.close()


async def open_connection(
    runtime: Runtime | None, host: str, port: int, timeout_s: float | None, limit: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The same for a task, as asyncio's streams."""
    if runtime is None or dials_itself(runtime):
        async with asyncio.timeout(timeout_s):
            return await asyncio.open_connection(host, port, limit=limit)
    deadline = None if timeout_s is None else monotonic() + timeout_s
    seen = runtime.changes.generation
    while isinstance(found := _look(runtime, host, port), Missing):
        if not await runtime.changes.wait_async(seen, _left(deadline)):
            raise _late(runtime, found, host, port)
        seen = runtime.changes.generation
    if found is DIRECT:
        async with asyncio.timeout(_left(deadline)):
            with _as_it_is(host, port):
                return await asyncio.open_connection(host, port, limit=limit)
    return await dial_async(runtime, found, host, port, _left(deadline), limit)


async def dial_async(
    runtime: Runtime, route: TcpRoute, host: str, port: int, timeout_s: float | None, limit: int = LIMIT
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to an endpoint of the cluster of a route. Raises as `open_connection`."""
    dialling = Dialling(runtime.plan.cluster, ERRORS, route, runtime, None)
    opened, held = await run_async(dialling.steps(host, port, timeout_s, {}), TaskSockets(limit))
    try:
        transport = await opened.made()
    except BaseException:
        held.end()
        raise
    opened.protocol.keep(transport, held, dialling.life())
    return opened.reader, _Writer(transport, opened.protocol, opened.reader, asyncio.get_running_loop())
