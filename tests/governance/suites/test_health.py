"""Active health checks against real backends: HTTP, TCP and gRPC, and calls that keep away from who fails them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import pytest

import proxyless.httpx
from proxyless import Mesh
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.checking.answers import Answer, Failed, Passed
from proxyless.governance.checking.checker import Checker
from proxyless.governance.suites._health import ask
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.endpoint import HealthCheckConfig
from proxyless.xds.model.health_check import GrpcCheck, HealthCheck, HttpCheck, TcpCheck
from proxyless.xds.model.tls import UpstreamTls
from proxyless.xds.model.values import HeaderMutation
from tests.governance.suites.conftest import DEAD, A, B
from tests.support.backends import Backends
from tests.support.behaviour import Address, Behaviour
from tests.support.model import cluster, host, route, snapshot, table
from tests.support.waiting import wait_for

OFTEN = (
    "interval_s unhealthy_interval_s unhealthy_edge_interval_s healthy_edge_interval_s no_traffic_interval_s "
    "no_traffic_healthy_interval_s"
)
CHECK: dict[str, Any] = dict.fromkeys(OFTEN.split(), 0.05)


def asked(check: HttpCheck | TcpCheck | GrpcCheck, where: Address, *, timeout_s: float = 5.0, **more: Any) -> Answer:
    """What comes of one check of an endpoint."""
    checker = Checker("c", lambda: 0.0, lambda: 0.0, lambda: None, lambda event: None, lambda: True, lambda: None)
    checker.config = HealthCheck(check, timeout_s=timeout_s)
    socket_ = more.pop("socket", TransportSocket())
    return ask(checker, Host(host("{}:{}".format(*where), **more), HostState(), socket=socket_))


def test_http(backends: Backends) -> None:
    where = (A[0], backends.ports[A])
    assert asked(HttpCheck("/healthz"), where) == Passed()
    (arrival,) = backends.take()
    assert (arrival.method, arrival.target) == ("GET", "/healthz")
    assert arrival.headers == (("host", "c"), ("user-agent", "Envoy/HC"))
    backends.behave(A, Behaviour(status=503))
    assert asked(HttpCheck("/"), where) == Failed("active", "status 503")
    backends.behave(A, Behaviour(fault="reset"))
    assert asked(HttpCheck("/"), where).kind == "network"  # type: ignore[union-attr]
    backends.behave(A, Behaviour(delay_s=5.0))
    assert asked(HttpCheck("/"), where, timeout_s=0.1) == Failed("network timeout", "no answer within 0.1 s")
    backends.behave(A, Behaviour(body_delay_s=5.0, body=b"x" * 100))
    assert asked(HttpCheck("/"), where, timeout_s=0.1) == Failed("network timeout", "no answer within 0.1 s")


def test_http_asks_as_it_is_told_to(backends: Backends) -> None:
    where = (A[0], backends.ports[A])
    add = (HeaderMutation("X-Asks", "me"), HeaderMutation("user-agent", "mine"))
    backends.behave(A, Behaviour(body=b"all is well"))
    check = HttpCheck("/h", "its.host", "POST", b"ping", (b"all", b"well"), add=add, remove=("user-agent",))
    assert asked(check, where) == Passed()
    (arrival,) = backends.take()
    assert (arrival.method, arrival.body, arrival.header("host")) == ("POST", b"ping", "its.host")
    assert (arrival.header("x-asks"), arrival.header("user-agent")) == ("me", "mine")
    assert asked(check, where, health_check=HealthCheckConfig(hostname="own")) == Passed()
    assert backends.take()[0].header("host") == "own"


def test_another_address_may_be_asked(backends: Backends) -> None:
    own = HealthCheckConfig(host=B[0], port=backends.ports[B])
    assert asked(HttpCheck("/"), (DEAD[0], backends.ports[DEAD]), health_check=own) == Passed()
    assert backends.take()[0].backend == B


def test_nobody_there(backends: Backends) -> None:
    for check in (HttpCheck("/"), TcpCheck(), GrpcCheck()):
        answer = asked(check, (DEAD[0], backends.ports[DEAD]))
        assert isinstance(answer, Failed)
        assert answer.kind == "network"


def test_what_needs_tls_fails_and_says_so(backends: Backends) -> None:
    answer = asked(HttpCheck("/"), (A[0], backends.ports[A]), socket=TransportSocket("tls", UpstreamTls()))
    assert isinstance(answer, Failed)
    assert "mTLS" in answer.reason
    assert not backends.take()


@contextmanager
def echoing(reply: bytes) -> Iterator[Address]:
    """A server that answers what it is sent with a reply, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    if connection.recv(100):
                        connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()


def test_tcp(backends: Backends) -> None:
    assert asked(TcpCheck(), (A[0], backends.ports[A])) == Passed()
    with echoing(b"it is PONG indeed") as where:
        assert asked(TcpCheck(b"PING", (b"PO", b"NG")), where) == Passed()
        assert asked(TcpCheck(b"PING", (b"NO",)), where) == Failed(
            "network", "the connection was closed before what is expected came"
        )
    assert asked(TcpCheck(receive=(b"x",)), (A[0], backends.ports[A]), timeout_s=0.1) == Failed(
        "network timeout", "no answer within 0.1 s"
    )


class _Health(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.answer = b"\x08\x01"
        self.code: grpc.StatusCode | None = None

    def service(self, handler_call_details: Any) -> Any:
        assert handler_call_details.method == "/grpc.health.v1.Health/Check"

        def check(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.requests.append(request)
            if self.code is not None:
                context.abort(self.code, "so it is")
            return self.answer

        return grpc.unary_unary_rpc_method_handler(check)


def test_grpc() -> None:
    health = _Health()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((health,))
    where = ("127.0.0.1", server.add_insecure_port("127.0.0.1:0"))
    server.start()
    try:
        assert asked(GrpcCheck(), where) == Passed()
        assert asked(GrpcCheck("shop", "its.host"), where) == Passed()
        assert asked(GrpcCheck("x" * 200), where) == Passed()
        assert health.requests == [b"", b"\n\x04shop", b"\n\xc8\x01" + b"x" * 200]
        health.answer = b"\x08\x02"
        assert asked(GrpcCheck(), where) == Failed("active", "it is not serving")
        health.code = grpc.StatusCode.NOT_FOUND
        assert asked(GrpcCheck(), where) == Failed("active", "NOT_FOUND: so it is")
    finally:
        server.stop(0)


@pytest.fixture
def checked(backends: Backends) -> Iterator[Mesh]:
    """Backends A and B, asked every 50 ms."""
    addresses = [f"{each[0]}:{backends.ports[each]}" for each in (A, B)]
    check = HealthCheck(HttpCheck("/healthz"), timeout_s=2.0, **CHECK)
    made = cluster("a", *addresses, health_check=check)
    held = snapshot(tables=[table(route("/", "a"))], clusters=[made])
    with Mesh._from_snapshot(held, status_socket=False) as mesh:
        yield mesh


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("proxyless-health")]


def test_calls_keep_away_from_an_endpoint_that_fails_until_it_passes_again(checked: Mesh, backends: Backends) -> None:
    assert not _threads()
    backends.behave(A, Behaviour(status=503))
    with httpx.Client(transport=proxyless.httpx.Transport(checked), timeout=10.0) as client:

        def served() -> set[str]:
            backends.take()
            assert {client.get("http://shop/").status_code for _ in range(6)} == {200}
            return {each.backend[0] for each in backends.take() if each.target == "/"}

        # The first call waits until everybody was asked once.
        assert served() == {B[0]}
        assert _threads()
        backends.behave(A, Behaviour())
        wait_for(lambda: not checked.runtime.plan.clusters["a"].hosts[0].state.failing)
        assert served() == {A[0], B[0]}
    checked.close()
    wait_for(lambda: not _threads())


def test_without_anybody_who_passes_there_is_no_healthy_upstream(checked: Mesh, backends: Backends) -> None:
    for each in (A, B):
        backends.behave(each, Behaviour(status=503))
    made = checked.runtime.plan.snapshot.clusters["a"].get()
    assert made.lb.panic_threshold == 50.0  # so the calls go there all the same
    with httpx.Client(transport=proxyless.httpx.Transport(checked), timeout=10.0) as client:
        assert client.get("http://shop/").status_code == 503
        hosts = checked.runtime.plan.clusters["a"].hosts
        assert [each.state.failing for each in hosts] == [True, True]
