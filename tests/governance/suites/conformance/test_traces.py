"""Requests to hosts that the mesh does not know: the library's own, with the context of their spans."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace

from proxyless import Mesh
from proxyless.governance.telemetry.opentelemetry import OpenTelemetrySpans
from tests.governance.suites.conformance.adapter import Adapter
from tests.governance.suites.test_spans import BACKEND, PARENT, SPAN, TRACE, Recorded, context_of, ids, mesh_of, parent
from tests.support.backends import Backends
from tests.support.behaviour import Arrival


@pytest.fixture
def outside() -> Iterator[Backends]:
    with Backends([BACKEND]) as made:
        yield made


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def mesh(tmp_path: Path, outside: Backends, recorded: Recorded) -> Iterator[Mesh]:
    with mesh_of(tmp_path, outside.ports[BACKEND], recorded) as made:
        yield made


def test_a_request_that_is_let_out_tells_of_its_span(
    client: Adapter, mesh: Mesh, outside: Backends, recorded: Recorded
) -> None:
    url = f"http://{BACKEND[0]}:{outside.ports[BACKEND]}/a?q=1"
    headers = (("X-Own", "1"), ("Traceparent", PARENT["traceparent"]))
    assert client.call("POST", url, headers=headers, body=b"hello").status == 200
    (span,), (arrival,) = recorded.take(), outside.take()
    assert (span.kind, span.name) == (trace.SpanKind.CLIENT, f"egress {BACKEND[0]}:{outside.ports[BACKEND]}")
    assert (ids(span)[0], parent(span), context_of(arrival)) == (TRACE, SPAN, ids(span))
    assert span.attributes is not None
    assert (span.attributes["guid:x-request-id"], arrival.header("x-request-id")[14]) == (
        arrival.header("x-request-id"),
        "9",
    )
    assert span.attributes["upstream_cluster"] == "PassthroughCluster"
    assert (arrival.method, arrival.target, arrival.body) == ("POST", "/a?q=1", b"hello")
    assert (arrival.header("x-own"), arrival.header("x-forwarded-proto")) == ("1", "")
    mesh.runtime.spans = OpenTelemetrySpans(provider=trace.NoOpTracerProvider())
    assert client.call("GET", url).status == 200
    (arrival,) = outside.take()
    assert (arrival.header("traceparent"), arrival.header("x-request-id")) == ("", "")


def test_all_else_goes_out_as_the_library_says_it(
    client: Adapter, mesh: Mesh, outside: Backends, recorded: Recorded
) -> None:
    url = f"http://{BACKEND[0]}:{outside.ports[BACKEND]}/"
    given = (("X-Own", "1"), ("X-Request-Id", "00000000-1111-4222-8333-444455556666"), ("X-Own", "2"))
    for _ in range(2):
        assert client.call("GET", url, headers=given).status == 200
    traced = outside.take()
    assert [context_of(each) for each in traced] == [ids(each) for each in recorded.take()]
    assert {each.header("x-request-id") for each in traced} == {"00000000-1111-9222-8333-444455556666"}
    mesh.runtime.spans = None
    assert client.call("GET", url, headers=given).status == 200
    (plain,) = outside.take()
    assert plain.header("x-request-id") == given[1][1]
    assert [others(each) for each in traced] == [others(plain)] * 2


def others(arrival: Arrival) -> list[tuple[str, str]]:
    """What has nothing to do with the trace."""
    ours = ("traceparent", "tracestate", "x-request-id")
    return [(name, value) for name, value in arrival.headers if name.lower() not in ours]
