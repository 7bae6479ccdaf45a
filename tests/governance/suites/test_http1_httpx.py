"""httpx's connections over HTTP/1.1: what goes out and what comes back is the same as over httpcore's own."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import h11
import httpcore
import httpcore2
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.suites._http1_httpx import Ordinary, QuickLibrary, ordinary
from proxyless.governance.suites._httpcore import Library

OK = b"HTTP/1.1 200 OK\r\n"
ONE = OK + b"Content-Length: 1\r\n\r\n"
HOST = (b"Host", b"catalog")


class Wire:
    """A stream that has been told what comes; then the other side closes."""

    def __init__(self, core: Any, *received: bytes, fails: int = -1) -> None:
        """`fails`: the write that does."""
        self.core = core
        self._received = list(received)
        self._fails = fails
        self.sent: list[bytes] = []
        self.closed = False

    def read(self, most: int, timeout: float | None = None) -> bytes:
        return self._received.pop(0) if self._received else b""

    def write(self, data: bytes, timeout: float | None = None) -> None:
        if len(self.sent) == self._fails:
            raise self.core.WriteError("broken")
        if data:
            self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, info: str) -> Any:
        return None


class AsyncWire(Wire):
    """The same for tasks. What is `b"..."` never comes."""

    async def read(self, most: int, timeout: float | None = None) -> bytes:  # type: ignore[override]  # noqa: ASYNC109
        data = super().read(most)
        if data == b"...":
            await asyncio.Event().wait()
        return data

    async def write(self, data: bytes, timeout: float | None = None) -> None:  # type: ignore[override]  # noqa: ASYNC109
        super().write(data)

    async def aclose(self) -> None:
        self.closed = True


class Body:
    """A body in parts, for both kinds of code."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


def request(
    core: Any,
    checked: Any = None,
    *,
    method: bytes = b"GET",
    target: bytes = b"/a?b",
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: Iterable[bytes] = (b"",),
    **extensions: Any,
) -> Any:
    url = core.URL(scheme=b"http", host=b"a", port=80, target=target)
    made = core.Request(method, url, headers=[], content=Body(*body), extensions=extensions)
    pairs = [HOST, *headers]
    made.headers = pairs if checked is None else checked(pairs)
    return made


def found(response: Any, body: bytes, connection: Any) -> tuple[Any, ...]:
    said = response.extensions
    came = (response.status, list(response.headers), said["http_version"], said["reason_phrase"], body)
    return (*came, connection.is_available(), connection.is_closed())


def run(connection: Any, made: Any) -> tuple[Any, ...]:
    """(status, headers, version, reason, body) or the error's type, and whether the connection can be used again."""
    try:
        response = connection.handle_request(made)
        try:
            body = b"".join(response.stream)
        finally:
            response.close()
    except (httpcore.ProtocolError, httpcore.NetworkError) as error:
        return (type(error), connection.is_available(), connection.is_closed())
    return found(response, body, connection)


async def run_async(connection: Any, made: Any) -> tuple[Any, ...]:
    try:
        response = await connection.handle_async_request(made)
        try:
            body = b"".join([part async for part in response.stream])
        finally:
            await response.aclose()
    except (httpcore.ProtocolError, httpcore.NetworkError) as error:
        return (type(error), connection.is_available(), connection.is_closed())
    return found(response, body, connection)


PLAIN = Library(httpcore, httpx.ByteStream)
QUICK = QuickLibrary(httpcore, httpx.ByteStream)
ORIGIN = httpcore.Origin(b"http", b"a", 80)

RESPONSES: list[tuple[bytes, bytes]] = [
    (b"GET", ONE + b"a"),
    (b"POST", ONE + b"a"),
    (b"GET", OK + b"X-A: b\r\nx-a:  c d \r\nEmpty:\r\nContent-Length: 0\r\n\r\n"),
    (b"GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: x\r\n\r\n"),
    (b"GET", OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc"),
    (b"GET", b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
    (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    (b"GET", b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
    (b"GET", b"HTTP/1.1 100 Continue\r\n\r\n" + ONE + b"a"),
    (b"GET", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ONE + b"a"),
    (b"HEAD", OK + b"Content-Length: 3\r\n\r\n"),
    (b"HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
    (b"HEAD", OK + b"\r\n"),
    (b"GET", b""),
    (b"GET", b"HTTP/1.1 200"),
    (b"GET", b"nonsense\r\n\r\n"),
    (b"GET", OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    (b"GET", OK + b"Bad Name: x\r\n\r\n"),
    (b"GET", OK + b"Content-Length: x\r\n\r\n"),
    (b"GET", OK + b"x: " + b"y" * 250_000),
    (b"GET", OK + b"Content-Length: 3\r\n\r\nab"),
    (b"GET", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    (b"GET", OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab"),
]


@pytest.mark.parametrize("size", [1, 7, 65536])
@pytest.mark.parametrize(("method", "raw"), RESPONSES)
def test_a_response_is_what_it_is_to_the_librarys_own(method: bytes, raw: bytes, size: int) -> None:
    if len(raw) > 1000 and size < 1000:
        size = 1000
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    parts: dict[str, Any] = {"method": method}
    expected = run(
        PLAIN.http1_connection(origin=ORIGIN, stream=Wire(httpcore, *pieces)), request(httpcore, PLAIN.checked, **parts)
    )
    made = request(httpcore, ordinary, **parts)
    assert isinstance(made.headers, Ordinary)
    quick = QUICK.http1_connection(origin=ORIGIN, stream=Wire(httpcore, *pieces))
    assert run(quick, made) == expected
    assert quick._own is None
    tasks = QUICK.async_http1_connection(origin=ORIGIN, stream=AsyncWire(httpcore, *pieces))
    made = request(httpcore, ordinary, **parts)
    assert asyncio.run(run_async(tasks, made)) == expected
    assert tasks._own is None


def test_a_body_that_ends_with_its_connection() -> None:
    wire = Wire(httpcore, OK + b"\r\nab", b"c")
    quick = QUICK.http1_connection(origin=ORIGIN, stream=wire)
    assert run(quick, request(httpcore, ordinary)) == (200, [], b"HTTP/1.1", b"OK", b"abc", False, True)


names = st.one_of(
    st.sampled_from([b"Host", b"accept", b"X-User", b"Content-Length", b"content-length", b"Connection", b"TE"]),
    st.binary(max_size=4),
)
values = st.one_of(
    st.sampled_from(
        [b"", b"a", b"a b", b" a", b"a ", b"a:  b", b"2", b"2, 2", b"02", b"9" * 30, b"a\r\nb: c", b"\xe9"]
    ),
    st.text(max_size=5).map(str.encode),
    st.binary(max_size=4),
)


def lowered(pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in pairs]


@given(st.lists(st.tuples(names, values), max_size=4), st.booleans())
def test_ordinary_headers_go_out_as_h11_writes_them(pairs: list[tuple[bytes, bytes]], small: bool) -> None:
    for headers in (pairs, [HOST, *pairs]):
        taken = ordinary(headers, in_lower_case=small)
        spelled = lowered(headers) if small else headers
        assert list(taken) == spelled
        if not isinstance(taken, Ordinary):
            continue
        asked = h11.Request(method=b"POST", target=b"/", headers=spelled)
        connection = h11.Connection(h11.CLIENT)
        assert connection.send(asked) == b"POST / HTTP/1.1\r\n%b\r\n\r\n" % taken.text
        if taken.length:
            connection.send(h11.Data(data=b"x" * min(taken.length, 100)))


def test_what_a_mesh_sends_is_ordinary() -> None:
    pairs = [HOST, (b"Accept", b"*/*"), (b"x-request-id", b"1-2"), (b"Content-Length", b"12")]
    for small in (False, True):
        taken = ordinary(pairs, in_lower_case=small)
        assert isinstance(taken, Ordinary)
        assert taken.length == 12
    for odd in (
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"x"),
        (b"a", b"b\r\nc: d"),
        (b"a", b" b"),
        (b"a b", b"c"),
    ):
        assert not isinstance(ordinary([*pairs, odd]), Ordinary)


@pytest.mark.parametrize("body", [(b"abc",), (b"a", b"", b"bc")])
def test_a_body_of_a_known_length(body: tuple[bytes, ...]) -> None:
    parts: dict[str, Any] = {"method": b"POST", "headers": [(b"Content-Length", b"3")], "body": body}
    wires = Wire(httpcore, ONE + b"x"), Wire(httpcore, ONE + b"x"), AsyncWire(httpcore, ONE + b"x")
    own = run(PLAIN.http1_connection(origin=ORIGIN, stream=wires[0]), request(httpcore, **parts))
    quick = QUICK.http1_connection(origin=ORIGIN, stream=wires[1])
    assert run(quick, request(httpcore, ordinary, **parts)) == own
    tasks = QUICK.async_http1_connection(origin=ORIGIN, stream=wires[2])
    assert asyncio.run(run_async(tasks, request(httpcore, ordinary, **parts))) == own
    assert b"".join(wires[0].sent) == b"".join(wires[1].sent) == b"".join(wires[2].sent)


@pytest.mark.parametrize(
    ("headers", "body"),
    [([], (b"a",)), ([(b"content-length", b"1")], (b"ab",)), ([(b"content-length", b"3")], (b"a", b"b"))],
)
def test_a_body_that_is_not_as_announced_is_an_error(headers: Any, body: tuple[bytes, ...]) -> None:
    parts: dict[str, Any] = {"method": b"POST", "headers": headers, "body": body}
    expected = (httpcore.LocalProtocolError, False, True)
    own = PLAIN.http1_connection(origin=ORIGIN, stream=Wire(httpcore, ONE + b"x"))
    with pytest.raises(h11.LocalProtocolError):  # which httpx lets through
        own.handle_request(request(httpcore, **parts))
    quick = QUICK.http1_connection(origin=ORIGIN, stream=Wire(httpcore, ONE + b"x"))
    assert run(quick, request(httpcore, ordinary, **parts)) == expected
    tasks = QUICK.async_http1_connection(origin=ORIGIN, stream=AsyncWire(httpcore, ONE + b"x"))
    assert asyncio.run(run_async(tasks, request(httpcore, ordinary, **parts))) == expected


def test_an_answer_before_the_body_was_sent_ends_the_connection() -> None:
    parts: dict[str, Any] = {"method": b"POST", "headers": [(b"content-length", b"3")], "body": (b"a", b"bc")}
    raw = b"HTTP/1.1 413 Too Long\r\nContent-Length: 0\r\n\r\n"
    for library, checked in ((PLAIN, None), (QUICK, ordinary)):
        connection = library.http1_connection(origin=ORIGIN, stream=Wire(httpcore, raw, fails=2))
        seen = run(connection, request(httpcore, checked, **parts))
        assert (seen[0], *seen[-2:]) == (413, False, True)
    tasks = QUICK.async_http1_connection(origin=ORIGIN, stream=AsyncWire(httpcore, raw, fails=2))
    seen = asyncio.run(run_async(tasks, request(httpcore, ordinary, **parts)))
    assert (seen[0], *seen[-2:]) == (413, False, True)


def test_a_task_that_is_cancelled_closes_its_connection() -> None:
    async def main(received: tuple[bytes, ...]) -> None:
        wire = AsyncWire(httpcore, *received)
        connection = QUICK.async_http1_connection(origin=ORIGIN, stream=wire)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run_async(connection, request(httpcore, ordinary)), 0.01)
        assert wire.closed
        assert connection.is_closed()
        assert not connection.is_available()

    asyncio.run(main((b"...",)))
    asyncio.run(main((OK + b"Content-Length: 3\r\n\r\na", b"...")))


def test_a_response_that_nobody_reads_ends_its_connection() -> None:
    quick = QUICK.http1_connection(origin=ORIGIN, stream=Wire(httpcore, OK + b"Content-Length: 3\r\n\r\na"))
    quick.handle_request(request(httpcore, ordinary)).close()
    assert quick.is_closed()

    async def main() -> None:
        wire = AsyncWire(httpcore, OK + b"Content-Length: 3\r\n\r\na")
        tasks = QUICK.async_http1_connection(origin=ORIGIN, stream=wire)
        response = await tasks.handle_async_request(request(httpcore, ordinary))
        with pytest.raises(httpcore.ConnectionNotAvailable):
            await tasks.handle_async_request(request(httpcore, ordinary))
        await response.aclose()
        assert tasks.is_closed()
        with pytest.raises(httpcore.ConnectionNotAvailable):
            await tasks.handle_async_request(request(httpcore, ordinary, method=b"CONNECT"))

    asyncio.run(main())


# -- what is left to the library's own connection ----------------------------------------------------------------------


def traced() -> tuple[list[str], dict[str, Any], Callable[..., Any]]:
    events: list[str] = []

    def told(event: str, info: Any) -> None:
        events.append(event)

    async def told_async(event: str, info: Any) -> None:
        events.append(event)

    return events, {"trace": told}, told_async


def test_a_request_that_is_traced_tells_as_before() -> None:
    quick = QUICK.http1_connection(origin=ORIGIN, stream=Wire(httpcore, ONE + b"a", ONE + b"b", ONE + b"c"))
    events, extension, told_async = traced()
    assert run(quick, request(httpcore, ordinary))[4] == b"a"
    assert events == []
    assert run(quick, request(httpcore, ordinary, **extension))[4:] == (b"b", True, False)
    assert events[0] == "http11.send_request_headers.started"
    assert events[-1] == "http11.response_closed.complete"
    told = list(events)
    assert run(quick, request(httpcore, ordinary))[4:] == (b"c", True, False)
    assert events == told
    events.clear()

    wire = AsyncWire(httpcore, ONE + b"a", ONE + b"b")
    tasks = QUICK.async_http1_connection(origin=ORIGIN, stream=wire)
    made = request(httpcore, ordinary, trace=told_async)
    assert asyncio.run(run_async(tasks, made))[4:] == (b"a", True, False)
    assert events == told
    assert asyncio.run(run_async(tasks, request(httpcore, ordinary)))[4:] == (b"b", True, False)


def test_the_librarys_log_is_written(caplog: pytest.LogCaptureFixture) -> None:
    for core, library in ((httpcore, httpx), (httpcore2, httpx)):
        parts = QuickLibrary(core, library.ByteStream)
        origin = core.Origin(b"http", b"a", 80)
        quick = parts.http1_connection(origin=origin, stream=Wire(core, ONE + b"a", ONE + b"b"))
        run(quick, request(core, ordinary))
        assert caplog.messages == []
        with caplog.at_level(logging.DEBUG, f"{core.__name__}.http11"):
            run(quick, request(core, ordinary))
        assert any("send_request_headers" in each for each in caplog.messages)
        caplog.clear()


def test_an_upgrade_hands_its_stream_over() -> None:
    raw = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nfirst"
    headers = [(b"Connection", b"upgrade"), (b"Upgrade", b"x")]
    quick = QUICK.http1_connection(origin=ORIGIN, stream=Wire(httpcore, raw))
    response = quick.handle_request(request(httpcore, ordinary, headers=headers))
    assert response.status == 101
    assert response.extensions["network_stream"].read(100) == b"first"
    assert not quick.is_available()
    response.close()
    assert quick.is_closed()


def test_an_upload_in_chunks_and_then_another_request() -> None:
    wire = Wire(httpcore, ONE + b"a", ONE + b"b")
    quick = QUICK.http1_connection(origin=ORIGIN, stream=wire)
    headers = [(b"Transfer-Encoding", b"chunked")]
    made = request(httpcore, ordinary, method=b"POST", headers=headers, body=(b"ab", b"c"))
    assert run(quick, made)[4:] == (b"a", True, False)
    assert b"".join(wire.sent).endswith(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert run(quick, request(httpcore, ordinary))[4:] == (b"b", True, False)


def test_what_h11_refuses_is_refused() -> None:
    for parts in ({"headers": [(b"a", b" b\r\nc")]}, {"target": b"/ b"}):
        quick = QUICK.http1_connection(origin=ORIGIN, stream=Wire(httpcore, ONE + b"a"))
        assert run(quick, request(httpcore, ordinary, **parts))[0] is httpcore.LocalProtocolError


WITHOUT = """
import sys
sys.modules["httptools"] = None
import httpx
import proxyless, proxyless.httpx
from bench import stub
from bench.configuration import plaintext, service, write
import tempfile
mesh = proxyless.Mesh.from_recorded(write(__import__("pathlib").Path(tempfile.mkdtemp()) / "scale", plaintext(2)))
client = stub.governed(mesh)
response = client.get(f"http://{service(1)}/")
print(response.status_code, response.text, type(client._transport._pool.library).__name__)
mesh.close()
"""


def test_without_httptools_the_librarys_own_connections_do() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["200", "ok", "Library"]
