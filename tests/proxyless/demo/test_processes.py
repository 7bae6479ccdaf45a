"""Children of a demo: started, killed, ended; the control plane's words and the load generator's answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxyless.demo.control import ControlPlane, Load, Tally
from proxyless.demo.processes import DemoError, Process, end, environment
from tests.support.waiting import wait_for

SLEEPS = "import signal, sys, time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
FOLLOWS = (
    "import time; from proxyless.demo.family import follow_parent; follow_parent(); print('up', flush=True);"
    "time.sleep(600)"
)
FAILS = "from proxyless.demo.family import follow_parent; follow_parent(); raise SystemExit('cannot start')"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[list[Process]]:
    """Processes that are gone after the test."""
    found: list[Process] = []
    yield found
    end(found)


def started(made: list[Process], tmp_path: Path, program: str, *, up: bool = True) -> Process:
    process = Process("child", ["-c", program], {}, tmp_path / "child.log")
    made.append(process)
    process.start()
    if up:
        wait_for(lambda: "up" in process.said(), 30)
    return process


def test_a_child_says_into_its_log_and_ends_by_sigterm(made: list[Process], tmp_path: Path) -> None:
    process = started(made, tmp_path, SLEEPS)
    assert process.pid
    end([process])
    assert process.ended == -signal.SIGTERM
    assert process.said() == "up"


def test_a_child_that_does_not_end_is_killed(
    made: list[Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxyless.demo.processes.GRACE_S", 0.1)
    process = started(made, tmp_path, STUBBORN)
    end([process])
    assert process.ended == -signal.SIGKILL


def test_a_child_that_is_stopped_ends_all_the_same(made: list[Process], tmp_path: Path) -> None:
    process = started(made, tmp_path, SLEEPS)
    process.send(signal.SIGSTOP)
    end([process])
    assert process.ended == -signal.SIGTERM


def test_a_child_runs_again_after_it_was_killed(made: list[Process], tmp_path: Path) -> None:
    process = started(made, tmp_path, SLEEPS)
    first = process.pid
    process.kill()
    assert process.ended == -signal.SIGKILL
    process.start()
    assert process.pid != first


def test_a_child_ends_with_its_parent(made: list[Process], tmp_path: Path) -> None:
    process = started(made, tmp_path, FOLLOWS)
    assert process.popen is not None
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    wait_for(lambda: process.ended is not None, 30)
    assert process.ended == -signal.SIGTERM


def test_a_child_that_cannot_start_says_why_and_nothing_else(made: list[Process], tmp_path: Path) -> None:
    process = started(made, tmp_path, FAILS, up=False)
    wait_for(lambda: process.ended is not None, 30)
    assert (process.ended, process.said()) == (1, "cannot start")


def test_what_was_never_started_is_nothing(tmp_path: Path) -> None:
    process = Process("child", [], {}, tmp_path / "none.log")
    process.send(signal.SIGTERM)
    process.kill()
    assert (process.pid, process.ended, process.said()) == (0, 0, "")
    end([process])


def test_a_child_is_nobody_else_and_goes_through_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {
        "PROXYLESS_XDS": "xds://somewhere:1",
        "ISTIO_META_CLUSTER_ID": "far",
        "GRPC_XDS_BOOTSTRAP": "/none",
        "POD_NAME": "other",
        "PROXY_CONFIG": "{}",
        "PROMETHEUS_MULTIPROC_DIR": "/none",
        "HTTP_PROXY": "http://proxy:1",
        "https_proxy": "http://proxy:1",
    }
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KEPT", "yes")
    found = environment({"POD_NAME": "mine"})
    assert found["POD_NAME"] == "mine"
    assert found["KEPT"] == "yes"
    assert not (foreign.keys() - {"POD_NAME"}) & found.keys()
    program = "import proxyless; print(proxyless.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=found,
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert Path(done.stdout.strip()).samefile(Path(__file__).parents[3] / "proxyless" / "__init__.py")


def test_the_control_plane_is_read_line_by_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    plane = ControlPlane(Process("control plane", [], {}, log))
    assert plane.events() == []
    log.write_text('{"event": "serving"}\nWARNING something\n{"event": "changed"}\n{"event": "ref')
    assert [each["event"] for each in plane.events()] == ["serving", "changed"]
    assert [each["event"] for each in plane.events(1)] == ["changed"]
    assert plane.said() == 2


ECHO = """
import sys
for line in sys.stdin:
    if "burst" in line:
        print('{"id": 1, "statuses": {"200": 2}, "servers": {}, "limited": 0, "seconds": 0.5}', flush=True)
    else:
        sys.exit("no")
"""


def test_orders_are_answered_and_a_generator_that_is_gone_is_named(made: list[Process], tmp_path: Path) -> None:
    process = Process("load generator", ["-c", ECHO], {}, tmp_path / "load.log", listened=True)
    made.append(process)
    process.start()
    load = Load(process)
    load.listen()
    assert load.burst("GET", "/items", 2) == Tally({"200": 2}, {}, 0, 0.5)
    with pytest.raises(DemoError, match=r"^the load generator does not answer\nno$"):
        load.stop()
    wait_for(lambda: process.ended is not None, 30)
    with pytest.raises(DemoError, match=r"^the load generator is gone\nno$"):
        load.stop()


def test_a_demo_that_is_left_leaves_no_process(tmp_path: Path) -> None:
    """A parent that is killed at once: its child notices by its standard input alone."""
    parent = (
        "import os, sys; from pathlib import Path; from proxyless.demo.processes import Process\n"
        f"process = Process('child', ['-c', {FOLLOWS!r}], {{}}, Path({str(tmp_path / 'log')!r}))\n"
        "process.start(); print(process.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        child = int(running.stdout.readline())
        wait_for(lambda: (tmp_path / "log").read_text() == "up\n", 30)
        running.kill()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if "State:\tZ" in Path(f"/proc/{child}/status").read_text():
            return
    pytest.fail("the child is still there")
