"""HTTP/1.1 for libraries in sync code that do not bring httpcore themselves: a connection with httpcore's interface.

h11, which httpcore parses with, takes longer than the whole of `http.client`; httptools (llhttp, the parser of Node)
takes a tenth of it and is strict about what frames a body. Errors are httpcore's, so that all the rest is the same for
every suite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpcore
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from ..headers import HeaderList
from ._httpcore import Library
from ._message import ByteStream
from ._tokens import Tokens

READ_BYTES = 65536
MAX_HEAD_BYTES = 100 * 1024
"""Of a response: as httpcore takes."""

_FRAMES = (len(b"content-length"), len(b"transfer-encoding"))

_TOKENS = Tokens()


def names_checked(pairs: HeaderList, *, in_lower_case: bool = False) -> HeaderList:
    """The headers of a request, whose names are names."""
    known = _TOKENS.lower
    if in_lower_case:
        return [(known.get(name) or _learn(name), value) for name, value in pairs]
    for name, _ in pairs:
        if name not in known:
            _learn(name)
    return pairs


def _learn(name: bytes) -> bytes:
    small = _TOKENS.learn(name)
    if small is None:
        raise httpcore.LocalProtocolError(f"Illegal header name {name!r}")
    return small


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


class Http1:
    """What goes out for a request and what comes back, for one request after the other; who reads and writes is a
    subclass's matter. As the parser's protocol it hears what is in a response."""

    def __init__(self, origin: Any, stream: Any) -> None:
        """`origin`: the endpoint, as httpcore names it. Errors are those of the stream's httpcore."""
        self._origin = origin
        self._stream = stream
        self._core = stream.core
        self._idle = True
        self._closed = False
        self._parser: Any = HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._head = False
        """Whether the headers are complete."""
        self._complete = False
        self._keep = False
        self._whole = False
        """Whether the request has been sent to its end."""
        self._framed = False
        """Whether something says where the body ends."""
        self._status = 0
        self._version = ""
        self._reason = b""
        self._headers: HeaderList = []
        self._size = 0
        self._parts: list[bytes] = []

    # -- what the pools of the mesh ask ----------------------------------------------------------------------------

    def is_available(self) -> bool:
        return self._idle

    def is_closed(self) -> bool:
        return self._closed

    # -- a request -------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        if not self._idle:
            raise self._core.ConnectionNotAvailable
        self._idle = False
        self._reset()

    def _encoded(self, request: Any) -> tuple[bytes, int, bool]:
        """(head, length of the body, whether it is sent in chunks)."""
        lines = [b"%b %b HTTP/1.1" % (request.method, request.url.target)]
        lines += [b"%b: %b" % pair for pair in request.headers]
        text = b"\r\n".join(lines)
        breaks = len(lines) - 1
        if text.count(b"\n") != breaks or text.count(b"\r") != breaks or b"\0" in text or b" " in request.url.target:
            raise self._core.LocalProtocolError("a line break, a NUL or a space where none may be")
        return text + b"\r\n\r\n", *_framing(request.headers)

    def _part(self, chunk: bytes, sent: int, length: int, chunked: bool) -> bytes:
        """A part of the body as it goes out, `sent` with it."""
        if chunked:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        if sent > length:
            raise self._core.LocalProtocolError(f"a body that is longer than its content-length of {length}")
        return chunk

    def _end(self, sent: int, length: int, chunked: bool) -> bytes:
        """What goes out behind a body."""
        if chunked:
            return b"0\r\n\r\n"
        if sent < length:
            raise self._core.LocalProtocolError(f"a body of {sent} bytes, its content-length says {length}")
        return b""

    # -- its response ----------------------------------------------------------------------------------------------

    def _hear(self, data: bytes) -> None:
        """Bytes of a head."""
        if not data:
            raise self._core.RemoteProtocolError("Server disconnected without sending a response.")
        self._size += len(data)
        self._feed(data)
        if self._size > MAX_HEAD_BYTES and not self._head:
            raise self._core.RemoteProtocolError(f"the headers of the response are longer than {MAX_HEAD_BYTES}")

    def _hear_body(self, data: bytes) -> None:
        """Bytes of a body, or its end."""
        if data:
            self._feed(data)
        elif self._framed:
            raise self._core.RemoteProtocolError("peer closed connection without sending complete message body")
        else:
            self._complete = True

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._keep = False
        except HttpParserError as error:
            if not self._complete:
                raise self._core.RemoteProtocolError(str(error)) from error
            self._keep = False

    def _reply(self, request: Any, body: Any, kind: type[Reply]) -> Reply:
        """The response whose head has come."""
        if request.method == b"HEAD":
            self._without_body()
        extensions = {
            "http_version": b"HTTP/1.1" if self._version == "1.1" else b"HTTP/1.0",
            "reason_phrase": self._reason,
            "network_stream": self._stream,
        }
        return kind(self._status, self._headers, body, extensions)

    def _may_go_on(self) -> bool:
        """Whether the connection takes another request."""
        return self._complete and self._keep and self._whole and not self._closed

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

    # -- what the parser tells -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:  # nobody has asked for that
            self._keep = False

    def on_status(self, reason: bytes) -> None:
        if not self._complete:
            self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head:
            return  # a trailer
        if value[-1:] in (b" ", b"\t"):  # which the parser leaves there
            value = value.rstrip(b" \t")
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
            self._reason = b""


class Http1Connection(Http1):
    """For sync code."""

    def close(self) -> None:
        self._closed, self._idle = True, False
        self._parser = None  # which refers to this
        self._stream.close()

    def handle_request(self, request: Any) -> Any:
        """Send it and wait for the headers of the response. Raises httpcore's errors.

        The extension `sent` is called in between: for what can be done while the other side is at work.
        """
        self._take()
        timeouts = request.extensions.get("timeout", {})
        sent = request.extensions.get("sent")
        try:
            try:
                self._send(request, timeouts.get("write"))
                self._whole = True
            except self._core.WriteError:
                pass  # it may have answered, and closed then
            if sent is not None:
                sent()
            read_s = timeouts.get("read")
            body = Parts(self, read_s)
            while not self._head:
                self._hear(self._stream.read(READ_BYTES, read_s))
            return self._reply(request, body, Reply)
        except BaseException:
            self.close()
            raise

    def _send(self, request: Any, timeout_s: float | None) -> None:
        head, length, chunked = self._encoded(request)
        if not length and not chunked:
            self._stream.write(head, timeout_s)
            self._without_content(request)
            return
        if not getattr(request.stream, "at_hand", False):  # who knows when its first part comes
            self._stream.write(head, timeout_s)
            head = b""
        sent = 0
        for chunk in filter(None, request.stream):
            sent += len(chunk)
            self._stream.write(head + self._part(chunk, sent, length, chunked), timeout_s)
            head = b""
        self._stream.write(head + self._end(sent, length, chunked), timeout_s)

    def _without_content(self, request: Any) -> None:
        """A body that nothing announces: whoever made it learns that it has been asked for."""
        for _ in request.stream:
            pass

    def parts(self, timeout_s: float | None) -> Iterator[bytes]:
        """The body as it comes."""
        while True:
            parts = self._parts
            if parts:
                self._parts = []
                yield from parts
            if self._complete:
                return
            self._hear_body(self._stream.read(READ_BYTES, timeout_s))

    def ended(self) -> None:
        """The body has been read, or nobody wants it."""
        if self._may_go_on():
            self._idle = True
        elif not self._closed:
            self.close()


class Light(Library):
    """httpcore's parts, with these in place of those that libraries over `http.client` need not have."""

    def __init__(self) -> None:
        super().__init__(httpcore, ByteStream)
        self.checked = names_checked
        self.response = made_here
        self.http1_connection = Http1Connection
