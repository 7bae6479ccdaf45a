"""Every field that is honoured has a test that fails when its effect is removed: the cases of `tests/effects`.

A field that becomes honoured needs a case in a module of tests/effects/cases; until its room is done it may stand in
tests/effects/owed.txt, one `<message>.<field>` a line.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from proxyless.xds.wire.coverage import rows
from tests.effects.registry import UNSAID, Effect, all_effects
from tests.effects.resources import clear
from tests.effects.scene import Scene
from tests.effects.seeing import refusals
from tests.xds.wire.coverage.test_table import ONE_BY_ONE, WITHOUT_DIFFERENCE

OWED = Path(__file__).parents[1] / "effects" / "owed.txt"
CASES = [case for _, case in all_effects()]


def owed() -> list[str]:
    return OWED.read_text().split()


def honoured() -> set[str]:
    """Every field that has an effect, but for those whose effect is what is honoured of their content."""
    containers = {key for key, why in WITHOUT_DIFFERENCE.items() if why is ONE_BY_ONE}
    found = {(row.message, row.field) for row in rows() if row.kind == "honoured"}
    return {f"{message}.{field}" for message, field in found - containers}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_field_that_is_honoured_has_an_effect(case: Effect) -> None:
    whole = Scene(case.shop.messages(), case.shop.addresses)
    assert case.see is refusals or not whole.refused
    seen = case.see(whole)
    again = Scene(case.shop.messages(), case.shop.addresses)
    assert case.see(again) == seen, "what is seen differs from one look to the next: a difference would prove nothing"
    if case.expected is not UNSAID:
        assert seen == case.expected
    if case.against is not None:
        other = Scene(case.against.messages(), case.against.addresses)
        assert not other.refused
        assert case.see(other) != seen
    messages = case.shop.messages()
    count = sum(clear(each, case.field) for found in messages.values() for each in found)
    assert count, f"the case does not set {case.field}"
    without = Scene(messages, case.shop.addresses)
    if without.refused and case.see is not refusals:
        assert case.expected is not UNSAID or case.against is not None, f"refused without the field: {without.refused}"
    else:
        assert case.see(without) != seen


def test_every_honoured_field_has_a_case_or_is_owed() -> None:
    have = {case.field for case in CASES}
    assert honoured() - have - set(owed()) == set(), "honoured without a case: see the head of this file"
    known = {f"{row.message}.{row.field}" for row in rows() if row.kind == "honoured"}
    assert have - known == set(), "these have a case and are not honoured: see xds/wire/coverage"


def test_what_is_owed_is_honoured_and_has_no_case() -> None:
    assert set(owed()) <= honoured() - {case.field for case in CASES}
    assert owed() == sorted(set(owed()))


def test_no_two_cases_have_one_name() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []
