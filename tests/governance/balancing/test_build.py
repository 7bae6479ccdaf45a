"""From endpoints to the picker: health, priorities, panic, and a word for whatever is not done yet."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from proxyless.governance.balancing.build import build_picker
from proxyless.governance.balancing.context import ANY
from proxyless.governance.balancing.host import Host, HostState
from proxyless.xds.model.cluster import Cluster, LbConfig
from proxyless.xds.model.endpoint import LbEndpoint
from proxyless.xds.model.values import Locality, Note
from tests.support.model import host

HEALTHS = {"h": "HEALTHY", "k": "UNKNOWN", "u": "UNHEALTHY", "d": "DRAINING", "t": "TIMEOUT", "g": "DEGRADED"}


def endpoint(number: int, health: str) -> LbEndpoint:
    return host(f"10.0.0.{number}:80", health=HEALTHS[health])


def hosts(health: str, priority: int = 0, first: int = 1) -> list[Host]:
    """One host for each letter."""
    return [
        Host(endpoint(number, letter), HostState(), priority=priority) for number, letter in enumerate(health, first)
    ]


def picked(pool: list[Host], *, panic: float = 50.0, **fields: Any) -> str:
    """The numbers of the hosts that are ever picked."""
    pick = build_picker(Cluster("a", lb=LbConfig(panic_threshold=panic), **fields), pool, lambda n: 0, [])
    seen = Counter(found.address for _ in range(60) if (found := pick(ANY)) is not None)
    assert len(set(seen.values())) <= 1, "not in turn"
    return "".join(sorted(each.split(".")[3].split(":")[0] for each in seen))


@pytest.mark.parametrize(
    ("health", "panic", "taken"),
    [
        ("hhh", 50, "123"),
        ("khk", 50, "123"),
        ("hhu", 50, "12"),
        ("hdt", 0, "1"),
        ("huu", 50, "123"),
        ("huu", 33, "1"),
        ("hu", 50, "1"),
        ("uuu", 50, "123"),
        ("uuu", 0, ""),
        ("ggu", 50, "12"),
        ("ghu", 50, "2"),
        ("guu", 0, "1"),
        ("guuu", 50, "1234"),
        ("", 50, ""),
    ],
)
def test_health_decides_who_is_taken_and_panic_takes_all(health: str, panic: float, taken: str) -> None:
    assert picked(hosts(health), panic=panic) == taken


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [("h", "h", "1"), ("u", "h", "2"), ("u", "u", "1"), ("", "h", "1"), ("uh", "hh", "2"), ("g", "h", "2")],
)
def test_the_lowest_priority_with_a_healthy_host_takes_all(first: str, second: str, taken: str) -> None:
    pool = [*hosts(second, 1, len(first) + 1), *hosts(first, 0)]
    assert picked(pool) == taken


def test_one_host_is_picked_without_a_draw() -> None:
    def draw(n: int) -> int:
        raise AssertionError("drawn")

    pool = hosts("h")
    pick = build_picker(Cluster("a", lb_policy="RANDOM"), pool, draw, [])
    assert pick(ANY) is pool[0]


@pytest.mark.parametrize(
    ("policy", "note"),
    [
        ("ROUND_ROBIN", None),
        ("LEAST_REQUEST", None),
        ("RANDOM", None),
        ("CLUSTER_PROVIDED", None),
        ("RING_HASH", None),
        ("MAGLEV", None),
    ],
)
def test_every_policy_is_there(policy: Any, note: str | None) -> None:
    notes: list[Note] = []
    pick = build_picker(Cluster("a", lb_policy=policy), hosts("hh"), lambda n: 0, notes)
    assert pick(ANY) is not None
    assert [each.reason for each in notes] == ([note] if note else [])


def test_priorities_and_locality_weights_are_named_as_not_done() -> None:
    notes: list[Note] = []
    weighted = Cluster("a", lb=LbConfig(locality_weighted=True))
    pool = [
        Host(endpoint(number, "h"), HostState(), Locality(zone=zone), priority)
        for number, (zone, priority) in enumerate([("x", 0), ("y", 0), ("x", 1)], 1)
    ]
    build_picker(weighted, pool, lambda n: 0, notes)
    assert [each.field for each in notes] == [
        "load_assignment.endpoints.priority",
        "common_lb_config.locality_weighted_lb_config",
    ]
    for kept in (pool[:1], pool[::2]):
        notes.clear()
        build_picker(weighted, kept, lambda n: 0, notes)
        assert "common_lb_config.locality_weighted_lb_config" not in [each.field for each in notes]
