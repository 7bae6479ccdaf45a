"""Services that are only reached by mTLS: over gRPC, HTTP/1.1 and HTTP/2, by threads and by tasks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from h2.events import RequestReceived, StreamEnded

from proxyless._securing import MeshTls
from proxyless.governance.actions import Failure, Service
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.checking.answers import Passed
from proxyless.governance.checking.checker import Checker
from proxyless.governance.runtime import Runtime
from proxyless.governance.services.authorization import authorizer
from proxyless.governance.services.grpc import Services, Unary
from proxyless.governance.services.http import Connections
from proxyless.governance.services.rate_limit import rate_limiter
from proxyless.governance.suites._health import ask
from proxyless.xds.model.authorization_service import CheckAnswer, CheckQuery, HttpCheck, HttpVerdict, Party
from proxyless.xds.model.cluster import HttpProtocol, TransportSocket
from proxyless.xds.model.ext_authz import HttpAuthorizer
from proxyless.xds.model.filters import GrpcTarget
from proxyless.xds.model.health_check import GrpcCheck, HealthCheck
from proxyless.xds.model.rate_limit_service import LimitedDescriptor, RateLimitAnswer, RateLimitQuery
from proxyless.xds.model.tls import CommonTls, SanMatcher, SecretName, UpstreamTls, Validation
from tests.support.authorizers import GrpcAuthorizer
from tests.support.authorizers import HttpAuthorizer as HttpServer
from tests.support.certificates import Authority, HeldSecrets, authority, spiffe, terminating
from tests.support.http2_services import Http2Service, Peer
from tests.support.model import cluster, host, snapshot
from tests.support.rate_limits import RateLimits

EXPECTED = spiffe("authz")
VALIDATION = Validation(secret=SecretName("ROOTCA"), sans=(SanMatcher("exact", EXPECTED),))
OFFERED = ("istio-peer-exchange", "istio", "h2")
TLS = UpstreamTls(CommonTls(SecretName("default"), VALIDATION, alpn=OFFERED, maximum="TLSv1_3"), sni="outbound_.a")
QUERY = CheckQuery(Party("10.0.0.1"), Party("10.0.0.2"), 1.5, "7", b"GET", b"/", b"shop", b"http", "HTTP/1.1", 0, ())
CHECK = HttpCheck(b"GET", b"shop", b"/a", ((b"x-a", b"1"),))


@pytest.fixture(scope="module")
def ca() -> Authority:
    return authority()


class World:
    """A runtime whose cluster `authz` wants mTLS, and what asks for it."""

    def __init__(self, port: int, secrets: HeldSecrets | None, protocol: Any) -> None:
        self.runtime = Runtime()
        self.services = Services(self.runtime)
        self.connections = Connections(self.services.links)
        self.runtime.tls = MeshTls(lambda: secrets) if secrets is not None else None
        wanted = cluster(
            "authz",
            f"127.0.0.1:{port}",
            transport_socket=TransportSocket("tls", TLS),
            http=HttpProtocol(protocol=protocol),
        )
        self.runtime.publish(snapshot(clusters=[wanted]))

    def ask(self, *, grpc: bool) -> list[Any]:
        """The answers to a thread, and to a task."""
        target = GrpcTarget("authz") if grpc else HttpAuthorizer("authz")
        service: Service = authorizer(self.services, self.connections, target)
        query = QUERY if grpc else CHECK
        found = [service.ask(query, 20.0), asyncio.run(service.ask_async(query, 20.0))]
        for state in self.runtime.states.values():
            assert state.normal.requests == 0
        return found

    def close(self) -> None:
        self.connections.close()
        self.services.close()


@pytest.fixture
def worlds() -> Iterator[Any]:
    made: list[World] = []

    def make(*arguments: Any) -> World:
        made.append(World(*arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_grpc_service_is_asked_by_mtls(ca: Authority, worlds: Any) -> None:
    with GrpcAuthorizer(ca.workload("authz"), ca.pem) as service:
        made = worlds(service.port, HeldSecrets(ca.workload("app"), ca.roots), "http2")
        assert made.ask(grpc=True) == [CheckAnswer("ok")] * 2
        assert service.callers == [spiffe("app")] * 2
        assert len(service.take()) == 2


def test_an_http_service_is_asked_by_mtls(ca: Authority, worlds: Any, tmp_path: Path) -> None:
    with HttpServer(terminating(ca, "authz", tmp_path)) as service:
        made = worlds(service.port, HeldSecrets(ca.workload("app"), ca.roots), "http1")
        assert made.ask(grpc=False) == [HttpVerdict(200, ((b"content-length", b"0"),))] * 2
        assert [each[:2] for each in service.take()] == [("GET", "/a")] * 2


@pytest.mark.parametrize("grpc", [False, True])
def test_somebody_else_is_asked_nothing(ca: Authority, worlds: Any, tmp_path: Path, grpc: bool) -> None:
    server = GrpcAuthorizer(ca.workload("other"), ca.pem) if grpc else HttpServer(terminating(ca, "other", tmp_path))
    with server as service:
        made = worlds(service.port, HeldSecrets(ca.workload("app"), ca.roots), "http2" if grpc else "http1")
        for found in made.ask(grpc=grpc):
            assert isinstance(found, Failure)
            where = f"cluster authz, endpoint 127.0.0.1:{service.port}"
            assert f"{where}: expected {EXPECTED}, presented {spiffe('other')}" in found.reason
        assert not service.take()


@pytest.mark.parametrize("grpc", [False, True])
def test_without_a_certificate_of_its_own_nobody_is_asked(
    ca: Authority, worlds: Any, tmp_path: Path, grpc: bool
) -> None:
    server = GrpcAuthorizer(ca.workload("authz"), ca.pem) if grpc else HttpServer(terminating(ca, "authz", tmp_path))
    with server as service:
        for secrets, why in (
            (None, "this process has no identity"),
            (HeldSecrets(None, ca.roots), "no certificate default"),
        ):
            made = worlds(service.port, secrets, "http2" if grpc else "http1")
            assert all(isinstance(each, Failure) and why in each.reason for each in made.ask(grpc=grpc))
        stranger = authority("another")
        made = worlds(service.port, HeldSecrets(stranger.workload("app"), ca.roots), "http2" if grpc else "http1")
        assert all(isinstance(each, Failure) for each in made.ask(grpc=grpc))
        assert not service.take()


def test_new_certificates_are_shown_by_new_connections(ca: Authority, worlds: Any) -> None:
    secrets = HeldSecrets(ca.workload("app"), ca.roots)
    with GrpcAuthorizer(ca.workload("authz"), ca.pem) as service:
        made = worlds(service.port, secrets, "http2")
        made.ask(grpc=True)
        secrets.rotate(ca.workload("renewed"))
        made.ask(grpc=True)
        assert service.callers == [spiffe("app")] * 4
        made.services.close()
        made.ask(grpc=True)
        assert service.callers[4:] == [spiffe("renewed")] * 2


def test_an_http_service_is_asked_by_http2_and_mtls(ca: Authority, worlds: Any, tmp_path: Path) -> None:
    asked: list[Any] = []

    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, RequestReceived):
            asked.append([pair for pair in event.headers if pair[0] in (b":method", b":authority", b":path", b"x-a")])
        elif isinstance(event, StreamEnded):
            peer.http.send_headers(event.stream_id, [(b":status", b"403"), (b"x-why", b" so ")])
            peer.http.send_data(event.stream_id, b"no", end_stream=True)

    context = terminating(ca, "authz", tmp_path)
    context.set_alpn_protocols(["h2"])
    with Http2Service(on, context=context) as service:
        made = worlds(service.port, HeldSecrets(ca.workload("app"), ca.roots), "http2")
        assert made.ask(grpc=False) == [HttpVerdict(403, ((b"x-why", b"so"),), b"no")] * 2
        assert asked == [[(b":method", b"GET"), (b":authority", b"shop"), (b":path", b"/a"), (b"x-a", b"1")]] * 2
        assert len(service.peers) == 1


class Echo(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Answers each message with itself."""

    def service(self, handler_call_details: Any) -> Any:
        del handler_call_details
        return grpc.unary_unary_rpc_method_handler(lambda message, context: message)


def test_large_messages_go_both_ways_by_mtls(ca: Authority, worlds: Any) -> None:
    large, pair = os.urandom(3 << 20), ca.workload("authz")
    own = grpc.ssl_server_credentials([(pair.key, pair.chain)], ca.pem, require_client_auth=True)
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Echo(),))
    made = worlds(server.add_secure_port("127.0.0.1:0", own), HeldSecrets(ca.workload("app"), ca.roots), "http2")
    server.start()
    try:
        unary: Unary[bytes, bytes] = made.services.unary(GrpcTarget("authz"), "/a.A/Ask", bytes, bytes)
        assert unary.ask(large, 60.0) == large
        assert asyncio.run(unary.ask_async(large, 60.0)) == large
    finally:
        server.stop(None)


def test_a_rate_limit_service_is_asked_by_mtls(ca: Authority, worlds: Any) -> None:
    query = RateLimitQuery("shop", (LimitedDescriptor((("user", "alice"),)),))
    with RateLimits(ca.workload("authz"), ca.pem) as service:
        made = worlds(service.port, HeldSecrets(ca.workload("app"), ca.roots), "http2")
        limiter = rate_limiter(made.services, GrpcTarget("authz"))
        assert limiter.ask(query, 20.0) == RateLimitAnswer("OK")
        assert asyncio.run(limiter.ask_async(query, 20.0)) == RateLimitAnswer("OK")
        made.services.close()
    with RateLimits(ca.workload("other"), ca.pem) as service:
        made = worlds(service.port, HeldSecrets(ca.workload("app"), ca.roots), "http2")
        found = rate_limiter(made.services, GrpcTarget("authz")).ask(query, 20.0)
        assert isinstance(found, Failure)
        assert f"presented {spiffe('other')}" in found.reason
        assert not service.take()


@pytest.mark.parametrize("account", ["authz", "other"])
def test_health_over_grpc_is_asked_by_mtls(ca: Authority, tmp_path: Path, account: str) -> None:
    def on(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            peer.answer(event.stream_id, b"\x08\x01")

    with Http2Service(on, context=terminating(ca, account, tmp_path)) as service:
        checker = Checker("c", lambda: 0.0, lambda: 0.0, lambda: None, lambda event: None, lambda: True, lambda: None)
        checker.config = HealthCheck(GrpcCheck(), timeout_s=20.0)
        where = Host(host(f"127.0.0.1:{service.port}"), HostState(), socket=TransportSocket("tls", TLS))
        found = ask(checker, where, MeshTls(lambda: HeldSecrets(ca.workload("app"), ca.roots)))
        if account == "authz":
            assert found == Passed()
        else:
            assert f"expected {EXPECTED}, presented {spiffe('other')}" in getattr(found, "reason", "")
            assert not any(each.bodies for each in service.peers)
