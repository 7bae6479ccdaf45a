"""Authorization services behind clusters, asked for real."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from proxyless.governance.actions import Failure, Service
from proxyless.governance.runtime import Runtime
from proxyless.governance.securing import Securing
from proxyless.governance.services import http, reaching
from proxyless.governance.services.authorization import authorizer
from proxyless.governance.services.grpc import Services
from proxyless.governance.services.http import Connections, HttpService
from proxyless.xds.model.authorization_service import (
    CheckAnswer,
    CheckQuery,
    HeaderChange,
    HttpCheck,
    HttpVerdict,
    Party,
)
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.ext_authz import HttpAuthorizer
from proxyless.xds.model.filters import GrpcTarget
from proxyless.xds.model.tls import UpstreamTls
from proxyless.xds.model.values import Address
from tests.support.authorizers import GrpcAuthorizer, answer
from tests.support.authorizers import HttpAuthorizer as HttpServer
from tests.support.model import cluster, eds, snapshot
from tests.support.ports import free_port

QUERY = CheckQuery(
    Party("10.0.0.1", 5, "spiffe://a", "s", "pem"),
    Party("/tmp/x"),
    1.5,
    "7",
    b"GET",
    b"/\xff",
    b"shop",
    b"http",
    "HTTP/1.1",
    3,
    ((b"a", b"b"),),
    body=b"abc",
    context={"k": "v"},
    metadata={"ns": {"s": "x", "n": 1.0, "b": True, "z": None, "l": ("a",), "m": {"k": "v"}}},
    server_name="sni",
)
CHECK = HttpCheck(b"POST", b"shop", b"/a", ((b"content-length", b"2"), (b"x-a", b"1")), b"hi")
TIMEOUT_S = 5.0


@pytest.fixture
def connections() -> Iterator[Connections]:
    made = Connections()
    yield made
    made.close()


def runtime_of(*ports: int, **more: Any) -> Runtime:
    made = Runtime()
    found = cluster("authz", *(f"127.0.0.1:{port}" for port in ports))
    made.publish(snapshot(clusters=[replace(found, **more)]))
    return made


def both_ways(service: Service, request: Any, timeout_s: float = TIMEOUT_S) -> list[Any]:
    return [service.ask(request, timeout_s), asyncio.run(service.ask_async(request, timeout_s))]


def test_a_service_is_asked_over_grpc(connections: Connections) -> None:
    with GrpcAuthorizer() as service:
        services = Services(runtime_of(service.port))
        headers: Any = [{"header": {"key": "X-A", "value": "1"}}]
        service.answer = answer(status={"code": 0}, ok_response={"headers": headers}, dynamic_metadata={"a": "b"})
        asked = authorizer(services, connections, GrpcTarget("authz"))
        expected = CheckAnswer("ok", (HeaderChange(b"x-a", b"1"),), metadata={"a": "b"})
        assert both_ways(asked, QUERY) == [expected, expected]
        seen = service.take()[0].attributes
        services.close()
    assert (seen.request.http.path, seen.request.http.body, seen.request.time.nanos) == ("/!", "abc", 500_000_000)
    assert (seen.source.principal, seen.destination.address.pipe.path) == ("spiffe://a", "/tmp/x")
    fields = seen.metadata_context.filter_metadata["ns"].fields
    assert (fields["l"].list_value.values[0].string_value, fields["m"].struct_value.fields["k"].string_value) == (
        "a",
        "v",
    )
    assert (fields["b"].bool_value, fields["z"].WhichOneof("kind")) == (True, "null_value")
    assert seen.tls_session.sni == "sni"


def test_a_service_is_asked_over_plain_http(connections: Connections) -> None:
    with HttpServer() as service:
        runtime = runtime_of(service.port)
        services = Services(runtime)
        service.answer = (401, (("X-Why", "no"),), b"body")
        asked = authorizer(services, connections, HttpAuthorizer("authz"))
        for found in both_ways(asked, CHECK):
            assert found == HttpVerdict(401, ((b"x-why", b"no"), (b"content-length", b"4")), b"body")
        heard = service.take()
    assert heard[0] == ("POST", "/a", (("content-length", "2"), ("host", "shop"), ("x-a", "1")), b"hi")
    assert runtime.asked["authz", "HTTP"].answers == 2


def failed(runtime: Runtime, connections: Connections, check: HttpCheck = CHECK, timeout_s: float = TIMEOUT_S) -> str:
    """Why there is no answer."""
    found = both_ways(HttpService(runtime, connections, "authz"), check, timeout_s)
    assert all(isinstance(each, Failure) for each in found)
    return str(found[0].reason)


def test_whatever_goes_wrong_is_a_failure(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no cluster" in failed(_published(), connections)
    assert "no healthy endpoint" in failed(runtime_of(), connections)
    assert failed(runtime_of(1, transport_socket=TransportSocket("tls", UpstreamTls())), connections)
    assert "cluster authz, endpoint 127.0.0.1" in failed(runtime_of(free_port()), connections)
    assert "line break" in failed(runtime_of(1), connections, replace(CHECK, headers=((b"a", b"b\r\nc: d"),)))
    assert "space" in failed(runtime_of(1), connections, replace(CHECK, path=b"/a b"))
    monkeypatch.setattr(reaching, "CONFIG_WAIT_S", 0.0)
    waits = Runtime()
    waits.publish(snapshot(clusters=[eds("authz")]))
    assert "did not come" in failed(waits, connections)


def _published() -> Runtime:
    made = Runtime()
    made.publish(snapshot())
    return made


def test_a_question_waits_for_the_endpoints(connections: Connections) -> None:
    with HttpServer() as service:
        runtime = Runtime()
        runtime.publish(snapshot(clusters=[eds("authz")]))
        runtime.subscribe = lambda type_, names: runtime.publish(
            snapshot(clusters=[cluster("authz", f"127.0.0.1:{service.port}")])
        )
        found = HttpService(runtime, connections, "authz").ask(CHECK, TIMEOUT_S)
        assert isinstance(found, HttpVerdict)
        runtime.publish(snapshot(clusters=[eds("authz")]))
        found = asyncio.run(HttpService(runtime, connections, "authz").ask_async(CHECK, TIMEOUT_S))
        assert isinstance(found, HttpVerdict)


Script = Callable[[socket.socket], None]


class Scripted:
    """A server that does with each connection what a script says."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        for script in self._scripts:
            with suppress(OSError):
                connection, _ = self._listening.accept()
                with connection:
                    script(connection)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.close()
        self._thread.join(5.0)


def answers(data: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return script


GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def test_a_connection_that_was_closed_meanwhile_is_replaced(connections: Connections) -> None:
    with Scripted(answers(GOOD), answers(GOOD)) as server:
        service = HttpService(runtime_of(server.port), connections, "authz")
        assert [service.ask(CHECK, TIMEOUT_S) for _ in range(2)] == [HttpVerdict(200, ((b"content-length", b"0"),))] * 2


def test_what_is_no_answer_is_a_failure(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    with Scripted(*[answers(b"nonsense\r\n\r\n")] * 2) as server:
        assert failed(runtime_of(server.port), connections)
    monkeypatch.setattr(http, "MOST", 2)
    with Scripted(*[answers(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")] * 2) as server:
        assert "more than" in failed(runtime_of(server.port), connections)
    assert "in time" in failed(runtime_of(1), connections, timeout_s=0.0)


def test_an_answer_may_end_with_its_connection(connections: Connections) -> None:
    with Scripted(answers(b"HTTP/1.0 403 No\r\n\r\nabc")) as server:
        found = HttpService(runtime_of(server.port), connections, "authz").ask(CHECK, TIMEOUT_S)
        assert found == HttpVerdict(403, (), b"abc")


def test_connections_are_kept_up_to_a_number(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "IDLE", 1)
    one, other = socket.socketpair()
    connections.give(("a", "b", None), one)
    connections.give(("a", "b", None), other)
    assert (other.fileno(), connections.take(("a", "b", None))) == (-1, one)
    assert connections.take(("a", "b", None)) is None
    one.close()


def test_connections_are_kept_for_so_many_names(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under auto_sni each Host has connections of its own: those that were used longest ago are closed."""
    monkeypatch.setattr(http, "MOST_IDLE", 3)
    with ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(5)]
        for one in (each for pair in pairs for each in pair):
            stack.callback(one.close)
        keys = [("a", "b", Securing(UpstreamTls(), sni=f"h{number}")) for number in range(5)]
        for key, (mine, _) in zip(keys, pairs, strict=True):
            connections.give(key, mine)
        assert [mine.fileno() == -1 for mine, _ in pairs] == [True, True, False, False, False]
        assert connections.take(keys[0]) is None
        assert connections.take(keys[2]) is pairs[2][0]
        connections.give(keys[2], pairs[2][0])
        connections.sweep(lambda cluster, address: (cluster, address) == ("a", "b"))
        assert connections.take(keys[3]) is pairs[3][0]
        connections.sweep(lambda cluster, address: False)
        assert [mine.fileno() == -1 for mine, _ in pairs] == [True, True, True, False, True]
        connections.give(keys[3], pairs[3][0])
        assert connections.take(keys[3]) is pairs[3][0]


def test_unix_sockets_are_connected_to(tmp_path: Path) -> None:
    name = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        reaching.dial(Address(name, 0), time.monotonic() + TIMEOUT_S).close()
    with pytest.raises(OSError):
        reaching.dial(Address("@proxyless-nobody", 0), time.monotonic() + TIMEOUT_S)
