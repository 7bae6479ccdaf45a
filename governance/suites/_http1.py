"""HTTP/1.1 for libraries in sync code that do not bring httpcore themselves: a connection with httpcore's interface.

h11, which httpcore parses with, takes longer than the whole of `http.client`; httptools (llhttp, the parser of Node)
takes a tenth of it and is strict about what frames a body. Errors are httpcore's, so that all the rest is the same for
every suite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpcore
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from ..headers import HeaderList
from ._httpcore import Library, Stream
from ._message import ByteStream, Request

READ_BYTES = 65536
MAX_HEAD_BYTES = 100 * 1024
"""Of a response: as httpcore takes."""

_NAME = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_MAX_NAMES = 1024
_FRAMES = (len(b"content-length"), len(b"transfer-encoding"))

_lower: dict[bytes, bytes] = {}
"""Names that were found to be good, in lower case."""


def names_checked(pairs: HeaderList, *, in_lower_case: bool = False) -> HeaderList:
    """The headers of a request, whose names are names."""
    known = _lower
    if in_lower_case:
        return [(known.get(name) or _learn(name), value) for name, value in pairs]
    for name, _ in pairs:
        if name not in known:
            _learn(name)
    return pairs


def _learn(name: bytes) -> bytes:
    if _NAME.fullmatch(name) is None:
        raise httpcore.LocalProtocolError(f"Illegal header name {name!r}")
    if len(_lower) >= _MAX_NAMES:
        _lower.clear()
    found = _lower[name] = name.lower()
    return found


class Reply:
    """A response on its way: what httpcore's Response is to the suites."""

    __slots__ = ("_body", "extensions", "headers", "status", "stream")

    def __init__(self, status: int, headers: HeaderList, body: Any, extensions: dict[str, Any]) -> None:
        self.status = status
        self.headers = headers
        self._body = self.stream = body
        self.extensions = extensions

    def close(self) -> None:
        """Give the connection back; one whose body has not been read is closed."""
        self._body.close()


def made_here(status: int, *, headers: HeaderList, content: bytes, extensions: dict[str, Any]) -> Reply:
    """A response of the mesh's own."""
    return Reply(status, headers, ByteStream(content), extensions)


class Parts:
    """The body of a response, and the end of what it holds."""

    __slots__ = ("_connection", "_open", "_timeout_s")

    def __init__(self, connection: Http1Connection, timeout_s: float | None) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._connection.parts(self._timeout_s)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._open:
            self._open = False
            self._connection.ended()


def _framing(headers: HeaderList) -> tuple[int, bool]:
    """(length, chunked) of a request's body."""
    length = 0
    for name, value in headers:
        if len(name) in _FRAMES:
            kind = name.lower()
            if kind == b"transfer-encoding":
                return 0, True
            if kind == b"content-length":
                length = int(value)
    return length, False


class Http1Connection:
    """One connection, one request after the other. As the parser's protocol it hears what is in a response."""

    def __init__(self, origin: object, stream: Stream) -> None:
        del origin
        self._stream = stream
        self._idle = True
        self._closed = False
        self._parser: Any = HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._head = False
        """Whether the headers are complete."""
        self._complete = False
        self._keep = False
        self._framed = False
        """Whether something says where the body ends."""
        self._status = 0
        self._version = ""
        self._reason = b""
        self._headers: HeaderList = []
        self._parts: list[bytes] = []

    # -- what the pools of the mesh ask ----------------------------------------------------------------------------

    def is_available(self) -> bool:
        return self._idle

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed, self._idle = True, False
        self._parser = None  # which refers to this
        self._stream.close()

    # -- a request -------------------------------------------------------------------------------------------------

    def handle_request(self, request: Request) -> Reply:
        """Send it and wait for the headers of the response. Raises httpcore's errors."""
        if not self._idle:
            raise httpcore.ConnectionNotAvailable
        self._idle = False
        timeouts = request.extensions.get("timeout", {})
        try:
            self._reset()
            try:
                self._send(request, timeouts.get("write"))
            except httpcore.WriteError:
                pass  # it may have answered, and closed then
            read_s = timeouts.get("read")
            self._receive_head(read_s)
            if request.method == b"HEAD":
                self._without_body()
        except BaseException:
            self.close()
            raise
        extensions = {
            "http_version": b"HTTP/1.1" if self._version == "1.1" else b"HTTP/1.0",
            "reason_phrase": self._reason,
            "network_stream": self._stream,
        }
        return Reply(self._status, self._headers, Parts(self, read_s), extensions)

    def _send(self, request: Request, timeout_s: float | None) -> None:
        lines = [b"%b %b HTTP/1.1" % (request.method, request.url.target)]
        lines += [b"%b: %b" % pair for pair in request.headers]
        text = b"\r\n".join(lines)
        breaks = len(lines) - 1
        if text.count(b"\n") != breaks or text.count(b"\r") != breaks or b"\0" in text or b" " in request.url.target:
            raise httpcore.LocalProtocolError("a line break, a NUL or a space where none may be")
        head = text + b"\r\n\r\n"
        length, chunked = _framing(request.headers)
        if not length and not chunked:
            self._stream.write(head, timeout_s)
            for _ in request.stream:
                pass
            return
        if not getattr(request.stream, "at_hand", False):  # who knows when its first part comes
            self._stream.write(head, timeout_s)
            head = b""
        sent = 0
        for chunk in filter(None, request.stream):
            sent += len(chunk)
            if not chunked and sent > length:
                raise httpcore.LocalProtocolError(f"a body that is longer than its content-length of {length}")
            self._stream.write(b"%b%x\r\n%b\r\n" % (head, len(chunk), chunk) if chunked else head + chunk, timeout_s)
            head = b""
        if chunked:
            self._stream.write(head + b"0\r\n\r\n", timeout_s)
        elif sent < length:
            raise httpcore.LocalProtocolError(f"a body of {sent} bytes, its content-length says {length}")

    # -- its response ----------------------------------------------------------------------------------------------

    def _receive_head(self, timeout_s: float | None) -> None:
        size = 0
        while not self._head:
            data = self._stream.read(READ_BYTES, timeout_s)
            if not data:
                raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
            size += len(data)
            self._feed(data)
            if size > MAX_HEAD_BYTES and not self._head:
                raise httpcore.RemoteProtocolError(f"the headers of the response are longer than {MAX_HEAD_BYTES}")

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._keep = False
        except HttpParserError as error:
            if not self._complete:
                raise httpcore.RemoteProtocolError(str(error)) from error
            self._keep = False

    def _without_body(self) -> None:
        """The parser does not know that it answers HEAD, and would wait for what does not come."""
        given, self._parts = self._parts, []
        if not self._complete:
            self._complete = True
            said = [value.lower() for name, value in self._headers if name.lower() == b"connection"]
            self._keep = self._version == "1.1" and b"close" not in said
            self._parser = HttpResponseParser(self)
        if given:
            self._keep = False

    def parts(self, timeout_s: float | None) -> Iterator[bytes]:
        """The body as it comes."""
        while True:
            parts = self._parts
            if parts:
                self._parts = []
                yield from parts
            if self._complete:
                return
            data = self._stream.read(READ_BYTES, timeout_s)
            if data:
                self._feed(data)
            elif self._framed:
                raise httpcore.RemoteProtocolError("peer closed connection without sending complete message body")
            else:
                self._complete = True

    def ended(self) -> None:
        """The body has been read, or nobody wants it."""
        if self._complete and self._keep and not self._closed:
            self._idle = True
        elif not self._closed:
            self.close()

    # -- what the parser tells -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:  # nobody has asked for that
            self._keep = False

    def on_status(self, reason: bytes) -> None:
        if not self._complete:
            self._reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head:
            return  # a trailer
        self._headers.append((name, value))
        if len(name) in _FRAMES:
            kind = name.lower()
            if kind == b"content-length":
                self._framed = True
            elif kind == b"transfer-encoding":
                self._framed = value.lower().endswith(b"chunked")

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        status = self._status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self._head = True
        self._version = self._parser.get_http_version()
        self._keep = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if not self._complete:
            self._parts.append(data)

    def on_message_complete(self) -> None:
        if self._head:
            self._complete = True
        else:  # 100, 103: what counts follows
            self._headers = []


class Light(Library):
    """httpcore's parts, with these in place of those that libraries over `http.client` need not have."""

    def __init__(self) -> None:
        super().__init__(httpcore, ByteStream)
        self.checked = names_checked
        self.response = made_here
        self.http1_connection = Http1Connection
