"""Locality weights: exact shares, and what missing hosts do to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from proxyless.governance.balancing.host_set import Availability, HostSet
from proxyless.governance.balancing.localities import locality_schedule
from proxyless.xds.model.values import Locality
from tests.governance.balancing.cases import hosts


def priority(zones: Mapping[str, tuple[str, int]], factor: int = 140) -> HostSet:
    pool, first = [], 1
    for zone, (letters, _) in zones.items():
        pool += hosts(letters, first, zone)
        first += len(letters)
    return HostSet(pool, factor, weights={Locality("r", zone): weight for zone, (_, weight) in zones.items() if weight})


def turns(found: HostSet, count: int, availability: Availability = "healthy") -> dict[int | None, int] | None:
    schedule = locality_schedule(found, availability, 0)
    return dict(sorted(Counter(schedule.pick() for _ in range(count)).items())) if schedule is not None else None


@pytest.mark.parametrize(
    ("zones", "count", "seen"),
    [
        ({"a": ("hh", 70), "b": ("h", 20), "c": ("hhh", 10)}, 100, {0: 70, 1: 20, 2: 10}),
        # at 140 percent a locality may miss some of its hosts, then it gives way by what is missing
        ({"a": ("hhhuu", 1), "b": ("h", 1)}, 184, {0: 84, 1: 100}),
        ({"a": ("hhu", 1), "b": ("hhh", 1)}, 193, {0: 93, 1: 100}),
        ({"a": ("hhhu", 1), "b": ("hhhh", 1)}, 200, {0: 100, 1: 100}),
        ({"a": ("huu", 3), "b": ("h", 1)}, 240, {0: 140, 1: 100}),
        # no hosts that are meant, or no weight, is no turn
        ({"a": ("uu", 5), "b": ("h", 1)}, 10, {1: 10}),
        ({"a": ("hh", 0), "b": ("h", 1)}, 10, {1: 10}),
        # whoever is excluded is neither here nor missing
        ({"a": ("hx", 1), "b": ("h", 1)}, 10, {0: 5, 1: 5}),
        ({"a": ("x", 1), "b": ("h", 1)}, 10, {1: 10}),
    ],
)
def test_healthy_hosts_take_their_localitys_share(
    zones: dict[str, tuple[str, int]], count: int, seen: dict[int, int]
) -> None:
    found = turns(priority(zones), count)
    assert found is not None
    assert found == pytest.approx(seen, abs=1)


def test_degraded_hosts_have_turns_of_their_own() -> None:
    found = priority({"a": ("hg", 1), "b": ("hhgg", 1), "c": ("h", 9)})
    assert turns(found, 20, "degraded") == {0: 10, 1: 10}


def test_the_factor_says_how_many_hosts_may_be_missing() -> None:
    assert turns(priority({"a": ("hu", 1), "b": ("h", 1)}, 100), 30) == {0: 10, 1: 20}
    assert turns(priority({"a": ("hu", 1), "b": ("h", 1)}, 200), 30) == {0: 15, 1: 15}


@pytest.mark.parametrize("zones", [{}, {"a": ("h", 0)}, {"a": ("u", 3)}])
def test_without_a_weight_that_counts_there_are_no_turns(zones: dict[str, tuple[str, int]]) -> None:
    assert turns(priority(zones), 1) is None
