"""The connection of sync code over HTTP/1.1: what frames a response, when it may be used again, what is never sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpcore
import pytest

from proxyless.governance.suites._http1 import MAX_HEAD_BYTES, Http1Connection, names_checked
from proxyless.governance.suites._message import ByteStream, Request, Url

OK = b"HTTP/1.1 200 OK\r\n"


class Wire:
    """A stream that has been told what comes; then the other side closes."""

    core = httpcore

    def __init__(self, *received: bytes) -> None:
        self._received = list(received)
        self.sent: list[bytes] = []
        self.closed = False

    def read(self, most: int, timeout: float | None = None) -> bytes:
        return self._received.pop(0) if self._received else b""

    def write(self, data: bytes, timeout: float | None = None) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


def asked(method: bytes = b"GET", target: bytes = b"/", headers: Any = (), body: Any = b"") -> Request:
    stream = ByteStream(body) if isinstance(body, bytes) else body
    return Request(method, Url(b"http", b"a", 80, target), [(b"host", b"a"), *headers], stream, {})


def exchange(wire: Wire, request: Request) -> tuple[int, list[tuple[bytes, bytes]], bytes, bool]:
    """(status, headers, body, whether the connection may be used again)."""
    stream: Any = wire
    connection = Http1Connection(None, stream)
    reply = connection.handle_request(request)
    body = b"".join(reply.stream)
    reply.close()
    assert connection.is_available() != wire.closed
    return reply.status, reply.headers, body, connection.is_available()


RESPONSES: list[tuple[bytes, bytes, tuple[int, bytes, bool]]] = [
    (b"GET", OK + b"Content-Length: 3\r\n\r\nabc", (200, b"abc", True)),
    (b"GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: x\r\n\r\n", (200, b"abc", True)),
    (b"GET", OK + b"\r\nabc", (200, b"abc", False)),
    (b"GET", OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc", (200, b"abc", False)),
    (b"GET", b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", (200, b"abc", False)),
    (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", True)),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", (304, b"", True)),
    (b"GET", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", (200, b"a", True)),
    (b"GET", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", (200, b"a", True)),
    (b"GET", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", (101, b"", False)),
    (b"HEAD", OK + b"Content-Length: 3\r\n\r\n", (200, b"", True)),
    (b"HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", (200, b"", True)),
    (b"HEAD", OK + b"\r\n", (200, b"", True)),
    (b"HEAD", OK + b"Connection: close\r\n\r\n", (200, b"", False)),
]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize(("method", "raw", "expected"), RESPONSES)
def test_a_response(method: bytes, raw: bytes, expected: tuple[int, bytes, bool], split: bool) -> None:
    wire = Wire(*(raw[at : at + 1] for at in range(len(raw)))) if split else Wire(raw)
    status, headers, body, again = exchange(wire, asked(method))
    assert (status, body, again) == expected
    assert not any(name == b"Link" for name, _ in headers)


def test_values_have_no_spaces_around_them() -> None:
    wire = Wire(OK + b"A:  b c \t\r\nContent-Length: 0 \r\n\r\n")
    assert exchange(wire, asked())[1] == [(b"A", b"b c"), (b"Content-Length", b"0")]


def test_bytes_that_nobody_has_asked_for_end_the_connection() -> None:
    assert exchange(Wire(OK + b"Content-Length: 1\r\n\r\na" + OK), asked())[3] is False
    assert exchange(Wire(OK + b"Content-Length: 1\r\n\r\nabc"), asked())[3] is False
    assert exchange(Wire(OK + b"Content-Length: 1\r\n\r\na"), asked(b"HEAD"))[3] is False


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
        OK + b"Bad Name: x\r\n\r\n",
        OK + b"Content-Length: x\r\n\r\n",
        OK + b"x: " + b"y" * (2 * MAX_HEAD_BYTES),
        OK + b"Content-Length: 3\r\n\r\nab",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab",
    ],
)
def test_what_is_no_whole_response_is_an_error(raw: bytes) -> None:
    wire = Wire(*(raw[at : at + 65536] for at in range(0, len(raw), 65536)))
    with pytest.raises(httpcore.RemoteProtocolError):
        exchange(wire, asked())
    assert wire.closed


def test_a_connection_takes_one_request_after_the_other() -> None:
    wire: Any = Wire(OK + b"Content-Length: 1\r\n\r\na", OK + b"Content-Length: 1\r\n\r\nb")
    connection = Http1Connection(None, wire)
    first = connection.handle_request(asked())
    with pytest.raises(httpcore.ConnectionNotAvailable):
        connection.handle_request(asked())
    assert list(first.stream) == [b"a"]
    first.close()
    assert b"".join(connection.handle_request(asked()).stream) == b"b"


def parts(*given: bytes) -> Iterable[bytes]:
    yield from given


@pytest.mark.parametrize(
    ("request_", "sent"),
    [
        (asked(), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
        (
            asked(headers=[(b"content-length", b"2")], body=b"ab"),
            b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab",
        ),
        (
            asked(headers=[(b"transfer-encoding", b"chunked")], body=parts(b"ab", b"", b"c")),
            b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        ),
    ],
)
def test_a_request_is_written(request_: Request, sent: bytes) -> None:
    wire = Wire(OK + b"Content-Length: 0\r\n\r\n")
    exchange(wire, request_)
    assert b"".join(wire.sent) == sent


@pytest.mark.parametrize(
    "request_",
    [
        asked(headers=[(b"x", b"a\r\ny: b")]),
        asked(headers=[(b"x", b"a\nb")]),
        asked(headers=[(b"x", b"a\0b")]),
        asked(target=b"/a b"),
        asked(target=b"/ HTTP/1.1\r\nx: y"),
        asked(headers=[(b"content-length", b"1")], body=b"ab"),
        asked(headers=[(b"content-length", b"3")], body=b"ab"),
    ],
)
def test_what_would_be_read_as_something_else_is_not_sent(request_: Request) -> None:
    wire = Wire(OK + b"Content-Length: 0\r\n\r\n")
    with pytest.raises(httpcore.LocalProtocolError):
        exchange(wire, request_)
    assert wire.closed


def test_names_of_headers_are_names() -> None:
    assert names_checked([(b"X-A", b"b")], in_lower_case=True) == [(b"x-a", b"b")]
    assert names_checked([(b"X-A", b"b")]) == [(b"X-A", b"b")]
    for bad in (b"x y", b"x:", b"", b"x\r\n"):
        with pytest.raises(httpcore.LocalProtocolError):
            names_checked([(bad, b"b")])
