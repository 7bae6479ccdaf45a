"""HTTP/2 to endpoints below aiohttp: many calls over one connection, none of which harms another."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.settings import SettingCodes

import proxyless.aiohttp
from proxyless import Mesh
from proxyless._securing import MeshTls
from proxyless.xds.model.cluster import HttpProtocol, TransportSocket
from proxyless.xds.model.route import BackOff, RetryPolicy
from proxyless.xds.model.tls import CommonTls, SanMatcher, SecretName, UpstreamTls, Validation
from tests.governance.suites.conftest import counts
from tests.governance.suites.served import by_hypercorn
from tests.governance.suites.test_aiohttp import Said, asked, parts, run, said, session
from tests.support import serving
from tests.support.backends import Backends
from tests.support.certificates import HeldSecrets, authority, spiffe, terminating
from tests.support.http2_services import Http2Service, On, Peer
from tests.support.model import cluster, route, snapshot, table
from tests.support.serving import Serve, on_this_loop
from tests.support.waiting import wait_for

URL = "http://h2.example.com"
AGAIN = RetryPolicy(("refused-stream",), 2, back_off=BackOff(0.001, 0.001))


async def until(mesh: Mesh, requests: int) -> None:
    await asyncio.to_thread(wait_for, lambda: counts(mesh, "h2")[2] == requests)


def test_calls_of_all_sizes_share_a_connection(mesh: Mesh, backends: Backends) -> None:
    sizes = [*range(60), *range(0, 1_000_000, 100_000)]

    async def call(client: aiohttp.ClientSession, size: int) -> None:
        body: Any = b"x" * size if size % 2 else parts(*[b"x" * 10_000] * (size // 10_000), b"x" * (size % 10_000))
        async with asked(client, f"{URL}/{size}", method="POST", data=body) as response:
            assert (response.status, response.version) == (200, (2, 0))
            assert "transfer-encoding" not in response.headers
            found = await response.json()
            assert (found["target"], found["body_length"]) == (f"/{size}", size)

    async def work() -> None:
        async with session(mesh) as client:
            await asyncio.gather(*(call(client, size) for size in sizes))
        assert counts(mesh, "h2")[1:] == (0, 0)

    run(work())
    arrived = backends.take()
    assert len({each.connection for each in arrived}) == 1
    assert {(each.protocol, each.authority) for each in arrived} == {("HTTP/2", "h2.example.com")}
    assert not any(each.header("transfer-encoding") or each.header("host") for each in arrived)


@pytest.mark.parametrize(
    ("path", "backend", "method", "expected"),
    [
        ("/", "fault=reset", "GET", (503, "UR", 1)),
        ("/", "fault=refused", "GET", (503, "UR", 1)),
        ("/", "fault=close", "GET", (503, "UC", 1)),
        ("/slow", "delay=20", "GET", (504, "UT", 1)),
        ("/", "status=204;body=", "GET", (204, "-", 1, "")),
        ("/", "status=304;body=", "GET", (304, "-", 1, "")),
        ("/", "body=", "GET", (200, "-", 1, "")),
        ("/", "", "HEAD", (200, "-", 1, "")),
        ("/", "body=hello", "PUT", (200, "-", 1, "hello")),
    ],
)
def test_what_the_caller_is_told(
    mesh: Mesh, backends: Backends, path: str, backend: str, method: str, expected: tuple[Any, ...]
) -> None:
    async def work() -> list[Said]:
        async with session(mesh) as client:
            return [await said(client, URL + path, backend, method), await said(client, URL)]

    first, second = run(work())
    assert first[: len(expected)] == expected
    assert second[:3] == (200, "-", 1)
    assert counts(mesh, "h2")[1:] == (0, 0)


def test_a_body_that_does_not_come_whole(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            for fault, flag in (("cut", "UR"), ("cut-reset", "UC")):
                async with asked(client, URL, f"fault={fault};size=100") as response:
                    with pytest.raises(aiohttp.ClientPayloadError):
                        await response.read()
                assert proxyless.aiohttp.call(response).flags == (flag,)
        assert counts(mesh, "h2")[1:] == (0, 0)

    run(work())


@pytest.mark.parametrize("first", ["long", "slow"])
def test_the_routes_timeout_ends_its_own_call_and_no_other(mesh: Mesh, backends: Backends, first: str) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            await said(client, URL)
            calls = {}
            for number, which in enumerate([first, "slow" if first == "long" else "long"], 1):
                path, backend = ("/slow", "delay=20") if which == "slow" else ("/", "delay=2")
                calls[which] = asyncio.create_task(said(client, URL + path, backend))
                await until(mesh, number)
            assert (await calls["slow"])[:2] == (504, "UT")
            assert (await calls["long"])[:2] == (200, "-")

    run(work())
    assert len({each.connection for each in backends.take()}) == 1


def test_neither_does_a_caller_who_leaves(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            await said(client, URL)
            long = asyncio.create_task(said(client, URL, "delay=1"))
            await until(mesh, 1)
            with pytest.raises(aiohttp.SocketTimeoutError):
                await said(client, URL, "delay=20", timeout=aiohttp.ClientTimeout(sock_read=0.2))
            gone = asyncio.create_task(said(client, URL, "delay=20"))
            await until(mesh, 2)
            gone.cancel()
            async with asked(client, f"{URL}/slow", "body-delay=20;size=10") as response:
                with pytest.raises(aiohttp.SocketTimeoutError, match="route's timeout"):
                    await response.read()
            assert proxyless.aiohttp.call(response).flags == ("UT",)
            assert (await long)[:2] == (200, "-")
        assert counts(mesh, "h2")[1:] == (0, 0)

    run(work())
    assert len({each.connection for each in backends.take()}) == 1


def test_responses_that_nobody_reads_do_not_use_up_the_window(mesh: Mesh, backends: Backends) -> None:
    async def work() -> None:
        async with session(mesh) as client:
            for _ in range(10):
                async with asked(client, URL, "size=3000000") as response:
                    assert await response.content.read(10)
                    response.close()
                assert proxyless.aiohttp.call(response).flags == ("DC",)
            async with asked(client, URL, "size=3000000") as waiting:
                assert len((await said(client, URL, "size=3000000"))[3]) == 3_000_000
                assert len(await waiting.read()) == 3_000_000
        assert counts(mesh, "h2")[1:] == (0, 0)

    run(work())
    assert len({each.connection for each in backends.take()}) == 1


def test_what_aiohttp_does_with_bodies(mesh: Mesh, backends: Backends) -> None:
    """It compresses and decompresses, and tells its traces."""
    heard: list[bytes] = []

    async def on_request_chunk_sent(_: Any, __: Any, params: aiohttp.TraceRequestChunkSentParams) -> None:
        heard.append(params.chunk)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_chunk_sent.append(on_request_chunk_sent)

    async def work() -> None:
        async with session(mesh, trace_configs=[tracing]) as client:
            sent = {"method": "POST", "data": b"x" * 1000, "compress": "gzip"}
            assert (await said(client, URL, **sent))[0] == 200  # type: ignore[arg-type]

    run(work())
    (arrival,) = backends.take()
    assert gzip.decompress(arrival.body) == b"x" * 1000
    assert (arrival.header("content-encoding"), heard) == ("gzip", [b"x" * 1000])


# Servers that do as a test wants, and real ones.


@contextmanager
def service(on: On, **options: Any) -> Iterator[tuple[Mesh, Http2Service]]:
    with Http2Service(on, **options) as made, world(made.port) as mesh:
        yield mesh, made


@contextmanager
def world(port: int, secrets: HeldSecrets | None = None, **fields: Any) -> Iterator[Mesh]:
    http = HttpProtocol(protocol="http2" if secrets is None else "auto")
    made = cluster("a", f"127.0.0.1:{port}", http=http, **fields)
    with Mesh._from_snapshot(
        snapshot(tables=[table(route("/", "a", retry=AGAIN))], clusters=[made]), status_socket=False
    ) as mesh:
        if secrets is not None:
            mesh.runtime.tls = MeshTls(lambda: secrets)
        yield mesh


def answers(peer: Peer, event: Any) -> None:
    if isinstance(event, StreamEnded):
        peer.http.send_headers(
            event.stream_id, [(":status", "200"), ("content-encoding", "gzip"), ("set-cookie", "a=1")]
        )
        peer.http.send_data(event.stream_id, gzip.compress(b"hello"), end_stream=True)


@pytest.mark.parametrize("body", [b"body", "parts"])
def test_a_stream_that_was_refused_is_tried_again_with_its_body(body: Any) -> None:
    arrived: list[bytes] = []

    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            arrived.append(peer.bodies[event.stream_id])
            if len(arrived) < 3:
                peer.http.reset_stream(event.stream_id, 7)
            else:
                answers(peer, event)

    async def work(mesh: Mesh) -> None:
        data = parts(b"bo", b"", b"dy") if body == "parts" else body
        async with session(mesh) as client:
            assert (await said(client, "http://shop/", method="POST", data=data)) == (200, "-", 3, "hello")

    with service(on) as (mesh, _):
        run(work(mesh))
    assert arrived == [b"body"] * 3


def test_a_server_that_goes_away_answers_what_it_has_taken() -> None:
    """GOAWAY: what came before is answered, what came after goes over another connection."""
    taken = threading.Event()

    def on(peer: Peer, event: Any) -> None:
        if peer.number == 0 and isinstance(event, StreamEnded):
            if event.stream_id == 1:
                peer.goaway(1)
                taken.set()
        elif peer.number:
            answers(peer, event)

    async def work(mesh: Mesh) -> None:
        async with session(mesh) as client:
            first = asyncio.create_task(said(client, "http://shop/"))
            await asyncio.to_thread(taken.wait, 10)
            assert (await said(client, "http://shop/"))[:2] == (
                200,
                "-",
            )  # sent twice if it was quicker than the GOAWAY
            served.peers[0].http.send_headers(1, [(":status", "200"), ("content-length", "2")])
            served.peers[0].http.send_data(1, b"ok", end_stream=True)
            served.peers[0].flush()
            assert await first == (200, "-", 1, "ok")

    with service(on) as (mesh, served):
        run(work(mesh))
        assert len(served.peers) == 2


def test_no_more_streams_than_the_server_allows() -> None:
    most, waiting = [0], []

    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            waiting.append(event)
            most[0] = max(most[0], peer.http.open_inbound_streams)
            if len(waiting) == 2 or event.stream_id == 1:
                while waiting:
                    answers(peer, waiting.pop())

    async def work(mesh: Mesh) -> None:
        async with session(mesh) as client:
            await said(client, "http://shop/")
            found = await asyncio.gather(*(said(client, "http://shop/", method="POST", data=b"x") for _ in range(20)))
            assert {each[:2] + each[3:] for each in found} == {(200, "-", "hello")}

    with service(on, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 2}) as (mesh, served):
        run(work(mesh))
        assert (most[0], len(served.peers)) == (2, 1)


@pytest.mark.parametrize(
    ("name", "value"), [("x-a", "1\r\nset-cookie: stolen=1"), ("x-a", "1\0"), ("transfer-encoding", "chunked")]
)
def test_a_header_that_http_1_1_would_take_for_more_is_refused(name: str, value: str) -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            peer.http.config.validate_outbound_headers = peer.http.config.normalize_outbound_headers = False
            peer.http.send_headers(event.stream_id, [(":status", "200"), (name, value)], end_stream=True)

    async def work(mesh: Mesh) -> None:
        async with session(mesh) as client:
            async with asked(client, "http://shop/") as response:
                assert response.status == 503
                assert "set-cookie" not in response.headers
            assert proxyless.aiohttp.call(response).flags == ("UC",)

    with service(on) as (mesh, _):
        run(work(mesh))


def test_a_body_may_wait_for_its_100() -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, RequestReceived):
            assert event.stream_id not in peer.bodies
            peer.http.send_headers(event.stream_id, [(":status", "100")])
        answers(peer, event)

    async def work(mesh: Mesh) -> None:
        async with session(mesh) as client:
            sent: dict[str, Any] = {"method": "POST", "data": b"body", "expect100": True}
            assert await said(client, "http://shop/", **sent) == (200, "-", 1, "hello")

    with service(on) as (mesh, served):
        run(work(mesh))
        assert served.peers[0].bodies == {1: b"body"}


def test_the_answer_may_come_before_the_request_is_whole() -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, DataReceived) and event.stream_id not in answered:
            answered.add(event.stream_id)
            answers(peer, StreamEnded(stream_id=event.stream_id))

    answered: set[int] = set()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)

    async def work(mesh: Mesh) -> None:
        async with session(mesh) as client:
            for _ in range(2):
                assert (await said(client, "http://shop/", method="POST", data=endless()))[3] == "hello"

    with service(on) as (mesh, served):
        run(work(mesh))
        wait_for(lambda: len(served.peers[0].resets) == 2)
        assert len(served.peers) == 1


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says what it was asked; a WebSocket says everything once more."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{scope['http_version']} {message['text']}"})
    elif scope["type"] == "http":
        body = b""
        while (part := await receive()).get("more_body"):
            body += part["body"]
        told = {"version": scope["http_version"], "path": scope["path"], "length": len(body + part["body"])}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})


async def served_by_hypercorn(work: Any, serve: Serve) -> None:
    async with on_this_loop(serve, app) as port:
        await work(port)


def test_hypercorn_in_plaintext_and_a_web_socket_over_http2() -> None:
    async def work(port: int) -> None:
        with world(port) as mesh:
            async with session(mesh) as client:
                found = await said(client, "http://shop/a", method="POST", data=parts(b"x" * 100_000))
                assert json.loads(found[3]) == {"version": "2", "path": "/a", "length": 100_000}
                async with client.ws_connect("http://shop/socket") as made:
                    for word in ("a", "b" * 200_000):
                        await made.send_str(word)
                        assert await made.receive_str() == f"2 {word}"

    run(served_by_hypercorn(work, serving.by_hypercorn()))


def test_hypercorn_where_alpn_chooses_under_mtls(tmp_path: Path) -> None:
    ca = authority()
    validation = Validation(secret=SecretName("ROOTCA"), sans=(SanMatcher("exact", spiffe("server")),))

    async def work(port: int) -> None:
        for offered, version, spoken in ((("h2", "http/1.1"), (2, 0), "2"), (("http/1.1",), (1, 1), "1.1")):
            tls = UpstreamTls(CommonTls(SecretName("default"), validation, offered), sni="a.b")
            secrets = HeldSecrets(ca.workload("one"), ca.roots)
            with world(port, secrets, transport_socket=TransportSocket("tls", tls)) as mesh:
                async with session(mesh) as client, asked(client, "http://shop/a") as response:
                    assert (response.status, response.version) == (200, version)
                    assert json.loads(await response.text())["version"] == spoken
                    assert proxyless.aiohttp.call(response).principals == (spiffe("one"), spiffe("server"))

    context = terminating(ca, "server", tmp_path)
    context.set_alpn_protocols(["h2", "http/1.1"])
    run(served_by_hypercorn(work, by_hypercorn(context)))
