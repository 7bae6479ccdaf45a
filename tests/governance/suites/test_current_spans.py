"""The span of a request is the program's current one while the app's code runs, behind every kind of server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import flask
import grpc
import httpx
import pytest
from aiohttp import web
from opentelemetry.context import get_current
from opentelemetry.instrumentation import grpc as instrumented_grpc
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import ReadableSpan

import proxyless
import proxyless.aiohttp
import proxyless.httpx
import proxyless.wsgi
from proxyless.governance.suites.wsgi import Body
from tests.governance.suites.test_grpc_servers import HOW, served
from tests.governance.suites.test_spans import BACKEND, PARENT, SPAN, TRACE, URL, Recorded, ids, mesh_of, parent
from tests.governance.suites.test_spans import backends as backends
from tests.governance.suites.test_spans import recorded as recorded
from tests.support.backends import Backends
from tests.support.environs import environ_of
from tests.support.grpc_echo import SERVICE
from tests.support.waiting import wait_for


@pytest.fixture
def mesh(tmp_path: Path, backends: Backends, recorded: Recorded) -> Iterator[proxyless.Mesh]:
    with mesh_of(tmp_path, backends.ports[BACKEND], recorded) as made:
        yield made


class App:
    """What an app does in a request: a span of its own, and a call in it. It notes what it finds."""

    def __init__(self, mesh: proxyless.Mesh, recorded: Recorded) -> None:
        self.mesh, self.tracer = mesh, recorded.provider.get_tracer("app")

    def work(self, name: str = "own") -> None:
        with (
            self.tracer.start_as_current_span(name),
            httpx.Client(transport=proxyless.httpx.Transport(self.mesh)) as client,
        ):
            client.get(URL)

    async def work_async(self, name: str = "own") -> None:
        with self.tracer.start_as_current_span(name):
            async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(self.mesh)) as client:
                await client.get(URL)


@pytest.fixture
def app(mesh: proxyless.Mesh, recorded: Recorded) -> App:
    return App(mesh, recorded)


def line_of(spans: list[ReadableSpan], first: str = SPAN) -> list[ReadableSpan]:
    """The spans one beneath the other; all of them, and nothing twice."""
    found: list[ReadableSpan] = []
    at = first
    while below := [each for each in spans if parent(each) == at]:
        (one,) = below
        found.append(one)
        at = ids(one)[1]
    assert len(found) == len(spans), [(each.name, parent(each), ids(each)) for each in spans]
    assert {ids(each)[0] for each in spans} == {TRACE}
    return found


def scopes(spans: list[ReadableSpan]) -> list[str]:
    """Whose they are."""
    return [each.instrumentation_scope.name.split(".")[-1] for each in spans if each.instrumentation_scope is not None]


def ask(app: Any, *, ours: bool = True) -> bytes:
    """The body that a server of WSGI sends. `ours`: between its parts nothing of the request is left in the thread."""
    environ = environ_of("GET", "/in", (("host", "web"), *PARENT.items()), client=("127.0.10.9", 1), port=8000)
    result: Iterable[bytes] = app(environ, lambda *args: lambda data: None)
    parts = []
    before = get_current()
    for each in result:
        assert get_current() == before or not ours
        parts.append(each)
    close = getattr(result, "close", None)
    if close is not None:
        close()
    assert get_current() == before or not ours
    return b"".join(parts)


def test_calls_of_a_wsgi_app_are_children_of_its_request(app: App, recorded: Recorded) -> None:
    def answer(environ: Any, start_response: Any) -> list[bytes]:
        app.work()
        start_response("200 OK", [])
        return [b"ok"]

    assert ask(proxyless.wsgi.Middleware(answer, app.mesh, port=8000)) == b"ok"
    assert scopes(line_of(recorded.take())) == ["proxyless", "app", "proxyless"]


def test_so_are_those_that_it_makes_for_the_parts_of_a_body_and_at_its_end(app: App, recorded: Recorded) -> None:
    class Parts:
        def __init__(self) -> None:
            self.parts = self.made()

        def __iter__(self) -> Iterator[bytes]:
            return self.parts

        def made(self) -> Iterator[bytes]:
            with app.tracer.start_as_current_span("body"):
                app.work("first")
                yield b"a"
                app.work("second")
                yield b"b"

        def close(self) -> None:
            app.work("end")

    def answer(environ: Any, start_response: Any) -> Parts:
        start_response("200 OK", [])
        return Parts()

    assert ask(proxyless.wsgi.Middleware(answer, app.mesh, port=8000)) == b"ab"
    by_name = {each.name: each for each in recorded.take() if scopes([each]) == ["app"]}
    body = by_name["body"]
    request = parent(by_name["end"])
    assert [parent(by_name[name]) for name in ("body", "first", "second")] == [request, ids(body)[1], ids(body)[1]]


def test_a_body_that_nobody_reads_to_its_end_leaves_nothing_behind(
    app: App, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        with app.tracer.start_as_current_span("body"):
            yield b"a"
            yield b"b"

    environ = environ_of("GET", "/in", (("host", "web"), *PARENT.items()), client=("127.0.10.9", 1), port=8000)
    before = get_current()
    result = proxyless.wsgi.Middleware(answer, app.mesh, port=8000)(environ, lambda *args: lambda data: None)
    assert isinstance(result, Body)
    assert next(iter(result)) == b"a"
    result.close()
    assert get_current() == before
    assert scopes(line_of(recorded.take())) == ["proxyless", "app"]
    assert not caplog.records


@pytest.mark.parametrize("outside", [True, False])
def test_with_the_instrumentation_of_wsgi_no_span_is_there_twice(app: App, recorded: Recorded, outside: bool) -> None:
    def answer(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        app.work()
        yield b"ok"

    def instrumented(wrapped: Any) -> Any:
        return OpenTelemetryMiddleware(wrapped, tracer_provider=recorded.provider)

    def governed(wrapped: Any) -> Any:
        return proxyless.wsgi.Middleware(wrapped, app.mesh, port=8000)

    both = instrumented(governed(answer)) if outside else governed(instrumented(answer))
    assert ask(both, ours=not outside) == b"ok"
    servers = ["wsgi", "proxyless"] if outside else ["proxyless", "wsgi"]
    assert scopes(line_of(recorded.take())) == [*servers, "app", "proxyless"]


def test_with_the_instrumentation_of_flask_neither(
    app: App, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    shop = flask.Flask("shop")
    instrumentor: Any = FlaskInstrumentor()
    instrumentor.instrument_app(shop, tracer_provider=recorded.provider)

    @shop.get("/in")
    def view() -> str:
        app.work(flask.request.path)
        return "ok"

    assert ask(proxyless.wsgi.Middleware(shop, app.mesh, port=8000)) == b"ok"
    line = line_of(recorded.take())
    assert scopes(line) == ["proxyless", "flask", "app", "proxyless"]
    assert (line[1].name, line[2].name) == ("GET /in", "/in")
    assert not [each for each in caplog.records if each.name.startswith("opentelemetry")]


@pytest.fixture(params=[True, False])
def own(request: pytest.FixtureRequest, recorded: Recorded) -> Iterator[bool]:
    """Whether the library's own instrumentation is there."""
    if not request.param:
        yield False
        return
    theirs = AioHttpServerInstrumentor()
    theirs.instrument(tracer_provider=recorded.provider)
    try:
        yield True
    finally:
        theirs.uninstrument()


def test_requests_of_an_aiohttp_server_are_parents_each_of_its_own_calls(
    app: App, recorded: Recorded, own: bool
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await app.work_async()

        async def parts() -> AsyncIterator[bytes]:
            await app.work_async("body")
            yield b"ok"

        if "deny" in request.query:
            raise web.HTTPForbidden
        return web.Response(body=parts() if "body" in request.query else b"ok")

    async def run() -> None:
        made = web.Application(middlewares=[proxyless.aiohttp.server(app.mesh, port=8000)])
        made.router.add_get("/in", handler)
        runner = web.AppRunner(made)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as client:
                for query in ("", "?deny=1", "?body=1"):
                    url = f"http://127.0.0.1:{runner.addresses[0][1]}/in{query}"
                    async with client.get(url, headers=PARENT) as response:
                        await response.read()
        finally:
            await runner.cleanup()

    asyncio.run(run())
    spans = recorded.take()
    requests = [each for each in spans if parent(each) == SPAN]
    expected = [*(["aiohttp_server"] if own else []), "proxyless", "app", "proxyless"]
    assert len(requests) == 3
    for request in requests[:2]:
        assert scopes(below(spans, request)) == expected
    assert scopes(below(spans, requests[2])) == [*expected, "app", "proxyless"]


def below(spans: list[ReadableSpan], top: ReadableSpan) -> list[ReadableSpan]:
    """A span, and whatever is beneath it, by when it began."""
    found = {ids(top)[1]}
    for each in spans:
        if parent(each) in found:
            found.add(ids(each)[1])
    return [each for each in spans if ids(each)[1] in found]


def methods(app: App) -> dict[str, Any]:
    """Handlers of threads that call."""

    def unary(request: bytes, context: Any) -> bytes:
        app.work()
        return request

    def stream(request: bytes, context: Any) -> Iterator[bytes]:
        with app.tracer.start_as_current_span("stream"):
            app.work("first")
            yield request
            app.work("second")
            yield request

    return {
        "UnaryUnary": grpc.unary_unary_rpc_method_handler(unary),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(stream),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(
            lambda requests, context: unary(b"".join(requests), context)
        ),
        "StreamStream": grpc.stream_stream_rpc_method_handler(
            lambda requests, context: stream(b"".join(requests), context)
        ),
    }


def methods_async(app: App) -> dict[str, Any]:
    """The same of a loop."""

    async def unary(request: bytes, context: Any) -> bytes:
        await app.work_async()
        return request

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        with app.tracer.start_as_current_span("stream"):
            await app.work_async("first")
            yield request
            await app.work_async("second")
            yield request

    async def joined(requests: Any, context: Any) -> bytes:
        return await unary(b"".join([each async for each in requests]), context)

    async def streams(requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for each in stream(b"".join([each async for each in requests]), context):
            yield each

    return {
        "UnaryUnary": grpc.unary_unary_rpc_method_handler(unary),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(stream),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(joined),
        "StreamStream": grpc.stream_stream_rpc_method_handler(streams),
    }


def call_all(port: int) -> None:
    """Each kind once, one after the other."""
    metadata = tuple(PARENT.items())
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as opened:
        channel: Any = opened
        channel.unary_unary(SERVICE + "UnaryUnary")(b"x", metadata=metadata, timeout=30)
        list(channel.unary_stream(SERVICE + "UnaryStream")(b"x", metadata=metadata, timeout=30))
        channel.stream_unary(SERVICE + "StreamUnary")(iter([b"x"]), metadata=metadata, timeout=30)
        list(channel.stream_stream(SERVICE + "StreamStream")(iter([b"x"]), metadata=metadata, timeout=30))


OWN: dict[str, Callable[..., Any]] = {
    "threads": instrumented_grpc.server_interceptor,
    "loop": instrumented_grpc.aio_server_interceptor,
}


@pytest.mark.parametrize(
    ("how", "handlers", "own"),
    [
        *((how, methods if how == "threads" else methods_async, own) for how in HOW for own in (True, False)),
        ("loop", methods, False),
    ],
)
def test_calls_of_grpc_handlers_are_children_of_theirs(
    how: str, handlers: Any, own: bool, app: App, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    behind = (OWN[how](tracer_provider=recorded.provider),) if own else ()
    with served(how, app.mesh, handlers(app), behind=behind) as port:
        call_all(port)
    spans = recorded.take()
    requests = [each for each in spans if parent(each) == SPAN]
    assert scopes(requests) == ["proxyless"] * 4
    servers = ["proxyless", *(["grpc"] if own else [])]
    for request, streams in zip(requests, (False, True, False, True), strict=True):
        own_spans = ["app", "app", "proxyless", "app", "proxyless"] if streams else ["app", "proxyless"]
        assert scopes(below(spans, request)) == [*servers, *own_spans]
    assert not [each for each in caplog.records if each.name.startswith("opentelemetry")]


def test_what_a_stream_that_is_given_up_has_entered_is_left_where_it_was(
    app: App, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    def endless(request: bytes, context: Any) -> Iterator[bytes]:
        with app.tracer.start_as_current_span("stream"):
            while True:
                yield request

    methods = {"UnaryStream": grpc.unary_stream_rpc_method_handler(endless)}
    with served("threads", app.mesh, methods) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
        channel: Any = opened
        stream = channel.unary_stream(SERVICE + "UnaryStream")(b"x", metadata=tuple(PARENT.items()), timeout=30)
        assert next(stream) == b"x"
        stream.cancel()
        spans: list[ReadableSpan] = []

        def ended() -> bool:
            spans.extend(recorded.take())
            return len(spans) == 2

        wait_for(ended)
    assert {parent(each) for each in spans if each.name == "stream"} == {
        ids(each)[1] for each in spans if each.name != "stream"
    }
    assert not [each for each in caplog.records if each.name.startswith("opentelemetry")]
