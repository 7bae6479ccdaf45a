"""docs/envoy-facts.md, "Balancing": who gets the next request."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from proxyless.governance.balancing import policies
from proxyless.governance.balancing.context import ANY
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.setting import WIDE, Draw, Group, Memory, Setting
from proxyless.xds.model.cluster import LbConfig
from tests.support.model import host

Policy = policies.HostPolicy


def hosts(*weights: int) -> list[Host]:
    return [Host(host(f"10.0.0.{index}:80", weight=weight), HostState()) for index, weight in enumerate(weights, 1)]


def picks(
    policy: Policy,
    pool: Sequence[Host],
    count: int,
    draw: Draw,
    config: LbConfig = LbConfig(),
    memory: Memory | None = None,
) -> str:
    """The last numbers of the addresses that come."""
    setting = Setting(draw)
    choose = policy(Group(pool, (0, "healthy", -1), config, setting, memory or Memory(setting)))
    numbers = (draw(WIDE) if policy is policies.random else 0 for _ in range(count))
    return " ".join(each.address.split(".")[3].split(":")[0] for number in numbers if (each := choose(number, ANY)))


def seeded(seed: int = 1) -> Draw:
    source = random.Random(seed)
    return lambda n: int(source.random() * n)


@pytest.mark.parametrize(("start", "seen"), [(0, "1 2 3 1 2"), (1, "2 3 1 2 3"), (2, "3 1 2 3 1")])
def test_round_robin_goes_in_configured_order_from_a_random_start(start: int, seen: str) -> None:
    assert picks(policies.round_robin, hosts(1, 1, 1), 5, lambda n: start) == seen


@pytest.mark.parametrize("weights", [(5, 5), (1, 1, 1)])
def test_equal_weights_are_no_weights(weights: tuple[int, ...]) -> None:
    seen = picks(policies.round_robin, hosts(*weights), 30, seeded())
    assert set(Counter(seen.split()).values()) == {30 // len(weights)}


@pytest.mark.parametrize("policy", [policies.round_robin, policies.least_request])
@pytest.mark.parametrize("seed", range(5))
def test_unequal_weights_have_their_share_of_every_cycle(policy: Policy, seed: int) -> None:
    for weights in [(1, 3), (1, 2, 3)]:
        counts = Counter(picks(policy, hosts(*weights), 10 * sum(weights), seeded(seed)).split())
        for index, weight in enumerate(weights, 1):
            assert counts[str(index)] == pytest.approx(10 * weight, abs=1)


def test_many_clients_of_few_requests_each_give_a_light_host_its_share() -> None:
    first = Counter(picks(policies.round_robin, hosts(1, 99), 1, seeded(seed)) for seed in range(2000))
    assert 5 <= first["1"] <= 45


def test_random_ignores_weights() -> None:
    seen = Counter(picks(policies.random, hosts(1, 99), 2000, seeded()).split())
    assert 900 < seen["1"] < 1100


def test_least_request_takes_the_less_busy_of_two() -> None:
    pool = hosts(1, 1, 1)
    pool[0].state.active = 5
    draws = iter([0, 1, 1, 0, 0, 0, 2, 1])
    assert picks(policies.least_request, pool, 4, lambda n: next(draws)) == "2 2 1 3"


def test_least_request_takes_the_first_drawn_of_equally_busy_ones() -> None:
    draws = iter([2, 0])
    assert picks(policies.least_request, hosts(1, 1, 1), 1, lambda n: next(draws)) == "3"


@pytest.mark.parametrize("choices", [1, 2, 4])
def test_least_request_draws_as_many_as_configured(choices: int) -> None:
    drawn = 0

    def draw(n: int) -> int:
        nonlocal drawn
        drawn += 1
        return 0

    picks(policies.least_request, hosts(1, 1), 1, draw, LbConfig(choice_count=choices))
    assert drawn == choices


def test_a_busy_host_is_never_preferred_by_least_request() -> None:
    pool = hosts(1, 1)
    pool[0].state.active = 1
    seen = Counter(picks(policies.least_request, pool, 1000, seeded()).split())
    assert 180 < seen["1"] < 320  # only where both draws are the same


@pytest.mark.parametrize(
    ("bias", "active", "share"),
    [(1.0, 0, 4 / 5), (1.0, 1, 2 / 3), (1.0, 3, 1 / 2), (0.0, 3, 4 / 5), (2.0, 1, 1 / 2)],
)
def test_with_unequal_weights_active_requests_shrink_a_hosts_weight(bias: float, active: int, share: float) -> None:
    pool = hosts(1, 4)
    pool[1].state.active = active
    seen = Counter(picks(policies.least_request, pool, 3000, lambda n: 0, LbConfig(active_request_bias=bias)).split())
    assert seen["2"] / 3000 == pytest.approx(share, abs=0.01)


SCAN = LbConfig(full_scan=True)


def test_a_full_scan_takes_the_least_busy_of_all() -> None:
    pool = hosts(1, 1, 1, 1)
    for each, active in zip(pool, (3, 1, 2, 4), strict=True):
        each.state.active = active
    assert picks(policies.least_request, pool, 3, seeded(), SCAN) == "2 2 2"


def test_a_full_scan_draws_among_those_that_are_equally_busy() -> None:
    pool = hosts(1, 1, 1, 1)
    pool[1].state.active = 1
    seen = Counter(picks(policies.least_request, pool, 3000, seeded(), SCAN).split())
    assert set(seen) == {"1", "3", "4"}
    assert min(seen.values()) > 900
