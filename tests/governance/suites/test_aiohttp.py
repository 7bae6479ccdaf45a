"""What a governed aiohttp session does, over real connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import aiohttp
import pytest

import proxyless.aiohttp
from proxyless import Mesh
from tests.governance.suites.conftest import DEAD, PLAIN, counts
from tests.support.backends import Backends
from tests.support.waiting import wait_for

WEB = "http://web.example.com"
RESET = "upstream connect error or disconnect/reset before headers. reset reason: "
Handler = Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
Said = tuple[int, str, int, str]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 60))


def session(mesh: Mesh, *, errors: Any = "response", **options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(middlewares=[proxyless.aiohttp.middleware(mesh, errors=errors)], **options)


@asynccontextmanager
async def asked(
    client: aiohttp.ClientSession, url: str, backend: str = "", method: str = "GET", **request: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {**request.pop("headers", {}), **({"x-backend": backend} if backend else {})}
    async with client.request(method, url, headers=headers, **request) as response:
        yield response


async def said(client: aiohttp.ClientSession, url: str, backend: str = "", method: str = "GET", **request: Any) -> Said:
    """(status, flags, attempts, body)."""
    async with asked(client, url, backend, method, **request) as response:
        body = await response.text()
        call = proxyless.aiohttp.call(response)
        return response.status, ",".join(call.flags) or "-", call.attempts, body


def one(mesh: Mesh, url: str, backend: str = "", method: str = "GET", **request: Any) -> Said:
    """The same by a session of its own."""

    async def work() -> Said:
        async with session(mesh) as client:
            return await said(client, url, backend, method, **request)

    found: Said = run(work())
    return found


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    for each in given:
        yield each


def test_calls_go_to_every_endpoint_over_few_connections(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            for _ in range(40):
                assert (await said(client, f"{WEB}/items?x=1"))[:3] == (200, "-", 1)
            assert counts(mesh, "web")[1:] == (0, 0)

    run(work())
    arrived = backends.take()
    assert len({each.backend for each in arrived}) == len({each.connection for each in arrived}) == 3
    assert {(each.method, each.target, each.authority) for each in arrived} == {
        ("GET", "/items?x=1", "web.example.com")
    }


def test_headers_and_path_are_those_that_the_route_makes(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            sent = {"X-Gone": "1", "X-Kept": "2", "x-set": "mine"}
            async with asked(client, "http://moved.example.com/v1/a%2Fb?c=%41", headers=sent) as response:
                assert response.headers["x-served"] == "c"
                assert str(response.url) == "http://moved.example.com/v1/a%2Fb?c=A"
                assert "x-request-id" not in response.request_info.headers

    run(work())
    (arrival,) = backends.take()
    assert (arrival.target, arrival.authority) == ("/a%2Fb?c=A", "inner")
    assert (arrival.header("x-set"), arrival.header("x-add"), arrival.header("x-gone")) == ("a", "b", "")
    assert arrival.header("x-kept") == "2"
    assert len(arrival.header("x-request-id")) == 36


@pytest.mark.parametrize(
    ("url", "backend", "method", "expected"),
    [
        ("http://retry.example.com/", "status=503,status=200", "GET", (200, "-", 2)),
        ("http://retry.example.com/", "status=503;body=sorry", "GET", (503, "URX", 3, "sorry")),
        ("http://dead.example.com/", "", "GET", (503, "UF", 1, RESET + "remote connection failure")),
        ("http://one.example.com/", "fault=reset", "GET", (503, "UC", 1, RESET + "connection termination")),
        ("http://one.example.com/", "fault=close", "GET", (503, "UC", 1, RESET + "connection termination")),
        ("http://slow.example.com/", "delay=20", "GET", (504, "UT", 1, "upstream request timeout")),
        ("http://moved.example.com/teapot", "", "GET", (418, "-", 0, "teapot")),
        ("http://moved.example.com/teapot", "", "HEAD", (418, "-", 0, "")),
        ("http://moved.example.com/gone", "", "GET", (503, "NC", 0)),
        ("http://moved.example.com/unrouted", "", "POST", (404, "NR", 0)),
    ],
)
def test_what_the_caller_is_told(
    mesh: Mesh, backends: Backends, url: str, backend: str, method: str, expected: tuple[Any, ...]
) -> None:
    assert one(mesh, url, backend, method)[: len(expected)] == expected
    assert len(backends.take()) == (expected[2] if "dead" not in url else 0)


BODIES: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"body",
    "text": lambda: "body",
    "form": lambda: {"bo": "dy"},
    "parts": lambda: parts(b"bo", b"", b"dy"),
    "none": lambda: None,
}


@pytest.mark.parametrize("body", BODIES)
def test_a_request_is_sent_again_with_its_body(mesh: Mesh, backends: Backends, body: str) -> None:
    backend = "fault=reset,fault=close,status=200"
    assert one(mesh, "http://retry.example.com/", backend, "POST", data=BODIES[body]())[:3] == (200, "-", 3)
    expected = {"form": b"bo=dy", "none": b""}.get(body, b"body")
    assert [each.body for each in backends.take()] == [expected] * 3


@pytest.mark.parametrize(
    ("url", "backend", "kind", "flag"),
    [
        ("http://dead.example.com/", "", aiohttp.ClientConnectorError, "UF"),
        ("http://one.example.com/", "fault=reset", aiohttp.ServerDisconnectedError, "UC"),
        ("http://slow.example.com/", "delay=20", aiohttp.SocketTimeoutError, "UT"),
    ],
)
def test_or_the_librarys_own_exception(
    mesh: Mesh, backends: Backends, url: str, backend: str, kind: type[Exception], flag: str
) -> None:
    async def work() -> None:
        async with session(mesh, errors="raise") as client:
            for _ in range(2):
                with pytest.raises(kind, match=flag):
                    await said(client, url, backend)
            assert (await said(client, "http://moved.example.com/gone"))[:2] == (503, "NC")

    run(work())
    # aiohttp sends a GET again whose connection has ended: not one that the mesh has tried as often as it may.
    assert len(backends.take()) == (0 if "dead" in url else 2)


def test_a_program_without_a_word_for_errors_is_told(mesh: Mesh) -> None:
    with pytest.raises(ValueError, match="errors='never'"):
        proxyless.aiohttp.middleware(mesh, errors="never")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timeout", "kind"),
    [
        (aiohttp.ClientTimeout(sock_read=0.2), aiohttp.SocketTimeoutError),
        (aiohttp.ClientTimeout(total=0.2), asyncio.TimeoutError),
    ],
)
def test_the_callers_own_timeouts_are_its_own_exceptions(
    mesh: Mesh, backends: Backends, timeout: aiohttp.ClientTimeout, kind: type[Exception]
) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            with pytest.raises(kind):
                await said(client, "http://one.example.com/", "delay=20", timeout=timeout)
            assert counts(mesh, "one")[1:] == (0, 0)

    run(work())
    assert len(backends.take()) == 1


def test_the_callers_connect_timeout_bounds_the_wait_for_a_connection(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client, asked(client, "http://narrow.example.com/", "body-delay=20"):
            with pytest.raises(aiohttp.ConnectionTimeoutError):
                await said(client, "http://narrow.example.com/", timeout=aiohttp.ClientTimeout(connect=0.2))
        assert counts(mesh, "narrow")[1:] == (0, 0)

    run(work())


def test_a_cancelled_call_gives_everything_back(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            task = asyncio.create_task(said(client, "http://one.example.com/", "delay=20"))
            await asyncio.to_thread(wait_for, lambda: counts(mesh, "one")[2])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert counts(mesh, "one")[1:] == (0, 0)
            assert (await said(client, "http://one.example.com/"))[0] == 200

    run(work())


def test_large_bodies_pass_both_ways(mesh: Mesh, backends: Backends) -> None:
    size = 3_000_000
    status, _, _, body = one(mesh, f"{WEB}/", f"size={size}", "POST", data=parts(b"u" * size, b"v"))
    assert (status, len(body)) == (200, size)
    (arrival,) = backends.take()
    assert (len(arrival.body), arrival.header("transfer-encoding")) == (size + 1, "chunked")


def test_a_response_is_under_way_until_it_is_read_or_closed(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            response = await client.get("http://one.example.com/", headers={"x-backend": "body-delay=0.3;size=200000"})
            assert counts(mesh, "one")[2] == 1
            assert len(await response.read()) == 200_000
            assert counts(mesh, "one") == (1, 0, 0)
            call = proxyless.aiohttp.call(response)
            assert (call.received, call.cut, call.flags) == (200_000, False, ())
            left = await client.get("http://one.example.com/", headers={"x-backend": "body-delay=20;size=200000"})
            left.close()
            assert counts(mesh, "one") == (0, 0, 0)
            assert proxyless.aiohttp.call(left).flags == ("DC",)

    run(work())


def test_a_body_that_is_cut_is_the_librarys_exception(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            async with asked(client, "http://one.example.com/", "fault=cut;size=1000") as response:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()
                assert proxyless.aiohttp.call(response).flags == ("UPE",)
            async with asked(client, "http://slow.example.com/", "body-delay=20;size=1000") as response:
                with pytest.raises(aiohttp.SocketTimeoutError, match="the route's timeout passed"):
                    await response.read()
                assert proxyless.aiohttp.call(response).flags == ("UT",)

    run(work())


def test_what_the_programs_own_body_raises_is_not_tried_again(mesh: Mesh, backends: Backends) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    async def work() -> None:
        async with session(mesh) as client:
            with pytest.raises(aiohttp.ClientConnectionError, match="Failed to send bytes"):
                await said(client, "http://retry.example.com/", method="POST", data=broken())
            assert counts(mesh, "retry")[1:] == (0, 0)

    run(work())


def test_redirects_and_cookies_are_the_sessions(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            async with asked(client, "http://moved.example.com/old/x") as response:
                assert [each.status for each in response.history] == [302]
                assert str(response.url) == f"{WEB}/new"
            async with asked(client, f"{WEB}/", "header=set-cookie:a%3Db"):
                pass
            client.cookie_jar.update_cookies({"c": "d"}, response.url)
            assert (await said(client, f"{WEB}/"))[0] == 200

    run(work())
    arrived = backends.take()
    assert [each.target for each in arrived] == ["/new", "/", "/"]
    assert "c=d" in arrived[-1].header("cookie")


def test_hosts_that_the_mesh_does_not_know_are_the_connectors(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            url = f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/x"
            assert (await said(client, url))[:3] == (200, "-", 1)
            assert len(client.connector._conns) == 1  # type: ignore[union-attr]
            with pytest.raises(aiohttp.ClientConnectorError, match=r"nothing in the mesh takes 127\.0\.41\.8:"):
                await said(client, f"http://{DEAD[0]}:{backends.ports[DEAD]}/")

    run(work())


def test_a_middleware_inside_is_heard_and_may_not_send_twice(mesh: Mesh, backends: Backends) -> None:
    async def tells(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        request.headers["x-gone"] = "told"
        return await handler(request)

    async def twice(request: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        (await handler(request)).release()
        return await handler(request)

    async def work() -> None:
        governed = proxyless.aiohttp.middleware(mesh)
        async with aiohttp.ClientSession(middlewares=[tells, governed]) as client:
            assert (await said(client, f"{WEB}/"))[0] == 200
        async with aiohttp.ClientSession(middlewares=[governed, tells]) as client:
            assert (await said(client, "http://moved.example.com/v1/x"))[0] == 200
        async with aiohttp.ClientSession(middlewares=[twice, governed]) as client:
            assert (await said(client, f"{WEB}/"))[0] == 200
        async with aiohttp.ClientSession(middlewares=[governed, twice]) as client:
            with pytest.raises(RuntimeError, match="put it before that one"):
                await said(client, f"{WEB}/")

    run(work())
    assert [each.header("x-gone") for each in backends.take()] == ["told", "", "", "", ""]


HOOKS = """
on_request_start on_request_end on_request_exception on_connection_create_start on_connection_create_end
on_connection_reuseconn on_request_headers_sent on_request_chunk_sent on_response_chunk_received
"""


def test_traces_see_calls_connections_and_bodies(mesh: Mesh, backends: Backends) -> None:
    seen: Counter[str] = Counter()
    tracing = aiohttp.TraceConfig()
    for name in HOOKS.split():

        async def note(*_: Any, name: str = name) -> None:
            seen[name] += 1

        getattr(tracing, name).append(note)

    async def work() -> None:
        async with session(mesh, trace_configs=[tracing]) as client:
            for _ in range(2):
                assert (await said(client, "http://one.example.com/", method="POST", data=b"x"))[0] == 200

    run(work())
    assert seen == {
        "on_request_start": 2,
        "on_request_end": 2,
        "on_connection_create_start": 1,
        "on_connection_create_end": 1,
        "on_connection_reuseconn": 1,
        "on_request_headers_sent": 2,
        "on_request_chunk_sent": 2,
        "on_response_chunk_received": 2,
    }


def test_context_variables_are_those_of_the_caller(mesh: Mesh, backends: Backends) -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    heard: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        heard.append(who.get())
        yield b"x"

    async def work() -> None:
        who.set("me")
        async with session(mesh) as client:
            assert (await said(client, f"{WEB}/", method="POST", data=body()))[0] == 200

    run(work())
    assert heard == ["me"]


def test_the_switch_leaves_everything_to_the_library(
    mesh: Mesh, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")

    async def work() -> None:
        async with session(mesh) as client:
            with pytest.raises(aiohttp.ClientConnectorError):
                await said(client, f"{WEB}/")
            async with asked(client, f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/") as response:
                assert proxyless.aiohttp.call(response) is None

    run(work())
