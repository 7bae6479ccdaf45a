"""gRPC channels in forked children and under gevent: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.governance.suites.grpc_served import Served, entry

ROOT = Path(__file__).parents[3]
OPENED = """
import sys
import proxyless.grpc
from proxyless import Mesh, Node
mesh = Mesh.from_config(sys.argv[1], node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False)
mesh.wait_ready(30)
def opened():
    return proxyless.grpc.channel("recommend.example.com:50051", mesh)
channel = opened()
get = channel.unary_unary("/shop.Recommend/Get")
"""
FORK = f"""
import os
{OPENED}
get(b"x", timeout=30)
child = os.fork()
if not child:
    try:
        print(get(b"y", timeout=30), flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
get(b"z", timeout=30)
mesh.close()
print("closed")
"""
GEVENT = f"""
from gevent import monkey
monkey.patch_all()
import gevent
import grpc
{OPENED}
beats = []
gevent.spawn(lambda: [beats.append(gevent.sleep(0.01)) for _ in range(20)])
try:
    channel.unary_unary("/shop.Recommend/Wait")(b"x", timeout=1)
except grpc.RpcError as error:
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
assert beats, "the other greenlets stood still"
assert len(list(channel.unary_stream("/shop.Recommend/Numbers")(b"3", timeout=30))) == 3
assert list(channel.stream_stream("/shop.Recommend/Echo")(iter([b"a", b"b"]), timeout=30)) == [b"a", b"b"]
assert get.future(b"x").result(30) == b"a:x"
calls = gevent.joinall([gevent.spawn(get, b"x", timeout=30) for _ in range(3)])
assert [each.value for each in calls] == [b"a:x"] * 3
mesh.close()
print("closed")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with Served("a") as served:
        (tmp_path / "mesh.yaml").write_text(entry("recommend", [served.port]))
        yield tmp_path


def run(code: str, folder: Path, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PROXYLESS_ACCESS_LOG": "off", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_channel_that_has_made_calls_is_refused_in_a_forked_child(folder: Path) -> None:
    # Else grpcio's own threads crash the child one time in five, before it calls.
    said, closed = run(FORK, folder, GRPC_ENABLE_FORK_SUPPORT="0")
    assert said.startswith("UnsupportedError this process was forked from one that has made calls")
    assert closed == "closed"


def test_green_threads_make_calls_beside_each_other(folder: Path) -> None:
    pytest.importorskip("gevent")
    assert run(GEVENT, folder) == ["closed"]
