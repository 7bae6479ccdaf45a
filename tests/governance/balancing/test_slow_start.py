"""Slow start: Envoy's formula at chosen times, and who starts slowly."""

from __future__ import annotations

from collections import Counter

import pytest

from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.policies import HostPolicy, least_request, round_robin
from proxyless.governance.balancing.setting import Memory, Setting
from proxyless.governance.balancing.slow_start import note_arrivals, starting, starting_weight
from proxyless.governance.balancing.spread import spread
from proxyless.xds.model.cluster import LbConfig, SlowStart
from tests.governance.balancing.cases import hosts, sequence


class Clock:
    """Time as the test says."""

    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def weight_after(passed_s: float, slow: SlowStart, weight: int = 1) -> float:
    clock = Clock()
    setting = Setting(lambda n: 0, clock)
    memory = Memory(setting)
    config = LbConfig(slow_start=slow)
    pool = hosts("h", weight=weight)
    note_arrivals(pool, config, setting, memory)
    weigh = starting_weight(config, setting, memory, lambda host: float(host.weight))
    clock.now += passed_s
    return weigh(pool[0])


@pytest.mark.parametrize(
    ("passed_s", "window_s", "aggression", "least", "factor"),
    [
        (0.0, 10, 1.0, 10, 0.1),
        (0.5, 10, 1.0, 10, 0.1),
        (1.0, 10, 1.0, 10, 0.1),
        (2.5, 10, 1.0, 10, 0.25),
        (5.0, 10, 1.0, 10, 0.5),
        (9.999, 10, 1.0, 10, 0.9999),
        (10.0, 10, 1.0, 10, 1.0),
        (11.0, 10, 1.0, 10, 1.0),
        (2.5, 10, 2.0, 10, 0.5),
        (2.5, 10, 0.5, 0, 0.0625),
        (0.0, 10, 1.0, 0, 0.0001),  # one millisecond at least
        (1.2345, 10, 1.0, 0, 0.1234),  # whole milliseconds
        (5.0, 10, 0.0, 10, 0.5),  # an aggression that means nothing is 1
        (5.0, 10, -3.0, 10, 0.5),
        (5.0, 10, 1.0, 80, 0.8),
        (0.0, 10, 0.001, 0, 1e-300),
    ],
)
def test_the_weight_grows_by_envoys_formula(
    passed_s: float, window_s: float, aggression: float, least: float, factor: float
) -> None:
    slow = SlowStart(window_s, aggression, least)
    assert weight_after(passed_s, slow) == pytest.approx(factor)
    assert weight_after(passed_s, slow, weight=8) == pytest.approx(8 * factor)


def test_without_slow_start_weights_are_left_alone() -> None:
    setting = Setting(lambda n: 0)
    memory = Memory(setting)

    def weight(host: object) -> float:
        return 1.0

    assert starting_weight(LbConfig(), setting, memory, weight) is weight
    assert not starting(LbConfig(), setting, memory)
    pool = hosts("h")
    note_arrivals(pool, LbConfig(), setting, memory)
    assert pool[0].state.healthy_since is None


def test_only_healthy_hosts_start() -> None:
    clock = Clock()
    setting = Setting(lambda n: 0, clock)
    memory = Memory(setting)
    config = LbConfig(slow_start=SlowStart(10))
    pool = hosts("hug")
    note_arrivals(pool, config, setting, memory)
    assert [each.state.healthy_since for each in pool] == [100.0, None, None]
    weigh = starting_weight(config, setting, memory, lambda host: 1.0)
    assert [weigh(each) for each in pool] == [0.1, 1.0, 1.0]
    pool[0].state.degraded = True
    assert weigh(pool[0]) == 1.0


def test_a_host_that_has_been_healthy_for_long_makes_nobody_start() -> None:
    clock = Clock()
    setting = Setting(lambda n: 0, clock)
    memory = Memory(setting)
    config = LbConfig(slow_start=SlowStart(10))
    pool = hosts("hh")
    clock.now = 150.0
    pool[0].state.healthy_since = 120.0  # after the balancer was made, before the window
    note_arrivals(pool[:1], config, setting, memory)
    assert memory.newest == 100.0
    assert not starting(config, setting, memory)
    note_arrivals(pool, config, setting, memory)
    assert memory.newest == 150.0
    clock.now = 160.0
    assert starting(config, setting, memory)
    clock.now = 160.002
    assert not starting(config, setting, memory)


@pytest.mark.parametrize("policy", [round_robin, least_request])
def test_a_host_that_has_just_come_gets_a_tenth(policy: HostPolicy) -> None:
    clock = Clock()
    setting = Setting(lambda n: 0, clock)
    memory = Memory(setting)
    config = LbConfig(slow_start=SlowStart(10))
    old, new = hosts("h"), hosts("h", 2)
    spread([HostSet(old)], policy, config, setting, memory)
    clock.now += 60
    pick = spread([HostSet([*old, *new])], policy, config, setting, memory)
    assert Counter(sequence(pick, 110).split()) == pytest.approx({"1": 100, "2": 10}, abs=1)
    clock.now += 5
    sequence(pick, 40)  # each is weighed when it is picked
    assert Counter(sequence(pick, 300).split()) == pytest.approx({"1": 200, "2": 100}, abs=2)
    clock.now += 5.001
    sequence(pick, 40)
    assert Counter(sequence(pick, 200).split()) == pytest.approx({"1": 100, "2": 100}, abs=2)


def test_when_all_have_started_the_next_change_goes_back_to_plain_turns() -> None:
    clock = Clock()
    setting = Setting(lambda n: 0, clock)
    memory = Memory(setting)
    config = LbConfig(slow_start=SlowStart(10))
    pool = HostSet(hosts("hhh"))
    spread([pool], round_robin, config, setting, memory)
    clock.now += 60
    assert sequence(spread([pool], round_robin, config, setting, memory), 4) == "1 2 3 1"
