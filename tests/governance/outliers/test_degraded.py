"""Hosts that call themselves degraded (detect_degraded_hosts): times as for ejections, but counted for themselves."""

from __future__ import annotations

from proxyless.governance.balancing.host import Host
from tests.governance.outliers.detection import Detection
from tests.support.model import host


def degraded(detection: Detection, name: str = "a") -> bool:
    return detection.states[name].self_degraded


def test_a_host_that_says_so_is_degraded_for_a_while() -> None:
    detection = Detection(2, detect_degraded_hosts=True, max_ejection_percent=0)
    detection.monitor("a").status(200, degraded=True)
    assert Host(host("10.0.0.1:80"), detection.states["a"]).coarse_health == "degraded"
    detection.now = 5.0
    detection.monitor("a").status(404, degraded=True)
    assert detection.detector.detected == {"DEGRADED": 1}
    detection.at(29.9)
    assert degraded(detection)
    detection.at(30.0)
    assert not degraded(detection)
    assert detection.told == ["a degraded", "a not degraded"]
    assert detection.changes == 2


def test_the_second_time_is_longer_and_the_memory_fades() -> None:
    detection = Detection(2, detect_degraded_hosts=True)
    detection.monitor("a").status(200, degraded=True)
    detection.at(30.0)
    detection.monitor("a").status(200, degraded=True)
    detection.at(89.9)
    assert degraded(detection)
    detection.at(90.0)
    assert not degraded(detection)
    assert detection.monitor("a").degradation.backoff == 2
    detection.at(100.0)
    assert detection.monitor("a").degradation.backoff == 1
    assert not detection.monitor("a").ejection.backoff


def test_an_error_is_an_error_and_without_the_option_nothing_is_said() -> None:
    detection = Detection(2, detect_degraded_hosts=True)
    detection.monitor("a").status(503, degraded=True)
    assert not degraded(detection)
    detection.configure()
    detection.monitor("a").status(200, degraded=True)
    assert not degraded(detection)


def test_a_host_that_is_gone_is_forgotten() -> None:
    detection = Detection("ab", detect_degraded_hosts=True)
    detection.monitor("a").status(200, degraded=True)
    gone = detection.states["a"]
    detection.configure(hosts="b", detect_degraded_hosts=True)
    assert not gone.self_degraded


def test_a_host_may_be_out_and_degraded() -> None:
    detection = Detection(2, detect_degraded_hosts=True, max_ejection_percent=100, base_ejection_time_s=15.0)
    detection.monitor("a").status(200, degraded=True)
    detection.now = 9.0
    detection.status("a", *[500] * 5)
    assert (detection.at(20.0), degraded(detection)) == ("a", False)
    assert detection.at(30.0) == ""
