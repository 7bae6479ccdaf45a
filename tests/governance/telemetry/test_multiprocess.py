"""prometheus_client's multiprocess mode, with real processes: forked workers, and one that a control plane governs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from proxyless.xds.model.resource import ResourceType
from tests.support.ads import AdsServer, recorded_resources
from tests.support.waiting import wait_for

from .conftest import Shop, labels, value

ROOT = Path(__file__).parents[3]

FORKED = """
import os, sys
import httpx, proxyless.httpx
from proxyless import Mesh
mesh = Mesh.from_recorded(sys.argv[1], status_socket=False)

def call(times):
    with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
        for _ in range(times):
            assert client.get("http://cart.shop/").status_code == 200

call(3)
children = []
for times in (5, 7):
    pid = os.fork()
    if pid == 0:
        call(times)
        mesh.close()
        os._exit(0)
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0]
call(1)
"""

GOVERNED = """
import sys
import httpx, proxyless.httpx
from proxyless import Mesh, Node
node = Node(app="frontend", namespace="shop", ip="127.0.10.1")
mesh = Mesh(sys.argv[1], node=node, cache_dir=False)
mesh.wait_ready(10)
with httpx.Client(transport=proxyless.httpx.Transport(mesh)) as client:
    client.get("http://cart.shop/")
    print("called", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def together(folder: Path) -> CollectorRegistry:
    """What the process that is scraped would show."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    return registry


def start(code: str, argument: str, folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, argument],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_forked_workers_are_counted_together_and_nothing_twice(
    shop: Shop, folder: Path, together: CollectorRegistry
) -> None:
    with start(FORKED, str(shop.folder), folder) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert value(together, "istio_requests_total", destination_service_name="cart") == 3 + 5 + 7 + 1
    assert value(together, "istio_request_duration_milliseconds_count") == 16
    assert value(together, "istio_request_duration_milliseconds_bucket", le="+Inf") == 16
    assert not [each for each in labels(together, "istio_requests_total") if "pid" in each]


def test_a_worker_brings_its_metrics_up_to_date_while_it_runs(
    shop: Shop, folder: Path, together: CollectorRegistry
) -> None:
    with (
        AdsServer(recorded_resources(shop.folder)) as server,
        start(GOVERNED, f"xds://{server.address}", folder) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "called\n"
        wait_for(lambda: value(together, "istio_requests_total", destination_service_name="cart") == 1)
        # One after the other, so whoever reads meanwhile sees the first without the last.
        wait_for(lambda: value(together, "proxyless_control_plane_connected", control_plane=server.address) == 1)
        held = len(server.resources[ResourceType.CLUSTER.value])
        wait_for(lambda: value(together, "proxyless_resources", type="Cluster") == held)
        process.communicate("end\n", timeout=30)
    assert process.returncode == 0
