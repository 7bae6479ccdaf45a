"""Endpoints by hash: as the table says, another where a retry asks for one, any where there is nothing to hash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from proxyless.governance.balancing.context import ANY, MOST_ATTEMPTS, Pick, PickContext
from proxyless.governance.balancing.hashed import Table, TablePolicy, hashed, shares_of
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.setting import Draw, Memory, Setting
from proxyless.governance.balancing.tables import maglev, ring_hash
from proxyless.xds.model.cluster import LbConfig
from proxyless.xds.model.values import Locality
from tests.governance.balancing.cases import hosts, number, sets
from tests.support.model import host

POLICIES = [ring_hash, maglev]


def pool(count: int) -> list[Host]:
    return [Host(host(f"10.0.0.{number}:80"), HostState()) for number in range(count)]


def picker(policy: TablePolicy, members: list[Host], config: LbConfig = LbConfig(), draw: Draw = lambda n: 0) -> Pick:
    setting = Setting(draw)
    return hashed([HostSet(members)], policy, config, setting, Memory(setting))


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_hash_goes_to_the_same_endpoint(policy: TablePolicy) -> None:
    members = pool(5)
    pick = picker(policy, members)
    seen = [pick(PickContext(number << 52)) for number in range(1000)]
    assert set(seen) == set(members)
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


def test_a_request_is_drawn_for_an_end_of_times_whatever_the_policy_says() -> None:
    asked: list[Host] = []

    def rejects_all(each: Host) -> bool:
        asked.append(each)
        return True

    pick = picker(ring_hash, pool(5), LbConfig(ring_min=10))
    assert pick(PickContext(7).again(rejects_all, 1 << 62)) is asked[-1]
    assert len(asked) == MOST_ATTEMPTS + 1


def test_a_ring_of_no_points_has_no_endpoint() -> None:
    assert picker(ring_hash, pool(5), LbConfig(ring_min=0))(PickContext(7)) is None


# -- priorities ---------------------------------------------------------------------------------------------------


def by_priority(*letters: str, memory: Memory | None = None, **config: Any) -> Pick:
    setting = Setting(lambda n: 0)
    return hashed(sets(*letters), maglev, LbConfig(**config), setting, memory or Memory(setting))


@pytest.mark.parametrize(
    ("letters", "hash_", "seen"),
    [
        (("h", "h"), 99, "1"),
        (("hu", "h"), 69, "1"),
        (("hu", "h"), 70, "3"),
        (("hu", "h"), 170, "3"),
        (("u", "h"), 0, "2"),
        (("u", "g"), 0, "-"),  # degraded hosts are in no table
        (("u", "u"), 49, "1"),  # panic: all are
        (("u", "u"), 50, "2"),
    ],
)
def test_the_priority_is_chosen_by_the_hash_too(letters: tuple[str, ...], hash_: int, seen: str) -> None:
    assert number(by_priority(*letters)(PickContext(hash_))) == seen


def test_locality_weights_are_multiplied_into_the_shares() -> None:
    pool = [*hosts("h", 1, "a"), *hosts("hh", 2, "b"), *hosts("h", 4, "c"), *hosts("u", 5, "a")]
    found = HostSet(pool, weights={Locality("r", "a"): 3, Locality("r", "b"): 1})
    members, shares = shares_of(found, panic=False, locality_weighted=True)
    assert [(number(each), share) for each, share in zip(members, shares, strict=True)] == [
        ("1", 0.75),
        ("2", 0.125),
        ("3", 0.125),
    ]
    members, shares = shares_of(found, panic=True, locality_weighted=True)
    assert [(number(each), share) for each, share in zip(members, shares, strict=True)] == [
        ("1", 0.375),
        ("5", 0.375),
        ("2", 0.125),
        ("3", 0.125),
    ]
    assert shares_of(found, panic=False, locality_weighted=False)[1] == (0.25,) * 4


def test_a_table_is_kept_while_its_hosts_and_their_shares_are_the_same() -> None:
    made: list[int] = []

    def counting(keys: Sequence[bytes], shares: Sequence[float], config: LbConfig) -> Table:
        made.append(len(keys))
        return maglev(keys, shares, config)

    setting = Setting(lambda n: 0)
    memory = Memory(setting)
    pools = sets("hu", "hhh")
    context = PickContext(0)
    other = PickContext(99)
    first = hashed(pools, counting, LbConfig(), setting, memory)
    assert made == []
    seen = [first(context), first(other), first(other)]
    assert made == [1, 3]
    pools[0].hosts[1].state.ejected = True
    again = hashed([each.again() for each in pools], counting, LbConfig(), setting, memory)
    assert [again(context), again(other), again(other)] == seen
    assert made == [1, 3]
    pools[1].hosts[0].state.ejected = True
    hashed([each.again() for each in pools], counting, LbConfig(), setting, memory)(other)
    assert made == [1, 3, 2]
