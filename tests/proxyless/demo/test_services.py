"""The services' own parts: apps, counters, the admin port, the load generator."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from threading import Event
from typing import Any

import httpx
import pytest

from proxyless.demo import load, service
from proxyless.demo.admin import Admin
from proxyless.demo.apps import APPS, Part
from proxyless.demo.counting import Counters
from proxyless.demo.seen import Counted, Sight, UnseenError, counted, fetch, metrics, parse
from proxyless.demo.shop import Instance, Role
from proxyless.demo.web import App, Application, Handlers, Receive, Request, Response, Scope, Send
from tests.support.serving import Server
from tests.support.waiting import wait_for


def asked(app: App, method: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


def part(answers: httpx.MockTransport | None = None, *, fails: bool = False) -> Part:
    gate = Event()
    gate.set()
    return Part("me", "v2", httpx.AsyncClient(transport=answers), gate, fails)


def test_each_app_serves_its_paths_and_says_who_it_was() -> None:
    answer = asked(Application(APPS["catalog"](part())), "GET", "/items")
    assert (answer.status_code, answer.json()["version"], answer.headers["x-served-by"]) == (200, "v2", "me")
    assert asked(Application(APPS["payment"](part())), "POST", "/pay").json() == {"paid": True}
    assert asked(Application(APPS["cart"](part(fails=True))), "GET", "/cart").status_code == 503
    assert asked(Application(APPS["cart"](part())), "POST", "/cart").status_code == 404


def test_the_storefront_hands_on_who_asks_and_hands_back_what_it_got() -> None:
    seen: list[httpx.Request] = []

    def backend(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host == "checkout":
            return httpx.Response(429, text="local_rate_limited", headers={"x-local-rate-limit": "true", "x-own": "1"})
        return httpx.Response(200, json={"from": request.url.host}, headers={"x-served-by": request.url.host})

    app = Application(APPS["storefront"](part(httpx.MockTransport(backend))))
    headers = {"x-user": "alice", "x-user-group": "internal", "x-request-id": "7", "x-other": "no"}
    answer = asked(app, "GET", "/items", headers)
    assert (answer.json(), answer.headers["x-served-by"]) == ({"from": "catalog"}, "catalog")
    assert {name: seen[0].headers.get(name) for name in headers} == {**headers, "x-other": None}
    refused = asked(app, "POST", "/checkout")
    assert (refused.status_code, refused.json()) == (429, {"error": "local_rate_limited"})
    assert refused.headers["x-local-rate-limit"] == "true"
    assert "x-own" not in refused.headers
    assert asked(app, "GET", "/").json() == {"catalog": {"from": "catalog"}, "cart": {"from": "cart"}}


def refusing(app: App) -> App:
    """A middleware that lets through what says so."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if dict(scope["headers"]).get(b"x-pass"):
            await app(scope, receive, send)
        else:
            await Application({})(scope, receive, send)

    return refuse


def test_counters_stand_on_both_sides_of_the_middleware() -> None:
    counters = Counters()
    app = counters.outside(refusing(counters.inside(Application(APPS["payment"](part())))))
    asked(app, "POST", "/pay", {"x-pass": "1", "x-envoy-attempt-count": "2"})
    asked(app, "POST", "/pay", {"x-envoy-attempt-count": "1"})
    asked(app, "POST", "/pay")
    document = counters.document()
    assert (document["arrived"], document["served"]) == ({"POST /pay": 3}, {"POST /pay": 1})
    assert document["attempts"] == {"POST /pay 1": 1, "POST /pay 2": 1}
    assert list(document["last"]) == ["POST /pay"]


@pytest.fixture
def admin() -> Iterator[tuple[Admin, Instance, Counters]]:
    counters = Counters()
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    made = Admin("127.0.0.1", port, counters, lambda: made.gate.is_set())
    yield made, Instance(Role("cart"), "127.0.0.1", 1, port), counters
    made.close()


def test_the_admin_port_is_read_as_a_whole(admin: tuple[Admin, Instance, Counters]) -> None:
    _, instance, counters = admin
    asked(counters.outside(Application({})), "GET", "/cart")
    assert counted(instance).arrived == {"GET /cart": 1}
    assert metrics(instance).sum("python_info") == 1
    assert json.loads(fetch(f"{instance.admin_url}/live")) == {"live": True}


def test_the_admin_port_asks_nobody_for_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("DNS was asked"))
    Admin("127.0.0.1", 0, Counters(), lambda: True).close()


def test_the_gate_opens_and_closes(admin: tuple[Admin, Instance, Counters]) -> None:
    made, instance, _ = admin
    assert json.loads(fetch(f"{instance.admin_url}/gate/close", "POST")) == {"open": False}
    assert not made.gate.is_set()
    with pytest.raises(UnseenError, match=r"/ready: HTTP Error 503"):
        fetch(f"{instance.admin_url}/ready")
    assert json.loads(fetch(f"{instance.admin_url}/gate/open", "POST")) == {"open": True}
    assert json.loads(fetch(f"{instance.admin_url}/ready")) == {"ready": True}


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/gate", "POST")])
def test_what_the_admin_port_does_not_serve_is_not_found(
    admin: tuple[Admin, Instance, Counters], path: str, method: str
) -> None:
    with pytest.raises(UnseenError, match="HTTP Error 404"):
        fetch(f"{admin[1].admin_url}{path}", method)


def test_a_service_that_is_away_is_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(UnseenError, match=rf"^http://127.0.0.1:{port}/counters: .*refused"):
        counted(Instance(Role("cart"), "127.0.0.1", 1, port))


def test_what_happened_is_the_difference_of_two_sights() -> None:
    def sight(arrived: int, retries: int) -> Sight:
        text = f'proxyless_retries_total{{cluster="a"}} {retries}.0'
        return Sight({"cart": Counted({"GET /": arrived, "GET /old": 1}, {}, {}, {})}, {"cart": parse(text)})

    seen = sight(7, 5).since(sight(4, 3))
    assert (seen.arrived("cart", "GET /"), seen.arrived("cart", "GET /old"), seen.served("cart", "GET /")) == (3, 0, 0)
    assert seen.metrics["cart"].sum("proxyless_retries_total", cluster="a") == 2
    assert seen.metrics["cart"].sum("proxyless_retries_total", cluster="b") == 0
    assert seen.metrics["cart"].by("cluster", "proxyless_retries_total") == {"a": 2}


@pytest.fixture
def shop() -> Iterator[tuple[str, Counters]]:
    """A server of real sockets: /items answers, /limited is refused as a rate limit does."""
    counters = Counters()

    async def limited(request: Request) -> Response:
        return Response({}, 429, {"x-local-rate-limit": "true"})

    handlers: Handlers = {**APPS["catalog"](part()), ("GET", "/limited"): limited}
    sock = service.listening(("127.0.0.1", 0))
    with Server(counters.outside(Application(handlers)), listening=sock) as server:
        yield server.url, counters


def test_the_load_generator_obeys_and_counts(shop: tuple[str, Counters]) -> None:
    base, counters = shop

    async def play() -> tuple[dict[str, Any], ...]:
        async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
            generator = load.Generator(client)
            burst = {"do": "burst", "method": "GET", "path": "/items", "count": 20, "together": 4}
            first = await generator.obey(burst)
            second = await generator.obey({**burst, "path": "/limited", "count": 3, "together": 1})
            endless = {"do": "steady", "method": "GET", "path": "/items", "together": 2, "pause": 0}
            assert await generator.obey(endless) == {}
            await asyncio.to_thread(wait_for, lambda: counters.document()["arrived"]["GET /items"] >= 30)
            stopped = await generator.obey({"do": "stop"})
            return first, second, stopped

    first, second, stopped = asyncio.run(play())
    assert (first["statuses"], first["servers"], first["limited"]) == ({"200": 20}, {"me": 20}, 0)
    assert (second["statuses"], second["servers"], second["limited"]) == ({"429": 3}, {}, 3)
    arrived = counters.document()["arrived"]["GET /items"] - 20
    assert arrived - 2 <= stopped["statuses"]["200"] <= arrived


def test_a_call_that_fails_is_counted_by_its_error() -> None:
    async def play() -> dict[str, Any]:
        with closing(socket.create_server(("127.0.0.1", 0))) as probe:
            port = probe.getsockname()[1]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            return await load.Generator(client).obey(
                {"do": "burst", "method": "GET", "path": "/", "count": 2, "together": 1}
            )

    assert asyncio.run(play())["statuses"] == {"ConnectError": 2}


def test_a_service_is_told_where_to_listen() -> None:
    options = service.parse(["cart", "--listen", "127.0.0.1:1", "--admin", "[::1]:2", "--fails"])
    assert (options.listen, options.admin, options.fails, options.family) == (
        ("127.0.0.1", 1),
        ("[::1]", 2),
        True,
        False,
    )


@pytest.mark.parametrize("text", ["8080", "host:", "host:http"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"'{text}' is not HOST:PORT"):
        service.address(text)
