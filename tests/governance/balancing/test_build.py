"""From endpoints to the picker: health, priorities, panic, and a word for whatever is not done yet."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.balancing.build import build_picker
from proxyless.governance.balancing.context import ANY, Pick
from proxyless.governance.balancing.setting import Memory, Setting
from proxyless.xds.model.cluster import Cluster, LbConfig
from tests.governance.balancing.cases import sequence, sets, shares


def picker(*priorities: str, panic: float = 50.0, **fields: Any) -> Pick:
    setting = Setting(lambda n: 0)
    cluster = Cluster("a", lb=LbConfig(panic_threshold=panic), **fields)
    return build_picker(cluster, sets(*priorities), setting, Memory(setting))


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
        ("uuu", 0, "-"),
        ("ggu", 50, "12"),
        ("guu", 0, "1"),
        ("guuu", 50, "1234"),
        ("", 50, "-"),
    ],
)
def test_health_decides_who_is_taken_and_panic_takes_all(health: str, panic: float, taken: str) -> None:
    found = shares(picker(health, panic=panic), 60)
    assert "".join(sorted(found)) == taken
    assert len(set(found.values())) == 1, "not in turn"


def test_one_host_is_picked_without_a_draw() -> None:
    drawn: list[int] = []

    def draw(n: int) -> int:
        drawn.append(n)
        return 0

    setting = Setting(draw)
    memory = Memory(setting)
    drawn.clear()
    pick = build_picker(Cluster("a", lb_policy="LEAST_REQUEST"), sets("h"), setting, memory)
    assert sequence(pick, 3) == "1 1 1"
    assert not drawn


@pytest.mark.parametrize(
    "policy", ["ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "CLUSTER_PROVIDED", "RING_HASH", "MAGLEV"]
)
def test_every_policy_there_is_picks(policy: Any) -> None:
    assert picker("hh", lb_policy=policy)(ANY) is not None
