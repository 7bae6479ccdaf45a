"""Compression, by channel, server and call: what travels is what it is without a mesh, with both of grpcio's APIs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from h2.events import RequestReceived, StreamEnded

import proxyless.grpc
import proxyless.grpc.aio
from proxyless import Mesh
from proxyless.policies import off
from proxyless.xds.model.values import HeaderMutation, HeaderMutations
from tests.support.grpc_echo import SERVICE, serving, serving_aio
from tests.support.http2_services import Http2Service, Peer
from tests.support.model import chain, cluster, listener, manager, route, snapshot, table, vhost

BODY = b"z" * 10_000
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
ALGORITHMS = (None, grpc.Compression.NoCompression, grpc.Compression.Deflate, grpc.Compression.Gzip)
Said = dict[tuple[Any, Any, str], list[bytes]]
"""By what channel and call say, and the kind of the call."""


def flags(body: bytes) -> list[int]:
    """Of each message of a body whether it is compressed."""
    found = []
    while body:
        found.append(body[0])
        body = body[5 + int.from_bytes(body[1:5], "big") :]
    return found


class Telling:
    """Answers each call with how its messages were compressed."""

    def __init__(self) -> None:
        self._encodings: dict[tuple[int, int], bytes] = {}

    def __call__(self, peer: Peer, event: Any) -> None:
        if isinstance(event, RequestReceived):
            said = dict(event.headers)
            self._encodings[peer.number, event.stream_id] = said.get(b"grpc-encoding", b"none")
        elif isinstance(event, StreamEnded):
            stream = event.stream_id
            encoding = self._encodings.pop((peer.number, stream))
            peer.answer(stream, b"%b %r" % (encoding, flags(peer.bodies.pop(stream, b""))))


@pytest.fixture(scope="module")
def service() -> Iterator[Http2Service]:
    with Http2Service(Telling()) as made:
        yield made


@pytest.fixture(scope="module")
def mesh(service: Http2Service) -> Iterator[Mesh]:
    held = snapshot(tables=[table(route("/", "a"))], clusters=[cluster("a", f"127.0.0.1:{service.port}", http2=True)])
    with Mesh._from_snapshot(held, status_socket=False) as made:
        yield made


def given(kind: str) -> Any:
    return BODY if kind.startswith("unary") else iter((BODY, BODY))


def said_sync(opened: Callable[[Any], Any]) -> Said:
    found: Said = {}
    for of_channel in ALGORITHMS:
        with opened(of_channel) as channel:
            for of_call, kind in product(ALGORITHMS, KINDS):
                got = getattr(channel, kind)("/a/b")(given(kind), compression=of_call, timeout=30)
                found[of_channel, of_call, kind] = list(got) if kind.endswith("_stream") else [got]
    return found


async def said_aio(opened: Callable[[Any], Any]) -> Said:
    found: Said = {}
    for of_channel in ALGORITHMS:
        async with opened(of_channel) as channel:
            for of_call, kind in product(ALGORITHMS, KINDS):
                made = getattr(channel, kind)("/a/b")(given(kind), compression=of_call, timeout=30)
                got = [each async for each in made] if kind.endswith("_stream") else [await made]
                found[of_channel, of_call, kind] = got
    return found


def differences(ours: Said, theirs: Said) -> list[str]:
    assert ours.keys() == theirs.keys()
    return [f"{key}: {ours[key]}, by grpcio {theirs[key]}" for key in theirs if ours[key] != theirs[key]]


def sensible(said: Said) -> bool:
    """Whether somebody has compressed at all, and what a call says counts more than its channel."""
    gzip, deflate = grpc.Compression.Gzip, grpc.Compression.Deflate
    return (
        said[None, None, "unary_unary"] == [b"none [0]"]
        and said[None, gzip, "unary_unary"] == said[gzip, None, "unary_unary"] == [b"gzip [1]"]
        and said[gzip, deflate, "stream_unary"] == said[None, deflate, "stream_stream"] == [b"deflate [1, 1]"]
    )


def test_what_a_channel_and_a_call_say_of_requests(mesh: Mesh, service: Http2Service) -> None:
    theirs = said_sync(lambda said: grpc.insecure_channel(f"127.0.0.1:{service.port}", compression=said))
    assert sensible(theirs)
    assert differences(said_sync(lambda said: proxyless.grpc.channel("shop:80", mesh, compression=said)), theirs) == []


def test_the_same_on_an_event_loop(mesh: Mesh, service: Http2Service) -> None:
    target = f"127.0.0.1:{service.port}"
    theirs = asyncio.run(said_aio(lambda said: grpc.aio.insecure_channel(target, compression=said)))
    assert sensible(theirs)
    ours = asyncio.run(said_aio(lambda said: proxyless.grpc.aio.channel("shop:80", mesh, compression=said)))
    assert differences(ours, theirs) == []


def test_a_call_that_the_mesh_does_not_govern(mesh: Mesh, service: Http2Service) -> None:
    target, gzip = f"127.0.0.1:{service.port}", grpc.Compression.Gzip
    with proxyless.grpc.channel(target, mesh, compression=gzip, policies=[off("routing")]) as opened:
        channel: Any = opened
        made = channel.unary_unary("/a/b")
        assert made(BODY, timeout=30) == b"gzip [1]"
        assert made(BODY, timeout=30, compression=grpc.Compression.Deflate) == b"deflate [1]"


# -- servers ----------------------------------------------------------------------------------------------------------

HOW = ("threads", "loop")
WISHES = ("", "deflate", "identity", "not the next")
ADDED = HeaderMutations(response_add=(HeaderMutation("x-added", "yes"),))


def wished(context: Any) -> None:
    wish = dict(context.invocation_metadata()).get("x-wish")
    if wish == "deflate":
        context.set_compression(grpc.Compression.Deflate)
    elif wish == "identity":
        context.set_compression(grpc.Compression.NoCompression)
    elif wish:
        context.disable_next_message_compression()


def one(request: bytes, context: Any) -> bytes:
    wished(context)
    return request


def many(request: bytes, context: Any) -> Iterator[bytes]:
    wished(context)
    yield request
    yield request


async def one_async(request: bytes, context: Any) -> bytes:
    answer = one(request, context)
    await context.send_initial_metadata(())  # else grpcio does not heed what a handler says
    return answer


async def many_async(request: bytes, context: Any) -> Any:
    wished(context)
    await context.send_initial_metadata(())
    for each in (request, request):
        yield each


async def writing(request: bytes, context: Any) -> None:
    wished(context)
    await context.send_initial_metadata(())
    for each in (request, request):
        await context.write(each)


THREADS = {"One": grpc.unary_unary_rpc_method_handler(one), "Many": grpc.unary_stream_rpc_method_handler(many)}
LOOP = {
    "One": grpc.unary_unary_rpc_method_handler(one_async),
    "Many": grpc.unary_stream_rpc_method_handler(many_async),
    "Writing": grpc.unary_stream_rpc_method_handler(writing),
}


def inbound(*, mutates: bool) -> Mesh:
    """A mesh whose inbound chain lets everything through; `mutates`: and has something to say of responses."""
    routes = table(vhost(route("/", "inbound"), headers=ADDED if mutates else HeaderMutations()))
    held = snapshot(listeners=[listener("virtualInbound", chain(manager(routes), "app"))])
    return Mesh._from_snapshot(held, status_socket=False)


@contextmanager
def served(how: str, mesh: Mesh | None, compression: Any) -> Iterator[int]:
    with ExitStack() as stack:
        interceptors: list[Any] = []
        if mesh is not None:
            module: Any = proxyless.grpc if how == "threads" else proxyless.grpc.aio
            interceptors = [module.ServerInterceptor(mesh, port=8000)]
        if how == "threads":
            (port,) = stack.enter_context(serving(interceptors, methods=THREADS, compression=compression))
        else:
            (port,) = stack.enter_context(serving_aio(lambda: interceptors, methods=LOOP, compression=compression))
        yield port


def answered(client: httpx.Client, port: int, method: str, wish: str) -> tuple[str, list[int]]:
    """How the messages of a response were compressed."""
    headers = {"content-type": "application/grpc", "te": "trailers", "grpc-accept-encoding": "identity, deflate, gzip"}
    if wish:
        headers["x-wish"] = wish
    framed = b"\0" + len(BODY).to_bytes(4, "big") + BODY
    response = client.post(f"http://127.0.0.1:{port}{SERVICE}{method}", content=framed, headers=headers, timeout=30)
    return response.headers.get("grpc-encoding", "none"), flags(response.content)


@pytest.mark.parametrize("mutates", [False, True])
@pytest.mark.parametrize("how", HOW)
def test_what_a_server_and_a_handler_say_of_responses(how: str, mutates: bool) -> None:
    with inbound(mutates=mutates) as mesh, httpx.Client(http1=False, http2=True) as client:
        for compression in ALGORITHMS:
            with served(how, None, compression) as plain, served(how, mesh, compression) as governed:
                for method, wish in product(THREADS if how == "threads" else LOOP, WISHES):
                    theirs = answered(client, plain, method, wish)
                    assert answered(client, governed, method, wish) == theirs, (compression, method, wish)
                    if wish in ("", "deflate") and compression is grpc.Compression.Gzip:
                        count = 1 if method == "One" else 2
                        assert theirs == (wish or "gzip", [1] * count)


@pytest.mark.parametrize("how", HOW)
def test_requests_that_are_compressed_are_read(how: str) -> None:
    with (
        inbound(mutates=False) as mesh,
        served(how, mesh, None) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}", compression=grpc.Compression.Gzip) as opened,
    ):
        channel: Any = opened
        assert channel.unary_unary(SERVICE + "One")(BODY, timeout=30) == BODY
        assert list(channel.unary_stream(SERVICE + "Many")(BODY, timeout=30)) == [BODY, BODY]
