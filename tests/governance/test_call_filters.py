"""HTTP filters on a call and on an incoming request: they may wait, answer, look at responses, and hear of the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import proxyless.httpx
from proxyless import Mesh
from proxyless.governance.actions import AwaitConfig, BodyEnd, Deliver, Head, Send, Sleep
from proxyless.governance.filters.chain import FACTORIES
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.suites.asgi import AsgiMiddleware
from proxyless.xds.model.filters import LocalRateLimit
from proxyless.xds.model.route import (
    DirectResponseAction,
    InternalRedirectPolicy,
    NonForwardingAction,
    RedirectAction,
)
from proxyless.xds.model.values import HeaderMutation, HeaderMutations
from tests.support.backends import Backends
from tests.support.model import chain, cluster, eds, http_filter, listener, manager, route, snapshot, table
from tests.support.streams import Oracle, Spy
from tests.support.world import World

BUSY = LocalReply(429, b"busy", ("RL",))
FILTER = http_filter("spy", LocalRateLimit("spy"))
Install = Callable[..., list[str]]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a filter of ours in the place of a real one."""

    def install(**fields: Any) -> list[str]:
        seen: list[str] = []
        monkeypatch.setitem(FACTORIES, LocalRateLimit, lambda each, config, scope, runtime: Spy("spy", seen, **fields))
        return seen

    return install


def world() -> World:
    return World(
        tables=[table(route("/", "a", timeout_s=3.0))], clusters=[cluster("a", "10.0.0.1:80")], filters=[FILTER]
    )


def test_the_time_that_a_filter_takes_is_not_the_routes(spy: Install) -> None:
    seen = spy(wait=True)
    fixture = world()
    steps = fixture.steps()
    steps.wants(Sleep)
    fixture.clock.advance(1.0)
    steps.answer()
    steps.until(Send)
    assert steps.wants(Send).deadline == pytest.approx(fixture.clock.now + 3.0)
    steps.finish()
    assert (steps.status, steps.flags) == (200, "DI")
    assert steps.head is not None
    assert (b"spy", b"1") in steps.head.headers
    assert seen == ["spy request", "spy response 200", "spy end"]


def test_an_answer_after_a_wait_is_the_calls(spy: Install) -> None:
    seen = spy(wait=True, reply=BUSY)
    run = world().call(answers=[])
    assert (run.status, run.flags) == (429, "DI,RL")
    assert run.reply is not None
    assert (b"spy", b"1") in run.reply.headers
    assert seen == ["spy request", "spy response 429", "spy end"]


def test_filters_run_once_however_long_the_configuration_takes(spy: Install) -> None:
    seen = spy(wait=True)
    fixture = World(tables=[table(route("/", "a"))], clusters=[eds("a")], filters=[FILTER])
    steps = fixture.steps()
    steps.until(AwaitConfig)
    fixture.update(clusters=snapshot(clusters=[cluster("a", "10.0.0.1:80")]).clusters)
    steps.answer()
    steps.finish()
    assert (steps.status, seen.count("spy request")) == (200, 1)


def test_without_a_route_filters_run_too(spy: Install) -> None:
    seen = spy()
    run = World(tables=[table()], filters=[FILTER]).call(answers=[])
    assert (run.status, run.flags, seen) == (404, "NR", ["spy request", "spy response 404", "spy end"])


def test_a_caller_who_leaves_while_a_filter_waits_ends_it(spy: Install) -> None:
    seen = spy(wait=True)
    steps = world().steps()
    steps.close()
    assert (steps.flags, seen) == ("DC", ["spy request", "spy end"])


# -- with the drivers of the suites --------------------------------------------------------------------------------


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeps pass at once."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("proxyless.governance.suites._async.asyncio.sleep", sleep)
    return slept


def mesh_on(backends: Backends) -> Mesh:
    port = backends.ports[("127.0.45.1", 80)]
    found = snapshot(tables=[table(route("/", "a"))], clusters=[cluster("a", f"127.0.45.1:{port}")], filters=[FILTER])
    return Mesh._from_snapshot(found)


def test_a_service_is_asked_by_sync_code(spy: Install) -> None:
    oracle = Oracle("yes")
    spy(wait=True, service=oracle)
    with (
        Backends([("127.0.45.1", 80)]) as backends,
        mesh_on(backends) as mesh,
        httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client,
    ):
        response = client.get("http://shop/")
    assert response.status_code == 200
    assert oracle.asked == [("may it?", 5.0)]
    assert response.extensions["proxyless"].kept == {"spy": "yes"}


def test_a_service_is_asked_by_tasks(spy: Install) -> None:
    oracle = Oracle("yes")
    spy(wait=True, service=oracle)

    async def run(mesh: Mesh) -> httpx.Response:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh)) as client:
            return await client.get("http://shop/")

    with Backends([("127.0.45.1", 80)]) as backends, mesh_on(backends) as mesh:
        response = asyncio.run(run(mesh))
    assert (response.status_code, response.extensions["proxyless"].flags) == (200, ("DI",))
    assert oracle.asked == [("may it?", 5.0)]


# -- incoming ------------------------------------------------------------------------------------------------------


def inbound() -> World:
    return World(listeners=[listener("virtualInbound", chain(manager(table(route()), FILTER), "app"))])


def test_explaining_a_request_waits_for_nobody(spy: Install) -> None:
    oracle = Oracle("yes")
    seen = spy(wait=True, service=oracle)
    request = InboundRequest(inbound().runtime, RequestView(b"GET", b"http", b"app", b"/"), 8080)
    assert request.decide() is None
    assert request.response(200, []) == [(b"spy", b"1")]
    request.ended(200)
    assert (oracle.asked, request.kept) == ([], {"spy": None})
    assert (request.flags, seen) == (("DI",), ["spy request", "spy response 200", "spy end"])


def ask_app(fixture: World) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "server": ("app", 8080)}
    asyncio.run(AsgiMiddleware(app, fixture.runtime)(scope, receive, send))
    return told


def test_an_app_gets_its_request_when_the_filters_are_done(spy: Install, patient: list[float]) -> None:
    oracle = Oracle("yes")
    spy(wait=True, service=oracle)
    fixture = inbound()
    told = ask_app(fixture)
    assert (told[0]["status"], told[0]["headers"]) == (200, [(b"spy", b"1")])
    assert (patient, oracle.asked) == ([1.0], [("may it?", 5.0)])
    assert fixture.heard.requests[-1].flags == ("DI",)


def test_a_client_that_leaves_while_a_filter_waits_is_dc(spy: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    spy(wait=True)

    async def leave(seconds: float) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("proxyless.governance.suites._incoming.asyncio.sleep", leave)
    fixture = inbound()
    with pytest.raises(asyncio.CancelledError):
        ask_app(fixture)
    assert fixture.heard.requests[-1].flags == ("DC",)


def test_the_body_end_is_the_end_of_the_stream(spy: Install) -> None:
    seen = spy()
    steps = world().steps()
    steps.until(Deliver, answers=[200])
    assert "spy end" not in seen
    steps.answer(BodyEnd(complete=True))
    assert seen[-1] == "spy end"


@pytest.mark.parametrize(
    ("action", "added"),
    [(NonForwardingAction(), True), (DirectResponseAction(200), False), (RedirectAction(), False), ("a", True)],
)
def test_what_a_filter_answers_has_the_routes_headers_unless_the_route_is_an_answer(
    spy: Install, action: Any, added: bool
) -> None:
    spy(reply=BUSY)
    adds = HeaderMutations(response_add=(HeaderMutation("x-added", "1"),))
    taken = route("/", action, headers=adds)
    fixture = World(tables=[table(taken)], clusters=[cluster("a", "10.0.0.1:80")], filters=[FILTER])
    run = fixture.call(answers=[])
    assert run.reply is not None
    assert ((b"x-added", b"1") in run.reply.headers) == added


def test_a_redirect_followed_inside_goes_through_the_filters_again(spy: Install) -> None:
    seen = spy()
    follows = route("/", "a", internal_redirect=InternalRedirectPolicy())
    fixture = World(tables=[table(follows)], clusters=[cluster("a", "10.0.0.1:80")], filters=[FILTER])
    run = fixture.call(answers=[Head(302, [(b"location", b"http://shop/next")], None), 200])
    assert (run.status, len(run.sent())) == (200, 2)
    assert [each for each in seen if "response" not in each] == ["spy request", "spy end", "spy request", "spy end"]
