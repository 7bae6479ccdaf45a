"""A short walk through a real shop, what becomes of one that fails, and the command around it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from proxyless.cli import main
from proxyless.demo.checks import Check
from proxyless.demo.keep import restore, supervise, told
from proxyless.demo.processes import DemoError, Process
from proxyless.demo.reporting import Reporter
from proxyless.demo.run import Demo
from proxyless.demo.sabotage import SABOTAGES_WITH_MTLS
from proxyless.demo.scenarios import SCENARIOS, WITH_MTLS, Scenario
from proxyless.demo.seen import UnseenError
from proxyless.demo.walk import tried, walk


class Told(Reporter):
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, text: str) -> None:
        self.heard.append(text)

    def begins(self, title: str, expects: str) -> None:
        self.heard.append(f"{title}: {expects}")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("one", [False, True], ids=["many addresses", "one address"])
def test_a_short_walk_is_good_and_leaves_nothing(one: bool) -> None:
    told_it = Told()
    with Demo(one_address=one) as demo:
        results = walk(demo, told_it, [each for each in SCENARIOS if each.key in ("headers", "users")])
        pids = [each.pid for each in demo.processes.values()]
        folder = demo.directory
        assert len(pids) == 10
        assert all(map(alive, pids))
    assert [(each.key, each.ok) for each in results] == [("headers", True), ("users", True)]
    assert told_it.heard[0] == "starting the shop: 8 services, a control plane, a load generator"
    assert told_it.heard[2:] == [
        "header routing: 40 calls with x-user-group: internal go to v3",
        "rate limit per user: a bucket of 4 for each user: alice calls 7 times, bob 3, others 20",
    ]
    assert not folder.exists()
    assert not any(map(alive, pids))


def test_a_short_walk_in_strict_mode_is_good_and_leaves_nothing() -> None:
    with Demo(mtls=True) as demo:
        wanted = [each for each in (*SCENARIOS, *WITH_MTLS) if each.key in ("headers", "strict", "principals")]
        results = walk(demo, Told(), wanted)
        folder = demo.directory
        assert {each.stat().st_mode & 0o77 for each in folder.glob("*.token")} == {0}
    assert [check for each in results for check in each.checks if not check.ok] == []
    assert [each.key for each in results] == ["headers", "strict", "principals"]
    assert not folder.exists()


@pytest.mark.parametrize("key", ["strict", "principals"])
def test_a_shop_that_is_less_strict_is_noticed(key: str) -> None:
    with Demo(SABOTAGES_WITH_MTLS[key], mtls=True) as demo:
        results = walk(demo, Told(), [each for each in WITH_MTLS if each.key in ("strict", "principals")])
    assert [each.key for each in results if not each.ok] == [key]


@pytest.mark.parametrize("error", [UnseenError("http://127.0.0.1:1: refused"), DemoError("payment has ended")])
def test_a_scenario_that_breaks_off_keeps_its_checks_and_is_not_good(error: Exception) -> None:
    def breaks(demo: Demo) -> Iterator[Check]:
        yield Check("first", "1", "1", ok=True)
        raise error

    found = tried(Scenario("broken", "broken off", lambda demo: "nothing", breaks), Demo())
    assert not found.ok
    assert found.checks == (
        Check("first", "1", "1", ok=True),
        Check("the scenario", "comes to an end", str(error), ok=False),
    )


def test_a_service_that_does_not_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Demo() as demo:
        instance = demo.instance("payment")
        process = Process("payment", ["-c", "raise SystemExit('no tea')"], {}, tmp_path / "log")
        demo.processes["payment"] = process
        process.start()
        with pytest.raises(DemoError, match=r"^payment has ended with status 1:\nno tea$"):
            demo.await_service(instance)


def test_the_folder_is_written_whole() -> None:
    with Demo() as demo:
        for name, text in demo.intended.texts.items():
            demo.write(name, "something else")
            demo.write(name, text)
        assert {each.name: each.read_text() for each in demo.folder.iterdir()} == demo.intended.texts


def test_kept_it_is_told_what_there_is_and_what_ends_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxyless.demo.keep.AGAIN_S", 0.2)
    said: list[str] = []
    with Demo() as demo:
        demo.start()
        demo.write("catalog.yaml", "")
        restore(demo)
        assert (demo.folder / "catalog.yaml").read_text() == demo.intended.texts["catalog.yaml"]
        text = told(demo)
        assert all(f"pid {demo.processes[each.name].pid} " in text for each in demo.instances)
        assert all(f"{each.admin_url}/metrics" in text for each in demo.instances)
        assert demo.xds in text
        old = {name: demo.processes[name].pid for name in ("payment", "load generator")}
        for name in old:
            demo.processes[name].kill()
        supervise(demo, said.append, lambda: len(said) < 4)
        demo.await_service(demo.instance("payment"))
        assert demo.load.burst("POST", "/checkout", 1).calls == 1
        assert demo.load.stop().calls >= 0
        new = {name: demo.processes[name].pid for name in old}
    assert sorted(said) == sorted(
        line
        for name in old
        for line in (
            f"{name} has ended (status -9); it is started again in 0.2 s",
            f"{name} is started again, pid {new[name]}",
        )
    )
    assert not old.items() & new.items()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--sabotage", "tea"], "Invalid value for --sabotage: one of weights, headers, retries, "),
        (["--only", "headers", "--only", "tea"], "Invalid value for --only: one of weights, headers, retries, "),
    ],
)
def test_what_is_no_scenario_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["demo", *arguments])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


def test_what_is_not_installed_is_named_with_what_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str, package: str | None = None) -> ModuleSpec | None:
        del package
        return ModuleSpec(name, None) if name == "httpx" else None

    monkeypatch.setattr("proxyless.cli.demo.find_spec", find)
    with pytest.raises(SystemExit) as caught:
        main(["demo"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == "proxyless: the demo needs uvicorn: pip install 'proxyless[demo]'\n"


def test_the_command_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["demo", "--json", "--only", "headers", "--sabotage", "headers"])
    assert caught.value.code == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["ok"], found["differ"]) == (False, ["headers"])
    assert "--- log of storefront\n" in captured.err
