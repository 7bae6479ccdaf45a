"""The bounds of a binomial distribution, against sums of exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from proxyless.demo.chance import CONFIDENCE, Interval, binomial, percent


def below(trials: int, probability: Fraction, hits: int) -> Fraction:
    """The exact chance of fewer hits."""
    return sum(
        (comb(trials, k) * probability**k * (1 - probability) ** (trials - k) for k in range(hits)), start=Fraction(0)
    )


@pytest.mark.parametrize(
    ("trials", "probability"), [(600, Fraction(4, 5)), (600, Fraction(1, 5)), (40, Fraction(1, 2))]
)
def test_the_interval_is_the_narrowest_whose_tails_are_rare_enough(trials: int, probability: Fraction) -> None:
    found = binomial(trials, float(probability))
    tail = (1 - Fraction(CONFIDENCE)) / 2
    assert below(trials, probability, found.low) <= tail < below(trials, probability, found.low + 1)
    above = 1 - below(trials, probability, found.high + 1)
    assert above <= tail < 1 - below(trials, probability, found.high)


@pytest.mark.parametrize(("probability", "sure"), [(0.0, 0), (1.0, 50)])
def test_what_is_certain_leaves_nothing_to_chance(probability: float, sure: int) -> None:
    assert binomial(50, probability) == Interval(sure, sure)


def test_everything_may_happen_in_a_few_trials() -> None:
    assert binomial(3, 0.5) == Interval(0, 3)


def test_both_ends_are_inside() -> None:
    found = Interval(2, 4)
    assert [count for count in range(7) if found.holds(count)] == [2, 3, 4]


def test_intervals_and_confidences_are_written_for_people() -> None:
    assert (str(Interval(2, 4)), str(Interval(0, 0))) == ("2 to 4", "0")
    assert (percent(CONFIDENCE), percent(0.5)) == ("99.9999 %", "50 %")
