"""When endpoints are asked, and what their answers change: exact times, no waiting."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from proxyless.governance.checking.answers import Answer, Failed
from tests.governance.checking.asking import ACTIVE, DEGRADED, NETWORK, RETRIABLE, TIMEOUT, WELL, Asking
from tests.governance.outliers.detection import Detection

EDGES: dict[str, Any] = {
    "interval_s": 10.0,
    "unhealthy_interval_s": 20.0,
    "unhealthy_edge_interval_s": 2.0,
    "healthy_edge_interval_s": 1.0,
}


@pytest.mark.parametrize(
    ("thresholds", "answers", "states"),
    [
        # The first answer counts at once, either way.
        ((3, 3), [WELL], ["well +10"]),
        ((3, 3), [NETWORK], ["failing +20"]),
        ((3, 3), [NETWORK, WELL, WELL, WELL], ["failing +20", "failing +1", "failing +1", "well +10"]),
        ((3, 3), [NETWORK, WELL, TIMEOUT, WELL], ["failing +20", "failing +1", "failing +20", "failing +1"]),
        ((3, 3), [WELL, NETWORK, TIMEOUT, NETWORK], ["well +10", "well +2", "well +2", "failing +20"]),
        ((3, 3), [WELL, NETWORK, WELL, NETWORK], ["well +10", "well +2", "well +10", "well +2"]),
        # An answer that says no counts at once, unless it may be tried again.
        ((3, 3), [WELL, ACTIVE], ["well +10", "failing +20"]),
        ((3, 2), [WELL, RETRIABLE, RETRIABLE], ["well +10", "well +2", "failing +20"]),
        ((1, 1), [WELL, NETWORK, WELL], ["well +10", "failing +20", "well +10"]),
        ((1, 1), [DEGRADED, DEGRADED, WELL], ["degraded +10", "degraded +10", "well +10"]),
        ((2, 1), [WELL, NETWORK, DEGRADED], ["well +10", "failing +20", "failing,degraded +1"]),
    ],
)
def test_thresholds_and_intervals(thresholds: tuple[int, int], answers: list[Answer], states: list[str]) -> None:
    healthy, unhealthy = thresholds
    asking = Asking(healthy_threshold=healthy, unhealthy_threshold=unhealthy, **EDGES)
    assert asking.state() == "failing"
    assert asking.answer(*answers) == states


@pytest.mark.parametrize(
    ("answers", "last"),
    [([WELL], "well +30"), ([NETWORK], "failing +60"), ([WELL, NETWORK], "well +60"), ([NETWORK, WELL], "failing +60")],
)
def test_a_cluster_without_traffic_is_asked_seldom(answers: list[Answer], last: str) -> None:
    asking = Asking(healthy_threshold=2, unhealthy_threshold=2, no_traffic_healthy_interval_s=30.0, **EDGES)
    asking.used = False
    assert asking.answer(*answers)[-1] == last


def test_jitter_is_a_share_of_the_interval_and_a_time() -> None:
    asking = Asking(draw=0.5, interval_s=10.0, interval_jitter_percent=40, interval_jitter_s=3.0, initial_jitter_s=4.0)
    assert asking.checker.next_due() == 2.0
    assert asking.answer(WELL) == ["well +13.5"]


def test_without_jitter_all_are_asked_at_once() -> None:
    asking = Asking("ab")
    assert asking.checker.next_due() == 0.0
    assert len(asking.checker.take_due(0.0)) == 2
    assert asking.checker.next_due() == inf
    assert asking.checker.take_due(0.0) == []
    assert asking.checker.attempts == 2


def test_what_changes_is_told() -> None:
    asking = Asking(unhealthy_threshold=1)
    asking.answer(WELL, NETWORK, WELL, DEGRADED, WELL, ACTIVE)
    assert asking.told == ["a healthy", "a unhealthy", "a healthy", "a degraded", "a not degraded", "a unhealthy"]
    assert asking.changes == 7  # one of them the configuration
    assert (asking.checker.successes, dict(asking.checker.failures)) == (4, {"network": 1, "active": 1})


def test_the_first_failure_is_told_and_others_that_change_nothing_only_if_asked_for() -> None:
    quiet, loud = Asking(), Asking(always_log_failures=True)
    for each in (quiet, loud):
        each.answer(NETWORK, NETWORK)
    assert (quiet.told, loud.told) == (["a unhealthy"], ["a unhealthy"] * 2)


def test_a_success_that_changes_nothing_is_told_only_if_asked_for() -> None:
    quiet, loud = Asking(), Asking(always_log_success=True)
    for each in (quiet, loud):
        each.answer(WELL, WELL)
    assert (quiet.told, loud.told) == (["a healthy"], ["a healthy"] * 2)


@pytest.mark.parametrize(("answer", "state"), [(WELL, "well"), (NETWORK, "failing")])
def test_new_hosts_may_count_for_nothing_until_they_were_asked(answer: Answer, state: str) -> None:
    asking = Asking(ignore_new=True)
    assert asking.state() == "failing,pending"
    changes = asking.changes
    asking.answer(answer)
    assert asking.state() == state
    assert asking.changes == changes + 1


def test_an_answer_may_want_the_host_left_out() -> None:
    asking = Asking(healthy_threshold=2, unhealthy_threshold=9)
    asking.answer(WELL, Failed("active", "status 503", exclude=True))
    assert asking.state() == "failing,pending"
    asking.answer(Failed("active", "status 503", exclude=True), WELL)
    assert asking.state() == "failing,pending"
    asking.answer(WELL)
    assert asking.state() == "well"


def test_a_response_to_a_request_may_want_the_host_left_out() -> None:
    asking = Asking("ab")
    asking.answer(WELL)
    due = asking.session().due
    asking.checker.fail_at_once("a:80")
    asking.checker.fail_at_once("nobody:80")
    assert asking.state() == "failing,pending"
    assert asking.session().due == due
    assert asking.checker.failures == {"passive": 1}
    asking.now = due
    asking.answer(WELL)
    assert asking.state() == "well"


def test_passing_after_failures_is_when_a_host_became_well() -> None:
    asking = Asking(unhealthy_threshold=1)
    asking.answer(NETWORK, WELL)
    assert asking.states["a"].healthy_since == 10.0


def test_a_cluster_is_warm_when_everybody_was_asked_once() -> None:
    asking = Asking("ab")
    assert not asking.checker.warm
    asking.answer(NETWORK)
    assert not asking.checker.warm
    asking.answer(NETWORK, name="b")
    assert (asking.checker.warm, asking.warm) == (True, 1)
    asking.configure("abc")
    asking.answer(WELL, name="c")
    assert (asking.checker.warm, asking.warm) == (True, 1)


def test_a_cluster_without_anybody_to_ask_is_warm() -> None:
    asking = Asking("")
    assert asking.checker.warm
    asking.configure("a", disabled="a")
    assert (asking.checker.warm, asking.state()) == (True, "well")


# -- configuration -------------------------------------------------------------------------------------------------


def test_what_is_known_outlives_a_configuration() -> None:
    asking = Asking("ab", unhealthy_threshold=2)
    asking.answer(WELL)
    asking.configure("ac", interval_s=3.0)
    assert [asking.state(each) for each in "abc"] == ["well", "well", "failing"]
    assert asking.session().due == 10.0
    assert asking.answer(WELL) == ["well +3"]


def test_a_host_that_is_gone_or_another_is_no_longer_failing_and_its_last_answer_is_dropped() -> None:
    asking = Asking("a")
    (session,) = asking.checker.take_due(0.0)
    asking.configure("b")
    assert asking.state() == "well"
    asking.checker.report(session, NETWORK)
    assert (asking.state(), asking.told) == ("well", [])


def test_without_checks_nobody_fails() -> None:
    asking = Asking("a")
    (session,) = asking.checker.take_due(0.0)
    asking.configure("a", none=True)
    assert (asking.state(), asking.checker.next_due()) == ("well", inf)
    asking.checker.report(session, NETWORK)
    assert asking.state() == "well"


def test_an_address_with_another_state_is_asked_anew() -> None:
    asking = Asking("a")
    asking.answer(WELL)
    asking.states["a"] = type(asking.states["a"])()
    asking.configure("a")
    assert asking.state() == "failing"


# -- together with outlier detection -------------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [True, False])
def test_a_success_ends_an_ejection_unless_the_cluster_says_no(ends: bool) -> None:
    asking = Asking("a", unhealthy_threshold=1)
    asking.answer(WELL)
    detection = Detection("a", max_ejection_percent=100, successful_active_health_check_uneject_host=ends)
    detection.states = asking.states
    detection.configure(max_ejection_percent=100, successful_active_health_check_uneject_host=ends)
    detection.status("a", *[500] * 5)
    assert asking.states["a"].ejected
    asking.answer(NETWORK)
    assert asking.states["a"].ejected
    asking.answer(WELL)
    assert asking.states["a"].ejected is not ends
