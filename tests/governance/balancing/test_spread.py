"""Priority, locality, host: who is drawn, and that nothing is drawn that need not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from proxyless.governance.balancing.context import ANY, Loads, Pick, PickContext
from proxyless.governance.balancing.host import Host
from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.policies import HostPolicy, least_request, random, round_robin
from proxyless.governance.balancing.setting import WIDE, Draw, Memory, Setting
from proxyless.governance.balancing.spread import spread
from proxyless.xds.model.cluster import LbConfig, ZoneAware
from proxyless.xds.model.values import Locality
from tests.governance.balancing.cases import drawing, hosts, number, seeded, sequence, sets, shares


def picker(
    pool: Sequence[HostSet],
    draw: Draw = lambda n: 0,
    policy: HostPolicy = round_robin,
    memory: Memory | None = None,
    local: HostSet | None = None,
    **config: object,
) -> Pick:
    setting = Setting(draw, local=(lambda: local) if local is not None else None)
    whole = LbConfig(**config)  # type: ignore[arg-type]
    return spread(pool, policy, whole, setting, memory or Memory(setting))


class Counting:
    """Draws 0 and counts."""

    def __init__(self) -> None:
        self.drawn: list[int] = []

    def __call__(self, n: int) -> int:
        self.drawn.append(n)
        return 0


@pytest.mark.parametrize(
    ("priorities", "seen"),
    [
        (("hh", "h"), "1 2 1 2"),
        (("uu", "hh"), "3 4 3 4"),
        (("gg", "uu"), "1 2 1 2"),
        (("uuu",), "1 2 3 1"),  # panic
    ],
)
def test_where_all_go_to_one_priority_none_is_drawn(priorities: tuple[str, ...], seen: str) -> None:
    draw = Counting()
    pick = picker(sets(*priorities), draw)
    draw.drawn.clear()
    assert sequence(pick, 4) == seen
    assert not draw.drawn


def test_shares_of_priorities_come_out_as_computed() -> None:
    state = iter(range(10_000))
    pick = picker(sets("hu", "h"), lambda n: next(state) if n == WIDE else 0)
    assert shares(pick, 1000) == {"1": 0.7, "3": 0.3}


def test_degraded_hosts_are_taken_for_the_rest() -> None:
    state = iter(range(10_000))
    pick = picker(sets("hg"), lambda n: next(state) if n == WIDE else 0)
    assert shares(pick, 1000) == {"1": 0.7, "2": 0.3}


def test_a_priority_in_panic_takes_its_share_with_all_its_hosts() -> None:
    # 28 percent of 56 there, 28 of 56 here; only the second has enough hosts
    state = iter(range(10_000))
    pick = picker(sets("huuuu", "huuuu", factor=100), lambda n: next(state) if n == WIDE else 0, panic_threshold=20)
    assert shares(pick, 1000) == {"1": 0.5, "6": 0.5}
    state = iter(range(10_000))
    pick = picker(sets("huuuu", "uuuuuu"), lambda n: next(state) if n == WIDE else 0, panic_threshold=20)
    assert set(shares(pick, 1000)) == {"1"}


def test_turns_of_each_priority_are_its_own() -> None:
    numbers = iter([0, 70, 1, 71, 2])
    pick = picker(sets("hhuu", "hh"), lambda n: next(numbers) if n == WIDE else 0)
    assert sequence(pick, 5) == "1 5 2 6 1"


def test_random_balancing_takes_the_host_by_the_number_of_the_priority() -> None:
    # 30 of 100 go to the second priority: 70 to 99, of which each even one means the first of two hosts.
    pick = picker(sets("hhuu", "hh"), drawing([70, 71, 1, 170, 3]), random)
    assert sequence(pick, 5) == "5 6 2 5 2"
    assert sequence(picker(sets("hhh"), drawing([4, 2, 0]), random), 3) == "2 3 1"


def test_nobody_is_there() -> None:
    assert sequence(picker(sets("")), 2) == "- -"
    assert sequence(picker(sets("uu"), panic_threshold=0), 1) == "-"
    assert sequence(picker(sets("u", "")), 1) == "1"


def test_panic_may_fail_requests_instead() -> None:
    failing = ZoneAware(fail_traffic_on_panic=True)
    assert sequence(picker(sets("uuh"), zone=failing), 2) == "- -"
    assert sequence(picker(sets("uuh"), zone=failing, panic_threshold=30), 2) == "3 3"


def test_one_host_of_many_priorities_needs_no_policy() -> None:
    draw = Counting()
    pick = picker(sets("hu", "h"), draw, least_request)
    draw.drawn.clear()
    assert sequence(pick, 2) == "1 1"
    assert draw.drawn == [WIDE, WIDE]


# -- what a request may say ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("avoid", "attempts", "seen"),
    [("", 5, "1"), ("1", 1, "2"), ("12", 1, "2"), ("12", 2, "3"), ("123", 5, "3"), ("123", 3, "1"), ("3", 5, "1")],
)
@pytest.mark.parametrize("policy", [round_robin, random])
def test_a_rejected_host_is_drawn_anew_so_often_and_then_taken(
    policy: HostPolicy, avoid: str, attempts: int, seen: str
) -> None:
    numbers = iter(range(100))
    pick = picker(sets("hhh"), lambda n: next(numbers) if n == WIDE else 0, policy)
    found = pick(PickContext(rejects=lambda host: number(host) in avoid, attempts=attempts))
    assert number(found) == seen


def test_where_nobody_is_there_nobody_is_asked_again() -> None:
    def rejects(host: Host) -> bool:
        raise AssertionError("asked")

    assert picker(sets(""))(PickContext(rejects=rejects, attempts=3)) is None


@pytest.mark.parametrize("policy", [round_robin, random])
def test_a_retry_may_have_its_own_view_of_the_priorities(policy: HostPolicy) -> None:
    seen: list[Loads] = []

    def other(loads: Loads, availability: Loads) -> Loads:
        del availability
        seen.append(loads)
        return (0, 100), (0, 0)

    pick = picker(sets("hh", "h"), seeded(), policy)
    assert sequence(pick, 3, PickContext(priority_load=other)) == "3 3 3"
    assert seen == [((100, 0), (0, 0))] * 3
    assert "3" not in sequence(pick, 20)


# -- localities ---------------------------------------------------------------------------------------------------


def zones(letters: Mapping[str, str], weights: Mapping[str, int] = {}, local: str | None = None) -> HostSet:
    pool, first = [], 1
    for zone, each in letters.items():
        pool += hosts(each, first, zone)
        first += len(each)
    own = Locality("r", local) if local is not None else None
    return HostSet(pool, weights={Locality("r", zone): weight for zone, weight in weights.items()}, local=own)


def test_locality_weights_give_exact_shares_when_asked_for() -> None:
    weighted = zones({"a": "h", "b": "hh", "c": "h"}, {"a": 5, "b": 4, "c": 1})
    assert shares(picker([weighted], locality_weighted=True), 100) == {"1": 0.5, "2": 0.2, "3": 0.2, "4": 0.1}
    assert shares(picker([weighted]), 100) == {"1": 0.25, "2": 0.25, "3": 0.25, "4": 0.25}


def test_a_single_locality_with_a_weight_takes_all_and_nothing_is_drawn() -> None:
    draw = Counting()
    pick = picker([zones({"a": "hh", "b": "hh"}, {"a": 3})], draw, locality_weighted=True)
    draw.drawn.clear()
    assert sequence(pick, 4) == "1 2 1 2"
    assert not draw.drawn


def test_without_any_weight_localities_count_alike() -> None:
    assert shares(picker([zones({"a": "h", "b": "hhh"})], locality_weighted=True), 100) == dict.fromkeys("1234", 0.25)


def test_a_priority_whose_localities_have_no_weight_counts_them_alike() -> None:
    state = iter(range(10_000))
    pools = [zones({"a": "hu", "b": "hu"}), HostSet(hosts("h", 9))]
    pick = picker(pools, lambda n: next(state) if n == WIDE else 0, locality_weighted=True)
    assert shares(pick, 1000) == {"1": 0.35, "3": 0.35, "9": 0.3}


def test_degraded_hosts_go_by_the_weights_of_localities_too() -> None:
    found = picker([zones({"a": "g", "b": "ggg"}, {"a": 3, "b": 1})], locality_weighted=True)
    assert shares(found, 100)["1"] == 0.75


def test_in_panic_localities_do_not_count() -> None:
    found = picker([zones({"a": "u", "b": "uuu"}, {"a": 3, "b": 1})], locality_weighted=True)
    assert shares(found, 100) == dict.fromkeys("1234", 0.25)


def test_locality_weights_hold_in_every_priority() -> None:
    state = iter(range(10_000))
    first = zones({"a": "hu", "b": "hu"}, {"a": 3, "b": 1})
    second = HostSet(hosts("h", 9, "z"), weights={Locality("r", "z"): 1})
    pick = picker([first, second], lambda n: next(state) if n == WIDE else 0, locality_weighted=True)
    assert shares(pick, 1000) == pytest.approx({"1": 0.525, "3": 0.175, "9": 0.3}, abs=0.002)


# -- zones --------------------------------------------------------------------------------------------------------

LOCAL = zones({"a": "hh", "b": "h"}, local="a")


def zoned(draw: Draw, local: HostSet | None = LOCAL, zone: ZoneAware = ZoneAware()) -> Pick:
    upstream = zones({"a": "hhh", "b": "hhh"}, local="a")
    return picker([upstream], draw, local=local, zone=zone)


def test_requests_stay_in_the_zone_as_far_as_it_can_take_them() -> None:
    # two thirds of the requests come from here, half of the hosts are here: three quarters stay
    found = shares(zoned(seeded()), 20_000)
    assert sum(found[each] for each in "123") == pytest.approx(0.75, abs=0.015)


def test_zone_routing_may_be_for_a_part_of_the_requests() -> None:
    found = shares(zoned(seeded(), zone=ZoneAware(routing_enabled=50)), 20_000)
    assert sum(found[each] for each in "123") == pytest.approx(0.625, abs=0.015)
    found = shares(zoned(seeded(), zone=ZoneAware(routing_enabled=0)), 600)
    assert found == pytest.approx(dict.fromkeys("123456", 1 / 6))


def test_without_the_local_cluster_zones_do_not_count() -> None:
    setting = Setting(lambda n: 0, local=lambda: None)
    pick = spread([zones({"a": "hhh", "b": "hhh"}, local="a")], round_robin, LbConfig(), setting, Memory(setting))
    assert sequence(pick, 6) == "1 2 3 4 5 6"


def test_a_local_cluster_that_changes_is_looked_at_again() -> None:
    here = [zones({"a": "h", "b": "h"}, local="a"), zones({"b": "h", "c": "h"}, local="a")]
    setting = Setting(lambda n: 0, local=lambda: here[0])
    pick = spread([zones({"a": "hhh", "b": "hhh"}, local="a")], round_robin, LbConfig(), setting, Memory(setting))
    assert sequence(pick, 3) == "1 2 3"
    here.pop(0)
    assert sequence(pick, 6) == "1 2 3 4 5 6"


@pytest.mark.parametrize(("fails", "seen"), [(False, "1 2 3 4 5 6"), (True, "- - - - - -")])
def test_a_local_cluster_in_panic_says_nothing(fails: bool, seen: str) -> None:
    local = zones({"a": "hu", "b": "uuu"}, local="a")
    assert sequence(zoned(lambda n: 0, local, zone=ZoneAware(fail_traffic_on_panic=fails)), 6) == seen


def test_only_the_first_priority_is_routed_by_zones() -> None:
    upstream = [HostSet(hosts("u", 20, "a"), local=Locality("r", "a")), zones({"a": "hhh", "b": "hhh"}, local="a")]
    assert sequence(picker(upstream, local=LOCAL), 6) == "1 2 3 4 5 6"


def test_what_has_been_drawn_for_is_remembered_from_one_moment_to_the_next() -> None:
    setting = Setting(lambda n: 0)
    memory = Memory(setting)
    [pool] = sets("hhhh")
    assert sequence(picker([pool], memory=memory), 3) == "1 2 3"
    pool.hosts[0].state.ejected = True
    assert sequence(picker([pool.again()], memory=memory), 3) == "2 3 4"  # the fourth turn among three
    [weighted] = [HostSet([*hosts("h"), *hosts("h", 2, weight=3)])]
    schedule = sequence(picker([weighted], memory=memory), 3)
    assert sequence(picker([weighted], memory=memory), 3) == schedule  # schedules begin where they began
    assert ANY.rejects is None
