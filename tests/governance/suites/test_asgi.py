"""The ASGI middleware between a server and an app: what passes, what is answered, and what is told afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import proxyless
from proxyless.governance.inbound import InboundRequest
from proxyless.xds.model.snapshot import Snapshot

FOLDER = Path(__file__).parents[2] / "docs" / "istio"
RECORDED = Path(__file__).parents[2] / "recorded" / "shop" / "xds"
STOREFRONT = proxyless.Node(app="storefront", namespace="shop", ip="127.0.10.1")

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Any]


class Heard:
    """What telemetry is told of incoming requests."""

    def __init__(self, mesh: proxyless.Mesh) -> None:
        self.requests: list[InboundRequest] = []
        mesh.runtime.add_listener(self)

    def on_call(self, call: Any) -> None:
        raise AssertionError("nobody called")

    def on_request(self, request: InboundRequest) -> None:
        self.requests.append(request)

    def last(self) -> tuple[int, str, int, int]:
        """(status, flags, bytes received, bytes sent)."""
        request = self.requests[-1]
        return request.status, ",".join(request.flags) or "-", request.received, request.sent


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[proxyless.Mesh]:
    """On an empty folder: every port is taken by the catch-all chain."""
    with proxyless.Mesh.from_config(tmp_path, node=proxyless.Node(app="web"), registry=False) as made:
        made.wait_ready(10)
        yield made


@pytest.fixture
def limited() -> Iterator[proxyless.Mesh]:
    """Two requests in a minute."""
    with proxyless.Mesh.from_config(FOLDER, node=STOREFRONT, registry=False) as made:
        made.wait_ready(10)
        yield made


def serve(
    mesh: proxyless.Mesh | None, app: App, *received: Message, port: int | None = 8000, **scope: Any
) -> list[Message]:
    """What the server is told when it serves one request or WebSocket."""
    told: list[Message] = []
    pending = list(received) or [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        return pending.pop(0) if pending else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        told.append(message)

    given = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"storefront")],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 8000),
        **scope,
    }
    asyncio.run(proxyless.asgi.Middleware(app, mesh, port=port)(given, receive, send))
    return told


async def ok(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def never(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("the app was asked")


def test_lifespan_and_unknown_scopes_are_the_apps() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope, receive, send))

    async def receive() -> Message:
        return {}

    async def send(message: Any) -> None:
        del message

    with proxyless.Mesh._from_snapshot(Snapshot(), status_socket=False) as waiting:
        for kind in ("lifespan", "lambda"):
            scope = {"type": kind}
            asyncio.run(proxyless.asgi.Middleware(app, waiting)(scope, receive, send))
            assert seen.pop() == (scope, receive, send)


def test_the_first_requests_pass_and_then_it_is_429_with_envoys_headers(limited: proxyless.Mesh) -> None:
    heard = Heard(limited)
    for left in (b"1", b"0"):
        start, body = serve(limited, ok)
        assert (start["status"], body["body"]) == (200, b"hello")
        assert dict(start["headers"])[b"x-ratelimit-remaining"] == left
        assert dict(start["headers"])[b"x-app"] == b"1"
    start, body = serve(limited, never)
    headers = dict(start["headers"])
    assert (start["status"], body["body"]) == (429, b"local_rate_limited")
    assert (headers[b"content-length"], headers[b"content-type"]) == (b"18", b"text/plain")
    assert (headers[b"x-ratelimit-limit"], headers[b"x-ratelimit-remaining"]) == (b"2", b"0")
    assert [each.status for each in heard.requests] == [200, 200, 429]
    assert heard.last() == (429, "RL", 0, 18)


def test_head_is_refused_without_a_body_and_grpc_in_its_own_way(limited: proxyless.Mesh) -> None:
    for _ in range(2):
        serve(limited, ok)
    start, _ = serve(limited, never, method="HEAD")
    assert start["status"] == 429
    grpc = [(b"host", b"storefront"), (b"content-type", b"application/grpc")]
    start, body = serve(limited, never, method="POST", headers=grpc)
    assert (start["status"], body["body"]) == (200, b"")
    assert (b"grpc-status", b"14") in start["headers"]


def test_the_port_is_the_servers_unless_it_is_said(limited: proxyless.Mesh) -> None:
    for server, said in ((("127.0.0.1", 8000), None), (("127.0.0.1", 9), 8000), (None, 8000)):
        assert serve(limited, ok, port=said, server=server)[0]["status"] in (200, 429)
    statuses = [serve(limited, ok, port=None, server=("127.0.0.1", 8000))[0]["status"] for _ in range(2)]
    assert statuses == [429, 429], "they shared one bucket"


def test_what_the_recorded_policies_forbid_never_reaches_the_app() -> None:
    with proxyless.Mesh.from_recorded(RECORDED / "payment", registry=False) as mesh:
        heard = Heard(mesh)
        start, body = serve(mesh, never, port=8080)
        assert (start["status"], body["body"]) == (403, b"RBAC: access denied")
        assert heard.last()[0] == 403


def test_before_the_first_configuration_requests_are_refused() -> None:
    with proxyless.Mesh._from_snapshot(Snapshot(), status_socket=False) as waiting:
        start, body = serve(waiting, never)
    assert (start["status"], body["body"]) == (503, b"no complete configuration yet")


def test_bodies_stream_both_ways_and_are_counted(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": []})
        while True:
            message = await receive()
            await send({"type": "http.response.body", "body": message["body"] * 2, "more_body": message["more_body"]})
            if not message["more_body"]:
                return

    parts = [{"type": "http.request", "body": b"a" * size, "more_body": size < 3} for size in (1, 2, 3)]
    told = serve(mesh, echo, *parts, method="POST")
    assert [each.get("body") for each in told[1:]] == [b"aa", b"aaaa", b"aaaaaa"]
    assert heard.last() == (201, "-", 6, 12)


@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend"])
def test_a_file_that_the_server_sends_is_a_body(mesh: proxyless.Mesh, kind: str) -> None:
    heard = Heard(mesh)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": f"http.response.{kind}", "path": "/x", "file": 3})

    assert serve(mesh, app)[-1]["type"] == f"http.response.{kind}"
    assert heard.last()[:2] == (200, "-")


def test_an_error_of_the_app_is_the_servers_and_a_500(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("mine")

    async def fails_late(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 202, "headers": []})
        raise KeyError("mine")

    for app, status in ((fails, 500), (fails_late, 202)):
        with pytest.raises(KeyError, match="mine"):
            serve(mesh, app)
        assert heard.last()[0] == status
    assert len(heard.requests) == 2


def test_a_client_that_goes_away_is_dc(mesh: proxyless.Mesh) -> None:
    heard = Heard(mesh)

    async def gives_up(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"

    serve(mesh, gives_up)
    assert heard.last() == (200, "DC", 0, 4)

    async def cancelled(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        serve(mesh, cancelled)
    assert heard.last()[:2] == (0, "DC")


def test_the_app_does_not_see_a_certificate_that_nobody_has_checked(mesh: proxyless.Mesh) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["headers"])
        await ok(scope, receive, send)

    serve(mesh, app, headers=[(b"host", b"a"), (b"x-forwarded-client-cert", b"Hash=1"), (b"x", b"1")])
    assert [[name for name, _ in headers] for headers in seen] == [
        [b"host", b"x", b"x-forwarded-proto", b"x-request-id"]
    ]


def test_a_scope_that_nothing_changes_is_the_servers_own(mesh: proxyless.Mesh) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await ok(scope, receive, send)

    state: dict[str, Any] = {}
    serve(mesh, app, state=state, extensions={"tls": {}}, root_path="/api")
    assert seen[0]["state"] is state
    assert (seen[0]["extensions"], seen[0]["root_path"]) == ({"tls": {}}, "/api")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([{"type": "websocket.accept"}, {"type": "websocket.close"}], (101, "-")),
        ([{"type": "websocket.close"}], (403, "-")),
        (
            [
                {"type": "websocket.http.response.start", "status": 401, "headers": []},
                {"type": "websocket.http.response.body", "body": b"no"},
            ],
            (401, "-"),
        ),
    ],
)
def test_what_the_app_made_of_a_websocket_is_told(
    mesh: proxyless.Mesh, answers: list[Message], expected: tuple[int, str]
) -> None:
    heard = Heard(mesh)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for each in answers:
            await send(each)

    told = serve(mesh, app, {"type": "websocket.connect"}, type="websocket", scheme="ws")
    assert [each["type"] for each in told] == [each["type"] for each in answers]
    assert heard.last()[:2] == expected


def test_a_middleware_without_a_mesh_is_no_middleware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYLESS_DISABLE", "1")
    start, _ = serve(None, ok)
    assert start["headers"] == [(b"x-app", b"1")]


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [("::ffff:10.1.2.3", "10.1.2.3"), ("10.1.2.3", "10.1.2.3"), ("fd00::1", "fd00::1"), ("::ffff:0:1", "::ffff:0:1")],
)
def test_addresses_of_ipv4_on_a_socket_of_both_versions_are_of_ipv4(
    mesh: proxyless.Mesh, spelled: str, meant: str
) -> None:
    heard = Heard(mesh)
    serve(mesh, ok, client=(spelled, 5), server=(spelled, 8000))
    assert (heard.requests[-1].request.source, heard.requests[-1].local()[0]) == (meant, meant)
