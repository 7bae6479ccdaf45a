"""The committed files are what the generator makes of the installed envoy-data-plane and of xds-protos."""

import pytest

from tools.schema.__main__ import main
from tools.schema.generate import TARGET, generated, stale
from tools.schema.roots import ROOTS


@pytest.fixture(scope="module")
def produced() -> dict[str, bytes]:
    return generated()


def test_every_generated_file_in_the_tree_has_the_bytes_that_generation_gives(produced: dict[str, bytes]) -> None:
    differing = [name for name, content in produced.items() if _committed(name) != content]
    assert differing == [], "run `python -m tools.schema`"


def test_the_tree_holds_no_generated_file_that_is_no_longer_produced(produced: dict[str, bytes]) -> None:
    assert stale(produced) == []


def test_generation_covers_descriptors_rules_and_stubs(produced: dict[str, bytes]) -> None:
    assert {"data/schema.pb", "data/rules.json", "types/__init__.pyi", "types/cluster_v3.pyi"} <= set(produced)


def test_no_root_is_named_twice() -> None:
    assert sorted(ROOTS) == sorted(set(ROOTS))


def test_the_command_finds_nothing_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_the_command_refuses_an_argument_that_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--frobnicate"]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_descriptors_stay_small(produced: dict[str, bytes]) -> None:
    assert len(produced["data/schema.pb"]) < 250_000


def _committed(name: str) -> bytes | None:
    path = TARGET / name
    return path.read_bytes() if path.exists() else None
