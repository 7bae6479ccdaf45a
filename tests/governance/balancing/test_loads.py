"""How priorities share the requests: Envoy's documented figures, and what holds for all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.loads import draw_priority, in_panic, priority_loads, whole_percent
from tests.governance.balancing.cases import hosts, sets


def of(healthy: int, degraded: int = 0, of_all: int = 100) -> str:
    """So many healthy, so many degraded, the rest unhealthy."""
    return "h" * healthy + "g" * degraded + "u" * (of_all - healthy - degraded)


@pytest.mark.parametrize(
    ("priorities", "healthy"),
    [
        ((of(100), of(100)), (100, 0)),
        ((of(72), of(72)), (100, 0)),
        ((of(71), of(71)), (99, 1)),
        ((of(50), of(50)), (70, 30)),
        ((of(25), of(100)), (35, 65)),
        ((of(25), of(25)), (50, 50)),
        ((of(0), of(100)), (0, 100)),
        ((of(5), of(65)), (8, 92)),
        # three levels; what rounding leaves over goes to the first
        ((of(100), of(100), of(100)), (100, 0, 0)),
        ((of(72), of(72), of(100)), (100, 0, 0)),
        ((of(71), of(71), of(100)), (99, 1, 0)),
        ((of(50), of(50), of(100)), (70, 30, 0)),
        ((of(25), of(100), of(100)), (35, 65, 0)),
        ((of(25), of(25), of(100)), (35, 35, 30)),
        ((of(25), of(25), of(20)), (37, 35, 28)),
        # an empty level takes nothing
        (("", of(100)), (0, 100)),
        ((of(50), "", of(100)), (70, 0, 30)),
    ],
)
def test_the_figures_of_envoys_documentation(priorities: tuple[str, ...], healthy: tuple[int, ...]) -> None:
    found = priority_loads(sets(*priorities), 0)
    assert found.loads == (healthy, (0,) * len(priorities))
    assert not any(found.panic)


@pytest.mark.parametrize(
    ("priorities", "healthy", "degraded"),
    [
        ((of(10, 20), of(20, 10), of(10, 0)), (16, 28, 14), (28, 14, 0)),
        ((of(50, 50), of(0)), (70, 0), (30, 0)),
        ((of(50, 50), of(100)), (70, 30), (0, 0)),
        ((of(0, 100),), (0,), (100,)),
        ((of(0, 30), of(0, 0)), (0, 0), (100, 0)),
        ((of(0, 1, 3), of(0, 1, 5)), (0, 0), (63, 37)),
    ],
)
def test_degraded_hosts_take_what_healthy_ones_of_all_priorities_leave(
    priorities: tuple[str, ...], healthy: tuple[int, ...], degraded: tuple[int, ...]
) -> None:
    found = priority_loads(sets(*priorities), 0)
    assert found.loads == (healthy, degraded)


@pytest.mark.parametrize(("factor", "healthy"), [(100, (50, 50)), (140, (70, 30)), (200, (100, 0)), (1000, (100, 0))])
def test_the_overprovisioning_factor_says_how_many_may_be_missing(factor: int, healthy: tuple[int, ...]) -> None:
    assert priority_loads(sets(of(50), of(100), factor=factor), 0).loads[0] == healthy


def test_hosts_that_health_checks_have_not_asked_yet_count_for_nothing() -> None:
    assert priority_loads(sets("hhxxxxxx", "h"), 50).loads[0] == (100, 0)
    assert priority_loads(sets("xx", "h"), 50).loads[0] == (0, 100)


@pytest.mark.parametrize(("weighted", "healthy"), [(False, (70, 30)), (True, (14, 86))])
def test_the_health_of_a_priority_counts_hosts_or_their_weights(weighted: bool, healthy: tuple[int, ...]) -> None:
    first = [*hosts("h", weight=1), *hosts("u", 2, weight=9), *hosts("x", 3, weight=50)]
    second = HostSet(hosts("h", 4), weighted=weighted)
    assert priority_loads([HostSet(first, weighted=weighted), second], 0).loads[0] == healthy


def test_degraded_weights_count_too() -> None:
    found = priority_loads([HostSet([*hosts("g", weight=3), *hosts("u", 2, weight=7)], weighted=True)], 0)
    assert found.loads == ((0,), (100,))
    pair = [HostSet([*hosts("g", weight=3), *hosts("u", 2, weight=7)], weighted=True), HostSet(hosts("huuu", 3))]
    assert priority_loads(pair, 0).loads == ((0, 46), (54, 0))


@pytest.mark.parametrize(
    ("priorities", "threshold", "panic", "healthy"),
    [
        (("huu", "huu"), 50, (True, True), (50, 50)),  # all in panic: by the number of hosts
        (("huu", "h"), 50, (False, False), (46, 54)),  # together enough: nobody panics
        (("huuuu", "hhuuuuu"), 30, (True, True), (42, 58)),
        (("huuuu", "hhuuu"), 30, (True, False), (34, 66)),
        (("uuuuu", ""), 50, (True, True), (100, 0)),
        (("", "uu"), 50, (True, True), (0, 100)),
        (("", ""), 50, (True, True), (100, 0)),
        (("uu", "uuuuuu"), 0, (False, False), (100, 0)),
        (("uu", "uuuuuu"), 1, (True, True), (25, 75)),
        (("u", "uu"), 100, (True, True), (34, 66)),
        (("gu", "u"), 50, (False, True), (0, 0)),
    ],
)
def test_panic_is_for_each_priority_and_only_while_all_together_are_too_few(
    priorities: tuple[str, ...], threshold: float, panic: tuple[bool, ...], healthy: tuple[int, ...]
) -> None:
    found = priority_loads(sets(*priorities), threshold)
    assert (found.panic, found.loads[0]) == (panic, healthy)


@pytest.mark.parametrize(
    ("percent", "whole"),
    [(0, 0), (0.9, 0), (29, 28), (29.5, 29), (50, 50), (57, 56), (58, 57), (99.99, 99), (100, 100)],
)
def test_a_threshold_is_cut_to_whole_percent_as_envoy_computes(percent: float, whole: int) -> None:
    assert whole_percent(percent) == whole


def test_panic_compares_what_is_there_with_the_threshold() -> None:
    assert [in_panic(each, 34) for each in sets("huu", "hgu", "", "hxx")] == [True, False, True, False]


@pytest.mark.parametrize(
    ("number", "found"),
    [
        (0, (0, False)),
        (29, (0, False)),
        (30, (1, False)),
        (49, (1, False)),
        (50, (0, True)),
        (89, (0, True)),
        (90, (2, True)),
        (99, (2, True)),
        (100, (0, False)),
        (2**64 - 1, (0, False)),
    ],
)
def test_a_priority_is_drawn_by_the_remainder_of_a_hundred(number: int, found: tuple[int, bool]) -> None:
    assert draw_priority(number, ((30, 20, 0), (40, 0, 10))) == found


def test_loads_that_a_retry_made_too_small_fall_back_to_the_first() -> None:
    assert draw_priority(99, ((0, 1), (0, 0))) == (0, False)


letters = st.text("hguxk", max_size=12)


@given(st.lists(letters, min_size=1, max_size=4), st.integers(0, 100), st.sampled_from([100, 140, 170, 1000]))
def test_loads_are_always_a_hundred_together(priorities: list[str], threshold: int, factor: int) -> None:
    pool = sets(*priorities, factor=factor)
    found = priority_loads(pool, threshold)
    healthy, degraded = found.loads
    assert sum(healthy) + sum(degraded) == 100
    assert min(*healthy, *degraded) >= 0
    assert len(healthy) == len(degraded) == len(found.panic) == len(priorities)
    for priority, each in enumerate(pool):
        if not found.panic[priority] and (each.healthy or each.degraded):
            # What has a share has a host for it.
            assert not healthy[priority] or each.healthy
            assert not degraded[priority] or each.degraded
