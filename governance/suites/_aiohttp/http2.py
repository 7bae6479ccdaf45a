"""HTTP/2 to endpoints: a `Link` is one connection, a `Lane` one stream of it, which aiohttp takes for a connection.

h2 knows the protocol. aiohttp's writer gives a lane what it would send over HTTP/1.1: the head says when, the headers
of the stream are the call's own, and the rest is the body. What comes is handed to aiohttp's parser as HTTP/1.1.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any

from aiohttp import ServerDisconnectedError
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import NoAvailableStreamIDError, ProtocolError
from h2.settings import SettingCodes, Settings

from ...headers import HeaderList
from ...http2_codes import CANCEL, reset_kind
from ...services.frames import LAST, Frames
from .canned import phrase
from .connecting import Handler
from .extended import CONNECT, accepted, upgraded

WINDOW = 1 << 24
"""Bytes that may come over a connection, beyond the first 65,535, before somebody has read them."""

MOST, ENOUGH = 1 << 16, 1 << 14
"""Bytes of a body that wait to be sent: with more aiohttp's writer pauses, with less it goes on."""

BODILESS = (b"204", b"304")


class StreamError(ServerDisconnectedError):
    """A stream has ended before its response. `kind`: of the failure, as the machine calls it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StreamHandler(Handler):
    """aiohttp's parser over one stream; no other request goes over it."""

    lane: Lane

    @property
    def should_close(self) -> bool:
        return True

    def start_timeout(self) -> None:
        super().start_timeout()
        self.lane.finish()  # aiohttp has written all that it has


class Lane(asyncio.Transport):
    """One stream, in place of a transport."""

    def __init__(self, link: Link, headers: HeaderList, handler: StreamHandler) -> None:
        """`headers`: of the request, the pseudo headers first."""
        super().__init__()
        self.link = link
        self.number = 0
        """Of the stream; 0 until it has one."""
        self.handler = handler
        self.headers, self.key = upgraded(headers)
        self.method = self.headers[0][1]
        self.unsent = bytearray()
        self.framed = False
        """Whether the end of the body is told as HTTP/1.1 does, by a header that nobody has sent."""
        self.answered = False
        self.complete = False
        """Whether the whole response is there."""
        self.over = False
        """Whether nothing more is to be sent than `unsent`."""
        self.ended = False
        """Whether the other side has been told so."""
        self._tunnel = False
        self._begun = False
        self._open = True
        self._paused = False
        self._came: deque[tuple[bytes, int] | None] = deque()
        """What waits to be read, and what it takes of the window; None is the end."""

    # -- what aiohttp does with a transport ------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        if not self._open:
            return
        if self._begun:
            self.unsent += data
            self.link.push(self)
        else:
            self._begun = True
            self.unsent += bytes(data).partition(b"\r\n\r\n")[2]
            self.link.begin(self)
        if len(self.unsent) > MOST and not self.handler.writing_paused:
            self.handler.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return not self._open

    def close(self) -> None:
        if self._open:
            self._open = False
            self.link.leave(self, sum(each[1] for each in self._came if each is not None))
            self._came.clear()

    abort = close

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.link.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._hand_on()

    # -- what goes -------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The request is there whole."""
        if self.key is None and not self.over:
            self.over = True
            if self._begun and self._open:
                self.link.push(self)

    def sent(self) -> None:
        """There is room again."""
        if len(self.unsent) < ENOUGH and self.handler.writing_paused:
            self.handler.resume_writing()

    # -- what comes ------------------------------------------------------------------------------------------------

    def heads(self, pairs: HeaderList) -> None:
        """The headers of the response, or of one before it. Raises ProtocolError."""
        status = next((value for name, value in pairs if name == b":status"), b"")
        given = [pair for pair in pairs if pair[0][:1] != b":"]
        final = status[:1] != b"1"
        if self.key is not None and status == b"200":
            self._tunnel = True
            status, given = b"101", [*given, *accepted(self.key)]
        elif final and status not in BODILESS and self.method != b"HEAD":
            self.framed = all(name != b"content-length" for name, _ in given)
            if self.framed:
                given.append((b"transfer-encoding", b"chunked"))
        said = phrase(int(status)) if status.isdigit() else b""
        lines = [b"HTTP/1.1 %b %b" % (status, said), *(b"%b: %b" % pair for pair in given)]
        text = b"\r\n".join(lines)
        if text.count(b"\n") != len(given) or text.count(b"\r") != len(given) or b"\0" in text:
            raise ProtocolError("a line break or a NUL in a header of the response")
        self.answered = self.answered or final
        self.handler.data_received(text + b"\r\n\r\n")

    def comes(self, data: bytes, size: int) -> None:
        """A part of the body. `size`: what it takes of the window."""
        self._came.append((data, size))
        self._hand_on()

    def ends(self) -> None:
        """All of the response is there."""
        self.complete = True
        self._came.append(None)
        self._hand_on()

    def _hand_on(self) -> None:
        while self._came and not self._paused and self._open:
            part = self._came.popleft()
            if part is None:
                if self.framed:
                    self.handler.data_received(b"0\r\n\r\n")
                elif self._tunnel:
                    self.lost(None)
                return
            data, size = part
            self.link.taken(self, size)
            if data:
                self.handler.data_received(b"%x\r\n%b\r\n" % (len(data), data) if self.framed else data)

    def fails(self, kind: str, why: str) -> None:
        """The stream has ended, and no other."""
        if self.answered:
            if self.handler.attempt is not None:
                self.handler.attempt.kind = kind
            self.lost(ConnectionResetError(why))
        elif self._open:
            self._open = False
            self.handler.set_exception(StreamError(kind, why))

    def lost(self, error: Exception | None) -> None:
        """The connection has ended; or so it shall seem."""
        if self._open:
            self._open = False
            self._came.clear()
            self.handler.connection_lost(error)


class Link(asyncio.Protocol):
    """One connection. To `Connection` it is what a `Handler` is over HTTP/1.1."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.transport: asyncio.Transport | None = None
        self.should_close = False
        """Whether it takes no more requests."""
        self._loop = loop
        self._http = H2Connection(H2Configuration(header_encoding=None))
        self._http.local_settings = Settings(
            client=True,
            initial_values={SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: 1 << 16},
        )
        self._frames = Frames(self._goes)
        self._lanes: dict[int, Lane] = {}
        self._waiting: deque[Lane] = deque()
        self._settled = False
        """Whether the other side has said what it allows."""
        self._paused = False

    def is_connected(self) -> bool:
        """Whether it is open."""
        return self.transport is not None and not self.transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the transport below."""
        return default if self.transport is None else self.transport.get_extra_info(name, default)

    def close(self) -> None:
        """End all that is under way."""
        if self.transport is not None:
            self.should_close = True
            with suppress(ProtocolError):
                self._http.close_connection()
            self._flush()
            self.transport.close()

    def lane(self, headers: HeaderList) -> StreamHandler:
        """For one request: its stream begins when aiohttp writes the head."""
        handler = StreamHandler(self._loop)
        handler.lane = Lane(self, headers, handler)
        handler.connection_made(handler.lane)
        return handler

    # -- as of a protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._http.initiate_connection()
        self._http.increment_flow_control_window(WINDOW)
        self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.split(data):
                for event in self._http.receive_data(frame):
                    self._on(event)
        except ProtocolError as error:
            self.should_close = True
            self._flush()
            if self.transport is not None:
                self.transport.close()
            self.connection_lost(ConnectionResetError(str(error) or type(error).__name__))
            return
        self._work()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.should_close = True
        gone = [*self._lanes.values(), *self._waiting]
        self._lanes.clear()
        self._waiting.clear()
        for lane in gone:
            if not lane.complete:
                lane.lost(exc)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        for lane in list(self._lanes.values()):
            self._push(lane)
        self._flush()

    # -- for lanes -------------------------------------------------------------------------------------------------

    def begin(self, lane: Lane) -> None:
        """Open a stream, now or when there may be one more."""
        if self.should_close:
            lane.fails("refused-stream", "the connection takes no more streams")
            return
        self._waiting.append(lane)
        self._work()

    def push(self, lane: Lane) -> None:
        """Send what there is of a body, as far as the windows go."""
        if lane.number:
            self._push(lane)
            self._flush()

    def taken(self, lane: Lane, size: int) -> None:
        """Somebody has what came: as much more may come."""
        if size and self.transport is not None:
            with suppress(ProtocolError):
                self._http.acknowledge_received_data(size, lane.number)
            self._flush()

    def leave(self, lane: Lane, unread: int) -> None:
        """Nobody needs the stream any more."""
        if not lane.number:
            with suppress(ValueError):
                self._waiting.remove(lane)
            return
        if self._lanes.pop(lane.number, None) is not None and not (lane.complete and lane.ended):
            with suppress(ProtocolError):
                self._http.reset_stream(lane.number, CANCEL)
        self.taken(lane, unread)
        self._work()

    # -- within ----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        http = self._http
        while self._waiting and http.open_outbound_streams < http.remote_settings.max_concurrent_streams:
            lane = self._waiting[0]
            if lane.method == CONNECT and not self._settled:
                break  # whether it takes one is not known yet
            self._waiting.popleft()
            if lane.method == CONNECT and not http.remote_settings.enable_connect_protocol:
                lane.fails("remote-reset", "the endpoint takes no upgrade over HTTP/2")
                continue
            try:
                lane.number = http.get_next_available_stream_id()
                http.send_headers(lane.number, lane.headers, end_stream=lane.over and not lane.unsent)
            except NoAvailableStreamIDError:
                lane.fails("refused-stream", "the connection has no number left for a stream")
                self._goes(LAST)
                break
            except ProtocolError as error:
                lane.fails("reset", str(error))
                continue
            self._lanes[lane.number] = lane
            lane.ended = lane.over and not lane.unsent
            self._push(lane)
        self._flush()

    def _push(self, lane: Lane) -> None:
        http, number, unsent = self._http, lane.number, lane.unsent
        try:
            while unsent and not self._paused:
                room = min(http.local_flow_control_window(number), http.max_outbound_frame_size)
                if room <= 0:
                    break
                piece = bytes(unsent[:room])
                del unsent[:room]
                lane.ended = lane.over and not unsent
                http.send_data(number, piece, end_stream=lane.ended)
                self._flush()
            if lane.over and not unsent and not lane.ended:
                lane.ended = True
                http.end_stream(number)
        except ProtocolError:
            unsent.clear()  # the stream is over, of which an event tells
        lane.sent()

    def _flush(self) -> None:
        data = self._http.data_to_send()
        if data and self.transport is not None:
            self.transport.write(data)

    def _on(self, event: Any) -> None:
        if isinstance(event, WindowUpdated | RemoteSettingsChanged):
            self._settled = self._settled or isinstance(event, RemoteSettingsChanged)
            for each in list(self._lanes.values()):
                self._push(each)
            return
        lane = self._lanes.get(getattr(event, "stream_id", 0))
        if lane is None:
            if isinstance(event, DataReceived):
                with suppress(ProtocolError):
                    self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, ResponseReceived | InformationalResponseReceived):
            lane.heads(event.headers)
        elif isinstance(event, DataReceived):
            lane.comes(event.data, event.flow_controlled_length)
        elif isinstance(event, StreamEnded):
            lane.ends()
        elif isinstance(event, StreamReset):
            del self._lanes[lane.number]
            lane.fails(reset_kind(event.error_code), f"the stream was reset: {event.error_code!s}")

    def _goes(self, last: int) -> None:
        """No stream after this one is answered."""
        self.should_close = True
        for number in [each for each in self._lanes if each > last]:
            self._lanes.pop(number).fails("refused-stream", "the connection takes no more streams")
        while self._waiting:
            self._waiting.popleft().fails("refused-stream", "the connection takes no more streams")
