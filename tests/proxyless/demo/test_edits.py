"""Changes of the shipped files, and the sabotages that are made of them."""

from __future__ import annotations

import pytest
import yaml

from proxyless.demo.edits import broken, replaced, weighted
from proxyless.demo.intended import Intended, shipped
from proxyless.demo.sabotage import NOTHING, SABOTAGES
from proxyless.demo.scenarios import SCENARIOS

CATALOG = shipped()["catalog.yaml"]


def test_weights_are_changed_and_nothing_else() -> None:
    text = weighted(CATALOG, {"v1": 1, "v2": 2, "v3": 97})
    assert Intended({"catalog.yaml": text}).weights == {"v1": 1, "v2": 2, "v3": 97}
    assert len(text.splitlines()) == len(CATALOG.splitlines())
    assert sum(a != b for a, b in zip(text.splitlines(), CATALOG.splitlines(), strict=True)) == 3


@pytest.mark.parametrize("pattern", ["subset", "not there"])
def test_a_change_that_is_not_one_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"was found (0|\d\d?) times"):
        replaced(CATALOG, pattern, "x")


def test_a_broken_text_says_where_it_is_wrong() -> None:
    found = broken(CATALOG, "v2")
    assert found.text.splitlines()[found.line - 1].strip() == "weight: most"
    assert found.field == "spec.http[1].route[1].weight"
    assert list(yaml.safe_load_all(found.text))


def test_every_sabotage_makes_another_system_and_no_other_expectation() -> None:
    texts = shipped()
    played = {"change", "broken", "restart"}
    for name, each in SABOTAGES.items():
        changed = [file for file, text in each.files(texts).items() if text != texts[file]]
        environs = [process for process in ("payment", "storefront") if each.environ(process)]
        assert bool(changed or environs) is (name not in played), name
    assert NOTHING.files(texts) == texts
    assert {each.scenario for each in SABOTAGES.values()} == {each.key for each in SCENARIOS}
