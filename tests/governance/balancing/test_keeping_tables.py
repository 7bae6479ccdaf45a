"""Tables cost something to make: they are kept while their endpoints are the same, and bounds hold on top of them."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.balancing import tables
from proxyless.governance.balancing.context import PickContext
from proxyless.governance.balancing.hashed import Table
from proxyless.governance.cluster import ClusterRuntime
from proxyless.xds.model.cluster import LbConfig
from proxyless.xds.model.endpoint import LbEndpoint, LocalityLbEndpoints
from proxyless.xds.model.values import Locality
from tests.support.model import cluster, host, snapshot
from tests.support.world import World

ENDPOINTS = [host(f"10.0.0.{number}:80") for number in range(1, 7)]


def world(*endpoints: LbEndpoint, **lb: Any) -> World:
    made = cluster("a", *(endpoints or ENDPOINTS), lb_policy="RING_HASH", lb=LbConfig(**lb))
    return World(snapshot(clusters=[made]))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the rings that are made."""
    found: list[int] = []
    before = tables.TABLES["RING_HASH"]

    def counted(keys: Any, shares: Any, config: Any) -> Table:
        found.append(len(keys))
        return before(keys, shares, config)

    monkeypatch.setitem(tables.TABLES, "RING_HASH", counted)
    return found


def test_a_table_is_made_when_somebody_asks_and_once(made: list[int]) -> None:
    fixture = world()
    assert made == []
    for number in range(9):
        fixture.cluster().choose(PickContext(number << 60))
    assert made == [6]


def test_a_host_that_comes_back_finds_its_table(made: list[int]) -> None:
    fixture = world(panic_threshold=0.0)
    found = fixture.cluster()
    for ejected in (False, True, False, True):
        found.hosts[0].state.ejected = ejected
        found.state.health_changed()
        found.choose(PickContext(1))
    assert made == [6, 5]


def test_only_the_last_few_tables_are_kept(made: list[int]) -> None:
    fixture = world(panic_threshold=0.0)
    found = fixture.cluster()
    for _ in range(2):
        for each in found.hosts:
            each.state.ejected = True
            found.state.health_changed()
            found.choose(PickContext(1))
            each.state.ejected = False
    assert made == [5] * 12


def test_endpoints_that_come_again_in_another_assignment_keep_their_table(made: list[int]) -> None:
    fixture = world()
    found = fixture.cluster()
    found.choose(PickContext(1))
    again = cluster("a", *ENDPOINTS).load_assignment
    ClusterRuntime(found.config, again, found.state, fixture.runtime.setting("a")).choose(PickContext(1))
    assert made == [6]


def test_an_endpoint_above_its_bound_passes_on() -> None:
    fixture = world(hash_balance_factor=100)
    found = fixture.cluster()
    first = found.choose(PickContext(7))
    assert first is not None
    first.state.active = found.state.normal.requests = 6
    other = found.choose(PickContext(7))
    assert other is not None
    assert other is not first
    first.state.active = 1
    assert found.choose(PickContext(7)) is first


def test_locality_weights_are_part_of_a_table(made: list[int]) -> None:
    near = LocalityLbEndpoints(tuple(ENDPOINTS[:1]), Locality("a"), weight=99)
    far = LocalityLbEndpoints(tuple(ENDPOINTS[1:]), Locality("b"), weight=1)
    config = cluster("a", near, far, lb_policy="RING_HASH", lb=LbConfig(locality_weighted=True))
    found = World(snapshot(clusters=[config])).cluster()
    seen = [found.choose(PickContext(number << 56)) for number in range(200)]
    assert sum(each is found.hosts[0] for each in seen) > 150
    assert made == [6]
