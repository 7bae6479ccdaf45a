"""Key sets fetched for real, from servers on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from proxyless._services import KeySetsLater
from proxyless.governance.actions import Failure
from proxyless.governance.runtime import Runtime
from proxyless.governance.securing import InsecureError
from proxyless.governance.services.key_sets import LONGEST, KeySetDriver, KeySets
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.endpoint import LbEndpoint
from proxyless.xds.model.jwt import RemoteJwks
from proxyless.xds.model.tls import UpstreamTls
from proxyless.xds.model.values import Address
from tests.support.in_thread import in_thread
from tests.support.model import cluster, eds, snapshot
from tests.support.tokens import key_set, signer
from tests.support.waiting import wait_for

BODY = key_set(signer("HS256")).encode()
REMOTE = RemoteJwks("http://keys.example:81/set?a=1", "keys", 5.0, back_off_s=0.001, max_back_off_s=0.001)


class Handler(BaseHTTPRequestHandler):
    answers: ClassVar[list[tuple[int, bytes]]] = []
    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["host"]))
        status, body = self.answers.pop(0) if self.answers else (200, BODY)
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Handler.answers, Handler.seen = [], []
    with in_thread(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield server.server_port


def runtime_of(*endpoints: str | LbEndpoint, **fields: Any) -> Runtime:
    made = Runtime()
    made.publish(snapshot(clusters=[cluster("keys", *endpoints, **fields), eds("late")]))
    return made


def fetched(runtime: Runtime, remote: RemoteJwks = REMOTE, timeout_s: float = 5.0) -> bytes | Failure:
    return KeySets(weakref.ref(runtime)).ask(remote, timeout_s)


def refused(runtime: Runtime, remote: RemoteJwks = REMOTE, timeout_s: float = 5.0) -> str:
    found = fetched(runtime, remote, timeout_s)
    assert isinstance(found, Failure)
    return found.reason


def test_threads_and_tasks_fetch(port: int) -> None:
    runtime = runtime_of(f"127.0.0.1:{port}")
    service = KeySetsLater(weakref.ref(runtime))
    assert service.ask(REMOTE, 5.0) == BODY
    assert asyncio.run(service.ask_async(REMOTE, 5.0)) == BODY
    assert Handler.seen == [("/set?a=1", "keys.example:81")] * 2
    assert [(each.answers, each.failures) for each in runtime.asked.values()] == [(2, 0)]


def test_what_fails_is_tried_again_as_often_as_it_is_said(port: int) -> None:
    runtime = runtime_of(f"127.0.0.1:{port}")
    Handler.answers += [(503, b""), (404, b"x")]
    assert fetched(runtime, replace(REMOTE, retries=2)) == BODY
    Handler.answers += [(503, b"")] * 2
    assert refused(runtime, replace(REMOTE, retries=1)) == "keys.example:81 answered 503"


def test_an_answer_that_is_empty_or_too_long_is_none(port: int) -> None:
    runtime = runtime_of(f"127.0.0.1:{port}")
    Handler.answers += [(200, b""), (200, b"x" * (LONGEST + 1))]
    for _ in range(2):
        assert refused(runtime) == "keys.example:81 sent no key set"


def test_nobody_waits_longer_than_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        runtime = runtime_of(f"127.0.0.1:{silent.getsockname()[1]}")
        assert refused(runtime, timeout_s=0.05) == "keys.example:81 did not answer in time"
        assert refused(runtime, replace(REMOTE, retries=9, back_off_s=9.0, max_back_off_s=9.0), 0.05)
    assert refused(runtime, timeout_s=-1.0) == "no answer in time"


def test_where_nobody_is_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert refused(runtime_of(f"127.0.0.1:{port}")).startswith("keys.example:81: ")
    assert refused(runtime_of(LbEndpoint(Address("/nowhere/at/all", 0)))).startswith("keys.example:81: ")
    assert refused(runtime_of()) == "cluster 'keys' has no healthy endpoint"
    assert refused(runtime_of(), replace(REMOTE, cluster="else")) == "there is no cluster 'else'"
    monkeypatch.setattr("proxyless.governance.services.reaching.CONFIG_WAIT_S", 0.01)
    assert "did not come" in refused(runtime_of(), replace(REMOTE, cluster="late"))
    assert isinstance(KeySets(lambda: None).ask(REMOTE, 1.0), Failure)  # type: ignore[arg-type]  # a reference to nothing


def test_a_unix_socket_is_an_endpoint_too(tmp_path: Path) -> None:
    path = str(tmp_path / "keys")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert fetched(runtime_of(LbEndpoint(Address(path, 0)))) == b"{}"
        thread.join(10)


class Refusing:
    def client(self, wanted: Any, address: str) -> Any:
        raise InsecureError(f"nothing to verify {address} by")


def test_what_wants_tls_is_never_asked_without(port: int) -> None:
    runtime = runtime_of(f"127.0.0.1:{port}", transport_socket=TransportSocket("tls", upstream=UpstreamTls(sni="a")))
    assert "keys" in refused(runtime)
    runtime.tls = Refusing()
    assert refused(runtime) == f"keys.example:81: nothing to verify 127.0.0.1:{port} by"
    assert Handler.seen == []


def test_keys_are_fetched_ahead_of_time_and_again(port: int) -> None:
    runtime = runtime_of(f"127.0.0.1:{port}")
    driver = KeySetDriver(weakref.ref(runtime))
    runtime.on_keys = driver.wake
    Handler.answers += [(503, b"")]
    keys = runtime.key_set(replace(REMOTE, ahead=True, cache_s=0.01, refetch_after_failure_s=0.01))
    wait_for(lambda: len(Handler.seen) >= 3 and keys.fresh() is not None, 10)
    driver.close()
    runtime.close()
