"""HTTP/3 under hypercorn: requests are decided as those in the clear; the mesh's mTLS refuses to stand beside it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hypercorn.asyncio
import hypercorn.config
import pytest
from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

import proxyless
from tests.governance.suites.test_asgi import Heard
from tests.support.certificates import authority
from tests.support.denying import denying
from tests.support.ports import free_port
from tests.support.recorded import FOLDER

LEDGER = FOLDER / "shop/xds/ledger"


class Client(QuicConnectionProtocol):
    """One connection of HTTP/3."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.http = H3Connection(self._quic)
        self.answers: dict[int, tuple[list[bytes], asyncio.Future[bytes]]] = {}

    async def get(self, path: str) -> tuple[int, bytes]:
        stream = self._quic.get_next_available_stream_id()
        pieces, ended = self.answers[stream] = [], asyncio.get_running_loop().create_future()
        pseudo = {b":method": b"GET", b":scheme": b"https", b":authority": b"web", b":path": path.encode()}
        self.http.send_headers(stream, list(pseudo.items()), end_stream=True)
        self.transmit()
        status = await ended
        return int(status), b"".join(pieces)

    def quic_event_received(self, event: QuicEvent) -> None:
        for each in self.http.handle_event(event):
            if isinstance(each, HeadersReceived | DataReceived):
                pieces, ended = self.answers[each.stream_id]
                if isinstance(each, HeadersReceived):
                    self.status = dict(each.headers)[b":status"]
                else:
                    pieces.append(each.data)
                if each.stream_ended:
                    ended.set_result(self.status)


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["http_version"].encode()})


@asynccontextmanager
async def serving(mesh: proxyless.Mesh, folder: Path) -> AsyncIterator[Client]:
    ca = authority()
    key, chain = ca.server("localhost")
    for name, data in (("key.pem", key), ("chain.pem", chain), ("root.pem", ca.pem)):
        (folder / name).write_bytes(data)
    port = free_port()
    config = hypercorn.config.Config()
    config.bind = config.quic_bind = [f"127.0.0.1:{port}"]
    config.certfile, config.keyfile, config.errorlog = str(folder / "chain.pem"), str(folder / "key.pem"), None
    stopped = asyncio.Event()
    governed: Any = proxyless.asgi.Middleware(app, mesh, port=8080)
    server = asyncio.create_task(hypercorn.asyncio.serve(governed, config, shutdown_trigger=stopped.wait))
    offered = QuicConfiguration(alpn_protocols=["h3"], verify_mode=ssl.CERT_REQUIRED, server_name="localhost")
    offered.load_verify_locations(str(folder / "root.pem"))
    try:
        async with connect("127.0.0.1", port, configuration=offered, create_protocol=Client) as client:
            assert isinstance(client, Client)
            yield client
    finally:
        stopped.set()
        server.cancel()  # its QUIC waits for a datagram more
        await asyncio.gather(server, return_exceptions=True)


def asked(mesh: proxyless.Mesh, folder: Path, *paths: str) -> list[tuple[int, bytes]]:
    async def go() -> list[tuple[int, bytes]]:
        async with serving(mesh, folder) as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(asyncio.wait_for(go(), 60))


def test_requests_of_http3_are_decided_as_those_in_the_clear(tmp_path: Path) -> None:
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh" / "policy.yaml").write_text(denying("/secret"))
    with proxyless.Mesh.from_config(tmp_path / "mesh", node=proxyless.Node(app="web"), registry=False) as mesh:
        mesh.wait_ready(20)
        heard = Heard(mesh)
        mesh.drain()  # says nothing about a connection of HTTP/3
        assert asked(mesh, tmp_path, "/", "/secret") == [(200, b"3"), (403, b"RBAC: access denied")]
        assert [each.protocol for each in heard.requests] == ["HTTP/3"] * 2


def test_a_strict_port_refuses_http3(tmp_path: Path) -> None:
    with proxyless.Mesh.from_recorded(LEDGER, registry=False) as mesh:
        ((status, said),) = asked(mesh, tmp_path, "/")
    assert status == 503
    assert b"takes mTLS only" in said


def test_the_meshs_mtls_is_not_put_beside_quic() -> None:
    config = hypercorn.config.Config()
    config.bind, config.quic_bind = ["0.0.0.0:8080"], ["0.0.0.0:8443"]
    with (
        proxyless.Mesh.from_recorded(LEDGER, registry=False) as mesh,
        pytest.raises(proxyless.UnsupportedError, match=r"quic_bind 0\.0\.0\.0:8443: HTTP/3 cannot be served by"),
    ):
        proxyless.tls.hypercorn(config, mesh)
