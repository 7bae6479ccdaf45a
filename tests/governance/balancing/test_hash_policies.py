"""Endpoints by hash: as the table says, another where a retry asks for one, any where there is nothing to hash."""

from __future__ import annotations

from collections import Counter

import pytest

from proxyless.governance.balancing.context import ANY, Pick, PickContext
from proxyless.governance.balancing.hashed import TablePolicy, hashed
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.setting import Draw, Memory, Setting
from proxyless.governance.balancing.tables import maglev, ring_hash
from proxyless.xds.model.cluster import LbConfig
from tests.support.model import host

POLICIES = [ring_hash, maglev]


def pool(count: int) -> list[Host]:
    return [Host(host(f"10.0.0.{number}:80"), HostState()) for number in range(count)]


def picker(policy: TablePolicy, hosts: list[Host], config: LbConfig = LbConfig(), draw: Draw = lambda n: 0) -> Pick:
    setting = Setting(draw)
    return hashed([HostSet(hosts)], policy, config, setting, Memory(setting))


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_hash_goes_to_the_same_endpoint(policy: TablePolicy) -> None:
    hosts = pool(5)
    pick = picker(policy, hosts)
    seen = [pick(PickContext(number << 52)) for number in range(1000)]
    assert set(seen) == set(hosts)
    assert seen == [pick(PickContext(number << 52)) for number in range(1000)]


@pytest.mark.parametrize("policy", POLICIES)
def test_without_a_hash_one_is_drawn(policy: TablePolicy) -> None:
    draws = iter(range(0, 1 << 32, 1 << 24))
    pick = picker(policy, pool(5), draw=lambda n: next(draws))
    assert len(Counter(pick(ANY) for _ in range(100))) == 5


@pytest.mark.parametrize("policy", POLICIES)
def test_a_retry_looks_further_as_often_as_it_may(policy: TablePolicy) -> None:
    pick = picker(policy, pool(5))
    first = pick(PickContext(7))
    asked: list[Host] = []

    def rejects(each: Host) -> bool:
        asked.append(each)
        return each is first

    other = pick(PickContext(7, rejects=rejects, attempts=20))
    assert other is not first
    assert asked[0] is first
    assert asked[-1] is other
    asked.clear()

    def rejects_all(each: Host) -> bool:
        asked.append(each)
        return True

    assert pick(PickContext(7, rejects=rejects_all, attempts=3)) is asked[-1]
    assert len(asked) == 4


def test_a_ring_of_no_points_has_no_endpoint() -> None:
    assert picker(ring_hash, pool(5), LbConfig(ring_min=0))(PickContext(7)) is None
