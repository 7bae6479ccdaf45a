"""Governed gRPC channels of sync code, against real servers, over a mesh of the embedded control plane's."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import proxyless.grpc
from proxyless import Mesh
from proxyless.governance.cluster import ClusterRuntime
from tests.governance.suites.grpc_served import SERVICE, Served, code_of, entry, meshed
from tests.support.waiting import wait_for

RULES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: recommend, namespace: shop}
spec:
  hosts: [recommend.example.com]
  http:
  - match: [{uri: {exact: /shop.Recommend/Closed}}]
    directResponse: {status: 503, body: {string: "closed today"}}
  - match: [{uri: {exact: /shop.Recommend/Abandoned}}]
    fault: {abort: {percentage: {value: 100}, grpcStatus: "ABORTED"}}
    route: [{destination: {host: recommend.example.com}}]
  - match: [{uri: {exact: /shop.Recommend/Hang}}, {uri: {exact: /shop.Recommend/NumbersHang}}]
    timeout: 0.3s
    retries: {attempts: 0}
    route: [{destination: {host: recommend.example.com}}]
  - match: [{uri: {exact: /shop.Recommend/Get}, headers: {x-user: {exact: b}}}]
    route: [{destination: {host: only.example.com}}]
  - retries: {attempts: 2, retryOn: "unavailable", backoff: 1ms}
    headers: {request: {set: {x-set: a}, remove: [x-gone]}, response: {set: {x-served: c}}}
    route: [{destination: {host: recommend.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: recommend, namespace: shop}
spec:
  host: recommend.example.com
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
---
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[list[Served]]:
    with Served("a") as a, Served("b") as b:
        yield [a, b]


@pytest.fixture(scope="module")
def mesh(servers: list[Served], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    ports = [each.port for each in servers]
    text = entry("recommend", ports) + entry("only", ports[1:]) + entry("dead", [1]) + entry("old", ports, "http")
    with meshed(tmp_path_factory.mktemp("mesh"), text + RULES) as made:
        yield made


@pytest.fixture
def channel(mesh: Mesh, servers: list[Served]) -> Iterator[Any]:
    for each in servers:
        each.take()
        each.failures = 0
        each.cancelled.clear()
    with opened("recommend.example.com:50051", mesh) as made:
        yield made


def opened(target: str, mesh: Mesh) -> Any:
    """The stubs of grpcio's types want serializers, which it does not need."""
    return proxyless.grpc.channel(target, mesh)


def asked(servers: list[Served]) -> list[tuple[str, dict[str, Any]]]:
    return [one for each in servers for one in each.take()]


def under_way(mesh: Mesh, host: str = "recommend") -> int:
    cluster = mesh.runtime.plan.cluster(f"outbound|50051||{host}.example.com")
    assert isinstance(cluster, ClusterRuntime)
    return cluster.breaker(False).requests


def test_calls_go_to_the_endpoints_that_the_mesh_picks(channel: Any) -> None:
    get = channel.unary_unary(SERVICE + "Get")
    assert Counter(get(b"x") for _ in range(6)) == {b"a:x": 3, b"b:x": 3}


def test_metadata_routes_and_is_changed_as_headers_are(channel: Any, servers: list[Served]) -> None:
    get = channel.unary_unary(SERVICE + "Get")
    assert {get(b"x", metadata=(("x-user", "b"),)) for _ in range(4)} == {b"b:x"}
    asked(servers)
    sent = (("x-gone", "1"), ("raw-bin", b"\x00\xfe"), ("mine", "yes"))
    response, call = get.with_call(b"x", metadata=sent, timeout=20)
    assert (call.code(), dict(call.initial_metadata())["x-served"]) == (grpc.StatusCode.OK, "c")
    (_, seen) = asked(servers)[0]
    assert (seen["mine"], seen["raw-bin"], seen["x-set"]) == ("yes", b"\x00\xfe", "a")
    assert "x-gone" not in seen
    assert response in (b"a:x", b"b:x")


def test_metadata_of_the_server_comes_back(channel: Any) -> None:
    _, call = channel.unary_unary(SERVICE + "Metadata").with_call(b"x")
    assert (dict(call.initial_metadata())["early"], dict(call.trailing_metadata())) == ("yes", {"late": "too"})


def test_a_status_of_the_server_is_raised_as_it_is(channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(SERVICE + "Abort")(b"tea")
    error: Any = raised.value
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no tea: ü%")
    trailing = dict(error.trailing_metadata())
    assert (trailing["why"], trailing["raw-bin"]) == ("because", b"\x00\xff")
    assert "NOT_FOUND" in str(error)


def test_what_fails_before_its_response_is_retried(channel: Any, servers: list[Served]) -> None:
    for each in servers:
        each.failures = 1
    assert channel.unary_unary(SERVICE + "Flaky")(b"x") in (b"a:x", b"b:x")
    assert sorted(seen["x-envoy-attempt-count"] for _, seen in asked(servers)) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("method", "status", "text"),
    [
        ("Closed", "UNAVAILABLE", "closed today"),
        ("Abandoned", "ABORTED", "fault filter abort"),
        ("Hang", "UNAVAILABLE", "upstream request timeout"),
    ],
)
def test_what_the_mesh_answers_itself_is_a_status(channel: Any, method: str, status: str, text: str) -> None:
    assert code_of(lambda: channel.unary_unary(SERVICE + method)(b"x")) == (status, text)


def test_an_endpoint_that_nobody_listens_at(mesh: Mesh) -> None:
    with opened("dead.example.com:50051", mesh) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(SERVICE + "Get")(b"x")
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "remote connection failure" in error.details()
    assert "UF" in error.debug_error_string()


def test_a_cluster_of_another_protocol_says_what_is_wrong(mesh: Mesh) -> None:
    with opened("old.example.com:50051", mesh) as channel:
        code, details = code_of(lambda: channel.unary_unary(SERVICE + "Get")(b"x"))
    assert code == "UNAVAILABLE"
    assert "cluster outbound|50051||old.example.com" in details
    assert "name the port grpc" in details


def test_the_callers_deadline_is_its_own(channel: Any, servers: list[Served]) -> None:
    call = channel.unary_unary(SERVICE + "Wait")
    code, _ = code_of(lambda: call(b"x", timeout=0.1))
    assert code == "DEADLINE_EXCEEDED"
    wait_for(lambda: any(each.cancelled.is_set() for each in servers))


def test_a_host_that_the_mesh_does_not_govern(mesh: Mesh, servers: list[Served]) -> None:
    with opened(f"127.0.0.1:{servers[0].port}", mesh) as channel:
        assert channel.unary_unary(SERVICE + "Get")(b"x") == b"a:x"
        assert code_of(lambda: channel.unary_unary(SERVICE + "Abort")(b"x"))[0] == "NOT_FOUND"


def test_futures(channel: Any, mesh: Mesh) -> None:
    future = channel.unary_unary(SERVICE + "Get").future(b"x")
    done: list[Any] = []
    future.add_done_callback(done.append)
    assert future.result(20) in (b"a:x", b"b:x")
    assert (future.code(), future.done()) == (grpc.StatusCode.OK, True)
    wait_for(lambda: done == [future])
    failing = channel.unary_unary(SERVICE + "Abort").future(b"x")
    assert isinstance(failing.exception(20), grpc.RpcError)
    wait_for(lambda: not under_way(mesh))


def test_streams_that_fail(channel: Any, servers: list[Served]) -> None:
    half = channel.unary_stream(SERVICE + "Half")(b"x")
    assert next(half) == b"x"
    assert code_of(lambda: next(half)) == ("UNAVAILABLE", "only half")
    assert half.code() is grpc.StatusCode.UNAVAILABLE
    late = channel.unary_stream(SERVICE + "NumbersHang")(b"x")
    assert next(late) == b"x"
    code, details = code_of(lambda: next(late))
    assert (code, "the route's timeout passed" in details) == ("DEADLINE_EXCEEDED", True)
    for method, expected in (("NumbersFlaky", [b"0", b"1"]), ("EchoFlaky", [b"2"])):
        for each in servers:
            each.failures = 1
        kind = channel.unary_stream if method == "NumbersFlaky" else channel.stream_stream
        assert list(kind(SERVICE + method)(b"2" if method == "NumbersFlaky" else iter([b"2"]))) == expected
    for each in servers:
        each.failures = 1
    assert channel.stream_unary(SERVICE + "JoinFlaky")(iter([b"a", b"b"])) == b"a,b"


def test_calls_that_nobody_waits_for_end_at_the_server(channel: Any, mesh: Mesh, servers: list[Served]) -> None:
    future = channel.unary_unary(SERVICE + "Wait").future(b"x")
    assert future.cancel()
    with pytest.raises(grpc.FutureCancelledError):
        future.result(20)
    stream = channel.unary_stream(SERVICE + "NumbersWait")(b"x")
    assert next(stream) == b"x"
    assert stream.cancel()
    assert (stream.cancelled(), stream.code()) == (True, grpc.StatusCode.CANCELLED)
    wait_for(lambda: any(each.cancelled.is_set() for each in servers))
    dropped = channel.unary_stream(SERVICE + "NumbersWait")(b"x", timeout=20)
    assert next(dropped) == b"x"
    del dropped
    wait_for(lambda: not under_way(mesh))
    with opened("recommend.example.com:50051", mesh) as other:
        hanging = other.unary_stream(SERVICE + "NumbersWait")(b"x")
        assert next(hanging) == b"x"
    assert hanging.code() is grpc.StatusCode.CANCELLED
    with pytest.raises(ValueError, match="closed channel"):
        other.unary_unary(SERVICE + "Get")(b"x")


_UnaryUnary: Any = grpc.UnaryUnaryClientInterceptor


class _Louder(_UnaryUnary):  # type: ignore[misc]
    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(client_call_details, request + b"!")


def test_interceptors_of_the_program(channel: Any) -> None:
    louder: Any = grpc.intercept_channel(channel, _Louder())
    assert louder.unary_unary(SERVICE + "Get")(b"x", metadata=(("x-user", "b"),)) == b"b:x!"
    assert code_of(lambda: louder.unary_unary(SERVICE + "Abort")(b"x"))[0] == "NOT_FOUND"


def test_many_calls_leave_nothing_behind(channel: Any, mesh: Mesh) -> None:
    get, numbers = channel.unary_unary(SERVICE + "Get"), channel.unary_stream(SERVICE + "Numbers")

    def some() -> None:
        for _ in range(25):
            get(b"x")
            get.future(b"x").result(20)
            assert len(list(numbers(b"2"))) == 2
            code_of(lambda: channel.unary_unary(SERVICE + "Abort")(b"x"))
        wait_for(lambda: not under_way(mesh))

    some()
    wait_for(lambda: not _of_calls())
    before = len(list(Path("/proc/self/fd").iterdir())) if sys.platform == "linux" else 0
    some()
    wait_for(lambda: not _of_calls())
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


def _of_calls() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "proxyless-grpc-call"]


def test_streams(channel: Any, mesh: Mesh) -> None:
    assert list(channel.unary_stream(SERVICE + "Numbers")(b"3")) == [b"0", b"1", b"2"]
    assert not list(channel.unary_stream(SERVICE + "Numbers")(b"0"))
    assert channel.stream_unary(SERVICE + "Join")(iter([b"a", b"b"])) == b"a,b"
    assert list(channel.stream_stream(SERVICE + "Echo")(iter([b"a", b"b"]))) == [b"a", b"b"]
    wait_for(lambda: not under_way(mesh))
