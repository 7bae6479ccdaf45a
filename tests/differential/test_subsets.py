"""Subsets through Envoy and through us: the same endpoint, or none, for selectors, labels and criteria of all kinds.

Within a subset the policy is a ring, so that for each key there is one right answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.differential.keyed import Case, Pickers, cluster, endpoint, pickers
from tests.differential.recording import Recording, Resource
from tests.differential.test_hashing import BY_KEY, RING, keys, typed

SEED, CONFIGURATIONS, ROUTES = 23, 40, 6
NAMES = ("a", "b", "c")
VALUES: tuple[Any, ...] = ("1", "2", 1, True, None, ["1", "2"], [], {"x": "1"}, "")
OF_SELECTOR = ("NOT_DEFINED", "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET", "KEYS_SUBSET")


def labels(draw: random.Random, most: int = 3) -> Resource:
    """Some labels; the first values are the most frequent."""
    chosen = draw.sample(NAMES, draw.randrange(most + 1))
    return {name: VALUES[min(int(draw.expovariate(0.6)), len(VALUES) - 1)] for name in chosen}


def selector(draw: random.Random) -> Resource:
    chosen = sorted(draw.sample(NAMES, draw.choice((1, 1, 2, 2, 3))))
    fallback = draw.choice(OF_SELECTOR if len(chosen) > 1 else OF_SELECTOR[:-1])
    made: Resource = {"keys": chosen, "fallback_policy": fallback}
    if fallback == "KEYS_SUBSET":
        made["fallback_keys_subset"] = draw.sample(chosen, draw.randrange(1, len(chosen)))
    if draw.random() < 0.15:
        made["single_host_per_subset"] = True
    return made


def configuration(draw: random.Random) -> Resource:
    made: Resource = {
        "fallback_policy": draw.choice(("NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET")),
        "default_subset": labels(draw, 1),
        "subset_selectors": [selector(draw) for _ in range(draw.randrange(1, 5))],
        "locality_weight_aware": draw.random() < 0.5,
        "scale_locality_weight": draw.random() < 0.5,
        "panic_mode_any": draw.random() < 0.5,
        "list_as_any": draw.random() < 0.5,
    }
    if draw.random() < 0.3:
        made["metadata_fallback_policy"] = "FALLBACK_LIST"
    return made


def groups(draw: random.Random) -> list[Resource]:
    """Two localities and two priorities of labelled endpoints, some of them sick."""
    found, number = [], 0
    for priority, region, weight in ((0, "r1", 3), (0, "r0", 1), (1, "r1", 1)):
        members = []
        for _ in range(draw.randrange(1, 9)):
            fields: Resource = {"labels": labels(draw)} if draw.random() < 0.9 else {}
            if draw.random() < 0.2:
                fields["health_status"] = draw.choice(("UNHEALTHY", "DEGRADED"))
            members.append(endpoint(number, draw.choice((1, 1, 2)), **fields))
            number += 1
        locality = {"region": region, "zone": "z"}
        found.append(
            {"priority": priority, "locality": locality, "load_balancing_weight": weight, "lb_endpoints": members}
        )
    return found


def criteria(draw: random.Random) -> Resource:
    """The metadata of a route, and sometimes of its weighted cluster."""
    wanted = labels(draw)
    if wanted and draw.random() < 0.3:
        wanted["fallback_list"] = [labels(draw) for _ in range(draw.randrange(3))]
    return {"metadata_match": {"filter_metadata": {"envoy.lb": wanted}}}


def cases() -> list[Case]:
    """All of them, the same each time."""
    draw = random.Random(SEED)
    found = []
    for number in range(CONFIGURATIONS):
        config, members = configuration(draw), groups(draw)
        common: Resource = {"healthy_panic_threshold": {"value": draw.choice((0, 50))}}
        if config["locality_weight_aware"] or draw.random() < 0.5:
            common["locality_weighted_lb_config"] = {}
        policy: Resource = {**RING, "lb_subset_config": config, "common_lb_config": common}
        if draw.random() < 0.3:
            ring = typed("ring_hash.v3.RingHash")["load_balancing_policy"]
            own = {**config, "allow_redundant_keys": draw.random() < 0.7, "subset_lb_policy": ring}
            panic = {"healthy_panic_threshold": common["healthy_panic_threshold"]}
            policy = {**typed("subset.v3.Subset", **own), "common_lb_config": panic}
        for route in range(ROUTES):
            action = {**BY_KEY, **(criteria(draw) if route else {})}
            name = f"s{number}-{route}"
            if draw.random() < 0.3:
                target = {"name": name, "weight": 1, **criteria(draw)}
                action = {**action, "weighted_clusters": {"clusters": [target]}}
            found.append(Case(cluster(name, [], groups=members, **policy), action))
    return found


@pytest.fixture(scope="module")
def sides(frontend: Recording) -> Iterator[Pickers]:
    with pickers(frontend, cases()) as started:
        yield started


def test_generated_subsets_give_the_endpoints_that_envoy_gives(sides: Pickers) -> None:
    asked = keys(12)
    reached = none = 0
    for case in cases():
        name = case.cluster["name"]
        theirs, ours = sides.theirs(name, asked, 1), sides.ours(name, asked)
        assert ours == theirs, case
        reached += sum(bool(each.endpoint) for each in theirs)
        none += sum(not each.endpoint for each in theirs)
    assert reached > 1000
    assert none > 300
