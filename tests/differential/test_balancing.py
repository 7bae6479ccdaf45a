"""Whom a cluster picks: sequences where Envoy takes turns, shares where it draws.

Shares: Envoy's of REQUESTS requests against ours of many more; a host's may differ by SIGMAS standard deviations, which
chance alone exceeds for one host in a million.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from math import sqrt
from pathlib import Path

import pytest

from tests.differential.picking import (
    TYPE,
    bootstrap,
    by_envoy,
    by_us,
    cluster,
    endpoint,
    endpoints,
    group,
    ours,
)
from tests.differential.recording import Recording, Resource
from tests.support.envoy import Envoy, require

SHOP = Path(__file__).parent.parent / "recorded" / "shop" / "xds"
REQUESTS = 600
MANY = 40_000
SIGMAS = 4.9

WEIGHTED: Resource = {"common_lb_config": {"locality_weighted_lb_config": {}}}


def weighing(*weights: int, first: int = 1) -> list[Resource]:
    return [endpoint(number, load_balancing_weight=weight) for number, weight in enumerate(weights, first)]


def by_extension(kind: str, **fields: object) -> Resource:
    config = {"@type": f"{TYPE}load_balancing_policies.{kind}", **fields}
    return {"load_balancing_policy": {"policies": [{"typed_extension_config": {"name": "p", "typed_config": config}}]}}


def calm(percent: float = 0.0) -> Resource:
    return {"common_lb_config": {"healthy_panic_threshold": {"value": percent}}}


LEAST: Resource = {"lb_policy": "LEAST_REQUEST"}

SEQUENCES = [
    cluster("turns", group(endpoints("hhhhh"))),
    cluster("turns-of-the-healthy", group(endpoints("hhuhhd")), **calm()),
    cluster("weights-1-3", group(weighing(1, 3))),
    cluster("weights-1-2-3", group(weighing(1, 2, 3))),
    cluster("weights-5-1-1", group(weighing(5, 1, 1))),
    cluster("least-request-by-weight", group(weighing(1, 2, 3)), **LEAST),
    cluster("panic", group(endpoints("huuu"))),
    cluster(
        "localities",
        *(group(endpoints("h", n), z, w) for n, z, w in ((1, "b", 7), (2, "c", 2), (3, "d", 1))),
        **WEIGHTED,
    ),
    cluster("locality-of-two", group(endpoints("hh"), "b", 3), group(endpoints("h", 3), "c", 1), **WEIGHTED),
    cluster("locality-half-gone", group(endpoints("hu"), "b", 10), group(endpoints("h", 3), "c", 7), **WEIGHTED),
    cluster("own-locality-first", group(endpoints("h"), "0", 1), group(endpoints("h", 2), "a", 1), **WEIGHTED),
    cluster("weight-without-locality", group(endpoints("h"), weight=9), group(endpoints("h", 2), "b", 1), **WEIGHTED),
    cluster("second-priority", group(endpoints("uu")), group(endpoints("hhh", 3), priority=1)),
    cluster("gap-of-priorities", group(endpoints("u")), group(endpoints("hhh", 3), priority=1)),
    cluster("degraded", group(endpoints("ggu")), **calm()),
    cluster("draining", group(endpoints("dddh")), group(endpoints("h", 9), priority=1)),
    cluster("nobody", group(endpoints("uu")), **calm()),
]

SHARES = [
    cluster("random", group(weighing(1, 9, 5)), lb_policy="RANDOM"),
    cluster("least-request", group(endpoints("hhh")), **LEAST),
    cluster(
        "full-scan",
        group(endpoints("hhh")),
        **by_extension("least_request.v3.LeastRequest", selection_method="FULL_SCAN"),
    ),
    cluster("half-healthy", group(endpoints("hu")), group(endpoints("h", 3), priority=1)),
    cluster(
        "factor-100",
        group(endpoints("hu")),
        group(endpoints("h", 3), priority=1),
        policy={"overprovisioning_factor": 100},
    ),
    cluster(
        "three", group(endpoints("huuu")), group(endpoints("huuu", 5), priority=1), group(endpoints("h", 9), priority=2)
    ),
    cluster("spill-to-degraded", group(endpoints("hgu")), **calm()),
    cluster("all-a-little", group(endpoints("hguuuuuuuu")), group(endpoints("hgguuuuuuu", 11), priority=1), **calm()),
    cluster("panic-of-all", group(endpoints("huuu")), group(endpoints("huuuuu", 5), priority=1)),
    cluster("panic-of-one", group(endpoints("huuuu")), group(endpoints("hhuuu", 6), priority=1), **calm(30)),
    cluster("threshold-29", group(endpoints("hhuuuuu")), group(endpoints("u", 9), priority=1), **calm(29)),
    cluster(
        "health-by-weight",
        group([*weighing(1), endpoint(2, load_balancing_weight=3, health_status="UNHEALTHY")]),
        group(endpoints("h", 3), priority=1),
        policy={"weighted_priority_health": True},
    ),
    cluster(
        "random-of-priorities",
        group(endpoints("hhhhhuuuu")),
        group(endpoints("hh", 20), priority=1),
        lb_policy="RANDOM",
    ),
    cluster("unhealthy-locality", group(endpoints("huuu"), "b", 2), group(endpoints("h", 5), "c", 1), **WEIGHTED),
    cluster(
        "localities-of-priorities",
        group(endpoints("hu"), "b", 3),
        group(endpoints("hu", 3), "c", 1),
        group(endpoints("h", 5), "b", 1, priority=1),
        **WEIGHTED,
    ),
]

LOCAL = cluster("me", group(endpoints("hhh", 101), "a"), group(endpoints("h", 105), "b"))
TWO_ZONES = (group(endpoints("hhh"), "a"), group(endpoints("hhh", 11), "b"))


def zoned(name: str, *groups: Resource, **settings: object) -> Resource:
    aware = {"zone_aware_lb_config": settings}
    return cluster(name, *(groups or TWO_ZONES), **by_extension("round_robin.v3.RoundRobin", locality_lb_config=aware))


ZONES = [
    cluster("by-default", *TWO_ZONES),
    zoned("zones"),
    zoned("too-small", min_cluster_size=7),
    zoned("half-of-the-requests", routing_enabled={"value": 50}),
    zoned("forced", force_local_zone={"min_size": 3}),
    zoned("forced-in-vain", force_local_zone={"min_size": 4}),
    zoned("direct", force_locality_direct_routing=True),
    zoned("enough-here", group(endpoints("hhhhhhhhh"), "a"), group(endpoints("h", 21), "b")),
    zoned("nobody-here", group(endpoints("hhh"), "b"), group(endpoints("hhh", 11), "c")),
    zoned("three-zones", *TWO_ZONES, group(endpoints("hh", 21), "c")),
    zoned(
        "by-weight",
        group(endpoints("hhh"), "a"),
        group(endpoints("hhh", 11, load_balancing_weight=5), "b"),
        locality_basis="HEALTHY_HOSTS_WEIGHT",
    ),
    zoned("fail-on-panic", group(endpoints("uuu"), "a"), group(endpoints("uuu", 11), "b"), fail_traffic_on_panic=True),
]


def recorded(down: bool) -> Iterator[Resource]:
    """What istiod sent the frontend of services in several localities: `distribute` and `failover` as it encodes them.

    `down`: all of the first priority (of the first locality, where there is one priority) is unhealthy.
    """
    recording = Recording.load(SHOP / "frontend")
    for name, assigned in recording.assignments.items():
        groups = copy.deepcopy(assigned.get("endpoints", []))
        if len(groups) < 2:
            continue
        for index, each in enumerate(groups):
            for host in each["lb_endpoints"]:
                host["endpoint"]["address"]["socket_address"]["port_value"] = 1
                if down and (index == 0 or (each.get("priority", 0) == 0 and groups[-1].get("priority", 0))):
                    host["health_status"] = "UNHEALTHY"
        sent = recording.clusters[name]
        kept = {
            each: sent[each] for each in ("lb_policy", "common_lb_config", "least_request_lb_config") if each in sent
        }
        yield cluster(f"{'down' if down else 'up'}-{name}", *groups, **kept)


SENT = [*recorded(down=False), *recorded(down=True)]


@pytest.fixture(scope="module")
def envoy() -> Iterator[Envoy]:
    require()
    with Envoy(bootstrap([*SEQUENCES, *SHARES, *SENT])) as running:
        yield running


@pytest.fixture(scope="module")
def zone_aware() -> Iterator[Envoy]:
    require()
    with Envoy(bootstrap([LOCAL, *ZONES], local="me")) as running:
        yield running


def named(resource: Resource) -> str:
    return str(resource["name"])


@pytest.mark.parametrize("resource", SEQUENCES, ids=named)
def test_turns_are_the_same_from_some_start_on(envoy: Envoy, resource: Resource) -> None:
    seen = " ".join(by_envoy(envoy, named(resource), 60))
    assert len(seen.split()) == 60
    assert any(seen in " ".join(by_us(ours(resource, seed=seed), 300)) for seed in range(20)), seen


def same_shares(theirs: list[str], resource: Resource, local: Resource | None = None) -> None:
    assert len(theirs) == REQUESTS
    expected = Counter(by_us(ours(resource, local), MANY))
    for name, count in (Counter(theirs) + Counter(dict.fromkeys(expected, 0))).items():
        share = expected[name] / MANY
        assert abs(count / REQUESTS - share) <= SIGMAS * sqrt(share * (1 - share) / REQUESTS) + 0.004, (name, share)
    assert set(theirs) <= set(expected)


@pytest.mark.parametrize("resource", SHARES, ids=named)
def test_shares_are_the_same(envoy: Envoy, resource: Resource) -> None:
    same_shares(by_envoy(envoy, named(resource), REQUESTS), resource)


@pytest.mark.parametrize("resource", SENT, ids=named)
def test_what_istiod_sends_of_localities_is_shared_alike(envoy: Envoy, resource: Resource) -> None:
    same_shares(by_envoy(envoy, named(resource), REQUESTS), resource)


@pytest.mark.parametrize("resource", ZONES, ids=named)
def test_zones_share_alike(zone_aware: Envoy, resource: Resource) -> None:
    same_shares(by_envoy(zone_aware, named(resource), REQUESTS), resource, LOCAL)


def test_hosts_of_each_priority_take_turns_of_their_own(envoy: Envoy) -> None:
    resource = next(each for each in SHARES if named(each) == "panic-of-one")
    seen = [each for each in by_envoy(envoy, named(resource), REQUESTS) if each in ("6", "7")]
    assert all(len(list(run)) == 1 for _, run in groupby(seen)), "not in turn"
