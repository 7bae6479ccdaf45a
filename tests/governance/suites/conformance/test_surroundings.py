"""What stands around a client: mTLS by the mesh, proxies of the environment, a task that is cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxyless import Mesh
from tests.governance.suites.conformance.adapter import Adapter
from tests.governance.suites.conftest import counts
from tests.governance.suites.test_mtls import Server, world
from tests.governance.suites.test_proxies import Proxy
from tests.support.backends import Backends
from tests.support.certificates import HeldSecrets, authority, spiffe, terminating
from tests.support.in_thread import in_thread
from tests.support.waiting import wait_for


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """One that answers whatever comes."""
    made = Proxy()
    yield made
    made.close()


def test_mtls_is_the_meshs(suite: type[Adapter], tmp_path: Path) -> None:
    ca = authority()
    with in_thread(Server(terminating(ca, "server", tmp_path))) as server:
        secrets = HeldSecrets(ca.workload("one"), ca.roots)
        with suite(world(server.address, secrets)) as client:
            answer = client.call("GET", "http://shop/")
            assert (answer.status, answer.body) == (200, b"ok")
            assert answer.call.principals == (spiffe("one"), spiffe("server"))
        assert server.seen[0][0]["subjectAltName"] == (("URI", spiffe("one")),)
        with suite(world(server.address, HeldSecrets(ca.workload("one"), authority().roots))) as client:
            refused = client.call("GET", "http://shop/")
            assert (refused.status, refused.call.flags) == (503, ("UF",))
            assert f"expected {spiffe('server')}" in refused.call.reply.transport
        with suite(world(server.address, None), errors="raise") as client, pytest.raises(suite.raises.connect):
            client.call("GET", "http://shop/")
        assert len(server.seen) == 1


def test_the_environments_proxies_serve_what_the_mesh_does_not(
    suite: type[Adapter], mesh: Mesh, backends: Backends, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not suite.proxies:
        pytest.skip("the library does not look for any")
    monkeypatch.setenv("http_proxy", f"http://user:secret@{proxy.address}")
    with suite(mesh, trust_env=True) as client:
        assert client.call("GET", "http://outside.example/path?x=y").body == b"proxy"
        assert proxy.seen[0].startswith(b"GET http://outside.example/path?x=y HTTP/1.1\r\n")
        assert b"proxy-authorization: basic dxnlcjpzzwnyzxq=" in proxy.seen[0].lower()
        assert client.call("GET", "http://one.example.com/path?x=y").status == 200
    (arrival,) = backends.take()
    assert (arrival.authority, arrival.target) == ("one.example.com", "/path?x=y")
    assert arrival.header("proxy-authorization") == ""
    assert len(proxy.seen) == 1


def test_a_task_that_is_cancelled_gives_everything_back(client: Adapter, mesh: Mesh, backends: Backends) -> None:
    if not client.asynchronous:
        pytest.skip("sync code is not cancelled")
    call = client.start("GET", "http://one.example.com/", "delay=60")
    wait_for(lambda: counts(mesh, "one")[2] == 1)
    call.cancel()
    wait_for(lambda: counts(mesh, "one") == (0, 0, 0))
    assert client.call("GET", "http://one.example.com/").status == 200
