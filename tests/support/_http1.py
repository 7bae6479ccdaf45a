"""HTTP/1.1 as a backend sees it: parsed by hand: case, order and duplicates are reported as received."""

from __future__ import annotations

import asyncio
import http
import socket
import struct
from typing import Protocol

from tests.support.behaviour import Headers, Reply


class Arrived(Protocol):
    """Told of a request when it is complete; says what to answer."""

    def __call__(
        self, method: str, target: str, headers: Headers, body: bytes, trailers: Headers, protocol: str
    ) -> Reply: ...


def split_headers(block: bytes) -> Headers:
    """`name: value` lines as pairs; optional white space around the value removed."""
    pairs = (line.decode("latin-1").partition(":") for line in block.split(b"\r\n") if line)
    return tuple((name, value.strip(" \t")) for name, _, value in pairs)


class Stream:
    """A stream reader that knows of the bytes read before it."""

    def __init__(self, start: bytes, reader: asyncio.StreamReader) -> None:
        self._data = start
        self._reader = reader

    async def until(self, mark: bytes) -> bytes:
        """Everything up to and without the mark, which is consumed. Raises IncompleteReadError at the end."""
        while mark not in self._data:
            await self._more()
        found, _, self._data = self._data.partition(mark)
        return found

    async def exactly(self, count: int) -> bytes:
        """`count` bytes. Raises IncompleteReadError at the end."""
        while len(self._data) < count:
            await self._more()
        found, self._data = self._data[:count], self._data[count:]
        return found

    async def _more(self) -> None:
        chunk = await self._reader.read(1 << 16)
        if not chunk:
            raise asyncio.IncompleteReadError(self._data, None)
        self._data += chunk


async def _body(stream: Stream, headers: Headers) -> tuple[bytes, Headers]:
    lengths = {name.lower(): value for name, value in headers}
    if "chunked" in lengths.get("transfer-encoding", "").lower():
        body = b""
        while size := int((await stream.until(b"\r\n")).split(b";")[0], 16):
            body += await stream.exactly(size)
            await stream.exactly(2)
        trailers = b""
        while line := await stream.until(b"\r\n"):
            trailers += line + b"\r\n"
        return body, split_headers(trailers)
    return await stream.exactly(int(lengths.get("content-length", "0"))), ()


async def serve(start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, arrived: Arrived) -> None:
    """Answer requests on one connection until it ends."""
    stream = Stream(start, reader)
    while True:
        try:
            head = await stream.until(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return
        line, _, block = head.partition(b"\r\n")
        method, target, protocol = [*line.decode("latin-1").split(" "), "", ""][:3]
        headers = split_headers(block)
        if any(name.lower() == "expect" for name, _ in headers):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, trailers = await _body(stream, headers)
        if not await _answer(writer, arrived(method, target, headers, body, trailers, protocol), method):
            return


async def _answer(writer: asyncio.StreamWriter, reply: Reply, method: str) -> bool:
    """Send the reply; False when the connection is over."""
    what = reply.behaviour
    await asyncio.sleep(what.delay_s)
    if what.fault in ("reset", "refused"):
        abort(writer)
    if what.fault in ("reset", "refused", "close"):
        return False
    bodiless = what.status in (204, 304) or what.status < 200
    length = () if bodiless else (("content-length", str(len(reply.body))),)
    lines = [f"HTTP/1.1 {what.status} {_reason(what.status)}", *(f"{n}: {v}" for n, v in (*reply.headers, *length))]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    cut = what.fault.startswith("cut")
    if not bodiless and method != "HEAD":
        if what.body_delay_s:
            await writer.drain()
            await asyncio.sleep(what.body_delay_s)
        writer.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
    await writer.drain()
    if cut:
        await asyncio.sleep(0.02)  # let the half be read before the connection goes
        if what.fault == "cut-reset":
            abort(writer)
        return False
    return True


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def abort(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset instead of a FIN."""
    raw = writer.get_extra_info("socket")
    assert raw is not None
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
