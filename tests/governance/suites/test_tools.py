"""Tools of the libraries' ecosystems work around governed clients: instrumentation, and what answers in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import responses
import respx
from aiohttp_client_cache.session import CachedSession
from aiohttp_retry import ExponentialRetry, RetryClient
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import proxyless.aiohttp
import proxyless.httpx
import proxyless.requests
from proxyless import Mesh
from tests.governance.suites.conformance.adapters import found
from tests.support.backends import Backends

ONE = "http://one.example.com/"
INSTRUMENTORS: dict[str, Any] = {
    "aiohttp": AioHttpClientInstrumentor,
    "httpx": HTTPXClientInstrumentor,
    "httpx-async": HTTPXClientInstrumentor,
    "requests": RequestsInstrumentor,
    "urllib3": URLLib3Instrumentor,
}


@pytest.fixture
def session(mesh: Mesh, backends: Backends) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        made.mount("http://", proxyless.requests.Adapter(mesh))
        yield made


@pytest.mark.parametrize("name", INSTRUMENTORS)
def test_opentelemetry_makes_a_span_and_its_context_travels(name: str, mesh: Mesh, backends: Backends) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = INSTRUMENTORS[name]()
    instrumentor.instrument(tracer_provider=provider)
    try:
        with found()[name](mesh) as client:
            assert client.call("GET", ONE).status == 200
    finally:
        instrumentor.uninstrument()
    (span,) = exporter.get_finished_spans()
    (arrival,) = backends.take()
    assert f"{span.context.trace_id:032x}-{span.context.span_id:016x}" in arrival.header("traceparent")


@responses.activate
def test_responses_answers_in_place_of_a_governed_session(session: requests.Session, backends: Backends) -> None:
    responses.add(responses.GET, ONE, json={"mocked": True})
    assert session.get(ONE).json() == {"mocked": True}
    assert backends.take() == []


def test_respx_answers_in_place_of_a_governed_client(mesh: Mesh, backends: Backends) -> None:
    """With `using="httpx"`: its default is to replace httpcore's pool, which a governed client does not have."""
    with respx.mock(using="httpx") as router, httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        router.get(ONE).respond(json={"mocked": True})
        assert client.get(ONE).json() == {"mocked": True}
    assert backends.take() == []


def test_pytest_httpx_answers_in_place_of_a_governed_client(mesh: Mesh, backends: Backends, httpx_mock: Any) -> None:
    httpx_mock.add_response(url=ONE, json={"mocked": True})
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        assert client.get(ONE).json() == {"mocked": True}
    assert backends.take() == []


def test_what_wraps_a_session_of_aiohttps_goes_on_working(mesh: Mesh, backends: Backends) -> None:
    """A cache around it answers what the mesh need not see; tries of its own are calls of the mesh's, each."""

    async def work() -> None:
        governs = [proxyless.aiohttp.middleware(mesh)]
        async with CachedSession(middlewares=governs) as session:
            calls = []
            for _ in range(2):
                async with session.get(ONE) as response:
                    assert (response.status, len(await response.read()) > 0) == (200, True)
                    calls.append(proxyless.aiohttp.call(response))
            assert (calls[0].attempts, calls[1]) == (1, None)
        assert len(backends.take()) == 1
        retry = ExponentialRetry(attempts=2, start_timeout=0.001, statuses={503})
        wanted = {"x-backend": "status=503"}
        async with (
            aiohttp.ClientSession(middlewares=governs) as session,
            RetryClient(session, retry_options=retry) as client,
            client.get("http://retry.example.com/", headers=wanted) as response,
        ):
            assert (response.status, proxyless.aiohttp.call(response).attempts) == (503, 3)
        assert len(backends.take()) == 2 * 3

    asyncio.run(work())
