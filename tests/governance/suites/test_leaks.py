"""Channels, plain TCP and servers: many calls, failed and left ones too, leave nothing behind, as in conformance/.

`PROXYLESS_LEAK_CALLS` says how many, as there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web

import proxyless
import proxyless.aiohttp
import proxyless.grpc.aio
from proxyless.governance.suites.tcp import UnreachableError
from tests.governance.suites import test_plain_tcp, test_wsgi
from tests.governance.suites.conformance.test_leaks import CALLS, objects
from tests.governance.suites.grpc_served import SERVICE, Served, entry, meshed
from tests.governance.suites.test_asgi import serve
from tests.support import grpc_echo
from tests.support.denying import denying
from tests.support.untraced import untraced
from tests.support.waiting import wait_for

Some = Callable[[int], None]
Kind = Callable[[], Any]
SELDOM = 50
MOST = 1000
"""Objects that may have come up besides: caches that have a bound."""
FAILED = (grpc.RpcError, grpc.FutureCancelledError, ConnectionError, asyncio.CancelledError)
TARGET, DEAD = "recommend.example.com:50051", "dead.example.com:50051"


class Forgetful(Served):
    """Remembers no call."""

    def note(self, method: str, context: Any) -> None:
        """Nobody asks for it."""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[proxyless.Mesh]:
    with Forgetful("a") as served:
        denied = denying("/secret", grpc_echo.SERVICE + "Secret", namespace="shop")
        text = entry("recommend", [served.port]) + entry("dead", [1]) + denied
        with meshed(tmp_path_factory.mktemp("mesh"), text) as made:
            yield made


def in_turn(*kinds: Kind, seldom: Kind | None = None) -> Some:
    """Calls of all kinds; `seldom`: one that takes its time."""

    def some(count: int) -> None:
        for number in range(count):
            with suppress(*FAILED):
                one_of(number, kinds, seldom)()

    return some


def one_of(number: int, kinds: Sequence[Kind], seldom: Kind | None) -> Kind:
    """The next call."""
    return seldom if seldom is not None and number % SELDOM == 0 else kinds[number % len(kinds)]


@contextmanager
def channels(mesh: proxyless.Mesh) -> Iterator[Some]:
    channel: Any
    dead: Any
    with proxyless.grpc.channel(TARGET, mesh) as channel, proxyless.grpc.channel(DEAD, mesh) as dead:
        get = channel.unary_unary(SERVICE + "Get")

        def left() -> None:
            numbers = channel.unary_stream(SERVICE + "Numbers")(b"100")
            next(numbers)
            numbers.cancel()

        def abandoned() -> None:
            next(channel.unary_stream(SERVICE + "Numbers")(b"100"))

        def given_up() -> None:
            get.future(b"x").cancel()

        yield in_turn(
            lambda: get(b"x"),
            lambda: get.future(b"x").result(60),
            lambda: list(channel.unary_stream(SERVICE + "Numbers")(b"3")),
            lambda: channel.stream_unary(SERVICE + "Join")(iter([b"a", b"b"])),
            lambda: list(channel.stream_stream(SERVICE + "Echo")(iter([b"a", b"b"]))),
            lambda: channel.unary_unary(SERVICE + "Abort")(b"x"),
            left,
            abandoned,
            given_up,
            seldom=lambda: dead.unary_unary(SERVICE + "Get")(b"x"),
        )


@contextmanager
def channels_of_a_loop(mesh: proxyless.Mesh) -> Iterator[Some]:
    with asyncio.Runner() as runner:

        async def opened() -> tuple[Any, Any]:
            return proxyless.grpc.aio.channel(TARGET, mesh), proxyless.grpc.aio.channel(DEAD, mesh)

        channel, dead = runner.run(opened())

        async def left() -> None:
            numbers = channel.unary_stream(SERVICE + "Numbers")(b"100")
            await numbers.read()
            numbers.cancel()

        async def abandoned() -> None:
            await channel.unary_stream(SERVICE + "Numbers")(b"100").read()

        async def given_up() -> None:
            call = channel.unary_unary(SERVICE + "Get")(b"x")
            await asyncio.sleep(0)
            call.cancel()

        async def streamed(method: str, request: Any) -> None:
            async for _ in method_of(method)(request):
                pass

        def method_of(method: str) -> Any:
            kind = channel.stream_stream if method == "Echo" else channel.unary_stream
            return kind(SERVICE + method)

        async def awaited(call: Callable[[], Any]) -> None:
            await call()

        kinds: list[Kind] = [
            lambda: awaited(lambda: channel.unary_unary(SERVICE + "Get")(b"x")),
            lambda: streamed("Numbers", b"3"),
            lambda: streamed("Echo", [b"a", b"b"]),
            lambda: awaited(lambda: channel.stream_unary(SERVICE + "Join")([b"a", b"b"])),
            lambda: awaited(lambda: channel.unary_unary(SERVICE + "Abort")(b"x")),
            left,
            abandoned,
            given_up,
        ]

        def unreachable() -> Any:
            return awaited(lambda: dead.unary_unary(SERVICE + "Get")(b"x"))

        async def over() -> None:
            async with asyncio.timeout(60):
                while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  # no event
                    await asyncio.sleep(0.005)

        def some(count: int) -> None:
            async def go() -> None:
                for number in range(count):
                    with suppress(*FAILED):
                        await one_of(number, kinds, unreachable)()
                await over()

            runner.run(go())

        yield some

        async def closed() -> None:
            await channel.close()
            await dead.close()

        runner.run(closed())


@contextmanager
def tcp(mesh: proxyless.Mesh) -> Iterator[Some]:
    del mesh
    echo = test_plain_tcp.Echo()
    with (
        test_plain_tcp.mesh_to(echo.address) as up,
        test_plain_tcp.mesh_to("127.0.43.7:1") as down,
        asyncio.Runner() as runner,
    ):

        def used() -> None:
            with up.create_connection(("db", 9000), 30) as sock:
                assert test_plain_tcp.exchanged(sock)

        def dropped() -> None:
            up.create_connection(("db", 9000), 30).sendall(b"x")

        def unreachable() -> None:
            with suppress(UnreachableError):
                down.create_connection(("db", 9000), 30)

        async def streamed() -> None:
            reader, writer = await up.open_connection("db", 9000, timeout=30)
            writer.write(b"line\n")
            assert await reader.readline() == b"line\n"
            writer.close()
            await writer.wait_closed()

        yield in_turn(used, dropped, unreachable, lambda: runner.run(streamed()))
    echo.close()


@contextmanager
def asgi(mesh: proxyless.Mesh) -> Iterator[Some]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/fails":
            raise ConnectionError
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/left":
            raise asyncio.CancelledError
        await send({"type": "http.response.body", "body": b"here"})

    def ask(path: str) -> Callable[[], object]:
        return lambda: serve(mesh, app, path=path, raw_path=path.encode())

    yield in_turn(*map(ask, ("/", "/secret", "/fails", "/left")))


@contextmanager
def wsgi(mesh: proxyless.Mesh) -> Iterator[Some]:
    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/fails":
            raise ConnectionError
        start_response("200 OK", [("content-type", "text/plain")])
        return iter([b"a", b"b"])

    middleware = proxyless.wsgi.Middleware(app, mesh, port=8000)

    def ask(path: str) -> Callable[[], object]:
        return lambda: test_wsgi.Server(middleware, valid=False).ask(PATH_INFO=path)

    yield in_turn(*map(ask, ("/", "/secret", "/fails")))


@contextmanager
def aiohttp_server(mesh: proxyless.Mesh) -> Iterator[Some]:
    async def hello(request: web.Request) -> web.StreamResponse:
        if request.path == "/fails":
            raise web.HTTPServiceUnavailable
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * 10_000)
        return response

    with asyncio.Runner() as runner:

        async def begun() -> tuple[web.AppRunner, aiohttp.ClientSession]:
            app = web.Application(middlewares=[proxyless.aiohttp.server(mesh, port=8000)])
            app.router.add_get("/{path:.*}", hello)
            made = web.AppRunner(app)
            await made.setup()
            await web.TCPSite(made, "127.0.0.1", 0).start()
            return made, aiohttp.ClientSession()

        served, client = runner.run(begun())
        url = f"http://127.0.0.1:{served.addresses[0][1]}"

        async def ask(path: str) -> None:
            async with client.get(f"{url}{path}") as response:
                if path != "/left":
                    await response.read()

        def some(count: int) -> None:
            async def go() -> None:
                for number in range(count):
                    await ask(("/", "/secret", "/fails", "/left")[number % 4])

            runner.run(go())

        yield some

        async def ended() -> None:
            await client.close()
            await served.cleanup()

        runner.run(ended())


def calls_to(port: int, front: int) -> Some:
    """Calls of a plain client to a server's own port, now and then to one of the mesh's in front of it."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel: Any = grpc.insecure_channel(f"127.0.0.1:{port}", options)

    def streamed(kind: str, *metadata: tuple[str, str]) -> None:
        request: Any = b"x" if kind == "UnaryStream" else iter((b"a", b"b"))
        made = channel.unary_stream if kind == "UnaryStream" else channel.stream_stream
        list(made(grpc_echo.SERVICE + kind)(request, metadata=metadata, timeout=60))

    def unary(method: str, *metadata: tuple[str, str], timeout: float = 60) -> Kind:
        return lambda: channel.unary_unary(grpc_echo.SERVICE + method)(b"x", metadata=metadata, timeout=timeout)

    def left() -> None:
        numbers = channel.unary_stream(grpc_echo.SERVICE + "UnaryStream")(b"x", timeout=60)
        next(numbers)
        numbers.cancel()

    def given_up() -> None:
        waiting = channel.unary_unary(grpc_echo.SERVICE + "Waits").future(b"x", timeout=60)
        waiting.cancel()

    def by_the_front() -> None:
        with grpc.insecure_channel(f"127.0.0.1:{front}", options) as opened:
            other: Any = opened
            other.unary_unary(grpc_echo.SERVICE + "UnaryUnary")(b"x", timeout=60)

    return in_turn(
        unary("UnaryUnary"),
        unary("UnaryUnary", ("x-initial", "i"), ("x-trailing", "t")),
        unary("UnaryUnary", ("x-abort", "5")),
        unary("UnaryUnary", ("x-fail", "oh")),
        unary("Secret"),
        unary("None"),
        unary("Waits", timeout=0.01),
        given_up,
        left,
        lambda: streamed("UnaryStream"),
        lambda: streamed("UnaryStream", ("x-fail", "oh")),
        lambda: streamed("StreamStream"),
        lambda: channel.stream_unary(grpc_echo.SERVICE + "StreamUnary")(iter((b"a", b"b")), timeout=60),
        seldom=by_the_front,
    )


@contextmanager
def unlogged() -> Iterator[None]:
    """grpcio logs what a handler raises, mesh or not, and pytest keeps the lines."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def waits(request: bytes, context: Any) -> bytes:
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait(60)
    return request


async def waits_async(request: bytes, context: Any) -> bytes:
    await asyncio.sleep(60)
    return request


@contextmanager
def grpc_server(mesh: proxyless.Mesh) -> Iterator[Some]:
    governs = proxyless.grpc.ServerInterceptor(mesh, port=8000)
    ports = [
        lambda server: server.add_insecure_port("127.0.0.1:0"),
        lambda server: governs.add_port(server, "127.0.0.1:0"),
    ]
    methods = {"Waits": grpc.unary_unary_rpc_method_handler(waits)}
    with unlogged(), grpc_echo.serving([governs], ports, methods) as opened:
        yield calls_to(*opened)
    governs.close()


@contextmanager
def grpc_server_of_a_loop(mesh: proxyless.Mesh) -> Iterator[Some]:
    governs = proxyless.grpc.aio.ServerInterceptor(mesh, port=8000)
    ports = [
        lambda server: server.add_insecure_port("127.0.0.1:0"),
        lambda server: governs.add_port(server, "127.0.0.1:0"),
    ]
    methods = {"Waits": grpc.unary_unary_rpc_method_handler(waits_async)}
    with unlogged(), grpc_echo.serving_aio(lambda: [governs], ports, methods) as opened:
        yield calls_to(*opened)
    governs.close()


SUITES = {
    "grpc": channels,
    "grpc.aio": channels_of_a_loop,
    "tcp": tcp,
    "asgi": asgi,
    "wsgi": wsgi,
    "aiohttp.server": aiohttp_server,
    "grpc.server": grpc_server,
    "grpc.aio.server": grpc_server_of_a_loop,
}


def held() -> tuple[int, int]:
    """(threads, descriptors) of this process."""
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


@untraced()
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
@pytest.mark.parametrize("suite", SUITES)
def test_many_calls_leave_nothing_behind(suite: str, mesh: proxyless.Mesh) -> None:
    with SUITES[suite](mesh) as some:
        some(max(200, CALLS // 10))
        objects_before, before = objects(), held()
        some(CALLS)
        growth: list[int] = []

        def calm() -> bool:
            """Threads of connections, and of callers that gave up, may still be ending."""
            growth.append(objects() - objects_before)
            return growth[-1] < MOST and all(now <= was + 2 for now, was in zip(held(), before, strict=True))

        try:
            wait_for(calm, 60)
        finally:
            print(f"{suite}: {growth[-1]} objects more after {CALLS} calls; before {before}, now {held()}")
