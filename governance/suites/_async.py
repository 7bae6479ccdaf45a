"""The httpx suite under asyncio: what takes the place of httpcore's pool, and the actions of a call's machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Self

from ..actions import (
    Ask,
    AwaitConfig,
    AwaitRace,
    AwaitSlot,
    Bypass,
    Collect,
    Deliver,
    Discard,
    Failure,
    Head,
    OpenConnection,
    Run,
    Send,
    Sleep,
    Start,
)
from ..driver import drive_async
from ..runtime import Runtime
from ..waiting import call_in
from ._background import as_task, run_copy_async
from ._bypass import AsyncUngoverned
from ._exchange import ErrorMode, Exchange, PoolBase
from ._httpcore import AsyncBody, AsyncConnection, AsyncStream, Clamp, Library
from ._steps import run_async, speaks_http2
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
    ) -> None:
        super().__init__(runtime, inner, library, errors)
        self._ungoverned = AsyncUngoverned(runtime, inner, library, proxied)
        self._backend = library.core.AnyIOBackend()

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
    async def await_config(exchange: Exchange, action: AwaitConfig) -> None:
        changes = exchange.pool.runtime.changes
        if not await changes.wait_async(action.seen, exchange.patience(action.started)):
            raise exchange.library.connect_timeout(f"timed out waiting for {action.missing}")

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
        kind = library.async_http2_connection if http2 else library.core.AsyncHTTP11Connection
        core = kind(origin=exchange.origin(action), stream=wrapped)
        return AsyncConnection(core, wrapped, clamp, http2, asyncio.get_running_loop())

    @staticmethod
    async def await_slot(exchange: Exchange, action: AwaitSlot) -> bool:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        action.waiter.wake = lambda: call_in(loop, event.set)
        if action.waiter.grant is not None:
            return True
        limit_s, own = exchange.slot_limit(action)
        try:
            return await asyncio.wait_for(event.wait(), limit_s)
        except TimeoutError:
            return exchange.without_slot(own=own)

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
    async def sleep(exchange: Exchange, action: Sleep) -> None:
        del exchange
        await asyncio.sleep(action.seconds)

    @staticmethod
    async def bypass(exchange: Exchange, action: Bypass) -> Head:
        pool: Any = exchange.pool
        try:
            response = await pool._ungoverned.handle_async_request(exchange.request, action.tcp)
        except pool.library.core.ConnectError as error:
            raise exchange.unreachable(error) from error
        return Head(response.status, response.headers, response)

    @staticmethod
    async def ask(exchange: Exchange, action: Ask) -> Any:
        del exchange
        return await action.service.ask_async(action.request, action.timeout_s)

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
        branch = exchange.branch()

        async def work() -> None:
            try:
                await drive_async(action.machine, _PERFORM_ASYNC, branch)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                action.failed(error)

        return Task(asyncio.get_running_loop().create_task(work()))

    @staticmethod
    async def await_race(exchange: Exchange, action: AwaitRace) -> None:
        del exchange
        race, event = action.race, asyncio.Event()
        race.wake = event.set
        if not race.events:
            with suppress(TimeoutError):
                left = None if action.until is None else max(0.0, action.until - monotonic())
                await asyncio.wait_for(event.wait(), left)
        race.wake = None


class Task:
    """A try in a task of its own."""

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def abandon(self) -> None:
        self._task.cancel()


_PERFORM_ASYNC: tuple[Callable[[Any, Any], Awaitable[Any]], ...] = (
    AsyncGovernedPool.await_config,
    AsyncGovernedPool.open_connection,
    AsyncGovernedPool.await_slot,
    AsyncGovernedPool.send,
    AsyncGovernedPool.discard,
    AsyncGovernedPool.sleep,
    AsyncGovernedPool.bypass,
    AsyncGovernedPool.ask,
    AsyncGovernedPool.start,
    AsyncGovernedPool.run,
    AsyncGovernedPool.await_race,
    AsyncGovernedPool.collect,
)
