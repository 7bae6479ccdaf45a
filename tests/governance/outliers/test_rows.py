"""Failures in a row, and what becomes of the host that has them: exact times, no waiting."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.outliers.results import Result, status_of_grpc
from tests.governance.outliers.detection import Detection

ALL: dict[str, Any] = {"max_ejection_percent": 100}
GATEWAY: dict[str, Any] = {**ALL, "enforcing_consecutive_gateway_failure": 100, "consecutive_5xx": 0}
SPLIT: dict[str, Any] = {**ALL, "split_external_local_origin_errors": True}


@pytest.mark.parametrize(
    ("codes", "out"),
    [
        ([500] * 4, False),
        ([500] * 5, True),
        ([500, 501, 502, 503, 599], True),
        ([500] * 4 + [200] + [500] * 4, False),
        ([500] * 4 + [499, 500], False),
        ([500] * 4 + [600, 500], False),
        ([404] * 9, False),
    ],
)
def test_five_server_errors_in_a_row_eject(codes: list[int], out: bool) -> None:
    detection = Detection(**ALL)
    detection.status("a", *codes)
    assert detection.out == ("a" if out else "")


@pytest.mark.parametrize(
    ("codes", "out"),
    [
        ([502, 503, 504, 502, 503], True),
        ([503] * 4 + [500] + [503] * 4, False),
        ([503] * 4 + [500] + [503] * 5, True),
        ([503] * 4 + [200, 503], False),
        ([500] * 9, False),
    ],
)
def test_five_gateway_failures_in_a_row_eject(codes: list[int], out: bool) -> None:
    detection = Detection(**GATEWAY)
    detection.status("a", *codes)
    assert detection.out == ("a" if out else "")


def test_by_default_gateway_failures_are_noticed_before_the_server_errors_that_they_are_eject() -> None:
    detection = Detection(**ALL)
    detection.status("a", *[503] * 5)
    assert detection.told == ["a noticed CONSECUTIVE_GATEWAY_FAILURE", "a CONSECUTIVE_5XX 30"]
    assert detection.detector.detected == {"CONSECUTIVE_GATEWAY_FAILURE": 1, "CONSECUTIVE_5XX": 1}
    assert detection.detector.enforced == {"CONSECUTIVE_5XX": 1}


def test_a_host_that_is_out_already_is_not_found_again() -> None:
    detection = Detection(enforcing_consecutive_gateway_failure=100, **ALL)
    detection.status("a", *[503] * 9)
    assert detection.told == ["a CONSECUTIVE_GATEWAY_FAILURE 30"]
    assert detection.detector.detected == {"CONSECUTIVE_GATEWAY_FAILURE": 1}


@pytest.mark.parametrize(
    ("results", "out"),
    [
        (["connect-failed"] * 5, True),
        (["timeout"] * 5, True),
        (["connected"] * 9, False),
        (["connect-failed"] * 4 + ["connected"] + ["connect-failed"], True),  # a connection alone says nothing
        (["connect-failed"] * 4 + ["connected-finally"] + ["connect-failed"], False),
    ],
)
def test_unless_they_are_split_local_failures_are_server_errors(results: list[Result], out: bool) -> None:
    detection = Detection(**ALL)
    for each in results:
        detection.monitor("a").result(each)
    assert detection.out == ("a" if out else "")
    assert not detection.monitor("a").local.total


@pytest.mark.parametrize(
    ("results", "out"),
    [
        (["connect-failed"] * 5, True),
        (["timeout", "connect-failed"] * 2 + ["timeout"], True),
        (["connect-failed"] * 4 + ["connected"] + ["connect-failed"], False),
        (["connect-failed"] * 4 + ["connected-finally"] + ["connect-failed"], False),
    ],
)
def test_split_local_failures_are_counted_for_themselves(results: list[Result], out: bool) -> None:
    detection = Detection(**SPLIT)
    for each in results:
        detection.monitor("a").result(each, 504)
    assert detection.out == ("a" if out else "")
    assert not detection.monitor("a").external.total
    assert set(detection.detector.detected) == ({"CONSECUTIVE_LOCAL_ORIGIN_FAILURE"} if out else set())


def test_the_code_of_a_timeout_is_what_the_route_says() -> None:
    detection = Detection(**ALL)
    for _ in range(9):
        detection.monitor("a").result("timeout", 204)
    assert not detection.out


def test_a_row_that_is_not_enforced_begins_anew() -> None:
    detection = Detection(enforcing_consecutive_5xx=0, consecutive_gateway_failure=0, **ALL)
    detection.status("a", *[500] * 11)
    assert detection.told == ["a noticed CONSECUTIVE_5XX"] * 2
    assert detection.detector.detected["CONSECUTIVE_5XX"] == 2
    assert not detection.detector.enforced
    assert not detection.changes


@pytest.mark.parametrize(("draw", "out"), [(0, "a"), (29, "a"), (30, ""), (99, "")])
def test_of_a_hundred_outliers_so_many_are_ejected_as_enforcing_says(draw: int, out: str) -> None:
    detection = Detection(draws=[draw], enforcing_consecutive_5xx=30, **ALL)
    detection.status("a", *[500] * 5)
    assert detection.out == out


@pytest.mark.parametrize(
    ("hosts", "percent", "always_one", "out", "overflows"),
    [
        (10, 10, False, "a", 1),
        (10, 20, False, "ab", 0),
        (9, 10, False, "", 2),
        (9, 10, True, "a", 1),
        (2, 100, False, "ab", 0),
        (2, 200, False, "ab", 0),
        (2, 0, True, "a", 1),
        (3, 66, False, "a", 1),
        (3, 67, False, "ab", 0),
    ],
)
def test_no_more_are_ejected_than_the_percentage_allows(
    hosts: int, percent: int, always_one: bool, out: str, overflows: int
) -> None:
    detection = Detection(
        hosts, max_ejection_percent=percent, always_eject_one_host=always_one, consecutive_gateway_failure=0
    )
    for each in "ab":
        detection.status(each, *[500] * 5)
    assert (detection.out, detection.detector.overflows) == (out, overflows)
    assert detection.detector.detected["CONSECUTIVE_5XX"] == 2
    assert detection.detector.active == len(out)


def test_a_host_is_back_at_the_end_of_the_interval_in_which_its_time_is_over() -> None:
    detection = Detection(**ALL)
    detection.at(4.0)
    detection.status("a", *[500] * 5)
    assert detection.out == "a"
    assert detection.at(34.0) == "a"
    assert detection.at(39.999) == "a"
    assert detection.at(40.0) == ""
    assert detection.told[-1] == "a back 36"
    assert detection.changes == 2


def test_every_ejection_is_longer_than_the_one_before_until_the_longest() -> None:
    detection = Detection(interval_s=1.0, base_ejection_time_s=3.0, max_ejection_time_s=8.0, **ALL)
    lengths = []
    for _ in range(6):
        begun = detection.now
        detection.status("a", *[500] * 5)
        while detection.at(detection.now + 0.5):
            pass
        lengths.append(detection.now - begun)
    assert lengths == [3, 6, 8, 8, 8, 8]
    # The memory stops growing as soon as it would not matter.
    assert detection.monitor("a").ejection.backoff == 4
    assert detection.monitor("a").ejections == 6


def test_the_memory_of_ejections_fades_by_one_with_each_interval_that_the_host_stays() -> None:
    detection = Detection(interval_s=1.0, base_ejection_time_s=3.0, **ALL)
    for _ in range(3):
        detection.status("a", *[500] * 5)
        while detection.at(detection.now + 1.0):
            pass
    assert (detection.now, detection.monitor("a").ejection.backoff) == (18.0, 3)
    assert [(detection.at(now), detection.monitor("a").ejection.backoff) for now in (18.9, 19.0, 20.0, 21.0, 22.0)] == [
        ("", 3),
        ("", 2),
        ("", 1),
        ("", 0),
        ("", 0),
    ]


def test_jitter_makes_an_ejection_longer_by_milliseconds() -> None:
    detection = Detection(
        draws=[0, 250], interval_s=0.1, base_ejection_time_s=1.0, max_ejection_time_jitter_s=0.5, **ALL
    )
    detection.status("a", *[500] * 5)
    assert detection.told[-1] == "a CONSECUTIVE_5XX 1.25"
    assert detection.at(1.25) == "a"
    assert detection.at(1.3) == ""


def test_what_a_host_did_while_it_was_out_does_not_count_when_it_is_back() -> None:
    detection = Detection(**ALL, consecutive_gateway_failure=9, consecutive_local_origin_failure=9)
    detection.status("a", *[503] * 8)
    assert detection.out == "a"
    assert detection.told == ["a CONSECUTIVE_5XX 30"]
    assert detection.at(30.0) == ""
    detection.status("a", *[503] * 4)
    assert detection.out == ""
    detection.status("a", 503)
    assert detection.out == "a"


def test_an_hour_without_calls_is_made_up_for_at_once() -> None:
    detection = Detection(interval_s=0.001, base_ejection_time_s=30.0, **ALL)
    detection.status("a", *[500] * 5)
    assert detection.at(29.9994) == "a"
    assert detection.at(3600.0) == ""
    assert detection.told[-1] == "a back 30"
    assert detection.monitor("a").ejection.backoff == 0
    assert detection.detector.due == pytest.approx(3600.001)


def test_reports_come_after_what_was_due_before_them() -> None:
    detection = Detection(interval_s=10.0, base_ejection_time_s=5.0, **ALL)
    detection.status("a", *[500] * 5)
    detection.now = 20.0
    detection.status("a", 500)
    assert detection.told[1:] == ["a back 10"]
    assert detection.monitor("a").server_errors == 1


# -- configuration -----------------------------------------------------------------------------------------------


def test_ejections_outlive_a_configuration_and_follow_the_new_one() -> None:
    detection = Detection(**ALL, interval_s=10.0)
    detection.status("a", *[500] * 5)
    detection.status("b", *[500] * 4)
    detection.configure(interval_s=2.0, consecutive_5xx=6, base_ejection_time_s=60.0, **ALL)
    assert detection.out == "a"
    assert detection.detector.due == 2.0
    detection.status("b", 500)
    assert detection.out == "a"
    detection.status("b", 500)
    assert detection.out == "ab"
    assert detection.at(30.0) == "ab"
    assert detection.at(60.0) == ""


def test_a_longer_interval_begins_after_the_one_under_way() -> None:
    detection = Detection(interval_s=2.0, **ALL)
    detection.configure(interval_s=10.0, **ALL)
    assert detection.detector.due == 2.0
    detection.at(2.0)
    assert detection.detector.due == 12.0


def test_a_host_that_is_gone_is_forgotten_and_makes_room() -> None:
    detection = Detection("ab", max_ejection_percent=50)
    detection.status("a", *[500] * 5)
    gone = detection.states["a"]
    detection.configure(hosts="bc", max_ejection_percent=50)
    assert (gone.ejected, gone.monitor, detection.detector.active) == (False, None, 0)
    detection.status("b", *[500] * 5)
    assert detection.out == "b"
    detection.configure(hosts="abc", max_ejection_percent=50)
    assert detection.out == "b"
    assert not detection.monitor("a").ejections


def test_an_address_with_another_state_is_another_host() -> None:
    detection = Detection("ab", **ALL)
    old = detection.monitor("a")
    detection.states = {**detection.states, "a": type(detection.states["a"])()}
    detection.configure(**ALL)
    assert detection.monitor("a") is not old


def test_without_outlier_detection_everybody_is_back() -> None:
    detection = Detection(**ALL)
    detection.status("a", *[500] * 5)
    detection.detector.close()
    assert (detection.out, detection.detector.active, detection.detector.due) == ("", 0, float("inf"))
    assert all(state.monitor is None for state in detection.states.values())
    detection.detector.close()


def test_a_passed_health_check_ends_an_ejection() -> None:
    detection = Detection(**ALL)
    detection.status("a", *[500] * 5)
    detection.now = 3.0
    detection.detector.uneject(detection.monitor("a"))
    detection.detector.uneject(detection.monitor("a"))
    assert (detection.out, detection.told[-1], detection.changes) == ("", "a back 3", 2)


def test_an_event_is_told_once_however_many_tell() -> None:
    detection = Detection(**ALL)
    events = detection.detector.news = _Vanishing()  # type: ignore[assignment]
    detection.detector.tell()
    assert len(events) == 0


class _Vanishing(list[object]):
    """Full when looked at, empty when somebody takes from it: another thread was faster."""

    def __bool__(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("value", "status"),
    [
        *((b"%d" % number, status) for number, status in enumerate([200, 499, 500, 400, 504, 404, 409, 403, 429])),
        *((b"%d" % number, status) for number, status in enumerate([400, 409, 400, 501, 500, 503, 500, 401], 9)),
        (b"17", 500),
        (b"-1", 500),
        (b"x", 500),
        (b"", 500),
        (b"0" * 5000, 500),
    ],
)
def test_a_grpc_status_stands_for_an_http_status(value: bytes, status: int) -> None:
    assert status_of_grpc(value) == status
