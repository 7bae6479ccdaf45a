"""The same endpoint for the same key: rings, tables, bounds, hash policies, subsets, through Envoy and through us."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.differential.keyed import Asked, Case, Pickers, cluster, endpoint, pickers
from tests.differential.recording import Recording, Resource
from tests.support import envoy

KEYS = 10_000

BY_KEY: Resource = {"hash_policy": [{"header": {"header_name": "x-key"}}]}


def keys(count: int, seed: int = 7) -> list[Asked]:
    """Requests with keys of many lengths, all different."""
    draw = random.Random(seed)
    return [
        Asked((("x-key", f"{number:x}-{'k' * draw.randrange(40)}{draw.getrandbits(64)}"),)) for number in range(count)
    ]


def weighted(count: int) -> list[Resource]:
    return [endpoint(number, 1 + number % 5) for number in range(count)]


RING: Resource = {"lb_policy": "RING_HASH"}
MURMUR: Resource = {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"hash_function": "MURMUR_HASH_2"}}
MAGLEV: Resource = {"lb_policy": "MAGLEV"}

CASES = [
    Case(cluster("ring", [endpoint(number) for number in range(37)], **RING), BY_KEY),
    Case(cluster("murmur", [endpoint(number) for number in range(37)], **MURMUR), BY_KEY),
    Case(cluster("maglev", [endpoint(number) for number in range(37)], **MAGLEV), BY_KEY),
]


@pytest.fixture(scope="module")
def sides(frontend: Recording) -> Iterator[Pickers]:
    envoy.require()
    with pickers(frontend, CASES) as started:
        yield started


@pytest.mark.parametrize("name", ["ring", "murmur", "maglev"])
def test_ten_thousand_keys_go_where_envoy_sends_them(sides: Pickers, name: str) -> None:
    asked = keys(KEYS)
    theirs = sides.theirs(name, asked)
    assert len({each.endpoint for each in theirs}) == 37
    assert sides.ours(name, asked) == theirs
