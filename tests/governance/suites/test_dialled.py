"""Names that only DNS knows, through httpx and `explain`, with a real server of names: their address is a service's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

import proxyless.httpx
from proxyless import Mesh, Node, _services
from proxyless.cli import main
from proxyless.governance.dialled import OPTIONS
from proxyless.xds.model.dns import DnsOptions
from proxyless.xds.model.values import Address
from proxyless.xds.transport.resolver import NameService
from tests.support.backends import Backends
from tests.support.nameserver import Names, Zone

VIP = "10.96.77.1"
BACKEND = ("127.0.41.1", 8080)
CONFIG = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: echo, namespace: shop}
spec:
  hosts: [echo.example.com]
  addresses: [10.96.77.1]
  ports: [{number: 9000, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 127.0.41.1, ports: {tcp: 8080}}]
"""
ZONE: Zone = {
    ("alias.test.", "A"): [("alias.test.", 30, "A", VIP, "192.0.2.1")],
    ("outside.test.", "A"): [("outside.test.", 30, "A", "192.0.2.2")],
    ("broken.test.", "A"): [],
}
WHO = ("--app", "me", "--namespace", "shop", "--ip", "127.0.0.9")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    server = Names(ZONE)
    server.start()
    asked = replace(OPTIONS, servers=(Address("127.0.0.1", server.port),), no_search=True)
    monkeypatch.setattr(_services, "OPTIONS", asked)
    yield server
    server.close()


@pytest.fixture
def mesh(names: Names, tmp_path: Path) -> Iterator[Mesh]:
    with Backends([BACKEND]) as backends:
        (tmp_path / "echo.yaml").write_text(CONFIG.replace("8080", str(backends.ports[BACKEND])))
        node = Node(app="me", namespace="shop", ip="127.0.0.9")
        with Mesh.from_config(tmp_path, node=node, registry=False) as made:
            made.wait_ready(20)
            yield made


def test_the_address_of_a_name_takes_its_listener_in_sync_code(mesh: Mesh, names: Names) -> None:
    with httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False)) as client:
        for _ in range(3):
            assert client.get("http://alias.test:9000/").status_code == 200
    assert sorted(names.asked) == ["alias.test. A", "alias.test. AAAA"]


def test_and_for_tasks_which_wait_together_and_block_no_loop(mesh: Mesh, names: Names) -> None:
    async def ask() -> list[int]:
        transport = proxyless.httpx.AsyncTransport(mesh, trust_env=False)
        async with httpx.AsyncClient(transport=transport) as client:
            answers = await asyncio.gather(*[client.get("http://alias.test:9000/") for _ in range(5)])
            return [each.status_code for each in answers]

    assert asyncio.run(ask()) == [200] * 5
    assert sorted(names.asked) == ["alias.test. A", "alias.test. AAAA"]


def test_nobody_waits_for_a_name_longer_than_for_a_connection(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_services, "_look_up", lambda runtime, host: None)  # a server that is silent
    wanted = "timed out waiting for the address of alias.test"
    began = monotonic()
    with (
        httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False), timeout=0.2) as client,
        pytest.raises(httpx.ConnectTimeout, match=wanted),
    ):
        client.get("http://alias.test:9000/")

    async def ask() -> None:
        transport = proxyless.httpx.AsyncTransport(mesh, trust_env=False)
        async with httpx.AsyncClient(transport=transport, timeout=0.2) as client:
            await client.get("http://alias.test:9000/")

    with pytest.raises(httpx.ConnectTimeout, match=wanted):
        asyncio.run(ask())
    assert monotonic() - began < 10


def test_a_resolver_that_fails_leaves_no_call_waiting(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, request: tuple[str, DnsOptions], timeout_s: float) -> Any:
        raise RuntimeError("not a name")

    monkeypatch.setattr(NameService, "ask", fail)
    monkeypatch.setattr("threading.excepthook", lambda arguments: None)
    with (
        httpx.Client(transport=proxyless.httpx.Transport(mesh, trust_env=False), timeout=30) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get("http://alias.test:9000/")


def explained(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> list[dict[str, Any]]:
    with pytest.raises(SystemExit):
        main(["explain", "--config", str(folder), *WHO, "--json", *more])
    out = capsys.readouterr().out
    return [json.loads(each) for each in out.splitlines()] if "--requests" in more else [json.loads(out)]


@pytest.mark.parametrize(
    ("host", "more", "address", "by", "action"),
    [
        ("alias.test", (), VIP, "dns", "tcp"),
        ("alias.test", ("--resolve", "alias.test=192.0.2.7"), "192.0.2.7", "literal", "passthrough"),
        ("outside.test", (), "192.0.2.2", "dns", "passthrough"),
        ("nobody.test", (), None, None, "passthrough"),
        ("echo.example.com", (), VIP, "name_table", "tcp"),
    ],
)
def test_explain_says_the_same(
    names: Names,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    host: str,
    more: tuple[str, ...],
    address: str | None,
    by: str | None,
    action: str,
) -> None:
    (tmp_path / "echo.yaml").write_text(CONFIG)
    (found,) = explained(capsys, tmp_path, *more, "GET", f"http://{host}:9000/")
    assert (found["resolved"], found["action"]) == ({"address": address, "by": by}, action)
    assert (found["listener"] == f"{VIP}_9000") == (action == "tcp")
    assert bool(names.asked) == (by == "dns" or host == "nobody.test")


def test_explain_asks_once_and_a_server_that_fails_not_again(
    names: Names, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "echo.yaml").write_text(CONFIG)
    lines = tmp_path.parent / "requests.jsonl"
    hosts = ["alias.test", "broken.test", "outside.test", "alias.test"]
    lines.write_text("".join(json.dumps({"method": "GET", "url": f"http://{each}:9000/"}) + "\n" for each in hosts))
    found = explained(capsys, tmp_path, "--requests", str(lines))
    assert [each["resolved"]["address"] for each in found] == [VIP, None, None, VIP]
    assert found[1]["why"][0] == "broken.test is not in the name table, nor does DNS have it"
    assert not any(each.startswith("outside") for each in names.asked)
