"""Spans by OpenTelemetry's SDK, through real clients, with and without the libraries' own instrumentations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.httpx import AsyncOpenTelemetryTransport, SyncOpenTelemetryTransport
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import proxyless
import proxyless.aiohttp
import proxyless.httpx
from proxyless.governance.suites.asgi import AsgiMiddleware
from proxyless.governance.telemetry.opentelemetry import OpenTelemetrySpans, open_telemetry
from tests.support.backends import Backends
from tests.support.behaviour import Arrival

BACKEND = ("127.0.46.1", 8080)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: catalog, namespace: shop}}
spec:
  hosts: [catalog.example.com]
  ports:
  - {{number: 80, name: http, protocol: HTTP}}
  - {{number: {port}, name: own, protocol: {protocol}}}
  resolution: STATIC
  endpoints: [{{address: {address}, ports: {{http: {port}, own: {port}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: collector, namespace: shop}}
spec:
  hosts: [collector.example.com]
  ports: [{{number: 4317, name: grpc, protocol: GRPC}}]
  resolution: DNS
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: tracing, namespace: shop}}
spec:
  tracing:
  - providers: [{{name: otel}}]
    randomSamplingPercentage: {sampling}
"""
MESH = """\
extensionProviders:
- name: otel
  opentelemetry: {service: collector.example.com, port: 4317}
"""


class Recorded:
    """What an SDK was told."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def take(self) -> list[ReadableSpan]:
        """The spans that are over, by when they began."""
        found = sorted(self._exporter.get_finished_spans(), key=lambda each: each.start_time or 0)
        self._exporter.clear()
        return found


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    with Backends([BACKEND]) as made:
        yield made


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def mesh_of(
    folder: Path, port: int, recorded: Recorded, sampling: float = 100, protocol: str = "HTTP"
) -> proxyless.Mesh:
    """`port`: where the host's endpoint listens. The mesh takes connections to it at any address for this protocol."""
    entry = ENTRY.format(address=BACKEND[0], port=port, sampling=sampling, protocol=protocol)
    (folder / "shop.yaml").write_text(entry)
    (folder / "mesh.yaml").write_text(MESH)
    node = proxyless.Node(app="web", namespace="shop", ip="127.0.10.1")
    mesh = proxyless.Mesh.from_config(folder, node=node, registry=False, mesh_config=folder / "mesh.yaml")
    mesh.runtime.spans = OpenTelemetrySpans(provider=recorded.provider)
    mesh.wait_ready(20)
    return mesh


@pytest.fixture
def mesh(tmp_path: Path, backends: Backends, recorded: Recorded) -> Iterator[proxyless.Mesh]:
    backends.take()
    with mesh_of(tmp_path, backends.ports[BACKEND], recorded) as made:
        yield made


URL = "http://catalog.example.com/items?q=1"


def context_of(arrival: Arrival) -> tuple[str, str]:
    _, trace_id, span_id, _ = arrival.header("traceparent").split("-")
    return trace_id, span_id


def ids(span: ReadableSpan) -> tuple[str, str]:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def parent(span: ReadableSpan) -> str:
    return f"{span.parent.span_id:016x}" if span.parent is not None else ""


def test_a_call_is_a_client_s_span_that_the_next_hop_continues(
    mesh: proxyless.Mesh, backends: Backends, recorded: Recorded
) -> None:
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        response = client.get(URL, headers=PARENT)
    (span,), (arrival,) = recorded.take(), backends.take()
    assert span.attributes is not None
    assert (span.name, span.kind) == ("catalog.example.com:80/*", trace.SpanKind.CLIENT)
    assert (ids(span)[0], parent(span), context_of(arrival)) == (TRACE, SPAN, ids(span))
    said = dict(span.attributes)
    assert said["http.url"] == URL
    assert said["upstream_cluster"] == "outbound|80||catalog.example.com"
    assert (said["http.status_code"], said["response_size"]) == ("200", str(len(response.content)))
    assert said["istio.canonical_service"] == "unknown"
    assert said["guid:x-request-id"] == arrival.header("x-request-id")
    assert str(said["guid:x-request-id"])[14] == "9"


def test_a_call_of_asyncio_that_fails_is_a_span_that_fails(
    mesh: proxyless.Mesh, backends: Backends, recorded: Recorded
) -> None:
    async def call() -> int:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh)) as client:
            return (await client.get(URL, headers={"x-backend": "status=500"})).status_code

    assert asyncio.run(call()) == 500
    (span,) = recorded.take()
    assert span.attributes is not None
    assert (span.status.status_code, span.attributes["error"]) == (trace.StatusCode.ERROR, "true")


def test_what_is_not_sampled_is_no_span_and_the_next_hop_is_told_so(
    tmp_path: Path, backends: Backends, recorded: Recorded
) -> None:
    backends.take()
    with (
        mesh_of(tmp_path, backends.ports[BACKEND], recorded, 0) as mesh,
        httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client,
    ):
        client.get(URL, headers=PARENT)
    (arrival,) = backends.take()
    assert recorded.take() == []
    assert arrival.header("traceparent").startswith(f"00-{TRACE}-")
    assert arrival.header("traceparent").endswith("-00")


def serve(app: Any, headers: dict[str, str]) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://web") as client:
            await client.get("/in", headers=headers)

    asyncio.run(run())


def test_a_call_inside_of_a_request_is_a_child_of_its_span(
    mesh: proxyless.Mesh, backends: Backends, recorded: Recorded
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh)) as client:
            await client.get(URL)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    serve(AsgiMiddleware(app, mesh.runtime, 8000), PARENT)
    server, client = recorded.take()
    assert [each.kind for each in (server, client)] == [trace.SpanKind.SERVER, trace.SpanKind.CLIENT]
    assert [parent(server), parent(client)] == [SPAN, ids(server)[1]]
    assert {ids(server)[0], ids(client)[0]} == {TRACE}
    assert [context_of(each) for each in backends.take()] == [ids(client)]
    assert server.attributes is not None
    assert (server.attributes["http.method"], server.attributes["response_size"]) == ("GET", "2")


@pytest.mark.parametrize("outside", [True, False])
def test_spans_of_the_libraries_own_instrumentations_are_parents_and_none_is_there_twice(
    mesh: proxyless.Mesh, backends: Backends, recorded: Recorded, *, outside: bool
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        inner = proxyless.httpx.AsyncTransport(mesh)
        transport = AsyncOpenTelemetryTransport(inner, tracer_provider=recorded.provider)
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(URL)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    def instrumented(wrapped: Any) -> Any:
        return OpenTelemetryMiddleware(wrapped, tracer_provider=recorded.provider, exclude_spans=["receive", "send"])

    def governed(wrapped: Any) -> Any:
        return AsgiMiddleware(wrapped, mesh.runtime, 8000)

    serve(instrumented(governed(app)) if outside else governed(instrumented(app)), PARENT)
    spans = recorded.take()
    chain = [SPAN]
    by_parent = {parent(each): each for each in spans}
    while chain[-1] in by_parent:
        chain.append(ids(by_parent[chain[-1]])[1])
    assert len(spans) == 4
    assert len(chain) == 5  # one after the other: server and server, client and client
    assert [context_of(each) for each in backends.take()] == [(TRACE, chain[-1])]
    scopes = [each.instrumentation_scope.name for each in spans if each.instrumentation_scope is not None]
    assert scopes.count("proxyless") == 2


def test_a_sync_instrumentation_is_a_parent_too(mesh: proxyless.Mesh, backends: Backends, recorded: Recorded) -> None:
    transport = SyncOpenTelemetryTransport(proxyless.httpx.Transport(mesh), tracer_provider=recorded.provider)
    with httpx.Client(transport=transport) as client:
        client.get(URL)
    theirs, ours = recorded.take()
    assert parent(ours) == ids(theirs)[1]
    assert [context_of(each) for each in backends.take()] == [ids(ours)]


def test_that_of_aiohttp_is_one_too(mesh: proxyless.Mesh, backends: Backends, recorded: Recorded) -> None:
    async def call() -> None:
        tracing = create_trace_config(tracer_provider=recorded.provider)
        governs = [proxyless.aiohttp.middleware(mesh)]
        async with aiohttp.ClientSession(middlewares=governs, trace_configs=[tracing]) as session:
            assert (await session.get(URL)).status == 200

    asyncio.run(call())
    outer, inner = recorded.take()
    (arrival,) = backends.take()
    assert parent(inner) == ids(outer)[1]
    assert context_of(arrival) == ids(inner)


def test_another_trace_that_a_program_names_is_what_is_continued(
    mesh: proxyless.Mesh, backends: Backends, recorded: Recorded
) -> None:
    tracer = recorded.provider.get_tracer("app")
    with tracer.start_as_current_span("job"), httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        client.get(URL, headers=PARENT)
        client.get(URL)
    job, named, unnamed = recorded.take()
    assert [parent(named), parent(unnamed)] == [SPAN, ids(job)[1]]
    assert [context_of(each) for each in backends.take()] == [ids(named), ids(unnamed)]


def test_without_an_sdk_nothing_is_recorded_and_no_header_is_touched(
    mesh: proxyless.Mesh, backends: Backends, recorded: Recorded
) -> None:
    mesh.runtime.spans = OpenTelemetrySpans(provider=trace.NoOpTracerProvider())
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        client.get(URL)
        client.get(URL, headers=PARENT)
    first, second = backends.take()
    assert (first.header("traceparent"), second.header("traceparent")) == ("", PARENT["traceparent"])


def test_the_api_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_telemetry() is not None
    monkeypatch.setattr("proxyless.governance.telemetry.opentelemetry.find_spec", lambda name: None)
    assert open_telemetry() is None

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("proxyless.governance.telemetry.opentelemetry.find_spec", missing)
    assert open_telemetry() is None
