"""WebSockets are decided about before they are accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import proxyless
from proxyless.governance.actions import Collect
from proxyless.governance.replies import LocalReply
from proxyless.governance.suites._incoming import decided_async
from proxyless.governance.suites.asgi import nothing
from proxyless.xds.model.snapshot import Snapshot


@pytest.fixture
def waiting() -> Iterator[proxyless.Mesh]:
    """A mesh that has no configuration: it refuses."""
    with proxyless.Mesh._from_snapshot(Snapshot(), status_socket=False) as made:
        yield made


@pytest.fixture
def open_(tmp_path: Path) -> Iterator[proxyless.Mesh]:
    """A mesh that lets every port through."""
    with proxyless.Mesh.from_config(tmp_path, node=proxyless.Node(app="web"), registry=False) as made:
        made.wait_ready(10)
        yield made


async def app(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 1000})


def said(mesh: proxyless.Mesh, **extensions: Any) -> list[dict[str, Any]]:
    """What the server is told."""
    messages: list[dict[str, Any]] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        messages.append(message)

    scope: dict[str, Any] = {"type": "websocket", "path": "/ws", "query_string": b"", "headers": [(b"host", b"web")]}
    scope["extensions"] = extensions
    asyncio.run(proxyless.asgi.Middleware(app, mesh, port=9000)(scope, receive, send))
    return messages


def test_one_that_is_let_through_is_the_apps(open_: proxyless.Mesh) -> None:
    assert [each["type"] for each in said(open_)] == ["websocket.accept", "websocket.close"]


def test_a_server_without_a_response_is_told_a_policy_violation(waiting: proxyless.Mesh) -> None:
    assert said(waiting) == [{"type": "websocket.close", "code": 1008}]


def test_a_server_that_can_respond_is_told_status_and_reason(waiting: proxyless.Mesh) -> None:
    start, body = said(waiting, **{"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 503)
    assert body == {"type": "websocket.http.response.body", "body": b"no complete configuration yet"}


def test_one_that_says_nothing_of_an_upgrade_has_no_body() -> None:
    """RFC 8441: over HTTP/2 it is a CONNECT. Who asks a service with the body asks it all the same."""

    class Asking:
        def start(self) -> Any:
            length = yield Collect(100)
            return LocalReply(403, b"asked") if length == 0 else None

    reply = asyncio.run(decided_async(Asking(), nothing))  # type: ignore[arg-type]
    assert reply is not None
    assert reply.status == 403
