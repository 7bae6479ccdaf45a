"""The exact test of counts: it alarms where it should, and as seldom as it says."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import pytest

from tests.differential.chances import ALARM, chance, unlikely, wrong


@pytest.mark.parametrize(("count", "total", "share"), [(0, 10, 0.5), (3, 10, 0.2), (10, 10, 0.9), (40, 100, 0.5)])
def test_the_chance_is_that_of_the_binomial_distribution(count: int, total: int, share: float) -> None:
    ways = [comb(total, each) * share**each * (1 - share) ** (total - each) for each in range(total + 1)]
    assert chance(count, total, share) == pytest.approx(min(1.0, sum(ways[: count + 1]), sum(ways[count:])))


def test_it_alarms_less_than_one_time_in_a_million_and_no_less_than_it_has_to() -> None:
    total, share = 2000, 0.3
    ways = [float(Fraction(comb(total, each) * 3**each * 7 ** (total - each), 10**total)) for each in range(total + 1)]
    false = sum(each for count, each in enumerate(ways) if unlikely(count, total, share))
    assert ALARM / 10 < false < ALARM


def test_what_has_no_share_may_not_come_and_what_has_all_must() -> None:
    assert wrong({"a": 999, "b": 1}, {"a": 1, "b": 0}) == {
        "a": "999 of 1000, its share is 1.0000",
        "b": "1 of 1000, its share is 0.0000",
    }
    assert not wrong({"a": 1000}, {"a": 3, "b": 0})


def test_draws_by_their_shares_pass_and_others_do_not() -> None:
    source = random.Random(1)
    drawn = source.choices("abc", (70, 20, 10), k=2000)
    counts = {name: drawn.count(name) for name in "abc"}
    assert not wrong(counts, {"a": 70, "b": 20, "c": 10})
    assert set(wrong(counts, {"a": 60, "b": 30, "c": 10})) == {"a", "b"}
