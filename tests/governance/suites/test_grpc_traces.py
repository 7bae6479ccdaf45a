"""Calls of gRPC to a host that the mesh does not know: grpcio's own channel, with the context of their spans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import proxyless.grpc
import proxyless.grpc.aio
from proxyless import Mesh
from proxyless.governance.telemetry.opentelemetry import OpenTelemetrySpans
from tests.governance.suites.grpc_served import SERVICE, Served
from tests.governance.suites.test_spans import PARENT, SPAN, TRACE, Recorded, ids, mesh_of, parent

METADATA = (("x-own", "1"), ("raw-bin", b"\x00,"), ("x-own", "2"), *PARENT.items())
Call = Callable[[str, Mesh, Any], bytes]


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served("a") as made:
        yield made


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def mesh(server: Served, tmp_path: Path, recorded: Recorded) -> Iterator[Mesh]:
    server.take()
    with mesh_of(tmp_path, server.port, recorded, protocol="GRPC") as made:
        yield made


def unary(target: str, mesh: Mesh, metadata: Any) -> bytes:
    channel: Any = proxyless.grpc.channel(target, mesh)
    with channel:
        answer: bytes = channel.unary_unary(SERVICE + "Get")(b"x", metadata=metadata, timeout=20)
        return answer


def streamed(target: str, mesh: Mesh, metadata: Any) -> bytes:
    channel: Any = proxyless.grpc.channel(target, mesh)
    with channel:
        return b"".join(channel.stream_stream(SERVICE + "Echo")(iter([b"a:", b"x"]), metadata=metadata, timeout=20))


def unary_on_a_loop(target: str, mesh: Mesh, metadata: Any) -> bytes:
    async def call() -> bytes:
        channel: Any = proxyless.grpc.aio.channel(target, mesh)
        async with channel:
            answer: bytes = await channel.unary_unary(SERVICE + "Get")(b"x", metadata=metadata, timeout=20)
            return answer

    return asyncio.run(call())


def streamed_on_a_loop(target: str, mesh: Mesh, metadata: Any) -> bytes:
    async def call() -> bytes:
        channel: Any = proxyless.grpc.aio.channel(target, mesh)
        async with channel:
            answers = channel.stream_stream(SERVICE + "Echo")(iter([b"a:", b"x"]), metadata=metadata, timeout=20)
            return b"".join([each async for each in answers])

    return asyncio.run(call())


@pytest.mark.parametrize("call", [unary, streamed, unary_on_a_loop, streamed_on_a_loop])
def test_a_call_that_is_let_out_tells_of_its_span(call: Call, mesh: Mesh, server: Served, recorded: Recorded) -> None:
    target = f"127.0.0.1:{server.port}"
    assert call(target, mesh, METADATA) == b"a:x"
    (span,), ((_, metadata),) = recorded.take(), server.take()
    assert (span.kind, span.name, ids(span)[0], parent(span)) == (
        trace.SpanKind.CLIENT,
        f"egress {target}",
        TRACE,
        SPAN,
    )
    assert metadata["traceparent"] == f"00-{TRACE}-{ids(span)[1]}-01"
    assert span.attributes is not None
    assert (span.attributes["guid:x-request-id"], metadata["x-request-id"][14]) == (metadata["x-request-id"], "9")
    assert span.attributes["grpc.path"] == SERVICE + ("Get" if "unary" in call.__name__ else "Echo")
    assert (metadata["x-own"], metadata["raw-bin"]) == ("2", b"\x00,")
    mesh.runtime.spans = OpenTelemetrySpans(provider=trace.NoOpTracerProvider())
    assert call(target, mesh, None) == b"a:x"
    ((_, metadata),) = server.take()
    assert not {"traceparent", "tracestate", "x-request-id"} & metadata.keys()
