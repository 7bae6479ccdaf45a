"""The httpx suite under asyncio: what takes the place of httpcore's pool, and the actions of a call's machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Self

from ..actions import Bypass, Collect, Deliver, Discard, Failure, Head, OpenConnection, Run, Send, Start
from ..composition.compose import Policies
from ..driver import drive_async
from ..runtime import Runtime
from ._awaiting import Task, ask, await_config, await_race, await_slot, beside, sleep
from ._background import as_task, run_copy_async
from ._bypass import AsyncUngoverned
from ._exchange import Exchange, PoolBase
from ._httpcore import AsyncBody, AsyncConnection, AsyncStream, Clamp, Library
from ._steps import handshake_of, principals_of, run_async, speaks_http2
from ._underway import ErrorMode
from ._upload import Begun


class AsyncGovernedPool(PoolBase):
    """For asyncio."""

    def __init__(
        self,
        runtime: Runtime,
        inner: Any,
        library: Library,
        errors: ErrorMode,
        proxied: Callable[[str], Any] | None = None,
        policies: Policies | None = None,
    ) -> None:
        super().__init__(runtime, inner, library, errors, policies)
        self._ungoverned = AsyncUngoverned(runtime, inner, library, proxied)
        self._backend = library.core.AnyIOBackend()
        self._http2_connection = library.async_http2_connection

    def owner(self) -> Any:
        return asyncio.get_running_loop()

    async def handle_async_request(self, request: Any) -> Any:
        """Govern one request."""
        exchange = Exchange(self, request)
        outcome = await drive_async(exchange.machine, _PERFORM_ASYNC, exchange)
        return exchange.respond(outcome, AsyncBody) if isinstance(outcome, Deliver) else exchange.local(outcome)

    async def aclose(self) -> None:
        """Closes what belongs to this client; the connections of the mesh stay."""
        await self._ungoverned.aclose()

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._ungoverned.aclose()
        await self.inner.__aexit__(*error)

    # -- actions -------------------------------------------------------------------------------------------------

    @staticmethod
    async def open_connection(exchange: Exchange, action: OpenConnection) -> Any:
        pool: Any = exchange.pool
        library = exchange.library
        stream = await run_async(exchange.opening(action), pool._backend)
        if isinstance(stream, Failure):
            return stream
        clamp = Clamp(library.read_timeout)
        wrapped = AsyncStream(stream, clamp, library.core)
        http2 = action.http2 or (action.pool.secure is not None and action.negotiates and speaks_http2(stream))
        kind = pool._http2_connection if http2 else library.async_http1_connection
        core = kind(origin=exchange.origin(action), stream=wrapped)
        made = AsyncConnection(core, wrapped, clamp, http2, asyncio.get_running_loop())
        if action.pool.secure is not None:
            made.principals, made.handshake = principals_of(stream), handshake_of(stream)
        return made

    @staticmethod
    async def send(exchange: Exchange, action: Send) -> Head | Failure:
        connection = exchange.prepare(action)
        try:
            return exchange.head(await connection.core.handle_async_request(exchange.request))
        except exchange.library.failures as error:
            return exchange.failure(error)

    @staticmethod
    async def discard(exchange: Exchange, action: Discard) -> None:
        del exchange
        await action.head.handle.aclose()

    @staticmethod
    async def bypass(exchange: Exchange, action: Bypass) -> Head:
        pool: Any = exchange.pool
        try:
            response = await pool._ungoverned.handle_async_request(exchange.unrouted(action), action.tcp)
        except pool.library.core.ConnectError as error:
            raise exchange.unreachable(error) from error
        return Head(response.status, response.headers, response)

    @staticmethod
    async def collect(exchange: Exchange, action: Collect) -> int:
        body = b""
        source = aiter(exchange.request.stream)
        async for chunk in source:
            body += chunk
            if len(body) > action.most:
                exchange.request.stream = Begun(body, source)
                break
        else:
            exchange.request.stream = exchange.library.byte_stream(body)
        action.body = body
        return len(body)

    @staticmethod
    async def start(exchange: Exchange, action: Start) -> None:
        background = exchange.pool.runtime.background
        exchange.start(action.copy, lambda copy: as_task(background, run_copy_async(copy, _PERFORM_ASYNC)))

    @staticmethod
    async def run(exchange: Exchange, action: Run) -> Task:
        return beside(action, _PERFORM_ASYNC, exchange.branch())


_PERFORM_ASYNC: tuple[Callable[[Any, Any], Awaitable[Any]], ...] = (
    await_config,
    AsyncGovernedPool.open_connection,
    await_slot,
    AsyncGovernedPool.send,
    AsyncGovernedPool.discard,
    sleep,
    AsyncGovernedPool.bypass,
    ask,
    AsyncGovernedPool.start,
    AsyncGovernedPool.run,
    await_race,
    AsyncGovernedPool.collect,
)
