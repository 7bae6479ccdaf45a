"""Connections to the endpoints of a TCP cluster, whatever name is asked for; the program's own TLS stays end to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import (
    BaseConnector,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientRequest,
    TCPConnector,
)
from aiohttp.client_exceptions import cert_errors, ssl_errors

from ...passing import Life, TcpRoute
from ...runtime import Runtime
from ...tcp import TcpConnection
from .._tcp import Dialler
from .connecting import Backend, Handler, Library, NotConnectedError, Stream


class TcpHandler(Handler):
    """A connection that is counted until it is closed; it ends when its life is over."""

    held: TcpConnection | None = None
    _life: Life | None = None
    _end: asyncio.TimerHandle | None = None

    def counted(self, held: TcpConnection, life: Life) -> None:
        """From now on."""
        self.held, self._life = held, life
        self._look()

    def _look(self) -> None:
        life = self._life
        if life is None:
            return
        left_s, ends = life.bound(None)
        if not ends or left_s is None:
            return  # it lasts for ever
        if left_s > 0:
            self._end = self._loop.call_later(left_s, self._look)
        else:
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self._life is not None:
            self._life.touch()
        super().data_received(data)

    def start_timeout(self) -> None:
        if self._life is not None:
            self._life.touch()  # a request has gone out
        super().start_timeout()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._end is not None:
            self._end.cancel()
        if self.held is not None:
            self.held.end()
        super().connection_lost(exc)


class TcpConnector(TCPConnector):
    """aiohttp's connector, whose connections go to the cluster of a route."""

    def __init__(self, runtime: Runtime, route: TcpRoute, like: BaseConnector) -> None:
        """`like`: the session's own, whose limits and trust settings are taken over."""
        reuse: dict[str, Any] = {"force_close": True}
        if not like.force_close:
            reuse = {"keepalive_timeout": like._keepalive_timeout}
        super().__init__(ssl=getattr(like, "_ssl", True), limit=like.limit, limit_per_host=like.limit_per_host, **reuse)
        self._runtime = runtime
        self._route = route
        self._dialler = Dialler(lambda name: runtime.plan.cluster(name), Library(), route, runtime, Backend())

    async def _create_connection(self, req: ClientRequest, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109
        del traces
        loop = asyncio.get_running_loop()
        name = req.url.raw_host or ""
        try:
            stream, held = await self._dialler.dial(name, req.port or 0, timeout.sock_connect or None)
        except NotConnectedError as error:
            told = ClientConnectorError(req.connection_key, OSError(None, str(error)))
            told.flag = error.flag  # type: ignore[attr-defined]  # for the exchange
            raise told from error
        try:
            context = self._get_ssl_context(req)
            handler = await _opened(stream, loop, context, req.server_hostname or name)
            fingerprint = self._get_fingerprint(req)
            if fingerprint is not None:
                fingerprint.check(handler.transport)  # type: ignore[arg-type]
        except cert_errors as error:
            held.end()
            raise ClientConnectorCertificateError(req.connection_key, error) from error
        except ssl_errors as error:
            held.end()
            raise ClientConnectorSSLError(req.connection_key, error) from error
        except OSError as error:
            held.end()
            raise ClientConnectorError(req.connection_key, error) from error
        except BaseException:
            held.end()
            raise
        runtime = self._runtime
        handler.counted(held, Life(self._route.proxy, runtime.clock, runtime.uniform))
        return handler


async def _opened(stream: Stream, loop: asyncio.AbstractEventLoop, context: Any, name: str) -> TcpHandler:
    """The connection, read by aiohttp; with the program's own TLS on it where it wants that."""
    if stream.handler is None:
        return await stream.opened(lambda: TcpHandler(loop), context, name)
    outer = stream.handler.transport
    if outer is None:
        raise ConnectionResetError("the other side has closed the connection")
    handler = TcpHandler(loop)
    if context is None:
        outer.set_protocol(handler)
        handler.connection_made(outer)
        return handler
    made = await loop.start_tls(outer, handler, context, server_hostname=name)
    if made is None:
        raise ConnectionResetError("the other side has closed the connection")
    handler.connection_made(made)
    return handler


class Connectors:
    """Those of one session, by route; they end with its own."""

    def __init__(self, like: BaseConnector) -> None:
        self._like = like
        self._made: dict[tuple[int, TcpRoute], TcpConnector] = {}

    def of(self, runtime: Runtime, route: TcpRoute) -> TcpConnector:
        """The one for a route."""
        key = (id(runtime), route)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = TcpConnector(runtime, route, self._like)
        return found

    def close(self, own: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """In place of the `close` of the session's own: begins at once, and may be awaited."""
        made, self._made = self._made, {}
        waiters = [each.close() for each in made.values()]
        last = own(*arguments, **options)
        return _All([*waiters, last]) if waiters else last


class _All:
    def __init__(self, waiters: list[Any]) -> None:
        self._waiters = waiters

    def __await__(self) -> Any:
        for each in self._waiters:
            if each is not None:
                yield from each.__await__()
