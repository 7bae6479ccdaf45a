"""An ADS server that nobody here wrote, in both variants: go-control-plane's snapshot cache."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest

from e2e.tools import go_program
from proxyless import Mesh, Node
from tests.support.waiting import wait_for
from tests.xds.transport.test_control import decide

RECORDED = Path(__file__).parents[1] / "tests" / "recorded" / "shop" / "xds" / "frontend"
PAYMENT = "outbound|80||payment.shop.svc.cluster.local"
NODE = Node(app="frontend", namespace="shop", ip="127.0.10.1")


class GoControlPlane:
    """The program of e2e/gocontrolplane."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program, RECORDED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._lines: Queue[str] = Queue()
        Thread(target=self._read, daemon=True).start()
        self.port = int(self._lines.get(timeout=30))

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def order(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        assert self.line("ok") == "ok"

    def line(self, start: str) -> str:
        """The next line that starts so."""
        while True:
            try:
                line = self._lines.get(timeout=20)
            except Empty:
                pytest.fail(f"the server said nothing that starts with {start!r}")
            if line.startswith(start):
                return line

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def plane() -> Iterator[GoControlPlane]:
    running = GoControlPlane(go_program("gocontrolplane"))
    yield running
    running.close()


@pytest.fixture(params=[False, True], ids=["sotw", "delta"])
def mesh(plane: GoControlPlane, request: pytest.FixtureRequest) -> Iterator[Mesh]:
    url = f"xds://127.0.0.1:{plane.port}"
    made = Mesh(url, node=NODE, registry=False, cache_dir=False, delta=request.param)
    made.wait_ready(20)
    yield made
    made.close()


def test_calls_are_routed_by_what_it_serves(mesh: Mesh) -> None:
    assert decide(mesh, "http://payment.shop.svc.cluster.local/").host.address.startswith("127.0.14.")
    assert decide(mesh, "http://catalog.shop.svc.cluster.local/teapot").status == 418


def test_a_change_of_endpoints_arrives(mesh: Mesh, plane: GoControlPlane) -> None:
    decide(mesh, "http://payment.shop/")
    plane.order(f"move-endpoint {PAYMENT} 127.0.77.7")
    wait_for(lambda: decide(mesh, "http://payment.shop/").host.address == "127.0.77.7:8080")


def test_a_removed_cluster_is_gone(mesh: Mesh, plane: GoControlPlane) -> None:
    decide(mesh, "http://payment.shop/")
    plane.order(f"remove-cluster {PAYMENT}")
    wait_for(lambda: decide(mesh, "http://payment.shop/").flags == ("NC",))


def test_a_bad_cluster_is_refused_by_name_and_the_last_good_one_stays(mesh: Mesh, plane: GoControlPlane) -> None:
    decide(mesh, "http://payment.shop/")
    plane.order(f"bad-cluster {PAYMENT}")
    assert plane.line("nack").startswith(f"nack type.googleapis.com/envoy.config.cluster.v3.Cluster {PAYMENT}: ")
    assert decide(mesh, "http://payment.shop/").host is not None
