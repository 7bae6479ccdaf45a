"""Ejections that somebody wants."""

from __future__ import annotations

from tests.governance.outliers.detection import Detection


def test_a_host_is_out_whatever_the_limits_say_and_comes_back_as_any_other() -> None:
    detection = Detection("ab", max_ejection_percent=0, enforcing_consecutive_5xx=0)
    for host in "ab":
        detection.detector.eject(detection.monitor(host))
    assert detection.out == "ab"
    assert detection.detector.active == 2
    assert detection.at(29) == "ab"
    assert detection.at(30) == ""
    assert detection.told == ["a CONSECUTIVE_5XX 30", "b CONSECUTIVE_5XX 30", "a back 30", "b back 30"]


def test_a_host_that_is_out_stays_out_no_longer() -> None:
    detection = Detection("a")
    detection.detector.eject(detection.monitor("a"))
    detection.now = 10
    detection.detector.eject(detection.monitor("a"))
    assert detection.told == ["a CONSECUTIVE_5XX 30"]
    detection.detector.uneject(detection.monitor("a"))
    assert (detection.out, detection.detector.active) == ("", 0)
