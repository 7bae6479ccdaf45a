"""The httpx suite in sync code: what takes the place of httpcore's pool, and the actions of a call's machine."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
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
from ..driver import drive
from ..runtime import Runtime
from ._background import in_thread, run_copy
from ._bypass import Ungoverned
from ._exchange import ErrorMode, Exchange, PoolBase
from ._httpcore import Body, Clamp, Connection, Library, Stream
from ._steps import run, speaks_http2
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
    ) -> None:
        super().__init__(runtime, inner, library, errors)
        self._ungoverned = Ungoverned(runtime, inner, library, proxied)
        self._backend = library.core.SyncBackend()

    def owner(self) -> Any:
        return self.library

    def handle_request(self, request: Any) -> Any:
        """Govern one request."""
        exchange = Exchange(self, request)
        outcome = drive(exchange.machine, _PERFORM, exchange)
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
        changes = exchange.pool.runtime.changes
        if not changes.wait(action.seen, exchange.patience(action.started)):
            raise exchange.library.connect_timeout(f"timed out waiting for {action.missing}")

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
        kind = library.http2_connection if http2 else library.core.HTTP11Connection
        return Connection(kind(origin=exchange.origin(action), stream=wrapped), wrapped, clamp, http2)

    @staticmethod
    def await_slot(exchange: Exchange, action: AwaitSlot) -> bool:
        event = Event()
        action.waiter.wake = event.set
        if action.waiter.grant is not None:
            return True
        limit_s, own = exchange.slot_limit(action)
        return event.wait(limit_s) or exchange.without_slot(own=own)

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
        # An event that nobody sets: unlike time.sleep it is what gevent and tests can replace.
        del exchange
        Event().wait(action.seconds)

    @staticmethod
    def bypass(exchange: Exchange, action: Bypass) -> Head:
        pool: Any = exchange.pool
        try:
            response = pool._ungoverned.handle_request(exchange.request, action.tcp)
        except pool.library.core.ConnectError as error:
            raise exchange.unreachable(error) from error
        return Head(response.status, response.headers, response)

    @staticmethod
    def ask(exchange: Exchange, action: Ask) -> Any:
        del exchange
        return action.service.ask(action.request, action.timeout_s)

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
        exchange.start(action.copy, lambda copy: in_thread(background, lambda: run_copy(copy, _PERFORM)))

    @staticmethod
    def run(exchange: Exchange, action: Run) -> Beside:
        branch = exchange.branch()

        def work() -> None:
            try:
                drive(action.machine, _PERFORM, branch)
            except BaseException as error:
                action.failed(error)

        Thread(target=work, name="proxyless-try", daemon=True).start()
        return Beside(branch)

    @staticmethod
    def await_race(exchange: Exchange, action: AwaitRace) -> None:
        del exchange
        race, event = action.race, Event()
        race.wake = event.set
        if not race.events:
            event.wait(None if action.until is None else max(0.0, action.until - monotonic()))
        race.wake = None


class Beside:
    """A try in a thread of its own. Its socket is shut to end it; over HTTP/2, which others share, it ends itself."""

    __slots__ = ("_branch",)

    def __init__(self, branch: Exchange) -> None:
        self._branch = branch

    def abandon(self) -> None:
        connection = self._branch.connection
        if connection is not None and not connection.http2:
            connection.shut()


_PERFORM: tuple[Callable[[Any, Any], Any], ...] = (
    GovernedPool.await_config,
    GovernedPool.open_connection,
    GovernedPool.await_slot,
    GovernedPool.send,
    GovernedPool.discard,
    GovernedPool.sleep,
    GovernedPool.bypass,
    GovernedPool.ask,
    GovernedPool.start,
    GovernedPool.run,
    GovernedPool.await_race,
    GovernedPool.collect,
)
