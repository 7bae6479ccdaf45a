"""The httpx suite: transports that govern in place of the library's connection pool.

They are httpx's own transports with another pool inside, so whatever hooks into `HTTPTransport` (OpenTelemetry,
pytest-httpx ...) works as before. A governed request goes over a connection of the mesh to the endpoint that was
picked; one that the mesh does not govern (passthrough, TLS, TCP) takes the own pool of the library.

The same code serves httpx and its fork httpx2, whose classes have no common base: `transports` builds both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Event
from time import monotonic
from types import ModuleType
from typing import Any, Literal, Self

from ..actions import AwaitConfig, AwaitSlot, Bypass, Deliver, Discard, Failure, Head, OpenConnection, Send, Sleep
from ..call import Machine, OutgoingCall
from ..driver import drive, drive_async
from ..headers import HeaderList
from ..replies import LocalReply, reply_headers
from ..request import RequestView
from ..runtime import Runtime
from ..waiting import call_in
from ._bypass import AsyncUngoverned, Ungoverned
from ._httpcore import (
    AsyncBody,
    AsyncConnection,
    AsyncStream,
    Body,
    Clamp,
    Connection,
    DeadlineError,
    Library,
    Stream,
    Timeouts,
    Upload,
)

try:
    from ._h11 import checked
except ImportError:

    def checked(pairs: HeaderList) -> Any:
        """With another h11, headers as they are."""
        return pairs


ErrorMode = Literal["response", "raise"]

DEFAULT_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}
NO_TIMEOUTS: dict[str, float | None] = {}


class Exchange:
    """One request under way: what sync and async have in common."""

    __slots__ = (
        "call",
        "caller_deadline",
        "clamp",
        "library",
        "machine",
        "pool",
        "request",
        "timeouts",
        "upload",
    )

    def __init__(self, pool: PoolBase, request: Any) -> None:
        url = request.url
        scheme = url.scheme
        view = RequestView(request.method, scheme, url.host, url.target, request.headers)
        known = view.headers
        view.authority = known.get(b"host", url.host)
        self.pool = pool
        self.library = pool.library
        self.request = request
        self.call = OutgoingCall(pool.runtime, pool.owner(), view, url.host, url.port or DEFAULT_PORTS.get(scheme, 0))
        self.call.uploading = b"transfer-encoding" in known or known.get(b"content-length", b"0") != b"0"
        self.machine: Machine = self.call.run()
        self.timeouts: dict[str, float | None] = request.extensions.get("timeout", NO_TIMEOUTS)
        self.caller_deadline: float | None = None
        self.clamp: Clamp | None = None
        self.upload: Upload | None = None

    def patience(self, started: float) -> float | None:
        """What is left of the caller's connect timeout; None without one."""
        limit = self.timeouts.get("connect")
        if limit is None:
            return None
        left = started + limit - monotonic()
        if left <= 0:
            raise self.library.connect_timeout("timed out")
        return left

    def prepare(self, action: Send) -> Connection:
        """Aim the request at the endpoint, and set the deadlines."""
        request = self.request
        url = request.url
        host = action.host
        url.host, url.port, url.target = host.host, host.port, action.path
        headers = [(b"Host", action.authority), *action.headers]
        connection: Any = action.slot.connection
        if connection.http2:
            # One connection, many requests: the deadline travels with the request.
            clamp = Clamp(self.library.read_timeout)
            request.extensions = {**request.extensions, "timeout": Timeouts(self.timeouts, clamp)}
            request.headers = headers
        else:
            clamp = connection.clamp
            request.headers = checked(headers)
        self.clamp = clamp
        call = self.call
        if call.uploading:
            clamp.until(None, None)
            self._upload().on_end = lambda: clamp.until(call.uploaded(), self._patience_from_now())
        else:
            clamp.until(action.deadline, self.caller_deadline or self._patience_from_now())
        return connection  # type: ignore[no-any-return]

    def _upload(self) -> Upload:
        """The request's body, which says when it has been sent."""
        upload = self.upload
        if upload is None:
            request, route = self.request, self.call.route
            again = isinstance(request.stream, self.library.byte_stream)
            keep = route is not None and route.retry is not None
            upload = self.upload = request.stream = Upload(request.stream, again=again, keep=keep)
        return upload

    def _patience_from_now(self) -> float | None:
        """Until when the caller waits for the head, all attempts together: its read timeout, once there is something
        to read."""
        read_s = self.timeouts.get("read")
        if read_s is not None:
            self.caller_deadline = monotonic() + read_s
        return self.caller_deadline

    def unreachable(self, error: Exception) -> Exception:
        """The library's own error about a host that the mesh does not govern, saying so: a name may be misspelt."""
        self.call.unreached = getattr(error, "flag", "UF")
        if self.call.bypass or self.call.destination is None:
            return error
        host = self.call.url_host.decode("latin-1")
        return type(error)(f"{error} (nothing in the mesh takes {host}:{self.call.port}, so it was dialled as it is)")

    def failure(self, error: Exception) -> Failure:
        """What the machine makes of an error."""
        replayable = self.upload is None or self.upload.replayable
        if isinstance(error, DeadlineError):
            return Failure("timeout", "", error, replayable)
        return self.library.failure(error, replayable)

    def local(self, reply: LocalReply) -> Any:
        """A reply of the mesh's own as the library's response, or as its exception."""
        if self.pool.errors == "raise":
            self.pool.raise_for(reply)
        head = self.call.request.method == b"HEAD"
        headers = reply_headers(reply, head=head)
        extensions = {"http_version": b"HTTP/1.1", "proxyless": self.call}
        body = b"" if head else reply.body
        return self.library.response(reply.status, headers=headers, content=body, extensions=extensions)

    def respond(self, deliver: Deliver, body: type[Body | AsyncBody]) -> Any:
        """The library's response with our body around its own."""
        head = deliver.head
        response = head.handle
        clamp = self.clamp
        if clamp is not None:
            clamp.until(deliver.deadline, None)
        response.headers = head.headers
        response.stream = body(response.stream, self.machine, self.call, clamp, self.library)
        response.extensions["proxyless"] = self.call
        return response


class PoolBase:
    """What takes the place of httpcore's pool inside a transport."""

    def __init__(self, runtime: Runtime, inner: Any, library: Library, errors: ErrorMode) -> None:
        if errors not in ("response", "raise"):
            raise ValueError(f"errors={errors!r}: it is 'response' or 'raise'")
        self.runtime = runtime
        self.inner = inner
        self.library = library
        self.errors = errors

    def owner(self) -> Any:
        """Whose connections a call may use."""
        raise NotImplementedError

    def raise_for(self, reply: LocalReply) -> None:
        """errors="raise": the library's own exception for what would be one without a mesh."""
        core = self.library.core
        for flag in reply.flags:
            text = f"{reply.flag}: {reply.body.decode('utf-8', 'replace')}"
            if flag == "UF":
                raise core.ConnectError(text)
            if flag == "UC":
                raise core.RemoteProtocolError(text)
            if flag == "UT":
                raise core.ReadTimeout(text)


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
        core = library.core
        host = action.host
        patience = exchange.patience(monotonic())
        own = patience is not None and patience < action.timeout_s
        try:
            stream = pool._backend.connect_tcp(
                host=host.endpoint.address.host, port=host.port, timeout=patience if own else action.timeout_s
            )
        except core.ConnectTimeout as error:
            if own:
                raise
            return Failure("connect-timeout", str(error), error)
        except core.ConnectError as error:
            return Failure("connect-failure", str(error), error)
        clamp = Clamp(library.read_timeout)
        wrapped = Stream.of(stream, clamp, core)
        origin = library.origin(b"http", host.host, host.port)
        kind = library.http2_connection if action.http2 else core.HTTP11Connection
        return Connection(kind(origin=origin, stream=wrapped), wrapped, clamp, action.http2)

    @staticmethod
    def await_slot(exchange: Exchange, action: AwaitSlot) -> bool:
        event = Event()
        action.waiter.wake = event.set
        if action.waiter.grant is not None:
            return True
        patience = exchange.patience(exchange.call.started)
        own = patience is not None and (action.timeout_s is None or patience < action.timeout_s)
        if event.wait(patience if own else action.timeout_s):
            return True
        if own:
            raise exchange.library.connect_timeout("timed out waiting for a connection")
        return False

    @staticmethod
    def send(exchange: Exchange, action: Send) -> Head | Failure:
        connection = exchange.prepare(action)
        library = exchange.library
        try:
            response = connection.core.handle_request(exchange.request)
        except library.failures as error:
            return exchange.failure(error)
        replayable = exchange.upload is None or exchange.upload.replayable
        return Head(response.status, response.headers, response, replayable)

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
        core = library.core
        host = action.host
        patience = exchange.patience(monotonic())
        own = patience is not None and patience < action.timeout_s
        try:
            stream = await pool._backend.connect_tcp(
                host=host.endpoint.address.host, port=host.port, timeout=patience if own else action.timeout_s
            )
        except core.ConnectTimeout as error:
            if own:
                raise
            return Failure("connect-timeout", str(error), error)
        except core.ConnectError as error:
            return Failure("connect-failure", str(error), error)
        clamp = Clamp(library.read_timeout)
        wrapped = AsyncStream(stream, clamp, core)
        origin = library.origin(b"http", host.host, host.port)
        kind = library.async_http2_connection if action.http2 else core.AsyncHTTP11Connection
        loop = asyncio.get_running_loop()
        return AsyncConnection(kind(origin=origin, stream=wrapped), wrapped, clamp, action.http2, loop)

    @staticmethod
    async def await_slot(exchange: Exchange, action: AwaitSlot) -> bool:
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        action.waiter.wake = lambda: call_in(loop, event.set)
        if action.waiter.grant is not None:
            return True
        patience = exchange.patience(exchange.call.started)
        own = patience is not None and (action.timeout_s is None or patience < action.timeout_s)
        try:
            await asyncio.wait_for(event.wait(), patience if own else action.timeout_s)
        except TimeoutError:
            if own:
                raise exchange.library.connect_timeout("timed out waiting for a connection") from None
            return False
        return True

    @staticmethod
    async def send(exchange: Exchange, action: Send) -> Head | Failure:
        connection = exchange.prepare(action)
        library = exchange.library
        try:
            response = await connection.core.handle_async_request(exchange.request)
        except library.failures as error:
            return exchange.failure(error)
        replayable = exchange.upload is None or exchange.upload.replayable
        return Head(response.status, response.headers, response, replayable)

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


_PERFORM: tuple[Callable[[Any, Any], Any], ...] = (
    GovernedPool.await_config,
    GovernedPool.open_connection,
    GovernedPool.await_slot,
    GovernedPool.send,
    GovernedPool.discard,
    GovernedPool.sleep,
    GovernedPool.bypass,
)
_PERFORM_ASYNC: tuple[Callable[[Any, Any], Awaitable[Any]], ...] = (
    AsyncGovernedPool.await_config,
    AsyncGovernedPool.open_connection,
    AsyncGovernedPool.await_slot,
    AsyncGovernedPool.send,
    AsyncGovernedPool.discard,
    AsyncGovernedPool.sleep,
    AsyncGovernedPool.bypass,
)


def _proxied(transport: Any, options: dict[str, Any]) -> Callable[[str], Any] | None:
    """How a transport with these options would reach a proxy of the environment; None where it would not ask for one.

    httpx leaves the environment's proxies aside as soon as a client is given a transport, so this suite looks for them.
    """
    if options.get("proxy") is not None or not options.get("trust_env", True):
        return None
    return lambda proxy: transport(**{**options, "proxy": proxy})._pool


def transports(library: ModuleType, core: ModuleType, runtime_of: Any) -> tuple[type, type]:
    """(Transport, AsyncTransport) for httpx or httpx2. `runtime_of` finds the runtime of a mesh, or of the process."""
    parts = Library(core, library.ByteStream)

    class Transport(library.HTTPTransport):  # type: ignore[name-defined,misc]
        """`httpx.HTTPTransport`, governed by a mesh. `errors="raise"` turns UF, UC and UT into httpx's exceptions."""

        def __init__(self, mesh: Any = None, *, errors: ErrorMode = "response", **options: Any) -> None:
            super().__init__(**options)
            self._pool: Any = self._pool
            runtime = runtime_of(mesh)
            if runtime is not None:
                proxied = _proxied(library.HTTPTransport, options)
                self._pool = GovernedPool(runtime, self._pool, parts, errors, proxied)

    class AsyncTransport(library.AsyncHTTPTransport):  # type: ignore[name-defined,misc]
        """`httpx.AsyncHTTPTransport`, governed by a mesh, under asyncio."""

        def __init__(self, mesh: Any = None, *, errors: ErrorMode = "response", **options: Any) -> None:
            super().__init__(**options)
            self._pool: Any = self._pool
            runtime = runtime_of(mesh)
            if runtime is not None:
                proxied = _proxied(library.AsyncHTTPTransport, options)
                self._pool = AsyncGovernedPool(runtime, self._pool, parts, errors, proxied)

    return Transport, AsyncTransport
