"""How long things may take below aiohttp: WebSockets, idle tries and bodies, tries beside each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxyless import Mesh
from proxyless.xds.model.route import RetryPolicy, StreamDuration
from tests.governance.suites.test_aiohttp import asked, run, said, session
from tests.support.model import cluster, route, snapshot, table, vhost
from tests.support.waiting import wait_for

pytestmark = pytest.mark.punctual

URL = "http://shop/"
LIMIT_S = 1.0
LONG_S = 1.3


@asynccontextmanager
async def world(handler: Any, **action: Any) -> AsyncIterator[tuple[Mesh, aiohttp.ClientSession]]:
    """A route with these limits to an application of aiohttp's."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = "{}:{}".format(*runner.addresses[0])
    only = vhost(route("/", "a", **{"timeout_s": None, **action}), include_request_attempt_count=True)
    held = snapshot(tables=[table(only)], clusters=[cluster("a", address)])
    try:
        with Mesh._from_snapshot(held, status_socket=False) as mesh:
            async with session(mesh) as client:
                yield mesh, client
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.StreamResponse:
    made = web.WebSocketResponse()
    if request.path == "/late":
        await asyncio.sleep(5)
    await made.prepare(request)
    async for message in made:
        await made.send_str(message.data)
    return made


def flags_of(heard: list[Any]) -> list[tuple[int, tuple[str, ...]]]:
    return [(each.status, each.flags) for each in heard]


class Calls:
    """Hears of the calls of a mesh."""

    def __init__(self, mesh: Mesh) -> None:
        self.heard: list[Any] = []
        mesh.runtime.listeners = (*mesh.runtime.listeners, self)

    def on_call(self, call: Any) -> None:
        self.heard.append(call)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def test_the_routes_timeout_is_that_of_a_handshake_and_not_of_the_web_socket() -> None:
    async def work() -> None:
        async with world(echo, timeout_s=LIMIT_S) as (mesh, client):
            calls = Calls(mesh)
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await client.ws_connect("http://shop/late")
            assert caught.value.status == 504
            async with client.ws_connect(URL) as made:
                await asyncio.sleep(LONG_S)
                await made.send_str("x")
                assert await made.receive_str() == "x"
            assert flags_of(calls.heard) == [(504, ("UT",)), (101, ())]

    run(work())


def test_a_web_socket_that_nobody_uses_is_closed_by_the_routes_idle_timeout() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        made = web.WebSocketResponse()
        await made.prepare(request)
        async for _ in made:
            pass
        return made

    async def work() -> None:
        async with world(silent, idle_timeout_s=LIMIT_S) as (mesh, client):
            calls = Calls(mesh)
            async with client.ws_connect(URL) as made:
                for _ in range(6):  # what is written counts as much as what is read
                    await made.send_str("x")
                    await asyncio.sleep(0.25)
                assert not made.closed
                message = await asyncio.wait_for(made.receive(), 20)
                assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSE)
            assert flags_of(calls.heard) == [(101, ("SI",))]

    run(work())


def test_a_web_socket_lasts_no_longer_than_a_stream_may() -> None:
    async def work() -> None:
        async with world(echo, stream_duration=StreamDuration(LIMIT_S)) as (_, client), client.ws_connect(URL) as made:
            with suppress(aiohttp.ClientConnectionResetError):
                while not made.closed:
                    await made.send_str("x")
                    await asyncio.wait_for(made.receive(), 20)
                    await asyncio.sleep(0.05)

    run(work())


async def stalling(request: web.Request) -> web.StreamResponse:
    """Begins late at the first try, stalls in the middle of a body."""
    if request.path == "/late" and request.headers["x-envoy-attempt-count"] == "1":
        await asyncio.sleep(5)
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"begun")
    if request.path == "/stalls":
        await asyncio.sleep(5)
    return response


@pytest.mark.parametrize(
    ("action", "flag"),
    [
        ({"idle_timeout_s": LIMIT_S}, "SI"),
        ({"retry": RetryPolicy(per_try_idle_timeout_s=LIMIT_S)}, "UT"),
        ({"stream_duration": StreamDuration(LIMIT_S)}, ""),
        ({"timeout_s": LIMIT_S}, "UT"),
    ],
)
def test_a_body_that_stalls_is_cut(action: dict[str, Any], flag: str) -> None:
    async def work() -> None:
        async with world(stalling, **action) as (mesh, client):
            calls = Calls(mesh)
            async with asked(client, "http://shop/stalls") as response:
                assert await response.content.readexactly(5) == b"begun"
                with pytest.raises(aiohttp.SocketTimeoutError):
                    await response.content.read()
            assert flags_of(calls.heard) == [(200, (flag,) if flag else ())]

    run(work())


@pytest.mark.parametrize("late", ["idle", "per try"])
def test_a_try_that_says_nothing_is_followed_by_another(late: str) -> None:
    times: dict[str, Any] = {"per_try_idle_timeout_s": LIMIT_S} if late == "idle" else {"per_try_timeout_s": LIMIT_S}

    async def work() -> None:
        async with world(stalling, retry=RetryPolicy(("reset", "5xx"), 1, **times)) as (_, client):
            assert (await said(client, "http://shop/late"))[2:] == (2, "begun")

    run(work())


def test_hedged_tries_run_beside_each_other_and_the_first_answer_counts() -> None:
    async def work() -> None:
        hedged: dict[str, Any] = {"hedge_on_per_try_timeout": True, "retry": RetryPolicy(("5xx",), 1, LIMIT_S)}
        async with world(stalling, **hedged) as (mesh, client):
            assert (await said(client, "http://shop/late", method="POST", data=b"body"))[2:] == (2, "begun")
            found: Any = mesh.runtime.plan.cluster("a")
            await asyncio.to_thread(wait_for, lambda: found.breaker(False).requests == 0)

    run(work())
