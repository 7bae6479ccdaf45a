"""HTTP/2 to the services that filters ask: one connection to an endpoint, which all threads and tasks share.

h2 knows the protocol, `wire` the connection; here requests become streams. Each connection has a thread of its own that
makes it, reads from it, and wakes who waits. Why not grpcio for services that speak gRPC: it verifies certificates
itself and cannot be told to expect a SPIFFE identity, nor which name to ask for at which endpoint, and bytes cannot be
handed to it. So it could speak mTLS only to a proxy of ours within the process, an open door to whoever finds it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Event, Lock
from time import monotonic
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import NoAvailableStreamIDError, ProtocolError

from ...xds.model.records import dataclass
from ..actions import Failure
from ..headers import HeaderList
from ..http2_codes import CANCEL, REFUSED_STREAM
from ..waiting import call_in
from .frames import LAST, Frames
from .reaching import told
from .wire import Wire, started

MOST = 4 * 1024 * 1024
"""Bytes of an answer."""

Dial = Callable[[], Wire]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole response."""

    status: int
    headers: HeaderList
    body: bytes
    trailers: HeaderList


class Exchange:
    """One request, and what becomes of it. `untouched`: the other side has not looked at it."""

    __slots__ = ("_changed", "_received", "data", "headers", "outcome", "stream", "trailers", "unsent", "untouched")

    def __init__(self, headers: HeaderList, body: bytes, changed: Callable[[], object]) -> None:
        self.headers = headers
        self.unsent = memoryview(body)
        self.stream = 0
        self.data = bytearray()
        self.trailers: HeaderList = []
        self.outcome: Reply | Failure | None = None
        self.untouched = False
        self._received: HeaderList = []
        self._changed = changed

    def begun(self, headers: HeaderList) -> None:
        """The response has begun."""
        self._received = headers

    def complete(self) -> None:
        """All of it is there."""
        status = next((value for name, value in self._received if name == b":status"), b"")
        headers = [pair for pair in self._received if not pair[0].startswith(b":")]
        if len(status) != 3 or not status.isdigit():
            self.finish(Failure("reset", "an answer without a proper status"))
        else:
            self.finish(Reply(int(status), headers, bytes(self.data), self.trailers))

    def finish(self, outcome: Reply | Failure) -> None:
        """The first word is the last."""
        if self.outcome is None:
            self.outcome = outcome
            self._changed()


class Link:
    """One connection, made for a first request. `where`: what it leads to, for people."""

    __slots__ = ("_ended", "_frames", "_http", "_lock", "_open", "_process", "_waiting", "_where", "_wire")

    def __init__(self, dial: Dial, where: str, first: Exchange) -> None:
        self._process = os.getpid()
        self._where = where
        self._lock = Lock()
        self._http = H2Connection(H2Configuration(header_encoding=None, validate_outbound_headers=False))
        self._frames = Frames(self._goes)
        self._waiting: deque[Exchange] = deque((first,))
        self._open: dict[int, Exchange] = {}
        self._wire: Wire | None = None
        self._ended = False
        try:
            started(partial(self._run, dial), "proxyless-service")
        except OSError as error:
            self._failed(Failure("unreachable", f"{where}: {told(error)}", error))

    def begin(self, exchange: Exchange) -> bool:
        """Send a request, now or when there is room; False where this connection takes none any more."""
        if self._process != os.getpid():  # the connection and the lock are the parent's
            return False
        with self._lock:
            if self._ended:
                return False
            self._waiting.append(exchange)
            if self._wire is not None:
                self._work(self._wire)
        return True

    def cancel(self, exchange: Exchange) -> None:
        """Nobody waits for it any more."""
        if self._process != os.getpid():
            return
        with self._lock:
            if exchange in self._waiting:
                self._waiting.remove(exchange)
            if self._open.pop(exchange.stream, None) is not None and self._wire is not None:
                with suppress(ProtocolError):
                    self._http.reset_stream(exchange.stream, CANCEL)
                self._work(self._wire)
            self._end_if_unused()

    def retire(self) -> None:
        """Take nothing more, and end when nothing is under way."""
        if self._process != os.getpid():
            return
        with self._lock:
            self._ended = True
            self._end_if_unused()

    def close(self) -> None:
        """End now."""
        if self._process != os.getpid():
            if self._wire is not None:
                self._wire.close()
            return
        with self._lock:
            self._fail(Failure("reset", f"{self._where}: it is no longer asked"))

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self, dial: Dial) -> None:
        try:
            wire = dial()
        except TimeoutError:
            self._failed(Failure("unreachable", f"{self._where}: no connection in time"))
            return
        except Exception as error:  # whatever it was: those who wait are told
            self._failed(Failure("unreachable", f"{self._where}: {told(error)}", error))
            return
        try:
            with self._lock:
                if self._ended and not self._waiting:
                    return
                self._wire = wire
                self._http.initiate_connection()
                self._work(wire)
            while True:
                data = wire.wait()
                with self._lock:
                    self._take(wire.plain(data))
                    self._work(wire)
                    if not data:
                        self._fail(Failure("reset", f"{self._where}: it has closed the connection"))
                        return
        except Exception as error:  # whatever it was, nobody waits in vain
            self._failed(Failure("reset", f"{self._where}: {told(error)}", error))
        finally:
            with self._lock:  # nobody may write to what is closed
                self._wire = None
                self._ended = True
            wire.close()

    def _failed(self, failure: Failure) -> None:
        with self._lock:
            self._fail(failure)

    # -- under the lock ------------------------------------------------------------------------------------------

    def _work(self, wire: Wire) -> None:
        """Open what may be opened, send what may be sent."""
        try:
            while (
                self._waiting and self._http.open_outbound_streams < self._http.remote_settings.max_concurrent_streams
            ):
                try:
                    stream = self._http.get_next_available_stream_id()
                except NoAvailableStreamIDError:
                    self._goes(LAST)
                    break
                exchange = self._waiting.popleft()
                exchange.stream = stream
                self._open[stream] = exchange
                self._http.send_headers(exchange.stream, exchange.headers, end_stream=not exchange.unsent)
                self._push(exchange)
            wire.send(self._http.data_to_send())
        except (OSError, ProtocolError) as error:
            self._fail(Failure("reset", f"{self._where}: {told(error)}", error))

    def _push(self, exchange: Exchange) -> None:
        stream = exchange.stream
        while exchange.unsent:
            room = min(self._http.local_flow_control_window(stream), self._http.max_outbound_frame_size)
            if room <= 0:
                return
            piece, exchange.unsent = exchange.unsent[:room], exchange.unsent[room:]
            self._http.send_data(stream, bytes(piece), end_stream=not exchange.unsent)

    def _take(self, data: bytes) -> None:
        for piece in self._frames.split(data):
            for event in self._http.receive_data(piece):
                self._on(event)
        self._end_if_unused()

    def _goes(self, last: int) -> None:
        self._ended = True
        for stream in [each for each in self._open if each > last]:
            self._untouched(self._open.pop(stream))
        while self._waiting:
            self._untouched(self._waiting.popleft())

    def _untouched(self, exchange: Exchange) -> None:
        exchange.untouched = True
        exchange.finish(Failure("reset", f"{self._where}: it takes no more requests over this connection"))

    def _on(self, event: Any) -> None:
        if isinstance(event, WindowUpdated | RemoteSettingsChanged):
            for each in list(self._open.values()):
                self._push(each)
            return
        exchange = self._open.get(getattr(event, "stream_id", 0))
        if isinstance(event, DataReceived):
            with suppress(ProtocolError):
                self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if exchange is None:
            return
        if isinstance(event, ResponseReceived):
            exchange.begun(event.headers)
        elif isinstance(event, DataReceived):
            exchange.data += event.data
            if len(exchange.data) > MOST:
                self._drop(exchange, f"an answer of more than {MOST} bytes")
        elif isinstance(event, TrailersReceived):
            exchange.trailers = event.headers
        elif isinstance(event, StreamReset):
            del self._open[exchange.stream]
            exchange.untouched = event.error_code == REFUSED_STREAM
            exchange.finish(Failure("reset", f"{self._where}: it has reset the request ({event.error_code!s})"))
        elif isinstance(event, StreamEnded):
            del self._open[exchange.stream]
            if exchange.unsent:  # it answers without having read all
                with suppress(ProtocolError):
                    self._http.reset_stream(exchange.stream, CANCEL)
            exchange.complete()

    def _drop(self, exchange: Exchange, why: str) -> None:
        del self._open[exchange.stream]
        with suppress(ProtocolError):
            self._http.reset_stream(exchange.stream, CANCEL)
        exchange.finish(Failure("reset", f"{self._where}: {why}"))

    def _end_if_unused(self) -> None:
        if self._ended and not self._open and not self._waiting and self._wire is not None:
            self._wire.end()

    def _fail(self, failure: Failure) -> None:
        self._ended = True
        gone = [*self._open.values(), *self._waiting]
        self._open.clear()
        self._waiting.clear()
        if self._wire is not None:
            self._wire.end()
        for each in gone:
            each.finish(failure)


Begin = Callable[[Exchange], Link]
"""Finds the connection that takes a request."""


def exchanged(begin: Begin, headers: HeaderList, body: bytes, until: float) -> Reply | Failure:
    """What comes back before a moment of the monotonic clock. Sent once more where nobody has looked at it."""
    exchange = _awaited(begin, headers, body, until)
    return _outcome(_awaited(begin, headers, body, until) if exchange.untouched else exchange)


async def exchanged_async(begin: Begin, headers: HeaderList, body: bytes, until: float) -> Reply | Failure:
    """The same for a task."""
    exchange = await _awaited_async(begin, headers, body, until)
    return _outcome(await _awaited_async(begin, headers, body, until) if exchange.untouched else exchange)


def _awaited(begin: Begin, headers: HeaderList, body: bytes, until: float) -> Exchange:
    event = Event()
    exchange = Exchange(headers, body, event.set)
    link = begin(exchange)
    try:
        event.wait(max(0.0, until - monotonic()))
    finally:  # its time is over, or nobody waits for it any more
        if exchange.outcome is None:
            link.cancel(exchange)
    return exchange


async def _awaited_async(begin: Begin, headers: HeaderList, body: bytes, until: float) -> Exchange:
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    exchange = Exchange(headers, body, lambda: call_in(loop, event.set))
    link = begin(exchange)
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), max(0.0, until - monotonic()))
    finally:
        if exchange.outcome is None:
            link.cancel(exchange)
    return exchange


def _outcome(exchange: Exchange) -> Reply | Failure:
    outcome = exchange.outcome
    return outcome if outcome is not None else Failure("timeout", "no answer in time")
