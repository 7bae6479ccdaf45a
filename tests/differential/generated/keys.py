"""Clusters that pick by hash, hash policies and keys, drawn: rings, tables, weights, localities, priorities, health."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

from proxyless.cli._url import parse_url
from proxyless.governance.explain import dry_call
from tests.differential.generated.matches import Strategy, merged, sometimes
from tests.differential.generated.shapes import Keys
from tests.differential.generated.shrinking import shrunk
from tests.differential.keyed import Asked, Case, cluster, endpoint, pickers
from tests.differential.recording import Recording, Resource
from tests.differential.rig import VIP

LB = "type.googleapis.com/envoy.extensions.load_balancing_policies."
NAME = "NAME"
"""Stands for the name that a cluster gets in its batch."""

HEADERS = ("x-key", "x-other")
LEAST_KEYS, MOST_KEYS = 50, 100

FUNCTIONS: Strategy = st.sampled_from([{}, {"hash_function": "XX_HASH"}, {"hash_function": "MURMUR_HASH_2"}])
SIZES: Strategy = st.sampled_from(
    [{}, {}, *({"minimum_ring_size": each} for each in (1, 37, 2000)), {"maximum_ring_size": 16}]
)
TABLE: Strategy = st.sampled_from([{}, {}, {"table_size": 11}, {"table_size": 251}, {"table_size": 5003}])


def _consistent(found: Resource) -> Resource:
    """The smallest ring is no larger than the largest."""
    if "maximum_ring_size" in found:
        return {**found, "minimum_ring_size": min(8, found["maximum_ring_size"])}
    return found


RING: Strategy = merged(FUNCTIONS, SIZES).map(_consistent)


def _old_way(policy: str, config: Resource, localities: bool) -> Resource:
    field = "ring_hash_lb_config" if policy == "RING_HASH" else "maglev_lb_config"
    fields: Resource = {"lb_policy": policy, **({field: config} if config else {})}
    return {**fields, **({"common_lb_config": {"locality_weighted_lb_config": {}}} if localities else {})}


def _new_way(policy: str, config: Resource, localities: bool) -> Resource:
    kind = "ring_hash.v3.RingHash" if policy == "RING_HASH" else "maglev.v3.Maglev"
    made: Resource = {"@type": LB + kind, **config}
    if localities:
        made["locality_weighted_lb_config"] = {}
    return {"load_balancing_policy": {"policies": [{"typed_extension_config": {"name": "x", "typed_config": made}}]}}


HEADER: Strategy = st.sampled_from(HEADERS).flatmap(
    lambda name: st.sampled_from(
        [
            {"header": {"header_name": name}},
            {
                "header": {
                    "header_name": name,
                    "regex_rewrite": {"pattern": {"regex": "[0-9]"}, "substitution": "d"},
                }
            },
        ]
    )
)
POLICY: Strategy = merged(
    st.one_of(
        HEADER,
        HEADER,
        st.just({"query_parameter": {"name": "q"}}),
        st.just({"cookie": {"name": "c"}}),
        st.just({"connection_properties": {"source_ip": True}}),
    ),
    sometimes(st.just({"terminal": True}), 4),
)


@st.composite
def _groups(draw: Any) -> list[Resource]:
    """Localities with their endpoints; priorities are numbered without a gap."""
    found: list[Resource] = []
    number = 0
    priorities = draw(st.sampled_from((1, 1, 1, 2, 3)))
    for priority in range(priorities):
        for zone in range(draw(st.sampled_from((1, 1, 2, 3)))):
            hosts = []
            for _ in range(draw(st.integers(1, 12))):
                fields: Resource = {}
                if draw(st.integers(1, 6)) == 6:
                    fields["key"] = f"key-{number}"
                if draw(st.integers(1, 6)) == 6:
                    fields["health_status"] = draw(st.sampled_from(("UNHEALTHY", "DRAINING", "DEGRADED", "HEALTHY")))
                hosts.append(endpoint(number, draw(st.sampled_from((1, 1, 2, 5, 20))), **fields))
                number += 1
            locality = {"region": "r1", "zone": f"z{zone}"}
            weight = draw(st.sampled_from((1, 3, 10)))
            found.append(
                {
                    "locality": locality,
                    "priority": priority,
                    "load_balancing_weight": weight,
                    "lb_endpoints": hosts,
                }
            )
    return found


@st.composite
def keyed(draw: Any) -> tuple[Case, list[Asked]]:
    """A cluster, the hash policies of its route, and requests."""
    policy = draw(st.sampled_from(("RING_HASH", "MAGLEV")))
    config = draw(RING if policy == "RING_HASH" else TABLE)
    groups = draw(_groups())
    fields = draw(st.sampled_from((_new_way, _old_way)))(policy, config, draw(st.booleans()))
    if draw(st.integers(1, 4)) == 4:
        fields.setdefault("common_lb_config", {})["healthy_panic_threshold"] = {"value": draw(st.sampled_from((0, 20)))}
    if draw(st.integers(1, 5)) == 5:
        fields["policy"] = {"overprovisioning_factor": draw(st.sampled_from((100, 200)))}
    action = {"hash_policy": draw(st.lists(POLICY, min_size=1, max_size=3))}
    source = Random(draw(st.integers(0, 2**64 - 1)))
    asked = [_asked(source) for _ in range(source.randint(LEAST_KEYS, MOST_KEYS))]
    return Case(cluster(NAME, [], groups=groups, **fields), action), asked


def _asked(source: Random) -> Asked:
    headers = [(name, _key(source)) for name in HEADERS for _ in range(source.choice((0, 1, 1, 1, 2)))]
    if source.random() < 0.5:
        headers.append(("cookie", f"a=1; c={source.getrandbits(30):x}"))
    return Asked(tuple(headers), f"/x?q={source.getrandbits(30):x}" if source.random() < 0.5 else "/x")


def _key(source: Random) -> str:
    return f"{source.choice('kK-_ ').strip()}{source.getrandbits(source.choice((4, 40, 200))):x}"


def named(case: Case, number: int) -> Case:
    """The case with a name of its own."""
    name = f"k{number}"
    load = {**case.cluster["load_assignment"], "cluster_name": name}
    return Case({**case.cluster, "name": name, "load_assignment": load}, case.action, case.route)


WANTED = (
    *(f"hash by {kind}" for kind in ("header", "regex_rewrite", "query_parameter", "cookie", "connection_properties")),
    *("hash terminal", "hash by several values", "hash policies: 3"),
    *("RING_HASH", "MAGLEV", "RingHash", "Maglev", "MURMUR_HASH_2", "minimum_ring_size", "maximum_ring_size"),
    *("table_size", "locality_weighted_lb_config", "overprovisioning_factor", "healthy_panic_threshold", "hash_key"),
    *("UNHEALTHY", "DRAINING", "DEGRADED", "priorities: 2", "priorities: 3", "localities: 3"),
)
"""What the clusters and policies of keys that were compared have to hold."""


def features(case: Case, asked: Asked) -> set[str]:
    """What of that is in a case."""
    text = json.dumps([case.cluster, case.action])
    found = {name for name in WANTED if f'"{name}"' in text or f".{name}" in text}
    policies = case.action.get("hash_policy", [])
    found |= {f"hash by {kind}" for each in policies for kind in each if kind != "terminal"}
    found |= {"hash terminal"} if any("terminal" in each for each in policies) else set()
    found |= {"hash by regex_rewrite"} if "regex_rewrite" in text else set()
    names = [name for name, _ in asked.headers]
    hashed = [each["header"]["header_name"] for each in policies if "header" in each]
    found |= {"hash by several values"} if any(names.count(name) > 1 for name in hashed) else set()
    groups = case.cluster["load_assignment"]["endpoints"]
    priorities = [each.get("priority", 0) for each in groups]
    found |= {f"priorities: {len(set(priorities))}", f"localities: {max(map(priorities.count, priorities))}"}
    return found | {f"hash policies: {len(policies)}"}


@dataclass(frozen=True, slots=True)
class Pick:
    """Who was picked for one request of a case; `ours` is None where chance decides."""

    case: int
    asked: Asked
    theirs: str
    ours: str | None


def picks(base: Recording, cases: Sequence[tuple[Case, Sequence[Asked]]]) -> list[Pick]:
    """Who is picked for every request, by Envoy and by us."""
    found = []
    own = [named(case, number) for number, (case, _) in enumerate(cases)]
    with pickers(base, own) as sides:
        for number, (case, (_, asked)) in enumerate(zip(own, cases, strict=True)):
            name = str(case.cluster["name"])
            for each, picked in zip(asked, sides.theirs(name, asked, parallel=1), strict=True):
                url = parse_url(f"http://{VIP[0]}/{name}{each.path}")
                call, missing = dry_call(sides.mesh.runtime, "GET", url, (("host", "a"), *each.headers))
                assert not missing, missing
                ours = call.host.address if call.host is not None else ""
                found.append(Pick(number, each, picked.endpoint, ours if call.hash is not None else None))
    return found


def smallest(base: Recording, case: Case, asked: Asked) -> tuple[Case, Asked]:
    """The smallest cluster, route and request that are still decided otherwise."""

    def differ(cases: Sequence[tuple[Case, Asked]]) -> list[bool]:
        found = picks(base, [(case, [asked]) for case, asked in cases])
        return [each.ours is not None and each.ours != each.theirs for each in found]

    return shrunk(Keys(), (case, asked), differ)
