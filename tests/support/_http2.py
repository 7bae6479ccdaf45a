"""Prior-knowledge HTTP/2 as a backend sees it: streams answered concurrently, header order kept."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from tests.support._http1 import Arrived, abort
from tests.support.behaviour import Headers, Reply


class _Connection:
    def __init__(self, writer: asyncio.StreamWriter, arrived: Arrived) -> None:
        config = h2.config.H2Configuration(
            client_side=False, header_encoding=None, validate_inbound_headers=False, normalize_inbound_headers=False
        )
        self.http = h2.connection.H2Connection(config)
        self.writer = writer
        self.arrived = arrived
        self.headers: dict[int, Headers] = {}
        self.trailers: dict[int, Headers] = {}
        self.bodies: dict[int, bytearray] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.window = asyncio.Event()

    def flush(self) -> None:
        if data := self.http.data_to_send():
            self.writer.write(data)

    def event(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.headers[event.stream_id] = _pairs(event.headers)
            self.bodies[event.stream_id] = bytearray()
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[event.stream_id] = _pairs(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.WindowUpdated):
            self.window.set()
        elif isinstance(event, h2.events.StreamEnded):
            self.ended(event.stream_id)

    def ended(self, stream: int) -> None:
        headers = self.headers.pop(stream)
        pseudo = {name: value for name, value in headers if name.startswith(":")}
        body, trailers = bytes(self.bodies.pop(stream)), self.trailers.pop(stream, ())
        reply = self.arrived(pseudo.get(":method", ""), pseudo.get(":path", ""), headers, body, trailers, "HTTP/2")
        task = asyncio.create_task(self.answer(stream, reply, pseudo.get(":method", "")))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def answer(self, stream: int, reply: Reply, method: str) -> None:
        what = reply.behaviour
        await asyncio.sleep(what.delay_s)
        try:
            if what.fault == "close":
                self.writer.close()
            elif what.fault in ("reset", "refused"):
                refused = what.fault == "refused"
                code = h2.errors.ErrorCodes.REFUSED_STREAM if refused else h2.errors.ErrorCodes.INTERNAL_ERROR
                self.http.reset_stream(stream, code)
            else:
                await self.send(stream, reply, empty=method == "HEAD")
            self.flush()
        except (h2.exceptions.ProtocolError, ConnectionError):
            return  # the other side has reset the stream or gone

    async def send(self, stream: int, reply: Reply, *, empty: bool) -> None:
        what, body = reply.behaviour, b"" if empty else reply.body
        length = [] if empty else [("content-length", str(len(reply.body)))]
        self.http.send_headers(stream, [(":status", str(what.status)), *reply.headers, *length], end_stream=not body)
        if not body:
            return
        if what.body_delay_s:
            self.flush()
            await asyncio.sleep(what.body_delay_s)
        cut = what.fault.startswith("cut")
        left = body[: len(body) // 2] if cut else body
        while left:
            size = min(self.http.local_flow_control_window(stream), self.http.max_outbound_frame_size, len(left))
            if size:
                last = not cut and size == len(left)
                self.http.send_data(stream, left[:size], end_stream=last and not what.trailers)
                if last and what.trailers:
                    self.http.send_headers(stream, what.trailers, end_stream=True)
                left = left[size:]
            self.flush()
            if not size:
                self.window.clear()
                await self.window.wait()
        if what.fault == "cut-reset":
            abort(self.writer)
        elif cut:
            self.http.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)


def _pairs(headers: object) -> Headers:
    assert isinstance(headers, list)
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


async def serve(start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, arrived: Arrived) -> None:
    """Answer requests on one connection until it ends."""
    connection = _Connection(writer, arrived)
    connection.http.initiate_connection()
    connection.flush()
    data = start
    try:
        while data:
            for event in connection.http.receive_data(data):
                connection.event(event)
            connection.flush()
            data = await reader.read(1 << 16)
    except h2.exceptions.ProtocolError:
        connection.flush()
    finally:
        for task in connection.tasks:
            task.cancel()
