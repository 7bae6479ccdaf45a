"""The status socket: private, found, forked, removed, and never in the way."""

from __future__ import annotations

import gc
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from proxyless import Mesh, status_socket
from proxyless.documents import joined
from proxyless.status_socket import StatusServer, ask, directories, private_directory, processes
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "tests" / "recorded" / "shop" / "xds" / "frontend"


@pytest.fixture(autouse=True)
def runtime_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place of this test's own; short, for the path of a socket may not be long."""
    with tempfile.TemporaryDirectory(prefix="px") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.delenv(status_socket.SWITCH, raising=False)
        yield Path(name)


def mesh(**options: Any) -> Mesh:
    return Mesh.from_recorded(FRONTEND, registry=False, **options)


def echo(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"document": request}


def test_the_socket_and_its_directory_belong_to_this_user_alone(runtime_directory: Path) -> None:
    with mesh():
        [found] = processes()
        assert found.pid == os.getpid()
        assert found.path == runtime_directory / "proxyless" / f"{os.getpid()}.1.sock"
        assert stat.S_IMODE(found.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(found.path.parent.stat().st_mode) == 0o700
    assert processes() == []
    assert not found.path.exists()


def test_a_process_answers_for_its_status_and_its_resources() -> None:
    with mesh() as own:
        [found] = processes()
        status = joined(ask(found.path, {"command": "status"}))
        assert status == json.loads(json.dumps(own.status()))
        dump = joined(ask(found.path, {"command": "dump"}))
        assert dump == json.loads(json.dumps(own.dump()))
        clusters = joined(ask(found.path, {"command": "dump", "type": "cluster"}))["dump"]
        assert {each["type"] for each in clusters} == {"Cluster"}


def test_each_mesh_of_a_process_has_its_own() -> None:
    with mesh(), mesh():
        assert [each.number for each in processes()] == [1, 2]
        with mesh():
            assert [each.number for each in processes()] == [1, 2, 3]
    assert processes() == []


@pytest.mark.parametrize("line", [b"not json\n", b"[1]\n", b'"status"\n'])
def test_what_is_no_request_is_answered_with_an_error(line: bytes) -> None:
    with mesh(), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(processes()[0].path))
        client.sendall(line)
        answer = json.loads(client.makefile().readline())
    assert answer == {"error": "a request is a JSON object on one line"}


def test_an_unknown_command_is_an_error() -> None:
    with mesh(), pytest.raises(ValueError, match="unknown command 'restart'"):
        joined(ask(processes()[0].path, {"command": "restart"}))


def test_an_answer_that_fails_says_so_and_the_next_one_works(caplog: pytest.LogCaptureFixture) -> None:
    def answer(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if request["command"] == "fail":
            raise RuntimeError("broken")
        return echo(request)

    server = StatusServer(answer)
    server.start()
    try:
        assert server.path is not None
        with pytest.raises(ValueError, match="RuntimeError: broken"):
            joined(ask(server.path, {"command": "fail"}))
        assert joined(ask(server.path, {"command": "echo"})) == {"command": "echo"}
        assert "status request 'fail'" in caplog.text
    finally:
        server.close()


def test_a_client_that_says_nothing_is_let_go_and_the_next_one_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_socket, "CLIENT_TIMEOUT_S", 0.1)
    with mesh(), socket.socket(socket.AF_UNIX) as silent:
        path = processes()[0].path
        silent.connect(str(path))
        began = time.monotonic()
        assert joined(ask(path, {"command": "status"}))["ready"]
        assert time.monotonic() - began < 5


def test_a_mesh_that_nobody_closed_takes_its_socket_with_it(runtime_directory: Path) -> None:
    own = mesh()
    [found] = processes()
    del own
    gc.collect()
    wait_for(lambda: not found.path.exists())
    assert processes() == []
    wait_for(lambda: all(each.name != "proxyless-status" for each in threading.enumerate()))


def test_a_client_under_way_does_not_keep_the_socket_at_close(runtime_directory: Path) -> None:
    with mesh(), socket.socket(socket.AF_UNIX) as silent:
        [found] = processes()
        silent.connect(str(found.path))
        silent.sendall(b'{"command": ')
        time.sleep(0.05)
    assert not found.path.exists()


def test_the_switch_turns_it_off(monkeypatch: pytest.MonkeyPatch, runtime_directory: Path) -> None:
    monkeypatch.setenv(status_socket.SWITCH, "0")
    with mesh():
        assert processes() == []
        assert not (runtime_directory / "proxyless").exists()


def test_a_directory_that_others_may_look_into_is_not_used(
    runtime_directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in directories():
        path.mkdir(mode=0o755)
        path.chmod(0o755)
    with mesh() as own:
        assert own.status()["ready"]
    assert "no status socket:" in caplog.text
    assert "is not a directory that belongs to this user alone" in caplog.text
    assert not list(runtime_directory.rglob("*.sock"))


def test_a_link_in_place_of_the_directory_is_not_followed(runtime_directory: Path) -> None:
    elsewhere = runtime_directory / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (runtime_directory / "proxyless").symlink_to(elsewhere)
    assert private_directory() == runtime_directory / f"proxyless-{os.getuid()}"


def test_a_path_that_is_too_long_costs_the_socket_and_nothing_else(
    runtime_directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deep = runtime_directory / ("x" * 120)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with mesh() as own:
        assert own.ready
    assert "no status socket:" in caplog.text


def test_the_sockets_of_dead_processes_are_removed(runtime_directory: Path) -> None:
    directory = runtime_directory / "proxyless"
    directory.mkdir(mode=0o700)
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    path = directory / f"{int(dead.stdout)}.1.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    strange = directory / "readme.sock"
    strange.touch()
    with mesh():
        assert not path.exists()
        assert strange.exists()
    path.touch()
    assert processes() == []
    assert not path.exists()


def test_a_socket_left_by_an_earlier_process_of_the_same_number_is_taken_over(runtime_directory: Path) -> None:
    directory = runtime_directory / "proxyless"
    directory.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(directory / f"{os.getpid()}.1.sock"))
    with mesh():
        [found] = processes()
        assert found.number == 1
        assert joined(ask(found.path, {"command": "status"}))["ready"]


def test_calls_of_other_threads_go_on_while_a_dump_is_written() -> None:
    with mesh() as own:
        path = processes()[0].path
        ticks: list[float] = []
        done = threading.Event()

        def call() -> None:
            while not done.is_set():
                own.runtime.plan.destination(b"http", b"cart.shop", 80)
                ticks.append(time.monotonic())

        thread = threading.Thread(target=call)
        thread.start()
        joined(ask(path, {"command": "dump"}))
        done.set()
        thread.join()
    assert max(later - earlier for earlier, later in pairwise(ticks)) < 0.5


FORK = """
import os, sys, time
from proxyless import Mesh
from proxyless.documents import joined
from proxyless.status_socket import ask, processes
mesh = Mesh.from_recorded(sys.argv[1], registry=False)
parent = os.getpid()
pid = os.fork()
if pid == 0:
    own = {each.pid: each.path for each in processes()}
    assert set(own) == {parent, os.getpid()}, own
    assert joined(ask(own[os.getpid()], {"command": "status"}))["process"]["pid"] == os.getpid()
    assert joined(ask(own[parent], {"command": "status"}))["process"]["pid"] == parent
    mesh.close()
    assert [each.pid for each in processes()] == [parent]
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
[left] = processes()
assert joined(ask(left.path, {"command": "status"}))["process"]["pid"] == parent
if os.fork() == 0:
    os._exit(0)  # without a word: its socket is left behind
os.wait()
assert [each.pid for each in processes()] == [parent]
"""


def test_a_forked_child_has_a_socket_of_its_own_and_leaves_the_parents_alone(runtime_directory: Path) -> None:
    place = str(runtime_directory)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": place, "TMPDIR": place}
    code = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK, str(FRONTEND)]
    done = subprocess.run(code, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    # The mesh was never closed: the end of the process takes the socket away.
    assert not list(runtime_directory.rglob("*.sock"))


def test_nothing_is_made_when_the_module_is_imported(runtime_directory: Path) -> None:
    code = "import threading, proxyless.documents, proxyless.mesh, proxyless.status_socket as _; "
    code += "print(threading.active_count())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(runtime_directory)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.strip() == b"1"
    assert not list(runtime_directory.iterdir())
