"""Connections of a context under an app that knows nothing of it: only a peer that was let in is taken for TLS."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

import proxyless
from proxyless.asgi import Middleware
from proxyless.governance.hello import ISTIO
from proxyless.governance.peer import SERVED, Peer, Served
from tests.governance.suites.served import LEDGER
from tests.support.certificates import spiffe

CALLER = Peer(certificate=b"der", validated=True, uri_sans=(spiffe("caller"),))
CASES = {
    "by mTLS": (Served(8080, CALLER, ISTIO, unseen=True), 200),
    "in the clear": (Served(8080, unseen=True), 503),
    "in the clear, over": (Served(8080, open=False, unseen=True), 503),
    "by mTLS, over": (Served(8080, CALLER, ISTIO, open=False, unseen=True), 503),
    "of another port": (Served(8081, CALLER, ISTIO, unseen=True), 503),
}


@pytest.fixture(scope="module")
def mesh() -> Iterator[proxyless.Mesh]:
    """Of a STRICT port."""
    with proxyless.Mesh.from_recorded(LEDGER, registry=False) as made:
        yield made


@pytest.mark.parametrize("name", CASES)
def test_a_server_on_an_event_loop_that_takes_all_for_tls(name: str, mesh: proxyless.Mesh) -> None:
    served, status = CASES[name]
    schemes: list[str] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        schemes.append(scope["scheme"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        SERVED.set(served)
        scope = {"type": "http", "method": "GET", "scheme": "https", "path": "/", "raw_path": b"/", "query_string": b""}
        ends = {"headers": [(b"host", b"ledger")], "server": ("10.0.0.1", 8080), "client": ("10.0.0.2", 4000)}
        await Middleware(app, mesh)({**scope, **ends, "http_version": "1.1"}, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == status
    assert schemes == (["http"] if status == 200 else [])


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", CASES)
def test_a_blocking_server_that_knows_of_no_tls_but_may_believe_a_proxy(
    name: str, scheme: str, mesh: proxyless.Mesh
) -> None:
    served, status = CASES[name]
    schemes: list[str] = []
    said: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        schemes.append(environ["wsgi.url_scheme"])
        start_response("200 OK", [])
        return [b""]

    def ask() -> None:
        SERVED.set(served)
        environ: dict[str, Any] = {"SERVER_PORT": "8080", "REMOTE_ADDR": "10.0.0.2", "wsgi.input": io.BytesIO()}
        setup_testing_defaults(environ)
        environ["wsgi.url_scheme"] = scheme

        def start_response(status: str, *_: object) -> Any:
            said.append(status)

        list(proxyless.wsgi.Middleware(app, mesh)(environ, start_response))

    copy_context().run(ask)
    assert [each[:3] for each in said] == [str(status)]
    assert schemes == ([scheme] if status == 200 else [])
