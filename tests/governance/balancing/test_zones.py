"""Zone-aware routing: when it is done at all, what stays, and where the rest goes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.zones import ZoneRouting, zone_routing
from proxyless.xds.model.cluster import ZoneAware
from proxyless.xds.model.values import Locality
from tests.governance.balancing.cases import drawing, hosts


def priority(zones: Mapping[str, str], own: str | None = "a", weight: int = 1) -> HostSet:
    pool, first = [], 1
    for zone, letters in zones.items():
        pool += hosts(letters, first, zone, weight=weight)
        first += len(letters)
    return HostSet(pool, local=Locality("r", own) if own is not None else None)


def routing(
    upstream: Mapping[str, str], local: Mapping[str, str], config: ZoneAware = ZoneAware(), own: str | None = "a"
) -> tuple[bool, int, list[int]] | None:
    found = zone_routing(priority(upstream, own), priority(local, own), config)
    return (found.direct, found.stay, list(found.residual)) if found is not None else None


TWO = {"a": "h", "b": "h"}
THREE = {"a": "hhh", "b": "hhh"}


@pytest.mark.parametrize(
    ("upstream", "local", "own"),
    [
        ({"a": "hhhhhhh"}, TWO, "a"),  # one zone there
        (THREE, {"a": "hhhhhhh"}, "a"),  # one zone here
        (THREE, {"b": "hh", "c": "h"}, "a"),  # this process is not among its own cluster
        (THREE, TWO, None),  # nobody knows where this process is
        ({"a": "hhh", "b": "hh"}, TWO, "a"),  # fewer than six
        ({"a": "hhh", "b": "hhu"}, TWO, "a"),  # fewer than six healthy ones
    ],
)
def test_where_zones_cannot_be_told_or_the_cluster_is_small_they_do_not_count(
    upstream: dict[str, str], local: dict[str, str], own: str | None
) -> None:
    assert routing(upstream, local, own=own) is None


@pytest.mark.parametrize(("size", "counts"), [(0, True), (6, True), (7, False)])
def test_min_cluster_size_counts_healthy_hosts(size: int, counts: bool) -> None:
    assert (routing(THREE, TWO, ZoneAware(min_cluster_size=size)) is not None) == counts


@pytest.mark.parametrize("local", [{"a": "h", "b": "h"}, {"a": "h", "b": "hh"}, {"a": "u", "b": "h"}])
def test_a_zone_that_can_take_all_that_it_sends_keeps_it(local: dict[str, str]) -> None:
    assert routing(THREE, local) == (True, 0, [])


@pytest.mark.parametrize(
    ("upstream", "local", "seen"),
    [
        # sends 2/3, takes 1/2
        (THREE, {"a": "hh", "b": "h"}, (False, 5000 * 10000 // 6666, [0, 1667])),
        # as in the source of Envoy: 40 40 20 against 25 50 25
        ({"a": "hh", "b": "hhhh", "c": "hh"}, {"a": "hh", "b": "hh", "c": "h"}, (False, 6250, [0, 1000, 1500])),
        # nothing to stay for
        ({"b": "hhh", "c": "hhh"}, {"a": "h", "b": "h"}, (False, 0, [0, 5000])),
        ({"a": "uuu", "b": "hhh", "c": "hhh"}, {"a": "h", "b": "h"}, (False, 0, [0, 0, 5000])),
        ({"a": "uuu", "b": "hhhhhh"}, {"a": "u", "b": "u"}, (False, 0, [0, 10000])),
    ],
)
def test_what_the_own_zone_cannot_take_goes_where_there_is_room(
    upstream: dict[str, str], local: dict[str, str], seen: tuple[bool, int, list[int]]
) -> None:
    assert routing(upstream, local) == seen


@pytest.mark.parametrize(
    ("force", "local", "direct"),
    [
        (None, {"a": "hhh", "b": "h"}, False),
        (1, {"a": "hhh", "b": "h"}, True),
        (3, {"a": "hhh", "b": "h"}, True),
        (4, {"a": "hhh", "b": "h"}, False),
        (1, {"a": "hhh"}, True),  # one zone here is enough then
    ],
)
def test_a_zone_with_so_many_hosts_may_be_made_to_keep_all(
    force: int | None, local: dict[str, str], direct: bool
) -> None:
    found = routing(THREE, local, ZoneAware(force_local_zone=force))
    assert found is not None
    assert found[0] == direct


def test_zones_may_count_by_the_weights_of_their_hosts() -> None:
    heavy = HostSet([*hosts("hhh", 1, "a"), *hosts("hhh", 4, "b", weight=3)], local=Locality("r", "a"))
    local = priority(TWO)
    assert zone_routing(heavy, local, ZoneAware()) is not None
    found = zone_routing(heavy, local, ZoneAware(by_weight=True))
    assert found is not None
    assert (found.direct, found.stay, list(found.residual)) == (False, 5000, [0, 2500])


@pytest.mark.parametrize(
    ("found", "draws", "index"),
    [
        (ZoneRouting(direct=True), [], 0),
        (ZoneRouting(False, 6250, [0, 1000, 1500]), [6249], 0),
        (ZoneRouting(False, 6250, [0, 1000, 1500]), [16249], 0),
        (ZoneRouting(False, 6250, [0, 1000, 1500]), [6250, 0], 1),
        (ZoneRouting(False, 6250, [0, 1000, 1500]), [6250, 999], 1),
        (ZoneRouting(False, 6250, [0, 1000, 1500]), [6250, 1000], 2),
        (ZoneRouting(False, 9999, [0, 0, 0]), [9999, 2], 2),  # nothing left by rounding: anywhere
    ],
)
def test_a_zone_is_drawn(found: ZoneRouting, draws: list[int], index: int) -> None:
    assert found.locality(drawing(draws)) == index
