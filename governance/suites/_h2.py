"""HTTP/2 connections that calls share without harming each other: httpcore's, with four things done otherwise.

- Its h2 state has no lock, so two threads that open a stream at once get the same number, and their headers garble each
  other's compression. Here one operation runs at a time, and nobody gets in between the choice of a number and its
  headers (`SerialState`).
- Who waits for the connection waits without end while another reads. Here each waits as long as it may (`_turn`), and
  goes on when the other has read what it waited for, be it room in a window.
- One read that times out ends every call of the connection. Here it ends one.
- A stream that is left early is not reset, and what still comes for it uses up the connection's window. Here it is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Condition, RLock
from typing import Any, ClassVar

from ..http2_codes import CANCEL


class _Reset:
    """Stands for the request of a frame that belongs to none."""

    extensions: ClassVar = {"timeout": {"write": 1.0}}


class SerialState:
    """An h2 connection state whose operations are serialized."""

    __slots__ = ("_inner", "_lock", "_opening")

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._lock = RLock()
        self._opening = 0

    def get_next_available_stream_id(self) -> int:
        """The number of a stream; until its headers are sent, or `opened`, all other threads wait."""
        self._lock.acquire()
        self._opening += 1
        number: int = self._inner.get_next_available_stream_id()
        return number

    def send_headers(self, *arguments: Any, **more: Any) -> None:
        """Of the stream whose number was given."""
        try:
            with self._lock:
                self._inner.send_headers(*arguments, **more)
        finally:
            self.opened()

    def send_what_fits(self, stream_id: int, data: bytes) -> int:
        """Send as much as the windows and a frame hold; returns how many bytes that is."""
        with self._lock:
            size = min(self.flow(stream_id), len(data))
            if size > 0:
                self._inner.send_data(stream_id, data[:size])
            return max(0, size)

    def cancel(self, stream_id: int) -> bool:
        """Reset a stream that is not over; whether there was one."""
        with self._lock:
            try:
                self._inner.reset_stream(stream_id, CANCEL)
            except Exception:  # h2's: it was over, or never began
                return False
            return True

    def flow(self, stream_id: int) -> int:
        """How many bytes may be sent now."""
        with self._lock:
            size: int = min(self._inner.local_flow_control_window(stream_id), self._inner.max_outbound_frame_size)
            return size

    def opened(self) -> None:
        """This thread opens no stream any more, whatever came of it."""
        with self._lock:
            if self._opening:
                self._opening -= 1
                self._lock.release()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return self._serialized(value) if callable(value) else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SerialState.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self._inner, name, value)

    def _serialized(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            with self._lock:
                return method(*arguments, **more)

        return call


def _left(request: Any) -> Any:
    """The seconds that a request may still wait for something to read; raises when there are none."""
    return request.extensions.get("timeout", {}).get("read")


def _expired(request: Any, error: Exception) -> Exception:
    """What it means that a request has waited too long."""
    expired = getattr(request.extensions.get("timeout"), "expired", None)
    return error if expired is None else expired(error)


def for_threads(connection: type, timeout: type[Exception]) -> type:
    """httpcore's (or httpcore2's) sync HTTP2Connection, made fit to be shared. `timeout`: the library's ReadTimeout."""

    class HTTP2Connection(connection):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self._h2_state: Any = SerialState(self._h2_state)
            self._changed = Condition()
            self._reading = False

        def handle_request(self, request: Any) -> Any:
            try:
                return super().handle_request(request)
            finally:
                self._h2_state.opened()

        def _turn(self, request: Any, done: Callable[[], bool]) -> bool:
            """Wait until this call shall read; False where another has read what it waits for."""
            with self._changed:
                while self._reading and not done():
                    if not self._changed.wait(_left(request)):
                        raise _expired(request, timeout("timed out"))
                if done():
                    return False
                self._reading = True
                return True

        def _pass_on(self) -> None:
            with self._changed:
                self._reading = False
                self._changed.notify_all()

        def _read(self, request: Any, stream_id: int | None, done: Callable[[], bool]) -> None:
            """Read something, unless another does meanwhile what this call waits for."""
            if self._turn(request, done):
                try:
                    super()._receive_events(request, stream_id)
                finally:
                    self._pass_on()
                self._write_outgoing_data(request)

        def _receive_stream_event(self, request: Any, stream_id: int) -> Any:
            while not self._events.get(stream_id):
                self._read(request, stream_id, lambda: bool(self._events.get(stream_id)))
            return super()._receive_stream_event(request, stream_id)

        def _wait_for_outgoing_flow(self, request: Any, stream_id: int) -> int:
            while (flow := self._h2_state.flow(stream_id)) <= 0:
                self._read(request, None, lambda: self._h2_state.flow(stream_id) > 0)
            return int(flow)

        def _read_incoming_data(self, request: Any) -> Any:
            try:
                return super()._read_incoming_data(request)
            except timeout as error:
                self._read_exception = None
                self._connection_error = self._write_exception is not None
                raise _expired(request, error) from error

        def _send_stream_data(self, request: Any, stream_id: int, data: bytes) -> None:
            while data:
                self._wait_for_outgoing_flow(request, stream_id)
                data = data[self._h2_state.send_what_fits(stream_id, data) :]
                self._write_outgoing_data(request)

        def _response_closed(self, stream_id: int) -> None:
            self._h2_state.opened()
            if self._h2_state.cancel(stream_id):
                with suppress(Exception):
                    self._write_outgoing_data(_Reset)
            super()._response_closed(stream_id)

    return HTTP2Connection


def for_tasks(connection: type, timeout: type[Exception]) -> type:
    """httpcore's (or httpcore2's) AsyncHTTP2Connection, made fit to be shared by the tasks of its event loop."""
    import asyncio  # for clients with tasks only: it takes 2 MB

    class AsyncHTTP2Connection(connection):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self._h2_state: Any = SerialState(self._h2_state)
            self._changed = asyncio.Event()
            self._reading = False

        async def handle_async_request(self, request: Any) -> Any:
            try:
                return await super().handle_async_request(request)
            finally:
                self._h2_state.opened()

        async def _turn(self, request: Any, done: Callable[[], bool]) -> bool:
            """Wait until this call shall read; False where another has read what it waits for."""
            while self._reading and not done():
                try:
                    await asyncio.wait_for(self._changed.wait(), _left(request))
                except TimeoutError:
                    raise _expired(request, timeout("timed out")) from None
            if done():
                return False
            self._reading = True
            return True

        def _pass_on(self) -> None:
            self._reading = False
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

        async def _read(self, request: Any, stream_id: int | None, done: Callable[[], bool]) -> None:
            """Read something, unless another does meanwhile what this call waits for."""
            if await self._turn(request, done):
                try:
                    await super()._receive_events(request, stream_id)
                finally:
                    self._pass_on()
                await self._write_outgoing_data(request)

        async def _receive_stream_event(self, request: Any, stream_id: int) -> Any:
            while not self._events.get(stream_id):
                await self._read(request, stream_id, lambda: bool(self._events.get(stream_id)))
            return await super()._receive_stream_event(request, stream_id)

        async def _wait_for_outgoing_flow(self, request: Any, stream_id: int) -> int:
            while (flow := self._h2_state.flow(stream_id)) <= 0:
                await self._read(request, None, lambda: self._h2_state.flow(stream_id) > 0)
            return int(flow)

        async def _read_incoming_data(self, request: Any) -> Any:
            try:
                return await super()._read_incoming_data(request)
            except timeout as error:
                self._read_exception = None
                self._connection_error = self._write_exception is not None
                raise _expired(request, error) from error

        async def _response_closed(self, stream_id: int) -> None:
            self._h2_state.opened()
            if self._h2_state.cancel(stream_id):
                with suppress(Exception):
                    await self._write_outgoing_data(_Reset)
            await super()._response_closed(stream_id)

    return AsyncHTTP2Connection
