"""Ends that come early: of a task, an event loop, a mesh; nothing is lost and nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
from types import ModuleType
from typing import Any

import anyio
import httpx
import httpx2
import pytest

import proxyless.httpx
import proxyless.httpx2
from proxyless import Mesh
from tests.governance.suites.callers import WAIT_S, Caller
from tests.governance.suites.conftest import counts
from tests.support.backends import Backends
from tests.support.waiting import wait_for

ONE = "http://one.example.com/"
BOTH = pytest.mark.parametrize(
    ("library", "suite"), [(httpx, proxyless.httpx), (httpx2, proxyless.httpx2)], ids=["httpx", "httpx2"]
)


def client_of(library: ModuleType, suite: Any, mesh: Mesh) -> Any:
    return library.AsyncClient(transport=suite.AsyncTransport(mesh, trust_env=False), timeout=WAIT_S)


@BOTH
@pytest.mark.parametrize("host", ["one", "h2"])
def test_a_cancelled_task_gives_its_place_back(
    library: ModuleType, suite: Any, mesh: Mesh, backends: Backends, host: str
) -> None:
    url = f"http://{host}.example.com/"

    async def scenario() -> None:
        async with client_of(library, suite, mesh) as client:
            assert (await client.get(url)).status_code == 200
            task = asyncio.create_task(client.get(url, headers={"x-backend": "delay=20"}))
            await asyncio.to_thread(wait_for, lambda: counts(mesh, host)[2] == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert counts(mesh, host)[1:] == (0, 0)
            assert (await client.get(url)).status_code == 200

    asyncio.run(scenario())


@BOTH
def test_a_task_that_is_cancelled_while_it_waits_leaves_the_queue(
    library: ModuleType, suite: Any, mesh: Mesh, backends: Backends
) -> None:
    url = "http://narrow.example.com/"

    async def scenario() -> None:
        async with client_of(library, suite, mesh) as client:
            held = await client.send(client.build_request("GET", url), stream=True)
            waiting = asyncio.create_task(client.get(url))
            await asyncio.to_thread(wait_for, lambda: counts(mesh, "narrow") == (1, 1, 1))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert counts(mesh, "narrow") == (1, 0, 1)
            await held.aread()
            assert (await client.get(url)).status_code == 200

    asyncio.run(scenario())


@BOTH
def test_a_task_group_that_fails_takes_its_calls_along(
    library: ModuleType, suite: Any, mesh: Mesh, backends: Backends
) -> None:
    async def scenario() -> None:
        async with client_of(library, suite, mesh) as client:
            with anyio.move_on_after(0.2):
                await client.get(ONE, headers={"x-backend": "delay=20"})
                raise AssertionError("it was not cancelled")
            assert counts(mesh, "one")[1:] == (0, 0)
            assert (await client.get(ONE)).status_code == 200

    anyio.run(scenario)


@BOTH
def test_one_event_loop_after_the_other_may_use_a_mesh(
    library: ModuleType, suite: Any, mesh: Mesh, backends: Backends
) -> None:
    async def scenario() -> int:
        async with client_of(library, suite, mesh) as client:
            responses = await asyncio.gather(*(client.get(ONE) for _ in range(5)))
            return sum(each.status_code == 200 for each in responses)

    for _ in range(3):
        assert asyncio.run(scenario()) == 5


def test_a_mesh_that_is_closed_lets_calls_under_way_finish(caller: Caller, mesh: Mesh, backends: Backends) -> None:
    call = caller.send(ONE, headers={"x-backend": "delay=0.5;size=100000"})
    response = caller.open("http://web.example.com/", "size=2000000")
    wait_for(lambda: counts(mesh, "one")[2] == 1)
    mesh.close()
    assert len(call.result(WAIT_S).content) == 100_000
    assert len(caller.read(response)) == 2_000_000
    assert caller.get(ONE).status_code == 200, "what was in force last stays"


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_response_that_nobody_closes_gives_its_place_back_when_it_is_collected(
    library: str, mesh: Mesh, backends: Backends
) -> None:
    with Caller(library, mesh) as caller:
        response = caller.open("http://narrow.example.com/", "size=3000000")
        assert counts(mesh, "narrow")[2] == 1
        del response
        gc.collect()
        wait_for(lambda: counts(mesh, "narrow")[1:] == (0, 0))
