"""The path that an app gets is the one that was decided about: normalized, as Envoy would have sent it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

import proxyless


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[proxyless.Mesh]:
    """On an empty folder: every port has the catch-all chain."""
    empty = tmp_path_factory.mktemp("empty")
    with proxyless.Mesh.from_config(empty, node=proxyless.Node(app="web"), registry=False) as made:
        made.wait_ready(10)
        yield made


def served(mesh: proxyless.Mesh, **scope: Any) -> tuple[int, dict[str, Any]]:
    """(status, the scope that the app got)."""
    got: dict[str, Any] = {}
    statuses: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.update(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def receive() -> Any:
        raise AssertionError("no body is read")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    given = {"type": "http", "method": "GET", "query_string": b"", "headers": [(b"host", b"storefront")], **scope}
    asyncio.run(proxyless.asgi.Middleware(app, mesh, port=9000)(given, receive, send))
    return statuses[0], got


@pytest.mark.parametrize(
    ("sent", "raw", "path"),
    [
        (b"/items", b"/items", "/items"),
        (b"/a/../items", b"/items", "/items"),
        (b"/%41/%2e/b", b"/A/b", "/A/b"),
        (b"/caf%C3%A9/./x", b"/caf%C3%A9/x", "/café/x"),
        (b"/a%2Fb/../c", b"/c", "/c"),
        (b"/\\items", b"//items", "//items"),
    ],
)
def test_dots_and_escapes_are_resolved(mesh: proxyless.Mesh, sent: bytes, raw: bytes, path: str) -> None:
    status, scope = served(mesh, path=unquote(sent.decode()), raw_path=sent, query_string=b"q=%41&r=/../")
    assert status == 200
    assert (scope["raw_path"], scope["path"]) == (raw, path)
    assert scope["query_string"] == b"q=%41&r=/../"


def test_a_server_that_gives_no_raw_path_may_serve_any_letter(mesh: proxyless.Mesh) -> None:
    status, scope = served(mesh, path="/café au lait/100%")
    assert (status, scope["path"]) == (200, "/café au lait/100%")


def test_a_path_that_cannot_be_normalized_is_refused(mesh: proxyless.Mesh) -> None:
    assert served(mesh, path="/\0", raw_path=b"/%00") == (400, {})
