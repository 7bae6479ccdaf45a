"""`proxyless status` and `proxyless dump`, as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from proxyless.cli import _asked, main
from proxyless.status_socket import Process
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.schema import types as pb
from tests.support.ads import AdsServer, recorded_resources

ROOT = Path(__file__).parents[3]
RECORDED = ROOT / "tests" / "recorded" / "shop" / "xds"
FRONTEND = RECORDED / "frontend"
WHO = ["--app", "frontend", "--namespace", "shop", "--ip", "127.0.10.1"]
CART = "outbound|80||cart.shop.svc.cluster.local"

SERVE = """
import sys
from proxyless import Mesh
meshes = [Mesh.from_recorded(sys.argv[1], registry=False) for _ in range(int(sys.argv[2]))]
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own."""
    with tempfile.TemporaryDirectory(prefix="px") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `proxyless` with arguments."""

    def command(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        out, err = capsys.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return command


class Governed:
    """A process with meshes, for as long as it is needed."""

    def __init__(self, meshes: int = 1) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(FRONTEND), str(meshes)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate("end\n", timeout=30)


def test_the_only_process_is_found_by_itself(run: Run) -> None:
    with Governed() as governed:
        done = run("status", "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["process"]["pid"] == governed.pid
        done = run("status", "--json", "--pid", str(governed.pid))
        assert json.loads(done.stdout)["ready"]


def test_people_see_tables(run: Run) -> None:
    done = run("status", "--recorded", str(FRONTEND))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["Cluster", "2026-11-21T08:50:10Z/1", "21", "21"] in lines
    assert any(line[:2] == [CART, "127.0.12.1:8080"] and "HEALTHY" in line for line in lines)
    assert any("payment" in line[0] and "0/16" in line for line in lines if line)
    assert "for each process by itself" in done.stdout


def test_several_processes_are_named_and_none_is_chosen(run: Run) -> None:
    with Governed() as one, Governed() as other:
        done = run("status")
        assert done.returncode == 2
        assert not done.stdout
        pids = ", ".join(map(str, sorted((one.pid, other.pid))))
        assert done.stderr == f"proxyless: several processes have a mesh; choose one with --pid: {pids}\n"
        assert run("status", "--pid", str(other.pid)).returncode == 0


def test_several_meshes_of_a_process_are_named_and_none_is_chosen(run: Run) -> None:
    with Governed(meshes=2) as governed:
        done = run("dump")
        assert done.returncode == 2
        assert done.stderr == f"proxyless: process {governed.pid} has several meshes; choose with --mesh: 1, 2\n"
        assert run("dump", "--mesh", "2").returncode == 0


def test_no_process_is_an_error_that_says_where_it_was_looked_for(run: Run, place: Path) -> None:
    for command in ("status", "dump"):
        done = run(command)
        assert done.returncode == 2
        assert "no process with a mesh was found" in done.stderr
        assert f"{place}/proxyless" in done.stderr
    done = run("status", "--pid", "1")
    assert done.returncode == 2
    assert "process 1 with a mesh was found" in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--pid", "x"), ("--pid", "0"), ("--mesh", "0"), ("--pid", "1", "--recorded", ".")]
)
def test_bad_usage_is_status_2(run: Run, arguments: tuple[str, ...]) -> None:
    done = run("status", *arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr


def test_a_control_plane_is_asked_for_everything_it_has(run: Run) -> None:
    with AdsServer(recorded_resources(FRONTEND)) as server:
        done = run("status", "--json", "--xds", f"xds://{server.address}", *WHO)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["control_plane"]["address"] == server.address
        assert document["resources"]["RouteConfiguration"]["held"] == 3
        [cart] = [each for each in document["clusters"] if each["name"] == CART]
        assert [each["address"] for each in cart["endpoints"]] == [f"127.0.12.{n}:8080" for n in range(1, 5)]
        done = run("dump", "--json", "--xds", f"xds://{server.address}", *WHO)
        assert done.returncode == 0, done.stderr
        held = {kind: each["held"] for kind, each in document["resources"].items() if each["held"]}
        dumped = [each["type"] for each in json.loads(done.stdout)["dump"]]
        assert {kind: dumped.count(kind) for kind in dumped} == held


def test_a_folder_of_yaml_is_asked_through_a_control_plane_of_its_own(run: Run, tmp_path: Path) -> None:
    for name in ("istio.yaml", "kubernetes.yaml"):
        shutil.copy(RECORDED.parent / name, tmp_path)
    done = run("status", "--json", "--config", str(tmp_path), *WHO)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["control_plane"]["connected"]
    [cart] = [each for each in document["clusters"] if each["name"] == CART]
    assert len(cart["endpoints"]) == 4


def test_a_rejected_resource_is_a_finding(run: Run) -> None:
    resources = recorded_resources(FRONTEND)
    resources[ResourceType.CLUSTER.value]["bad"] = pb.cluster_v3.Cluster(name="bad", lb_policy=99)
    with AdsServer(resources) as server:
        done = run("status", "--xds", f"xds://{server.address}", *WHO)
        assert done.returncode == 1, done.stderr
        assert "! Cluster 'bad' is rejected: " in done.stdout
        document = json.loads(run("status", "--json", "--xds", f"xds://{server.address}", *WHO).stdout)
        assert [each["name"] for each in document["rejected"]] == ["bad"]


def test_a_control_plane_that_is_not_there_is_bad_input(run: Run) -> None:
    done = run("status", "--xds", "xds://127.0.0.1:1", "--timeout", "0.5", *WHO)
    assert done.returncode == 2
    assert "no complete configuration within 0.5 s from 127.0.0.1:1" in done.stderr


def test_a_dump_can_be_narrowed_to_one_resource(run: Run) -> None:
    done = run("dump", "--recorded", str(FRONTEND), "--type", "Cluster", "--name", CART)
    assert done.returncode == 0, done.stderr
    table, mark, text = done.stdout.partition("{")
    assert CART in table
    assert json.loads(mark + text)["lb_policy"] == "RING_HASH"
    done = run("dump", "--recorded", str(FRONTEND), "--name", "nothing")
    assert done.returncode == 1


def test_a_process_that_dies_between_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    dead = Process(4711, 1, place / "4711.1.sock")
    monkeypatch.setattr(_asked, "processes", lambda: [dead])
    done = run("status")
    assert done.returncode == 2
    assert done.stderr.startswith("proxyless: process 4711 does not answer: ")


def test_a_dump_shows_no_secret(run: Run) -> None:
    done = run("dump", "--json", "--recorded", str(RECORDED / "payment"))
    assert done.returncode == 0, done.stderr
    assert "https://issuer.example" in done.stdout
    # The key of the recorded RequestAuthentication.
    assert "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ" not in done.stdout
    assert "[redacted]" in done.stdout
