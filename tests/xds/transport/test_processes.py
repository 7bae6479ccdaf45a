"""Forks and green threads: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxyless import ConfigurationError, Mesh
from tests.support.ads import AdsServer
from tests.support.waiting import wait_for

from .conftest import NODE, MakeMesh
from .test_control import decide

ROOT = Path(__file__).parents[3]

FORK = """
import os, sys
from proxyless import Mesh, Node
from tests.xds.transport.test_control import decide
mesh = Mesh(sys.argv[1], node=Node(app="frontend", namespace="shop", ip="127.0.10.1"), registry=False, cache_dir=False)
mesh.wait_ready(10)
parent = decide(mesh).host.address
pid = os.fork()
if pid == 0:
    # The configuration is there at once; the child's own stream comes in the background.
    first = decide(mesh, "http://payment/")
    later = decide(mesh, "http://cart/")
    os._exit(0 if first.host and later.host else 3)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
decide(mesh, "http://frontend/")
mesh.close()
sys.exit(status)
"""

GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys
import gevent
from proxyless import Mesh, Node
from tests.xds.transport.test_control import decide
mesh = Mesh(sys.argv[1], node=Node(app="frontend", namespace="shop", ip="127.0.10.1"), registry=False, cache_dir=False)
beats = []
gevent.spawn(lambda: [beats.append(gevent.sleep(0.01)) for _ in range(200)])
mesh.wait_ready(20)
assert decide(mesh).host
assert decide(mesh, "http://cart/").host
assert beats, "the other greenlets stood still"
mesh.close()
print("governed")
"""


def run(code: str, server: AdsServer, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, f"xds://{server.address}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PROXYLESS_ACCESS_LOG": "off", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_forked_child_opens_a_stream_of_its_own_and_the_parent_keeps_its(server: AdsServer) -> None:
    done = run(FORK, server)
    assert done.returncode == 0, done.stderr
    assert len(server.streams) == 2


def test_fork_support_of_grpc_is_refused_by_name(server: AdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "1")
    with pytest.raises(ConfigurationError, match="GRPC_ENABLE_FORK_SUPPORT=1 makes forked children hang"):
        Mesh(f"xds://{server.address}", node=NODE, registry=False)


def test_a_mesh_works_under_gevent(server: AdsServer) -> None:
    pytest.importorskip("gevent")
    done = run(GEVENT, server)
    assert done.stdout.strip() == "governed", done.stderr


def test_many_meshes_live_in_one_process(server: AdsServer, mesh_of: MakeMesh) -> None:
    meshes = [mesh_of(server) for _ in range(3)]
    for mesh in meshes:
        assert decide(mesh).host is not None
    wait_for(lambda: len(server.streams) == 3)
