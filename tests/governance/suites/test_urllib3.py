"""What is urllib3's and requests' own: retries, timeouts, bodies, trust, what a caller may do with a response."""

from __future__ import annotations

import gc
import io
import pickle
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

import proxyless.mesh
import proxyless.requests
import proxyless.urllib3
from proxyless import Mesh, Node
from proxyless.governance.suites._exchange import Exchange
from proxyless.governance.suites._http1 import Reply
from proxyless.governance.suites._httpcore import SocketStream
from proxyless.governance.suites._urllib3_response import Awaited, Response
from tests.governance.suites.conftest import PLAIN, A, counts
from tests.governance.suites.test_tcp import CONFIG, Server, connections
from tests.support.backends import Backends
from tests.support.behaviour import Behaviour
from tests.support.certificates import authority
from tests.support.in_thread import in_thread
from tests.support.waiting import wait_for

ONE, DEAD = "http://one.example.com/", "http://dead.example.com/"


@pytest.fixture
def http(mesh: Mesh, backends: Backends) -> Iterator[urllib3.PoolManager]:
    with proxyless.urllib3.PoolManager(mesh) as made:
        yield made


# Retries and timeouts.


def test_an_own_retry_is_heard_and_the_librarys_default_is_not_added(mesh: Mesh, backends: Backends) -> None:
    with proxyless.urllib3.PoolManager(mesh, errors="raise") as http:
        for retries, arrivals in ((None, 1), (urllib3.Retry(2), 3), (2, 3), (False, 1)):
            more: dict[str, Any] = {} if retries is None else {"retries": retries}
            with pytest.raises(urllib3.exceptions.HTTPError):
                http.request("GET", ONE, headers={"x-backend": "fault=reset"}, **more)
            assert len(backends.take()) == arrivals, retries
    with proxyless.urllib3.PoolManager(mesh) as http:
        retry = urllib3.Retry(2, status_forcelist=[503], raise_on_status=False)
        response = http.request("GET", ONE, headers={"x-backend": "status=503"}, retries=retry)
        assert (response.status, len(backends.take())) == (503, 3)


def test_the_default_of_urllib3_is_not_added_after_a_redirect_either(mesh: Mesh, backends: Backends) -> None:
    backends.behave(A, Behaviour(302, headers=(("location", DEAD),)))
    with proxyless.urllib3.PoolManager(mesh, errors="raise") as http:
        with pytest.raises(MaxRetryError) as caught:
            http.request("GET", ONE)
        assert isinstance(caught.value.reason, NewConnectionError)
    assert mesh.runtime.plan.cluster("outbound|80||dead.example.com") is not None


def test_total_bounds_the_reading_too(http: urllib3.PoolManager) -> None:
    timeout = urllib3.Timeout(total=0.3)
    with pytest.raises(ReadTimeoutError):
        http.request("GET", ONE, headers={"x-backend": "delay=20"}, timeout=timeout, retries=False)


def test_a_host_that_nobody_knows_is_named(http: urllib3.PoolManager) -> None:
    with pytest.raises(MaxRetryError) as caught:
        http.request("GET", "http://nothing.invalid/", retries=0)
    assert "nothing in the mesh takes nothing.invalid:80" in str(caught.value)


# What goes out.


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"abc", "3"),
        ("äb", "3"),
        (bytearray(b"abc"), "3"),
        (io.BytesIO(b"abc"), ""),
        (io.StringIO("abc"), ""),
        (iter([b"a", "bc"]), ""),
    ],
)
def test_bodies_of_every_kind(http: urllib3.PoolManager, backends: Backends, body: Any, length: str) -> None:
    assert http.request("POST", ONE, body=body).status == 200
    (arrival,) = backends.take()
    assert arrival.body == ("äb".encode() if body == "äb" else b"abc")
    assert arrival.header("content-length") == length
    assert arrival.header("transfer-encoding") == ("" if length else "chunked")


def test_headers_are_the_librarys(http: urllib3.PoolManager, backends: Backends) -> None:
    http.request("POST", ONE, headers={"x-a": "ä", "User-Agent": urllib3.util.SKIP_HEADER})
    (arrival,) = backends.take()
    assert (arrival.header("x-a"), arrival.header("user-agent")) == ("ä", "")
    assert (arrival.header("accept-encoding"), arrival.header("content-length")) == ("identity", "0")
    http.request("GET", ONE, headers={"Accept-Encoding": "gzip", "Host": "web.example.com"})
    (arrival,) = backends.take()
    assert (arrival.header("accept-encoding"), arrival.authority) == ("gzip", "web.example.com")
    assert arrival.header("user-agent").startswith("python-urllib3/")
    for bad in ({"x-a": "b\r\nx-c: d"}, {"x y:": "b"}, {"x-a": urllib3.util.SKIP_HEADER}):
        with pytest.raises(ValueError):
            http.request("GET", ONE, headers=bad)
    assert backends.take() == []


# What comes back.


def test_a_response_is_read_as_any_of_urllib3s(http: urllib3.PoolManager, mesh: Mesh) -> None:
    def opened(**more: Any) -> urllib3.BaseHTTPResponse:
        return http.request("GET", ONE, headers={"x-backend": "size=100000"}, preload_content=False, **more)

    response = opened()
    assert [len(response.read(60_000)), len(response.read(60_000)), response.read(10)] == [60_000, 40_000, b""]
    assert counts(mesh, "one") == (1, 0, 0)
    response = opened()
    assert sum(len(part) for part in response.stream(1000)) == 100_000
    assert response.version_string == "HTTP/1.1"
    response = opened()
    assert (len(response.data), response.closed) == (100_000, True)
    buffered = io.BufferedReader(opened())
    assert len(buffered.read()) == 100_000
    response = opened()
    response.drain_conn()
    assert counts(mesh, "one") == (1, 0, 0)
    response = opened()
    response.read(10)
    response.release_conn()
    wait_for(lambda: counts(mesh, "one") == (0, 0, 0))
    assert http.request("GET", ONE).json()["method"] == "GET"


@contextmanager
def parted(*pieces: bytes) -> Iterator[tuple[int, threading.Event]]:
    """A server that sends one chunk, and the others when it may: its port."""
    listening, go_on = socket.create_server(("127.0.43.7", 0)), threading.Event()

    def serve() -> None:
        client, _ = listening.accept()
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for piece in pieces:
                client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                go_on.wait(30)
            client.sendall(b"0\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], go_on
    finally:
        go_on.set()
        thread.join(30)
        listening.close()


def test_parts_come_as_they_arrive(tmp_path: Path) -> None:
    with parted(b"first\n", b"second\n") as (port, go_on):
        entry = CONFIG.replace("number: 9000, name: tcp, protocol: TCP", "number: 80, name: http, protocol: HTTP")
        entry = entry.replace("tcp: {plain}", "http: {plain}").replace("127.0.43.1", "127.0.43.7")
        (tmp_path / "a.yaml").write_text(entry.format(tls=1, plain=port))
        with Mesh.from_config(tmp_path, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as mesh:
            session = requests.Session()
            session.trust_env = False
            session.mount("http://", proxyless.requests.Adapter(mesh))
            lines = session.get("http://db.example.com/", stream=True).iter_lines()
            assert next(lines) == b"first"
            go_on.set()
            assert list(lines) == [b"second"]


HEADS = (
    (200, "HTTP/1.1", ((b"Content-Length", b"3"), (b"X-A", b"1"), (b"x-a", b"2"))),
    (200, "HTTP/1.0", ()),
    (200, "HTTP/1.1", ((b"Transfer-Encoding", b"gzip, Chunked"), (b"content-length", b"3"))),
    (200, "HTTP/1.1", ((b"transfer-encoding", b"gzip"),)),
    (204, "HTTP/1.1", ()),
    (304, "HTTP/2", ((b"content-length", b"9"),)),
    (200, "HTTP/1.1", ((b"content-length", b"3, 3"),)),
)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize(("status", "version", "pairs"), HEADS)
def test_a_response_is_as_if_urllib3_had_made_it_at_once(
    status: int, version: str, pairs: Any, prepared: bool, method: str
) -> None:
    def known(response: Any) -> dict[str, Any]:
        return {name: value for name, value in vars(response).items() if name not in ("_decoded_buffer", "proxyless")}

    body: Any = io.BytesIO(b"abc")
    core = Reply(status, list(pairs), body, {"http_version": version.encode(), "reason_phrase": b"So"})
    awaited = Awaited(method, "/path", {"decode_content": False, "preload_content": False})
    if prepared:
        awaited.prepare()
    made = awaited.filled(core, body, None)
    whole = Response(
        body=body,
        headers=urllib3.HTTPHeaderDict([(name.decode(), value.decode()) for name, value in pairs]),
        status=status,
        version={"HTTP/1.1": 11, "HTTP/1.0": 10, "HTTP/2": 20}[version],
        reason="So",
        preload_content=False,
        decode_content=False,
        original_response=made._original_response,
        request_method=method,
        request_url="/path",
    )
    whole.version_string = version
    assert known(made) == known(whole)
    original: Any = made._original_response
    assert (original.msg, original.version, original.fp) == (made.headers, whole.version, body)


def test_the_response_is_prepared_between_sending_and_reading(
    http: urllib3.PoolManager, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def noting(kind: Any, name: str) -> None:
        plain = getattr(kind, name)

        def noted(*arguments: Any) -> Any:
            order.append(name)
            return plain(*arguments)

        monkeypatch.setattr(kind, name, noted)

    for kind, name in ((SocketStream, "send"), (SocketStream, "receive"), (Awaited, "prepare"), (Awaited, "filled")):
        noting(kind, name)
    assert http.request("GET", ONE, headers={"x-backend": "echo"}).status == 200
    assert order[:3] == ["send", "prepare", "receive"]
    assert order.index("filled") > 2
    order.clear()
    http.request("POST", ONE, body=iter([b"one", b"two"]))
    told = order.index("prepare")
    assert set(order[:told]) == {"send"}


@pytest.mark.parametrize("body", [b"abc", [b"a", b"b"], None])
def test_a_call_is_gone_when_it_is_over(http: urllib3.PoolManager, backends: Backends, body: Any) -> None:
    def call() -> None:
        assert http.request("POST", ONE, body=iter(body) if isinstance(body, list) else body).status == 200

    def under_way() -> list[Exchange]:
        return [each for each in gc.get_objects() if isinstance(each, Exchange)]

    gc.collect()
    others = under_way()
    gc.disable()
    try:
        call()
        assert under_way() == others
    finally:
        gc.enable()


# TLS of the program's own, and what the mesh does not govern.


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """(the server's context, a file of roots)."""
    folder = tmp_path_factory.mktemp("tls")
    ca = authority()
    key, certificate = ca.server("db.example.com")
    (folder / "both.pem").write_bytes(key + certificate)
    (folder / "roots.pem").write_bytes(ca.pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, str(folder / "roots.pem")


def test_https_goes_to_an_endpoint_of_the_mesh_with_the_programs_trust(
    trust: tuple[ssl.SSLContext, str], tmp_path: Path
) -> None:
    with in_thread(Server(trust[0])) as tls, in_thread(Server(None)) as plain:
        (tmp_path / "db.yaml").write_text(CONFIG.format(tls=tls.server_address[1], plain=plain.server_address[1]))
        with Mesh.from_config(tmp_path, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as mesh:
            session = requests.Session()
            session.trust_env = False
            session.mount("https://", proxyless.requests.Adapter(mesh))
            session.mount("http://", proxyless.requests.Adapter(mesh))
            for _ in range(2):
                assert session.get("https://db.example.com/", verify=trust[1]).text == "db.example.com"
            assert connections(mesh, "outbound|443||db.example.com") == 1
            with pytest.raises(requests.exceptions.SSLError):
                session.get("https://db.example.com/")
            assert session.get("http://db.example.com:9000/").text == "db.example.com:9000"
            session.close()
            wait_for(lambda: connections(mesh, "outbound|443||db.example.com") == 0)
            with proxyless.urllib3.PoolManager(mesh, ca_certs=trust[1]) as http:
                assert http.request("GET", "https://db.example.com/").data == b"db.example.com"


def test_what_is_not_governed_keeps_the_librarys_pools(mesh: Mesh, backends: Backends) -> None:
    url = f"http://{PLAIN[0]}:{backends.ports[PLAIN]}/"
    with proxyless.urllib3.PoolManager(mesh, maxsize=1, block=True) as http:
        held = http.request("GET", url, preload_content=False)
        with pytest.raises(urllib3.exceptions.EmptyPoolError):
            http.request("GET", url, pool_timeout=0.1)
        held.read()
        held.release_conn()
        for _ in range(3):
            assert http.request("GET", url).status == 200
        with pytest.raises(MaxRetryError):
            http.request("GET", "http://127.0.43.8:1/", retries=1)
        with pytest.raises(MaxRetryError):
            http.request("GET", "http://127.0.43.8:1/", retries=1)
    assert len({each.connection for each in backends.take()}) == 1


def test_a_session_from_another_process_is_governed_by_the_mesh_of_this_one(
    mesh: Mesh, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", proxyless.requests.Adapter(mesh))
    monkeypatch.setattr(proxyless.mesh, "_default", mesh)
    copy = pickle.loads(pickle.dumps(session))
    assert copy.get(ONE).status_code == 200
    assert backends.take()[0].backend == A


def test_an_adapter_takes_the_pool_that_requests_would(mesh: Mesh, backends: Backends) -> None:
    class Own(proxyless.requests.Adapter):
        def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
            host, more = super().build_connection_pool_key_attributes(request, verify, cert)
            return host, {**more, "maxsize": int(request.headers["x-size"])}

    def pool_of(adapter: Any, url: str, *, verify: Any = True, proxies: Any = None, size: str = "1") -> Any:
        request = requests.Request("GET", url, headers={"x-size": size}).prepare()
        return adapter.get_connection_with_tls_context(request, verify, proxies=proxies)

    adapter = proxyless.requests.Adapter(mesh, pool_connections=2)
    one = pool_of(adapter, ONE)
    assert (pool_of(adapter, f"{ONE}path?query"), one.host, one.port) == (one, "one.example.com", 80)
    assert (
        requests.adapters.HTTPAdapter.get_connection_with_tls_context(
            adapter, requests.Request("GET", ONE).prepare(), True
        )
        is one
    )
    assert pool_of(adapter, ONE, verify=False) is not one
    assert pool_of(adapter, ONE, proxies={"http": "http://127.0.0.1:1"}) is not one
    other = pool_of(adapter, "http://one.example.com:81/")
    assert (other.host, other.port) == ("one.example.com", 81)
    for _ in range(2):  # the two that were asked for last are kept, here too
        pool_of(adapter, ONE)
        pool_of(adapter, DEAD)
    again = pool_of(adapter, "http://one.example.com:81/")
    assert again is not other
    adapter.close()
    assert pool_of(adapter, "http://one.example.com:81/") is not again
    own = Own(mesh)
    assert [pool_of(own, ONE, size=each).pool.maxsize for each in "23"] == [2, 3]


def test_cookies_of_a_response_are_requests_own(mesh: Mesh, backends: Backends) -> None:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", proxyless.requests.Adapter(mesh))
    response = session.get(ONE)
    assert not response.cookies
    assert response.raw._original_response.msg is response.raw.headers
    backends.behave(A, Behaviour(200, headers=(("set-cookie", "taste=sweet"),)))
    response = session.get(ONE)
    assert (response.cookies.get_dict(), session.cookies.get_dict()) == ({"taste": "sweet"}, {"taste": "sweet"})


def test_a_mode_that_there_is_not_and_a_mesh_that_is_none_are_refused(mesh: Mesh) -> None:
    wrong: Any = "no"
    with pytest.raises(ValueError, match="it is 'response' or 'raise'"):
        proxyless.urllib3.PoolManager(mesh, errors=wrong)
    with pytest.raises(TypeError, match=r"is not a proxyless\.Mesh"):
        proxyless.requests.Adapter(wrong)
