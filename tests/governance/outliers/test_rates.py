"""Rates of success over an interval: Envoy's arithmetic with its own examples."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.events import Ejected
from proxyless.governance.outliers.rates import find_outliers
from proxyless.xds.model.cluster import OutlierDetection
from tests.governance.outliers.detection import Detection

RATE: dict[str, Any] = {"max_ejection_percent": 100, "consecutive_5xx": 0, "consecutive_gateway_failure": 0}
THREE = {"success_rate_minimum_hosts": 3}
PERCENTAGE: dict[str, Any] = {
    **RATE,
    "enforcing_success_rate": 0,
    "success_rate_minimum_hosts": 99,
    "enforcing_failure_percentage": 100,
    "failure_percentage_minimum_hosts": 3,
    "failure_percentage_request_volume": 10,
}


def test_the_threshold_is_the_average_less_a_multiple_of_the_deviation() -> None:
    counts = [("a", 50, 100), *((name, 100, 100) for name in "bcde")]
    found = find_outliers(counts, 5, OutlierDetection())
    assert found.average == 90.0
    assert found.threshold == pytest.approx(52.0)
    assert found.by_rate == [("a", 50.0)]
    # And by percentage: 50 % of failures are below 85 %.
    assert not found.by_percentage


@pytest.mark.parametrize(
    ("counts", "hosts", "config", "by_rate", "by_percentage"),
    [
        ([("a", 0, 100)], 4, {}, "", ""),  # too few hosts for anything
        ([("a", 0, 100), *((n, 100, 100) for n in "bcd")], 5, {}, "", ""),  # four of the five had enough requests
        ([("a", 0, 100), *((n, 100, 100) for n in "bcd"), ("e", 99, 99)], 5, {}, "", "a"),
        ([("a", 0, 0)] * 5, 5, {}, "", ""),
        ([], 0, {"success_rate_minimum_hosts": 0, "failure_percentage_minimum_hosts": 0}, "", ""),
        ([(n, 15, 100) for n in "abcde"], 5, {}, "", "abcde"),
        ([(n, 16, 100) for n in "abcde"], 5, {}, "", ""),
        ([(n, 0, 49) for n in "abcde"], 5, {}, "", ""),
        ([(n, 0, 50) for n in "abcde"], 5, {}, "", "abcde"),
        ([(n, 0, 50) for n in "abcde"], 5, {"success_rate_request_volume": 1}, "", "abcde"),
        ([("a", 0, 100), *((n, 100, 100) for n in "bcd")], 4, {**THREE, "success_rate_stdev_factor": 1000}, "a", ""),
        ([("a", 0, 100), *((n, 100, 100) for n in "bcd")], 4, {**THREE, "success_rate_stdev_factor": 1800}, "", ""),
    ],
)  # fmt: skip
def test_who_is_an_outlier(
    counts: list[tuple[str, int, int]], hosts: int, config: dict[str, int], by_rate: str, by_percentage: str
) -> None:
    found = find_outliers(counts, hosts, OutlierDetection(**config))  # type: ignore[arg-type]
    assert "".join(name for name, _ in found.by_rate) == by_rate
    assert "".join(name for name, _ in found.by_percentage) == by_percentage


def test_rates_are_judged_at_the_end_of_the_interval_in_which_they_came_about() -> None:
    detection = Detection("abcde", **RATE)
    detection.status("a", *[500] * 50, *[200] * 50)
    for each in "bcde":
        detection.status(each, *[200] * 100)
    assert detection.at(9.999) == ""
    assert detection.at(10.0) == "a"
    (event,) = detection.events
    assert isinstance(event, Ejected)
    assert (event.type, event.for_s, event.success_rate, event.average) == ("SUCCESS_RATE", 30.0, 50.0, 90.0)
    assert event.threshold == pytest.approx(52.0)
    assert detection.at(39.999) == "a"
    assert detection.at(40.0) == ""


def test_an_interval_begins_with_nothing() -> None:
    detection = Detection("abcde", **RATE)
    for each in "abcde":
        detection.status(each, *[200] * 99)
    detection.at(10.0)
    detection.status("a", *[500] * 99)
    assert detection.at(20.0) == ""
    assert not detection.detector.detected


def test_rates_of_local_origin_are_judged_for_themselves() -> None:
    detection = Detection(
        "abcde",
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=0,
        enforcing_failure_percentage_local_origin=100,
        **RATE,
    )
    for _ in range(100):
        detection.monitor("a").result("connect-failed")
        for each in "bcde":
            detection.monitor(each).result("connected")
    assert detection.at(10.0) == "a"
    assert set(detection.detector.detected) == {"SUCCESS_RATE_LOCAL_ORIGIN", "FAILURE_PERCENTAGE_LOCAL_ORIGIN"}


def test_failures_by_percentage() -> None:
    detection = Detection("abc", **PERCENTAGE)
    detection.status("a", *[500] * 17, *[200] * 3)
    detection.status("b", *[500] * 16, *[200] * 4)
    detection.status("c", *[200] * 10)
    assert detection.at(10.0) == "a"
    assert detection.told == ["a FAILURE_PERCENTAGE 30"]
    assert detection.at(40.0) == ""


def test_an_ejected_host_is_not_judged() -> None:
    detection = Detection("abc", **PERCENTAGE)
    for each in "abc":
        detection.status(each, *[500] * 10)
    assert detection.at(10.0) == "abc"
    detection.status("a", *[500] * 10)
    detection.at(20.0)
    assert detection.detector.detected == {"FAILURE_PERCENTAGE": 3}
