"""Suites in sync code: what takes the place of httpcore's pool, and the actions of a call's machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from ..actions import (
    AwaitConfig,
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
from ..composition.compose import Policies
from ..driver import drive
from ..runtime import Runtime
from ._background import in_thread, run_copy
from ._blocking import ask, await_race, await_slot, beside, pause
from ._bypass import Ungoverned
from ._exchange import Exchange, PoolBase
from ._httpcore import Body, Clamp, Connection, Library, Stream
from ._steps import handshake_of, principals_of, run, speaks_http2
from ._underway import ErrorMode
from ._upload import Begun


class GovernedPool(PoolBase):
    """For sync code."""

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
        self._ungoverned = Ungoverned(runtime, inner, library, proxied)
        self._backend = library.core.SyncBackend()

    def owner(self) -> Any:
        return self.library

    def handle_request(self, request: Any) -> Any:
        """Govern one request."""
        exchange = Exchange(self, request)
        outcome = drive(exchange.machine, PERFORM, exchange)
        return exchange.respond(outcome, Body) if isinstance(outcome, Deliver) else exchange.local(outcome)

    def close(self) -> None:
        """Closes what belongs to this client; the connections of the mesh stay."""
        self._ungoverned.close()

    def __enter__(self) -> Self:
        self.inner.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._ungoverned.close()
        self.inner.__exit__(*error)

    # -- actions -------------------------------------------------------------------------------------------------

    @staticmethod
    def await_config(exchange: Exchange, action: AwaitConfig) -> None:
        runtime = exchange.pool.runtime
        if not runtime.changes.wait(action.seen, exchange.patience(action.started)):
            raise exchange.library.connect_timeout(runtime.late(action.missing))

    @staticmethod
    def open_connection(exchange: Exchange, action: OpenConnection) -> Any:
        pool: Any = exchange.pool
        library = exchange.library
        stream = run(exchange.opening(action), pool._backend)
        if isinstance(stream, Failure):
            return stream
        clamp = Clamp(library.read_timeout)
        wrapped = Stream.of(stream, clamp, library.core)
        http2 = action.http2 or (action.pool.secure is not None and action.negotiates and speaks_http2(stream))
        kind = library.http2_connection if http2 else library.http1_connection
        made = Connection(kind(origin=exchange.origin(action), stream=wrapped), wrapped, clamp, http2)
        if action.pool.secure is not None:
            made.principals, made.handshake = principals_of(stream), handshake_of(stream)
        return made

    @staticmethod
    def send(exchange: Exchange, action: Send) -> Head | Failure:
        connection = exchange.prepare(action)
        try:
            return exchange.head(connection.core.handle_request(exchange.request))
        except exchange.library.failures as error:
            return exchange.failure(error)

    @staticmethod
    def discard(exchange: Exchange, action: Discard) -> None:
        del exchange
        action.head.handle.close()

    @staticmethod
    def sleep(exchange: Exchange, action: Sleep) -> None:
        del exchange
        pause(action.seconds)

    @staticmethod
    def bypass(exchange: Exchange, action: Bypass) -> Head:
        pool: Any = exchange.pool
        try:
            response = pool._ungoverned.handle_request(exchange.unrouted(action), action.tcp)
        except pool.library.core.ConnectError as error:
            raise exchange.unreachable(error) from error
        return Head(response.status, response.headers, response)

    @staticmethod
    def collect(exchange: Exchange, action: Collect) -> int:
        body = b""
        source = iter(exchange.request.stream)
        for chunk in source:
            body += chunk
            if len(body) > action.most:
                exchange.request.stream = Begun(body, source)
                break
        else:
            exchange.request.stream = exchange.library.byte_stream(body)
        action.body = body
        return len(body)

    @staticmethod
    def start(exchange: Exchange, action: Start) -> None:
        background = exchange.pool.runtime.background
        exchange.start(action.copy, lambda copy: in_thread(background, lambda: run_copy(copy, PERFORM)))

    @staticmethod
    def run(exchange: Exchange, action: Run) -> Beside:
        branch = exchange.branch()
        beside(action, PERFORM, branch)
        return Beside(branch)


class Beside:
    """A try in a thread of its own. Its socket is shut to end it; over HTTP/2, which others share, it ends itself."""

    __slots__ = ("_branch",)

    def __init__(self, branch: Exchange) -> None:
        self._branch = branch

    def abandon(self) -> None:
        connection = self._branch.connection
        if connection is not None and not connection.http2:
            connection.shut()


PERFORM: tuple[Callable[[Any, Any], Any], ...] = (
    GovernedPool.await_config,
    GovernedPool.open_connection,
    await_slot,
    GovernedPool.send,
    GovernedPool.discard,
    GovernedPool.sleep,
    GovernedPool.bypass,
    ask,
    GovernedPool.start,
    GovernedPool.run,
    await_race,
    GovernedPool.collect,
)
