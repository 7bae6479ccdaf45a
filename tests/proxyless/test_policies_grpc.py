"""Lists of policies in the gRPC suites: channels and servers, in threads and on an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

import proxyless.grpc.aio
from proxyless import ConfigurationError, Mesh
from proxyless.policies import MESH, Fallback, Request, Response, off
from tests.governance.suites.grpc_served import SERVICE, Served, entry, meshed
from tests.governance.suites.test_grpc_servers import HOW
from tests.support.grpc_echo import SERVICE as ECHO
from tests.support.grpc_echo import serving, serving_aio

Seen = dict[str, Any]
Call = Callable[[Mesh, str, list[Any]], Seen]
GOVERNED = "recommend.example.com:50051"
ABORTED = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: down, namespace: shop}
spec:
  hosts: [down.example.com]
  http:
  - fault: {abort: {percentage: {value: 100}, grpcStatus: "ABORTED"}}
    route: [{destination: {host: down.example.com}}]
"""


class Tenant:
    def on_request(self, request: Request) -> None:
        request.headers["x-tenant"] = "acme"

    def on_response(self, request: Request, response: Response) -> None:
        response.headers["x-seen"] = request.headers["x-tenant"]


class Shut:
    def on_request(self, request: Request) -> Response | None:
        if not request.path.endswith("/Get") and not request.path.endswith("/UnaryUnary"):
            return None
        return Response(403, "shut", {"x-why": "because"})


class Late:
    async def on_request(self, request: Request) -> None:
        await asyncio.sleep(0)
        request.headers["x-tenant"] = "late"


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with Served("a") as made:
        yield made


@pytest.fixture(scope="module")
def mesh(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    text = entry("recommend", [server.port]) + entry("down", [server.port]) + ABORTED
    with meshed(tmp_path_factory.mktemp("mesh"), text) as made:
        yield made


def in_threads(mesh: Mesh, target: str, policies: list[Any], method: str = "Metadata") -> Seen:
    opened: Any = proxyless.grpc.channel(target, mesh, policies=policies)
    with opened as channel:
        try:
            message, call = channel.unary_unary(SERVICE + method).with_call(b"x", timeout=30)
        except grpc.RpcError as error:
            failed: Any = error
            return {"code": failed.code().name, "text": failed.details(), **dict(failed.trailing_metadata())}
        return {"message": message, **dict(call.initial_metadata())}


def on_loop(mesh: Mesh, target: str, policies: list[Any], method: str = "Metadata") -> Seen:
    async def work() -> Seen:
        opened: Any = proxyless.grpc.aio.channel(target, mesh, policies=policies)
        async with opened as channel:
            call = channel.unary_unary(SERVICE + method)(b"x", timeout=30)
            try:
                message = await call
            except grpc.aio.AioRpcError as error:
                said: Any = error.trailing_metadata()
                return {"code": error.code().name, "text": error.details(), **dict(said)}
            return {"message": message, **dict(await call.initial_metadata())}

    return asyncio.run(work())


CALLS = [in_threads, on_loop]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("governed", [True, False])
def test_what_a_policy_changes_is_what_arrives(mesh: Mesh, server: Served, call: Call, governed: bool) -> None:
    server.take()
    found = call(mesh, GOVERNED if governed else f"127.0.0.1:{server.port}", [Tenant()])
    assert (found["message"], found["early"], found["x-seen"]) == (b"x", "yes", "acme")
    [(_, metadata)] = server.take()
    assert metadata["x-tenant"] == "acme"


@pytest.mark.parametrize("call", CALLS)
def test_a_policy_may_refuse(mesh: Mesh, server: Served, call: Any) -> None:
    server.take()
    found = call(mesh, GOVERNED, [Shut()], "Get")
    assert (found["code"], found["text"], found["x-why"]) == ("PERMISSION_DENIED", "shut", "because")
    assert not server.take()


@pytest.mark.parametrize("call", CALLS)
def test_fallbacks_are_another_status_or_another_host(mesh: Mesh, call: Any) -> None:
    down = "down.example.com:50051"
    assert call(mesh, down, [])["code"] == "ABORTED"
    own = Fallback(Response(503, "later", {"grpc-status": "8"}), on=["FI"])
    assert (call(mesh, down, [own])["code"], call(mesh, down, [own])["text"]) == ("RESOURCE_EXHAUSTED", "later")
    other = Fallback("http://recommend.example.com:50051", on=["FI"])
    assert call(mesh, down, [other])["message"] == b"x"
    assert call(mesh, down, [off("fault")])["message"] == b"x"


def test_a_coroutine_is_awaited_where_that_can_be(mesh: Mesh, server: Served) -> None:
    server.take()
    on_loop(mesh, GOVERNED, [Late()])
    assert server.take()[0][1]["x-tenant"] == "late"
    with pytest.raises(ConfigurationError, match=r"proxyless\.grpc\.channel: on_request of policy Late is a coroutine"):
        in_threads(mesh, GOVERNED, [Late()])


@pytest.mark.parametrize("how", HOW)
def test_calls_to_a_server(mesh: Mesh, how: str) -> None:
    kind: Any = proxyless.grpc if how == "threads" else proxyless.grpc.aio
    seen: Seen = {}

    def note(request: bytes, context: Any) -> bytes:
        seen.update(dict(context.invocation_metadata()))
        return request

    async def note_async(request: bytes, context: Any) -> bytes:
        return note(request, context)

    own = kind.ServerInterceptor(mesh, port=9999, policies=[Tenant(), MESH, Shut()])
    methods = {"Noted": grpc.unary_unary_rpc_method_handler(note if how == "threads" else note_async)}
    opening = [lambda server: server.add_insecure_port("127.0.0.1:0")]
    made: Any = serving([own], opening, methods) if how == "threads" else serving_aio(lambda: [own], opening, methods)
    with made as (port,):
        opened: Any = grpc.insecure_channel(f"127.0.0.1:{port}")
        with opened as channel:
            _, call = channel.unary_unary(ECHO + "Noted").with_call(b"x", timeout=30)
            assert (dict(call.initial_metadata())["x-seen"], seen["x-tenant"]) == ("acme", "acme")
            with pytest.raises(grpc.RpcError) as refused:
                channel.unary_unary(ECHO + "UnaryUnary")(b"x", timeout=30)
    failed: Any = refused.value
    assert failed.code() is grpc.StatusCode.PERMISSION_DENIED
    suites = {each["suite"]: each["policies"] for each in mesh.status()["policies"]["suites"]}
    suite = "proxyless.grpc.ServerInterceptor" if how == "threads" else "proxyless.grpc.aio.ServerInterceptor"
    assert [each["name"] for each in suites[suite] if each["kind"] == "own"] == ["Tenant", "Shut"]
