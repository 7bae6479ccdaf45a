"""Requests of aiohttp that are written in one piece: what goes out, and what comes back, is the same as by its own
`send`, to which a request is left that somebody traces."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import proxyless.aiohttp
from proxyless import Mesh, Node
from proxyless.governance.suites._aiohttp import writing
from tests.governance.suites.conftest import ENTRY
from tests.support.ports import free_port

URL = "http://one.example.com"
RULES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: one, namespace: shop}
spec:
  hosts: [one.example.com]
  http:
  - match: [{uri: {prefix: /old}}]
    rewrite: {uri: /new}
    retries: {attempts: 0}
    route: [{destination: {host: one.example.com}}]
  - match: [{uri: {prefix: /again}}]
    retries: {attempts: 2, retryOn: "reset,5xx", backoff: 1ms}
    route: [{destination: {host: one.example.com}}]
  - match: [{uri: {prefix: /short}}]
    timeout: 0.2s
    retries: {attempts: 0}
    route: [{destination: {host: one.example.com}}]
  - retries: {attempts: 0}
    route: [{destination: {host: one.example.com}}]
"""

OK = b"HTTP/1.1 200 OK\r\n"
ONE = OK + b"Content-Length: 1\r\n\r\na"
DEFLATED = zlib.compress(b"abc")


class Server:
    """Answers with the bytes it has been told, `size` at a time; `closes`: their connection ends with them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: list[bytes] = []
        self.size = 1 << 20
        self.closes = False
        self.received: list[bytes] = []
        self.connections = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(head, await _body(head, reader), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.received.append(re.sub(rb"(?<=x-request-id: )[0-9a-f-]{36}", b"ID", head) + body)
        raw = self.answers.pop(0) if self.answers else ONE
        for at in range(0, len(raw), self.size):
            writer.write(raw[at : at + self.size])
            await writer.drain()
            if self.size < len(raw):
                await asyncio.sleep(0.0005)
        if self.closes:
            raise ConnectionResetError


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)
    if length is not None:
        return await reader.readexactly(int(length[1]))
    return await reader.readuntil(b"0\r\n\r\n") if b"chunked" in head else b""


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


def made(port: int, folder: Path, mesh_config: str = "{}") -> Mesh:
    endpoint = f"{{address: 127.0.0.1, ports: {{http: {port}}}}}"
    entry = ENTRY.format(name="one", protocol="http", upper="HTTP", endpoints=endpoint)
    (folder / "istio").mkdir()
    (folder / "istio" / "one.yaml").write_text(entry + RULES)
    (folder / "mesh.yaml").write_text(mesh_config)
    node = Node(app="caller", namespace="shop")
    return Mesh.from_config(folder / "istio", node=node, mesh_config=folder / "mesh.yaml")


@pytest.fixture(scope="module")
def mesh(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    found = made(port, tmp_path_factory.mktemp("istio"))
    yield found
    found.close()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of those that were."""
    found: list[str] = []
    own = writing._send

    async def told(exchange: Any, request: aiohttp.ClientRequest, *rest: Any) -> aiohttp.ClientResponse:
        found.append(request.url.raw_path_qs)
        return await own(exchange, request, *rest)

    monkeypatch.setattr(writing, "_send", told)
    return found


def governed(mesh: Mesh, *, traced: bool = False, errors: Any = "response", **options: Any) -> aiohttp.ClientSession:
    traces = [aiohttp.TraceConfig()] if traced else []
    middleware = proxyless.aiohttp.middleware(mesh, errors=errors)
    return aiohttp.ClientSession(middlewares=[middleware], trace_configs=traces, cookie_jar=JAR(), **options)


JAR = aiohttp.DummyCookieJar  # another would not keep those of an address
Found = tuple[Any, ...]


async def _found(session: aiohttp.ClientSession, url: str, method: str, **request: Any) -> Found:
    try:
        async with session.request(method, url, **request) as response:
            said = (
                response.status,
                response.reason,
                response.version,
                [(name.lower(), value) for name, value in response.raw_headers],
                sorted(response.headers.items()),
                {name: cookie.value for name, cookie in response.cookies.items()},
                response.method,
                response.history,
                dict(response.request_info.headers).keys() - {"Host"},
                response.request_info.method,
                response.content.is_eof(),
            )
            body = await response.read()
            return (*said, body, response.connection is None, response.closed)
    except aiohttp.ClientError as error:
        return (type(error), str(error).replace(url, "URL"))


RESPONSES: list[tuple[str, bytes, bool]] = [
    ("GET", ONE, False),
    ("GET", OK + b"X-A: b\r\nx-a:  c d \r\nEmpty:\r\nContent-Length: 0\r\n\r\n", False),
    ("GET", OK + b"Set-Cookie: a=b\r\nSet-Cookie: c=d; Path=/\r\nContent-Length: 2\r\n\r\nab", False),
    ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n", False),
    ("GET", OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc", True),
    ("GET", OK + b"\r\nabc", True),
    ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", True),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", False),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", False),
    ("GET", b"HTTP/1.1 100 Continue\r\n\r\n" + ONE, False),
    ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ONE, False),
    ("HEAD", OK + b"Content-Length: 3\r\n\r\n", False),
    ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", False),
    ("GET", OK + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n%b" % (len(DEFLATED), DEFLATED), False),
    ("GET", OK + b"Content-Length: 3\r\n\r\nab", True),
    ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", True),
    ("GET", b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n", False),
    ("GET", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", False),
]
OF_THE_MESH: list[tuple[str, bytes, bool]] = [
    ("GET", b"", True),
    ("GET", b"HTTP/1.1 200", True),
    ("GET", b"nonsense\r\n\r\n", True),
    ("GET", OK + b"Content-Length: x\r\n\r\n", True),
    ("GET", OK + b"x: " + b"y" * 20_000 + b"\r\n\r\n", True),
]
"""Where the caller gets an answer of the mesh's in place of aiohttp's exception."""


async def _twice(
    server: Server, session: aiohttp.ClientSession, url: str, method: str, raw: bytes, closes: bool
) -> tuple[Found, int, Found]:
    """What comes of it, of how many connections another request needs then, and what comes of that."""
    server.answers, server.closes, server.connections = [raw], closes, 0
    async with session:
        first = await _found(session, url, method, allow_redirects=False)
        server.closes = False
        second = await _found(session, url, "GET")
        return first, server.connections, second


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(("method", "raw", "closes"), RESPONSES + OF_THE_MESH)
def test_a_response_is_what_it_is_by_its_own_send(
    mesh: Mesh, port: int, at_once: list[str], method: str, raw: bytes, closes: bool, size: int
) -> None:
    def seen(make: Callable[[], aiohttp.ClientSession], url: str) -> tuple[Any, list[bytes]]:
        async def work() -> tuple[Any, list[bytes]]:
            server = Server(port)
            server.size = size if len(raw) < 1000 else max(size, 1000)
            async with server.serving():
                return await _twice(server, make(), url, method, raw, closes), server.received

        return asyncio.run(asyncio.wait_for(work(), 30))  # connections are those of an event loop

    own = seen(lambda: governed(mesh, traced=True), f"{URL}/")
    assert at_once == []
    assert seen(lambda: governed(mesh), f"{URL}/") == own
    assert at_once == ["/", "/"]
    if (method, raw, closes) in RESPONSES:
        assert own[0] == seen(lambda: aiohttp.ClientSession(cookie_jar=JAR()), f"http://127.0.0.1:{port}/")[0]


async def _parts() -> AsyncIterator[bytes]:
    yield b"ab"
    yield b"c"


REQUESTS: list[tuple[bool, str, str, dict[str, Callable[[], Any]]]] = [
    (True, "GET", "/a?b=c%20d", {}),
    (True, "GET", "/a", {"params": lambda: {"q": "ü/ "}}),
    (True, "GET", "/a", {"headers": lambda: {"X-User": "a b", "x-user2": "", "Accept": "text/plain"}}),
    (True, "DELETE", "/a", {}),
    (True, "OPTIONS", "/a", {}),
    (True, "POST", "/a", {}),
    (True, "POST", "/a", {"data": lambda: b"abc"}),
    (True, "PUT", "/a", {"json": lambda: {"a": "ü"}}),
    (True, "PATCH", "/a", {"data": lambda: {"a": "b"}}),
    (True, "GET", "/a", {"data": lambda: b"abc"}),
    (True, "POST", "/a", {"data": lambda: b"x" * writing.LONGEST}),
    (True, "GET", "/a", {"cookies": lambda: {"a": "b"}}),
    (True, "GET", "/again", {"data": lambda: b"abc"}),
    (False, "POST", "/a", {"data": lambda: b""}),
    (False, "POST", "/a", {"data": lambda: b"x" * (writing.LONGEST + 1)}),
    (False, "POST", "/a", {"data": _parts}),
    (False, "POST", "/a", {"data": lambda: b"abc", "chunked": lambda: True}),
    (False, "POST", "/a", {"data": lambda: b"abc", "compress": lambda: "deflate"}),
    (False, "POST", "/a", {"data": lambda: b"abc", "headers": lambda: {"Content-Length": "2"}}),
    (False, "GET", "/a", {"headers": lambda: {"x-user": "ü"}}),
    (False, "GET", "/a", {"headers": lambda: {"x-user": "a\tb"}}),
    (False, "GET", "/old", {}),
]


@pytest.mark.parametrize(("ordinary", "method", "path", "parts"), REQUESTS)
def test_what_goes_out_is_what_its_own_send_writes(
    mesh: Mesh, port: int, at_once: list[str], ordinary: bool, method: str, path: str, parts: Any
) -> None:
    async def work() -> None:
        server = Server(port)
        async with server.serving():
            found = []
            for traced in (True, False):
                async with governed(mesh, traced=traced) as session:
                    made = {name: make() for name, make in parts.items()}
                    found.append(await _found(session, URL + path, method, **made))
                assert bool(at_once) == (ordinary and not traced)
        assert found[0] == found[1]
        assert found[0][0] == 200
        assert server.received[0] == server.received[1]

    asyncio.run(asyncio.wait_for(work(), 30))


KEEPING = "defaultConfig: {proxyHeaders: {preserveHttp1HeaderCase: true}}"


def test_names_are_spelled_as_the_mesh_spells_them(port: int, tmp_path: Path, at_once: list[str]) -> None:
    mesh = made(port, tmp_path, KEEPING)

    async def work() -> None:
        server = Server(port)
        async with server.serving():
            for traced in (True, False):
                async with governed(mesh, traced=traced) as session:
                    assert (await _found(session, URL, "PUT", data=b"abc", headers={"X-uSer": "a"}))[0] == 200
        assert at_once == ["/"]
        assert server.received[0] == server.received[1]
        assert b"\r\nX-uSer: a\r\n" in server.received[1]

    asyncio.run(asyncio.wait_for(work(), 30))
    mesh.close()


def test_what_aiohttp_refuses_is_refused(mesh: Mesh, port: int, at_once: list[str]) -> None:
    async def work() -> None:
        server = Server(port)
        async with server.serving(), governed(mesh) as session:
            with pytest.raises(ValueError, match="header injection"):
                await session.get(URL, headers={"x-user": "a\rb"})
            assert (await _found(session, URL, "GET"))[0] == 200
            assert len(server.received) == len(at_once) == 1

    asyncio.run(asyncio.wait_for(work(), 30))


def test_another_class_of_request_writes_itself(mesh: Mesh, port: int, at_once: list[str]) -> None:
    class Request(aiohttp.ClientRequest):
        pass

    async def work() -> None:
        server = Server(port)
        async with server.serving(), governed(mesh, request_class=Request) as session:
            assert (await _found(session, URL, "GET"))[0] == 200
            assert at_once == []

    asyncio.run(asyncio.wait_for(work(), 30))


def test_a_body_is_sent_again_with_its_retry(mesh: Mesh, port: int, at_once: list[str]) -> None:
    async def work() -> None:
        server = Server(port)
        server.answers = [b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", ONE]
        async with server.serving(), governed(mesh) as session, session.put(f"{URL}/again", data=b"abc") as response:
            assert await response.read() == b"a"
            assert proxyless.aiohttp.call(response).attempts == 2
        assert at_once == ["/again", "/again"]
        assert [each.rpartition(b"\r\n\r\n")[2] for each in server.received] == [b"abc", b"abc"]

    asyncio.run(asyncio.wait_for(work(), 30))


def test_a_middleware_behind_sees_the_headers_that_went_out(mesh: Mesh, port: int, at_once: list[str]) -> None:
    seen: list[dict[str, str]] = []

    async def looking(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await handler(request)
        seen.append(dict(request.headers))
        return response

    async def work() -> None:
        server = Server(port)
        async with server.serving():
            for traced in (True, False):
                async with governed(mesh, traced=traced) as session:
                    session._middlewares = (*session._middlewares, looking)
                    assert (await _found(session, URL, "GET"))[0] == 200
        assert at_once == ["/"]
        for each in seen:
            assert len(each.pop("x-request-id")) == 36
        assert seen[0] == seen[1]

    asyncio.run(asyncio.wait_for(work(), 30))


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize("errors", ["response", "raise"])
@pytest.mark.parametrize(
    ("path", "bounds"),
    [
        ("/", aiohttp.ClientTimeout(total=0.1)),
        ("/", aiohttp.ClientTimeout(sock_read=0.1)),
        ("/short", aiohttp.ClientTimeout()),
    ],
)
def test_it_lasts_as_long_as_its_own_send(
    mesh: Mesh, port: int, at_once: list[str], path: str, bounds: aiohttp.ClientTimeout, errors: str, started: bool
) -> None:
    """`started`: the response has."""

    async def work() -> None:
        server = Server(port)
        async with server.serving():
            found: list[Any] = []
            for traced in (True, False):
                server.answers = [OK + b"Content-Length: 3\r\n\r\na" if started else b"HTTP/1.1 "]
                async with governed(mesh, traced=traced, errors=errors, timeout=bounds) as session:
                    try:
                        async with session.post(URL + path, data=b"abc") as response:
                            found.append((response.status, await response.read()))
                    except (aiohttp.ClientError, TimeoutError) as error:
                        found.append(type(error))
            assert at_once == [path]
            assert found[0] == found[1]
            assert found[0] == (504, b"upstream request timeout") or isinstance(found[0], type)

    asyncio.run(asyncio.wait_for(work(), 30))


def test_a_task_that_is_cancelled_ends_its_connection(mesh: Mesh, port: int, at_once: list[str]) -> None:
    async def work() -> None:
        server = Server(port)
        server.answers = [b"HTTP/1.1 "]
        async with server.serving(), governed(mesh) as session:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(_found(session, URL, "GET"), 0.1)
            assert (await _found(session, URL, "GET"))[0] == 200
            assert server.connections == len(at_once) == 2

    asyncio.run(asyncio.wait_for(work(), 30))


def test_a_session_that_cannot_read_leaves_no_connection_behind(mesh: Mesh, port: int, at_once: list[str]) -> None:
    """The request is written by then: what comes for it is for nobody else."""

    async def work() -> None:
        server = Server(port)
        server.answers = [OK + b"Content-Length: 5\r\n\r\nfirst"]
        async with server.serving(), governed(mesh) as session:
            with pytest.raises(TypeError) as raised:
                await session.get(URL, read_bufsize="no number")  # type: ignore[arg-type]
            assert raised.value is not None  # and with it all that its frames hold
            assert (await _found(session, URL, "GET"))[-3] == b"a"
            assert server.connections == 2

    asyncio.run(asyncio.wait_for(work(), 30))


def test_a_large_response_waits_for_its_reader(mesh: Mesh, port: int, at_once: list[str]) -> None:
    body = b"x" * 5_000_000

    async def work() -> None:
        server = Server(port)
        server.answers = [OK + b"Content-Length: %d\r\n\r\n" % len(body) + body]
        async with server.serving(), governed(mesh, read_bufsize=1024) as session, session.get(URL) as response:
            await asyncio.sleep(0.05)
            assert response.content.total_bytes < 1_000_000
            assert await response.read() == body
        assert at_once == ["/"]

    asyncio.run(asyncio.wait_for(work(), 30))


def test_it_can_be_imported_where_the_sessions_own_function_has_been_replaced() -> None:
    replace = "aiohttp.ClientSession._request = functools.partial(aiohttp.ClientSession._request)"
    ask = "from proxyless.governance.suites._aiohttp.writing import _LAST; assert _LAST is not None"
    subprocess.run([sys.executable, "-c", f"import aiohttp, functools\n{replace}\n{ask}"], check=True)
