"""go-control-plane's client, which nobody here wrote, connects to the embedded control plane: both variants."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

from e2e.tools import go_program
from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.server import Server, serve
from tests.support.waiting import wait_for
from tests.xds.controlplane.support import endpoints, service

A, B = (f"outbound|80||{name}.shop.svc.cluster.local" for name in "ab")
OWN = {"BlackHoleCluster", "PassthroughCluster", "InboundPassthroughCluster"}


def replace(file: Path, text: str) -> None:
    """At once: what is half written is another change."""
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


class Client:
    """The program of e2e/gocontrolplaneclient."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [go_program("gocontrolplaneclient"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._lines: Queue[str] = Queue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def order(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")

    def next(self) -> dict[str, Any]:
        """The next response, as the client saw it."""
        found: dict[str, Any] = json.loads(self._lines.get(timeout=20))
        return found

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(service("a", "http:80") + endpoints("a", "http:80", "127.0.1.1"))
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    plane = Plane(FolderSource(folder))
    running = serve(plane, "127.0.0.1:0")
    yield running
    running.stop()
    plane.close()


@pytest.fixture
def connect(server: Server) -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def made(variant: str, type_: rules.ResourceType, *names: str) -> Client:
        clients.append(Client(server.address, variant, type_.url, *names))
        return clients[-1]

    yield made
    for each in clients:
        each.close()


@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_it_reads_clusters_and_follows_changes(variant: str, connect: Callable[..., Client], folder: Path) -> None:
    client = connect(variant, rules.CLUSTER)
    first = client.next()
    assert set(first["resources"]) == OWN | {A}
    assert first["acked"]
    replace(folder / "b.yaml", service("b", "http:80", ip="10.96.0.2"))
    assert B in client.next()["resources"]
    (folder / "b.yaml").unlink()
    last = client.next()
    assert B not in last["resources"]
    assert last["removed"] == ([B] if variant == "delta" else [])


@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_it_reads_every_listener(variant: str, connect: Callable[..., Client]) -> None:
    assert {"0.0.0.0_80", "virtualInbound", "virtualOutbound"} <= set(
        connect(variant, rules.LISTENER).next()["resources"]
    )


@pytest.mark.parametrize("variant", ["sotw", "delta"])
def test_what_it_refuses_is_seen_and_the_next_change_comes(
    variant: str, connect: Callable[..., Client], server: Server, folder: Path
) -> None:
    client = connect(variant, rules.CLUSTER)
    client.next()
    client.order("nack not today")

    def errors() -> list[str]:
        return [each.error for one in server.plane.status().clients for each in one.subscriptions]

    for port in range(80, 1080):  # until the order has reached the client
        replace(folder / "b.yaml", service("b", f"http:{port}", ip="10.96.0.2"))
        if not client.next()["acked"]:
            break
    wait_for(lambda: errors() == ["not today"])
    (folder / "b.yaml").unlink()
    assert client.next()["acked"]
    wait_for(lambda: errors() == [""])


def test_delta_subscribes_and_unsubscribes_by_name(connect: Callable[..., Client], folder: Path) -> None:
    client = connect("delta", rules.ENDPOINT, A)
    assert client.next()["resources"] == [A]
    client.order(f"subscribe {B}")
    assert client.next()["resources"] == [B]
    client.order(f"unsubscribe {A}")
    replace(folder / "b.yaml", service("b", "http:80", ip="10.96.0.2") + endpoints("b", "http:80", "127.0.1.2"))
    assert client.next()["resources"] == [B]
