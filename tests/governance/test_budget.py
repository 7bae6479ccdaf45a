"""The retry budget: a share of the requests under way, or of those begun lately."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.budget import PARTS, RequestWindow, allowed
from proxyless.xds.model.cluster import RetryBudget


@pytest.mark.parametrize(
    ("percent", "least", "under_way", "most"),
    [
        (20.0, 3, 0, 3),
        (20.0, 3, 15, 3),
        (20.0, 3, 19, 3),
        (20.0, 3, 20, 4),
        (20.0, 0, 4, 0),
        (100.0, 0, 7, 7),
        (12.5, 1, 100, 12),
        (0.0, 0, 1000, 0),
    ],
)
def test_a_budget_is_a_share_rounded_down_and_at_least_its_minimum(
    percent: float, least: int, under_way: int, most: int
) -> None:
    assert allowed(RetryBudget(percent, least), under_way, None, 0.0) == most


def test_with_an_interval_the_requests_under_way_do_not_count() -> None:
    window = RequestWindow(10.0)
    budget = RetryBudget(50.0, 0, 10.0)
    assert allowed(budget, 100, window, 0.0) == 0
    window.add(0.0)
    window.add(0.0)
    assert allowed(budget, 100, window, 0.0) == 1


@given(st.lists(st.floats(0.0, 3.0), max_size=60), st.floats(0.0, 12.0))
def test_a_window_forgets_after_its_interval_and_at_most_a_tenth_of_it_later(gaps: list[float], last: float) -> None:
    interval_s = 5.0
    window = RequestWindow(interval_s)
    now, begun = 1000.0, []
    for gap in gaps:
        now += gap
        window.add(now)
        begun.append(now)
    now += last
    most = sum(now - each < interval_s * (1 + 1 / PARTS) + 1e-9 for each in begun)
    least = sum(now - each <= interval_s - 1e-9 for each in begun)
    assert least <= window.count(now) <= most
