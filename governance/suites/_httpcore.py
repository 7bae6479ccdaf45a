"""httpcore underneath httpx: connections that belong to the mesh, deadlines, bodies.

httpx and httpx2 each bring an httpcore of their own; `Library` names the parts of either. A connection's network stream
is wrapped so that every operation is clamped to the time that is left: in sync code nothing else could keep a deadline.
"""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from socket import SHUT_RDWR, socket
from time import monotonic
from types import ModuleType
from typing import Any

from ..actions import BodyEnd, Failure
from ..call import Machine, OutgoingCall
from ..driver import finish
from ..headers import HeaderList
from ..http2_codes import reset_kind
from ..peer import Peer, Principals
from ..spelling import lower
from ._h2 import for_tasks, for_threads

try:
    from ._h11 import checked
except ImportError:

    def checked(pairs: HeaderList, *, in_lower_case: bool = False) -> Any:
        """With another h11, a plain list."""
        return lower(pairs) if in_lower_case else pairs


EARLY_S = 0.002
"""A timer may wake this much too early."""


class IdleError(Exception):
    """No byte came or went for too long."""


class DeadlineError(Exception):
    """The machine's deadline passed during an operation on a connection."""


class Library:
    """The classes of one httpcore, looked up once."""

    def __init__(self, core: ModuleType, byte_stream: type) -> None:
        self.core = core
        self.byte_stream = byte_stream
        self.response = core.Response
        self.origin = core.Origin
        self.checked: Callable[..., Any] = checked
        """The headers of a request as its connections over HTTP/1.1 want them."""
        self.http1_connection: Any = core.HTTP11Connection
        self.async_http1_connection: Any = core.AsyncHTTP11Connection
        self.http2_connection = for_threads(core.HTTP2Connection, core.ReadTimeout)
        self.read_timeout: type[Exception] = core.ReadTimeout
        self.connect_timeout: type[Exception] = core.ConnectTimeout
        self.connect_error: type[Exception] = core.ConnectError
        self.resets: tuple[type[Exception], ...] = (core.ReadError, core.WriteError, core.RemoteProtocolError)
        self.unavailable: type[Exception] = core.ConnectionNotAvailable
        self.failures: tuple[type[Exception], ...] = (DeadlineError, IdleError, self.unavailable, *self.resets)

    @cached_property
    def async_http2_connection(self) -> type:
        """Made for the first client with tasks."""
        return for_tasks(self.core.AsyncHTTP2Connection, self.read_timeout)

    def failure(self, error: BaseException, replayable: bool) -> Failure:
        """What an error of the library means to the machine."""
        if isinstance(error, self.unavailable):
            return Failure("refused-stream", "the connection takes no more streams", error, replayable)
        # HTTP/2: the event that httpcore raises for a stream that the other side has reset.
        code = getattr(error.args[0], "error_code", None) if error.args else None
        kind = "reset" if code is None else reset_kind(code)
        return Failure(kind, str(error), error, replayable)


class Clamp:
    """Until when the operations on a stream may take. `caller`: it is the caller's own patience that ends then.

    `idle_s`: how long a single one may take; between two writes as much may pass, since nothing goes out meanwhile.
    """

    __slots__ = ("bounded", "caller", "caller_error", "deadline", "idle_s", "written_at")

    def __init__(self, caller_error: type[Exception]) -> None:
        self.bounded = False
        self.deadline: float | None = None
        self.idle_s: float | None = None
        self.written_at = 0.0
        self.caller = False
        self.caller_error = caller_error

    def until(self, deadline: float | None, caller_deadline: float | None, idle_s: float | None = None) -> None:
        """The earlier of the machine's deadline and the caller's."""
        self.caller = caller_deadline is not None and (deadline is None or caller_deadline < deadline)
        self.deadline = caller_deadline if self.caller else deadline
        self.idle_s = idle_s
        self.bounded = self.deadline is not None or idle_s is not None
        if idle_s is not None:
            self.written_at = monotonic()

    def left(self) -> float:
        """Seconds that remain for an operation; raises when there are none."""
        idle_s, deadline = self.idle_s, self.deadline
        if deadline is None:
            return idle_s or 0.0
        left = deadline - monotonic()
        if left <= 0:
            raise self.expired()
        return left if idle_s is None or left < idle_s else idle_s

    def left_to_write(self) -> float:
        """The same before a write."""
        left, now = self.left(), monotonic()
        if self.idle_s is not None and self.written_at + self.idle_s <= now:
            raise IdleError
        self.written_at = now
        return left

    def expired(self) -> Exception:
        """What to raise when the time is over."""
        if self.idle_s is not None and (self.deadline is None or monotonic() < self.deadline - EARLY_S):
            return IdleError()
        return self.caller_error("timed out") if self.caller else DeadlineError()


class Timeouts(dict[str, float | None]):
    """The `timeout` extension of a request over HTTP/2, where a connection has many deadlines at once."""

    __slots__ = ("clamp",)

    def __init__(self, timeouts: Mapping[str, float | None], clamp: Clamp) -> None:
        super().__init__(timeouts)
        self.clamp = clamp

    def get(self, key: str, default: Any = None) -> Any:
        """The caller's timeout, or less where a deadline is nearer."""
        value = super().get(key, default)
        if not self.clamp.bounded or key not in ("read", "write"):
            return value
        left = self.clamp.left()
        return left if value is None or left < value else value

    def expired(self, error: Exception) -> Exception:
        """What a timeout of the library's means: that a deadline has passed, or just that."""
        clamp = self.clamp
        if clamp.idle_s is not None and (super().get("read") is None or clamp.idle_s < (super().get("read") or 0.0)):
            return clamp.expired()
        return error if clamp.deadline is None or monotonic() < clamp.deadline - EARLY_S else clamp.expired()


class Stream:
    """A sync network stream under a clamp."""

    __slots__ = ("clamp", "core", "inner")

    def __init__(self, inner: Any, clamp: Clamp, core: ModuleType) -> None:
        self.inner = inner
        self.clamp = clamp
        self.core = core

    @staticmethod
    def of(inner: Any, clamp: Clamp, core: ModuleType) -> Stream:
        """For what a backend has connected: a plain socket is used directly."""
        plain = type(inner.get_extra_info("socket")) is socket
        return SocketStream(inner, clamp, core) if plain else Stream(inner, clamp, core)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self.clamp.bounded:
            return self.receive(max_bytes, timeout)
        left = self.clamp.left()
        if timeout is not None and timeout <= left:
            return self.receive(max_bytes, timeout)
        try:
            return self.receive(max_bytes, left)
        except self.core.ReadTimeout:
            raise self.clamp.expired() from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        if not self.clamp.bounded:
            self.send(buffer, timeout)
            return
        left = self.clamp.left_to_write()
        if timeout is not None and timeout <= left:
            self.send(buffer, timeout)
            return
        try:
            self.send(buffer, left)
        except self.core.WriteTimeout:
            raise self.clamp.expired() from None

    def receive(self, max_bytes: int, timeout: float | None) -> bytes:
        """Some bytes, or none at the end. Raises the library's ReadTimeout or ReadError."""
        return self.inner.read(max_bytes, timeout)  # type: ignore[no-any-return]

    def send(self, buffer: bytes, timeout: float | None) -> None:
        """All of them. Raises the library's WriteTimeout or WriteError."""
        self.inner.write(buffer, timeout)

    def close(self) -> None:
        self.inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        return self.inner.start_tls(ssl_context, server_hostname, timeout)

    def readable(self) -> bool:
        """Whether there is something to read: on an idle connection, that the other side has closed it."""
        return bool(self.inner.get_extra_info("is_readable"))

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class SocketStream(Stream):
    """A plain socket, read and written as the library does, with less around each operation."""

    __slots__ = ("_poll", "_recv", "_send", "_socket", "_timeout")

    def __init__(self, inner: Any, clamp: Clamp, core: ModuleType) -> None:
        super().__init__(inner, clamp, core)
        self._socket = inner.get_extra_info("socket")
        self._recv = self._socket.recv
        self._send = self._socket.send
        self._timeout: float | None = -1.0  # none that anybody asks for
        self._poll: Any = None
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            self._poll = poll.poll

    def receive(self, max_bytes: int, timeout: float | None) -> bytes:
        try:
            if timeout != self._timeout:
                self._socket.settimeout(timeout)
                self._timeout = timeout
            return self._recv(max_bytes)  # type: ignore[no-any-return]
        except TimeoutError as error:
            raise self.core.ReadTimeout(error) from error
        except OSError as error:
            raise self.core.ReadError(error) from error

    def send(self, buffer: bytes, timeout: float | None) -> None:
        try:
            if timeout != self._timeout:
                self._socket.settimeout(timeout)
                self._timeout = timeout
            sent = self._send(buffer)
            while sent < len(buffer):
                buffer = buffer[sent:]
                sent = self._send(buffer)
        except TimeoutError as error:
            raise self.core.WriteTimeout(error) from error
        except OSError as error:
            raise self.core.WriteError(error) from error

    def readable(self) -> bool:
        """As of any stream, with one system call."""
        return super().readable() if self._poll is None else bool(self._poll(0))


class AsyncStream:
    """An async network stream under a clamp."""

    __slots__ = ("clamp", "core", "inner")

    def __init__(self, inner: Any, clamp: Clamp, core: ModuleType) -> None:
        self.inner = inner
        self.clamp = clamp
        self.core = core

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        left = self.clamp.left() if self.clamp.bounded else None
        ours = left is not None and (timeout is None or timeout > left)
        try:
            return await self.inner.read(max_bytes, left if ours else timeout)  # type: ignore[no-any-return]
        except self.core.ReadTimeout:
            if ours:
                raise self.clamp.expired() from None
            raise
        except OSError as error:  # an alert of TLS, which no backend of httpcore's makes its own
            raise self.core.ReadError(error) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        left = self.clamp.left_to_write() if self.clamp.bounded else None
        ours = left is not None and (timeout is None or timeout > left)
        try:
            await self.inner.write(buffer, left if ours else timeout)
        except self.core.WriteTimeout:
            if ours:
                raise self.clamp.expired() from None
            raise
        except OSError as error:
            raise self.core.WriteError(error) from error

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> Any:
        return await self.inner.start_tls(ssl_context, server_hostname, timeout)

    def readable(self) -> bool:
        """Whether there is something to read: on an idle connection, that the other side has closed it."""
        return bool(self.inner.get_extra_info("is_readable"))

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class Connection:
    """A connection of httpcore's as the pools of the mesh see it (governance.pool.Connection)."""

    __slots__ = ("clamp", "core", "handshake", "http2", "principals", "stream")

    def __init__(self, core: Any, stream: Stream | AsyncStream, clamp: Clamp, http2: bool) -> None:
        self.core = core
        self.stream = stream
        self.clamp = clamp
        self.http2 = http2
        self.principals: Principals | None = None
        self.handshake: Callable[[], Peer] | None = None

    def peer(self) -> Peer | None:
        """Who has completed its handshake."""
        return None if self.handshake is None else self.handshake()

    def usable(self) -> bool:
        """Open and able to take a request."""
        return bool(self.core.is_available())

    def fresh(self) -> bool:
        """Usable, and the other side has not closed it meanwhile: looks at the socket."""
        if not self.core.is_available():
            return False
        return not (self.core.has_expired() if self.http2 else self.stream.readable())

    def shut(self) -> None:
        """End what is under way on it, from another thread."""
        plain = self.stream.get_extra_info("socket")
        if plain is not None:
            with suppress(OSError):
                plain.shutdown(SHUT_RDWR)

    def close(self) -> None:
        self.core.close()


class AsyncConnection(Connection):
    """The same for a connection that only its event loop may close."""

    __slots__ = ("_loop",)

    def __init__(self, core: Any, stream: AsyncStream, clamp: Clamp, http2: bool, loop: Any) -> None:
        super().__init__(core, stream, clamp, http2)
        self._loop = loop

    def close(self) -> None:
        if self.core.is_closed() or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self.core.aclose()))


class BodyBase:
    """A response body on its way to the caller: counts it, and tells the machine how it ended."""

    __slots__ = ("_call", "_clamp", "_inner", "_library", "_machine", "_open", "received")

    def __init__(self, inner: Any, machine: Machine, call: OutgoingCall, clamp: Clamp | None, library: Library) -> None:
        self._inner = inner
        self._machine = machine
        self._call = call
        self._clamp = clamp
        self._library = library
        self._open = True
        self.received = 0

    def _end(self, complete: bool, kind: str = "") -> None:
        if self._open:
            self._open = False
            if self._clamp is not None:
                self._clamp.until(None, None)
            finish(self._machine, BodyEnd(complete, self._call.sent, self.received, kind))

    def _cut(self, error: BaseException) -> BaseException:
        """The end of a body that did not come whole; what to raise for it."""
        if isinstance(error, DeadlineError):
            self._end(False, "timeout")
            return self._library.read_timeout("the route's timeout passed before the response was complete")
        if isinstance(error, IdleError):
            self._end(False, "idle")
            return self._library.read_timeout("the response stalled for longer than the route allows")
        reset = isinstance(error, self._library.resets)
        self._end(False, self._library.failure(error, replayable=False).kind if reset else "caller")
        return error


class Body(BodyBase):
    """For sync code."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        try:
            for part in self._inner:
                self.received += len(part)
                yield part
        except GeneratorExit:
            raise
        except BaseException as error:
            raise self._cut(error) from None
        self._inner.close()
        self._end(True)

    def close(self) -> None:
        try:
            if self._open:
                self._inner.close()
        finally:
            self._end(False, "caller")


class AsyncBody(BodyBase):
    """For async code."""

    __slots__ = ()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._inner:
                self.received += len(part)
                yield part
        except GeneratorExit:
            raise
        except BaseException as error:
            raise self._cut(error) from None
        await self._inner.aclose()
        self._end(True)

    async def aclose(self) -> None:
        try:
            if self._open:
                await self._inner.aclose()
        finally:
            self._end(False, "caller")
