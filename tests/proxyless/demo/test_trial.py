"""`helm test` and the load Job of the shop's chart, against the demo's real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from proxyless.demo.run import Demo
from proxyless.demo.shop import Instance
from proxyless.demo.trial import main, parse

CANARY = ("canary", "--namespace", "shop", "--calls", "300")


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with Demo() as made:
        made.start()
        yield made


def run(demo: Demo, *arguments: str) -> int:
    def find(app: str) -> list[Instance]:
        return [each for each in demo.instances if each.role.app == app]

    return main(list(arguments), find)


def test_what_is_meant_to_hold_holds(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    connections, waiting = demo.intended.breaker
    bucket = demo.intended.payments
    shares = [f"--share={version}={weight}" for version, weight in demo.intended.weights.items()]
    trials = {
        "canary": (*CANARY[1:], *shares),
        "breaker": ("--namespace", "shop", f"--connections={connections}", f"--waiting={waiting}"),
        "ratelimit": ("--namespace", "shop", f"--orders={bucket.tokens}", "--every=60"),
    }
    for name, options in trials.items():
        assert run(demo, name, *options) == 0, capsys.readouterr().out
    assert "while it is slow (metrics): expected active: 2, turned away: 7, waiting: 3" in capsys.readouterr().out


def test_what_does_not_hold_is_told(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(demo, *CANARY, "--share=v1=20", "--share=v2=80") == 1
    assert "DIFFERS: of 300 calls to v1" in capsys.readouterr().out


def test_a_shop_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CANARY, "--share=v1=1"], lambda _: []) == 2
    assert "no pod of storefront is ready" in capsys.readouterr().err
    for wrong in (["nothing"], [*CANARY, "--share", "v1"], ["canary"]):
        with pytest.raises(SystemExit):
            parse(wrong)


def test_the_load_is_part_of_the_mesh(demo: Demo) -> None:
    mesh = {"PROXYLESS_XDS": demo.xds, "POD_NAMESPACE": "shop", "PROXYLESS_CACHE_DIR": str(demo.directory)}
    environment = {**os.environ, **mesh}
    options = ["http://storefront", "--path=/", "--path=/items", "--seconds=2", "--pause=0.05"]
    command = [sys.executable, "-m", "proxyless.demo.load_job", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout)["statuses"].get("200", 0) > 0, done.stderr
