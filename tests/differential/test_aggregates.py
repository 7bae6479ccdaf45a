"""Aggregate clusters through Envoy and through us: which cluster, which priority, which endpoint, as often.

Where chance decides, shares are compared (tests.differential.chances); where a hash does, endpoint by endpoint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.differential.chances import wrong
from tests.differential.keyed import Asked, Case, Pickers, cluster, endpoint, pickers
from tests.differential.recording import Recording, Resource
from tests.differential.test_hashing import BY_KEY, RING, keys
from tests.differential.test_shares import DRAWS, ours

pytestmark = pytest.mark.envoy

AGGREGATE = "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig"
SICK: Resource = {"health_status": "UNHEALTHY"}
WEAK: Resource = {"health_status": "DEGRADED"}
LEAVING: Resource = {
    "retry_on": "connect-failure",
    "num_retries": 1,
    "retry_priority": {
        "name": "envoy.retry_priorities.previous_priorities",
        "typed_config": {
            "@type": "type.googleapis.com/"
            "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            "update_frequency": 1,
        },
    },
}
NO_RETRIES: Resource = {"circuit_breakers": {"thresholds": [{"max_retries": 0}]}}


def address(number: int) -> str:
    socket = endpoint(number)["endpoint"]["address"]["socket_address"]
    return f"{socket['address']}:{socket['port_value']}"


def inner(name: str, *members: Resource, **fields: Any) -> Resource:
    """One of the clusters that are joined; a member may say its priority."""
    priorities = sorted({each.get("priority", 0) for each in members})
    groups = [
        {
            "priority": each,
            "lb_endpoints": [
                {key: value for key, value in member.items() if key != "priority"}
                for member in members
                if member.get("priority", 0) == each
            ],
        }
        for each in priorities
    ]
    return cluster(name, [], groups=groups, lb_policy=fields.pop("lb_policy", "RANDOM"), **fields)


def joined(name: str, *names: str, **fields: Any) -> Resource:
    kind = {"name": "envoy.clusters.aggregate", "typed_config": {"@type": AGGREGATE, "clusters": list(names)}}
    return {"name": name, "connect_timeout": "1s", "lb_policy": "CLUSTER_PROVIDED", "cluster_type": kind, **fields}


def at(priority: int, member: Resource) -> Resource:
    return {**member, "priority": priority}


INNER = [
    inner("well", endpoint(0), endpoint(1)),
    inner("half", endpoint(2), endpoint(3, **SICK)),
    inner("sick", endpoint(4, **SICK), endpoint(5, **SICK)),
    inner("weak", endpoint(6, **WEAK)),
    inner("two", endpoint(7, **SICK), at(1, endpoint(8)), at(1, endpoint(9, **SICK))),
    inner("gap", endpoint(10, **SICK), at(2, endpoint(11))),
    cluster("ring", [endpoint(number) for number in range(12, 24)], **RING),
    cluster("nobody", []),
    inner("third", endpoint(24)),
    inner("fourth", endpoint(26)),
    inner("unready", endpoint(25), **NO_RETRIES),
    joined("nested", "well"),
]
SHARES: dict[str, tuple[tuple[str, ...], dict[int, float]]] = {
    "first": (("well", "half"), {0: 1, 1: 1}),
    "spill": (("half", "well"), {2: 70, 0: 15, 1: 15}),
    "behind": (("sick", "half", "well"), {2: 70, 0: 15, 1: 15}),
    "degraded": (("weak", "sick"), {6: 1}),
    "degraded-last": (("weak", "half", "sick"), {2: 70, 6: 30}),
    "rows": (("two", "well"), {8: 70, 0: 15, 1: 15}),
    "gaps": (("gap", "well"), {11: 1}),
    "missing": (("none", "third"), {24: 1}),
    "empty": (("nobody", "third"), {24: 1}),
    "nested-and-more": (("nested", "third"), {24: 1}),
    "panic": (("sick", "sick"), {4: 1, 5: 1}),
}
NOBODY = {"only-nested": ("nested",), "only-missing": ("none",), "only-empty": ("nobody",)}
RETRIED: dict[str, tuple[tuple[str, ...], Resource, int]] = {
    "leaves": (("fourth", "unready"), {}, 25),
    "leaves-by-its-own-limit": (("unready", "fourth"), {}, 26),
    "may-not": (("fourth", "unready"), NO_RETRIES, 26),
}


def cases() -> list[Case]:
    found = [Case(each) for each in INNER]
    found += [Case(joined(name, *names)) for name, (names, _) in SHARES.items()]
    found += [Case(joined(name, *names)) for name, names in NOBODY.items()]
    found += [
        Case(joined(name, *names, **fields), {"retry_policy": LEAVING}) for name, (names, fields, _) in RETRIED.items()
    ]
    found.append(Case(joined("by-key", "ring", "well"), BY_KEY))
    return found


@pytest.fixture(scope="module")
def sides(frontend: Recording) -> Iterator[Pickers]:
    with pickers(frontend, cases()) as started:
        yield started


@pytest.mark.parametrize("name", SHARES)
def test_priorities_of_several_clusters_share_as_if_they_were_of_one(sides: Pickers, name: str) -> None:
    expected = {address(number): share for number, share in SHARES[name][1].items()}
    asked = [Asked()] * DRAWS
    assert not wrong(Counter(each.endpoint for each in sides.theirs(name, asked)), expected)
    assert not wrong(ours(sides.mesh, name), expected)


@pytest.mark.parametrize("name", NOBODY)
def test_what_has_no_hosts_of_its_own_adds_none(sides: Pickers, name: str) -> None:
    asked = [Asked()] * 3
    assert sides.theirs(name, asked) == sides.ours(name, asked)
    assert {each.endpoint for each in sides.ours(name, asked)} == {""}


def test_a_hash_counts_in_the_cluster_that_goes_by_one(sides: Pickers) -> None:
    asked = keys(200)
    assert sides.ours("by-key", asked) == sides.theirs("by-key", asked)
    assert len({each.endpoint for each in sides.ours("by-key", asked)}) > 6


@pytest.mark.parametrize("name", RETRIED)
def test_a_retry_leaves_a_priority_whichever_cluster_it_is_of(sides: Pickers, name: str) -> None:
    asked = [Asked()] * 5
    last = {address(RETRIED[name][2])}
    assert {each.endpoint for each in sides.theirs(name, asked)} == last
    assert {each.endpoint for each in sides.ours(name, asked, refused=True)} == last
