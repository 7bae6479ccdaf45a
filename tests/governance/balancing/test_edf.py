"""Weighted turns as Envoy takes them."""

from __future__ import annotations

from collections import Counter

import pytest

from proxyless.governance.balancing.edf import EdfScheduler


def turns(weights: list[float], picks: int, skip: int = 0) -> str:
    """Which entries come, numbered from one."""
    schedule = EdfScheduler(range(len(weights)), lambda index: weights[index], skip)
    return " ".join(str(each + 1) for _ in range(picks) if (each := schedule.pick()) is not None)


def rotations(cycle: str) -> set[str]:
    """One cycle, begun anywhere."""
    parts = cycle.split()
    return {" ".join(parts[start:] + parts[:start]) for start in range(len(parts))}


@pytest.mark.parametrize(
    ("weights", "seen"), [([1, 3], "2 2 2 1"), ([1, 2, 3], "2 3 3 2 3 1"), ([2, 2], "1 2"), ([4, 2], "1 1 2")]
)
def test_the_turns_are_those_seen_under_envoy_begun_anywhere(weights: list[float], seen: str) -> None:
    assert turns(weights, len(seen.split())) in rotations(seen)


@pytest.mark.parametrize("weights", [[1, 99], [3, 5, 7], [1, 1, 1, 1], [70, 20, 10], [0.5, 1.5]])
@pytest.mark.parametrize("skip", [0, 1, 7, 12345, 429496728])
def test_every_entry_gets_its_share_of_a_whole_cycle(weights: list[float], skip: int) -> None:
    # Rounding lets two that are due together change places, as in Envoy: one pick more or less.
    cycles = 3 if sum(weights) >= 4 else 6
    counts = Counter(turns(weights, int(sum(weights) * cycles), skip).split())
    for index, weight in enumerate(weights):
        assert counts[str(index + 1)] == pytest.approx(weight * cycles, abs=1)


def test_skipped_picks_are_those_that_would_have_been_made() -> None:
    weights = [1.0, 2.0, 5.0]
    whole = turns(weights, 60).split()
    for skip in range(40):
        seen = Counter(whole[:skip]) + Counter(turns(weights, 8, skip).split())
        for name, count in Counter(whole[: skip + 8]).items():
            assert seen[name] == pytest.approx(count, abs=1)


def test_a_start_anywhere_costs_no_more_than_one_at_the_beginning() -> None:
    picked = 0

    def weight(index: int) -> float:
        nonlocal picked
        picked += 1
        return float(index + 1)

    EdfScheduler(range(100), weight, skip=400_000_000)
    assert picked < 300


def test_entries_that_are_due_together_go_in_their_order() -> None:
    assert turns([1, 1, 1], 6) == "1 2 3 1 2 3"


def test_a_weight_is_looked_at_when_the_entry_is_put_back() -> None:
    weights = {"a": 1.0, "b": 1.0}
    schedule = EdfScheduler(weights, lambda name: weights[name])
    weights["a"] = 0.1
    assert [schedule.pick() for _ in range(6)] == ["a", "b", "b", "b", "b", "b"]


def test_an_entry_without_weight_comes_once_and_then_never_again() -> None:
    weights = {"a": 1.0, "b": 1.0}
    schedule = EdfScheduler(weights, lambda name: weights[name])
    weights["a"] = 0.0
    assert [schedule.pick() for _ in range(3)] == ["a", "b", "b"]
    weights["b"] = 0.0
    assert [schedule.pick() for _ in range(3)] == ["b", None, None]


def test_nothing_to_pick_from_is_nothing() -> None:
    assert EdfScheduler([], lambda entry: 1.0, skip=5).pick() is None
