"""The demo, driven from outside: walked, sabotaged, kept, its processes killed, itself interrupted."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from e2e.demos import COMMAND, PROCESSES, RunningDemo, until
from proxyless.demo.sabotage import SABOTAGES, SABOTAGES_WITH_MTLS
from proxyless.demo.scenarios import SCENARIOS, WITH_MTLS

KEYS = [each.key for each in SCENARIOS]
LIMIT_S = 120


@pytest.mark.parametrize("options", [(), ("--one-address",)], ids=["many addresses", "one address"])
def test_the_whole_demo_sees_what_it_expects_and_ends_by_itself(tmp_path: Path, options: tuple[str, ...]) -> None:
    began = time.monotonic()
    with RunningDemo(tmp_path / "demo", "--json", *options) as demo:
        assert demo.ends() == 0, demo.told()
        seconds = time.monotonic() - began
        demo.clean()
    found = demo.document()
    assert found["ok"] is True
    assert [each["key"] for each in found["scenarios"]] == KEYS
    assert all(check["ok"] for each in found["scenarios"] for check in each["checks"])
    assert seconds < LIMIT_S
    assert not demo.err


@pytest.mark.parametrize("options", [(), ("--one-address",)], ids=["many addresses", "one address"])
def test_the_whole_demo_in_strict_mode_sees_what_it_expects_and_ends_by_itself(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with RunningDemo(tmp_path / "demo", "--mtls", "--json", *options) as demo:
        assert demo.ends(2 * LIMIT_S) == 0, demo.told()
        demo.clean()
    found = demo.document()
    assert found["ok"] is True
    assert [each["key"] for each in found["scenarios"]] == [*KEYS, *(each.key for each in WITH_MTLS)]
    assert all(check["ok"] for each in found["scenarios"] for check in each["checks"])
    assert not demo.err


@pytest.mark.parametrize("name", list(SABOTAGES_WITH_MTLS))
def test_a_sabotage_of_strict_mode_is_noticed_by_its_scenario_alone(tmp_path: Path, name: str) -> None:
    other = "principals" if name != "principals" else "strict"
    options = ("--mtls", "--json", "--sabotage", name, "--only", name, "--only", other)
    with RunningDemo(tmp_path / "demo", *options) as demo:
        assert demo.ends(2 * LIMIT_S) == 1, demo.told()
        demo.clean()
    assert demo.document()["differ"] == [name]


def test_two_demos_side_by_side_do_not_meet(tmp_path: Path) -> None:
    short = ("--json", "--only", "weights", "--only", "ratelimit", "--only", "users")
    with (
        RunningDemo(tmp_path / "one", *short, "--one-address") as one,
        RunningDemo(tmp_path / "other", *short, "--one-address") as other,
    ):
        until(lambda: min(len(each.meet()) for each in (one, other)) >= PROCESSES, "both have started")
        for each in (one, other):
            assert each.ends() == 0, each.told()
            each.clean()


def test_every_scenario_can_be_sabotaged() -> None:
    assert {each.scenario for each in SABOTAGES.values()} == set(KEYS)
    assert {each.scenario for each in SABOTAGES_WITH_MTLS.values()} == {each.key for each in WITH_MTLS}


@pytest.mark.parametrize("name", list(SABOTAGES))
def test_a_sabotage_is_noticed_by_its_scenario_and_by_no_other(tmp_path: Path, name: str) -> None:
    meant = SABOTAGES[name].scenario
    other = "headers" if meant != "headers" else "users"
    with RunningDemo(tmp_path / "demo", "--json", "--sabotage", name, "--only", meant, "--only", other) as demo:
        assert demo.ends() == 1, demo.told()
        demo.clean()
    found = demo.document()
    assert found["ok"] is False
    assert found["differ"] == [meant]


def test_people_read_lines_and_a_table_in_a_pipe(tmp_path: Path) -> None:
    with RunningDemo(tmp_path / "demo", "--only", "headers") as demo:
        assert demo.ends() == 0, demo.told()
    assert demo.out[0].startswith("starting the shop: 8 services")
    assert "header routing: 40 calls with x-user-group: internal go to v3" in demo.out
    assert demo.out[-1].startswith("everything as expected: 1 scenario in ")
    assert not [line for line in demo.out if "\x1b" in line]


def test_people_see_no_broken_line_on_a_terminal_of_80_columns(tmp_path: Path) -> None:
    reader, terminal = os.openpty()
    environ = {**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    options = ["--only", "headers", "--only", "broken"]
    with subprocess.Popen([COMMAND, "demo", *options], env=environ, stdin=terminal, stdout=terminal) as running:
        os.close(terminal)
        text = b""
        while part := _read(reader):
            text += part
        assert running.wait() == 0
    os.close(reader)
    lines = [
        line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.decode()).replace("\r", "\n").splitlines() if line
    ]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("service     xds  config  served") for line in lines)
    assert "ok  header routing" in "\n".join(lines)
    assert lines[-1].startswith("everything as expected: 2 scenarios in ")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""  # nobody holds the other end any more


@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda each: each.name)
def test_interrupted_it_leaves_nothing(tmp_path: Path, what: signal.Signals) -> None:
    with RunningDemo(tmp_path / "demo") as demo:
        demo.says("canary weights:", demo.out)
        demo.send(what)
        assert demo.ends(30) == 130
        demo.clean()
    assert "Traceback" not in demo.told()


def test_killed_it_takes_its_processes_with_it(tmp_path: Path) -> None:
    with RunningDemo(tmp_path / "demo") as demo:
        demo.says("canary weights:", demo.out)
        demo.send(signal.SIGKILL)
        assert demo.ends() == -signal.SIGKILL
        demo.alone()


class Kept:
    """A demo with `--keep`, found by what it told people."""

    def __init__(self, demo: RunningDemo) -> None:
        self.demo = demo
        demo.says("Ctrl-C ends everything.")
        self.front = self._line("storefront ").split()[1]
        self.istio = Path(self._line("folder ").split()[1])
        self.client = httpx.Client(base_url=self.front, timeout=30, trust_env=False)

    def _line(self, start: str) -> str:
        return next(line for line in self.demo.err if line.startswith(start))

    def pid(self, name: str) -> int:
        """Of a service or the control plane, by the line that told it last."""
        lines = [line.split() for line in self.demo.err if "pid " in line and name in line]
        last = lines[-1]
        return int(last[last.index("pid") + 1])

    def admin(self, name: str) -> str:
        line = next(line for line in self.demo.err if line.startswith(f"  {name} ") and "/metrics" in line)
        return line.split()[-1].removesuffix("/metrics")

    def arrived(self, name: str, key: str) -> int:
        """What a service counted; 0 while it is away."""
        try:
            document = httpx.get(f"{self.admin(name)}/counters", timeout=10, trust_env=False).json()
        except httpx.TransportError:
            return 0
        return int(document["arrived"].get(key, 0))

    def calls(self, path: str, count: int) -> dict[int, int]:
        return dict(Counter(self.client.get(path).status_code for _ in range(count)))

    def kill(self, name: str) -> int:
        """Kill it; it is known to be dead then."""
        pid = self.pid(name)
        process = self.demo.meet()[pid]
        process.kill()
        self.demo.says(f"{name} has ended (status -9)")
        return pid


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept") / "demo"
    with RunningDemo(folder, "--keep", "--json", "--only", "headers") as demo:
        found = Kept(demo)
        yield found
        found.client.close()
        demo.send(signal.SIGINT)
        assert demo.ends(30) == 0, demo.told()
        demo.clean()
        assert demo.document()["ok"] is True


def test_kept_it_serves_on(kept: Kept) -> None:
    assert kept.calls("/items", 20) == {200: 20}
    assert kept.client.get("/items", headers={"x-user-group": "internal"}).json()["version"] == "v3"
    assert len(kept.demo.meet()) >= PROCESSES


def test_what_it_says_to_try_works(kept: Kept) -> None:
    text = "\n".join(kept.demo.err).replace("\\\n", " ")
    commands = [shlex.split(line) for line in text.splitlines() if line.strip().startswith("proxyless ")]
    said = [
        subprocess.run([COMMAND, *each[1:]], env=kept.demo.environ, capture_output=True, text=True, timeout=60)
        for each in commands
    ]
    assert [each.returncode for each in said] == [0, 0], [each.stderr for each in said]
    assert [each[1] for each in commands] == ["status", "explain"]
    assert "outbound|80|v1|catalog.shop.svc.cluster.local" in said[0].stdout
    assert "outbound|80|v2|catalog.shop.svc.cluster.local" in said[1].stdout


def test_a_changed_file_is_in_force(kept: Kept) -> None:
    file = kept.istio / "catalog.yaml"
    shipped = file.read_text()
    file.write_text(shipped.replace("exact: internal", "exact: guests"))
    headers = {"x-user-group": "guests"}
    until(lambda: kept.client.get("/items", headers=headers).json()["version"] == "v3", "the change is in force")
    file.write_text(shipped)
    until(lambda: kept.client.get("/items", headers=headers).json()["version"] != "v3", "and taken back")


def test_an_instance_that_is_killed_is_not_missed_and_comes_back(kept: Kept) -> None:
    pid = kept.kill("cart-2")
    assert kept.calls("/cart", 30) == {200: 30}
    kept.demo.says("cart-2 is started again")
    assert kept.pid("cart-2") != pid
    until(lambda: kept.calls("/cart", 2) == {200: 2} and kept.arrived("cart-2", "GET /cart"), "it gets calls again")


def test_the_only_instance_of_a_service_is_missed_until_it_is_back(kept: Kept) -> None:
    kept.kill("checkout")
    assert kept.calls("/quote", 3) == {503: 3}
    assert kept.calls("/items", 10) == {200: 10}
    kept.demo.says("checkout is started again")
    until(lambda: kept.calls("/quote", 1) == {200: 1}, "it answers again")


def test_without_a_control_plane_calls_go_on_and_what_changed_holds_when_it_is_back(kept: Kept) -> None:
    file = kept.istio / "catalog.yaml"
    shipped = file.read_text()
    kept.kill("control plane")
    file.write_text(shipped.replace("exact: internal", "exact: guests"))
    assert kept.calls("/items", 30) == {200: 30}
    headers = {"x-user-group": "internal"}
    assert kept.client.get("/items", headers=headers).json()["version"] == "v3"
    kept.demo.says("control plane is started again")
    until(lambda: kept.client.get("/items", headers=headers).json()["version"] != "v3", "the change is in force")
    file.write_text(shipped)
    until(lambda: kept.client.get("/items", headers=headers).json()["version"] == "v3", "and taken back")
