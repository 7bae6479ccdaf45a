"""The same endpoint for the same key: rings, tables, bounds, hash policies, subsets, through Envoy and through us."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.differential.keyed import Asked, Case, Pickers, cluster, endpoint, pickers
from tests.differential.recording import Recording, Resource

KEYS = 10_000

BY_KEY: Resource = {"hash_policy": [{"header": {"header_name": "x-key"}}]}


def keys(count: int, seed: int = 7) -> list[Asked]:
    """Requests with keys of many lengths, all different."""
    draw = random.Random(seed)
    return [
        Asked((("x-key", f"{number:x}-{'k' * draw.randrange(40)}{draw.getrandbits(64)}"),)) for number in range(count)
    ]


def weighted(count: int, first: int = 0) -> list[Resource]:
    return [endpoint(number, 1 + number % 5) for number in range(first, first + count)]


RING: Resource = {"lb_policy": "RING_HASH"}
MURMUR: Resource = {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"hash_function": "MURMUR_HASH_2"}}
MAGLEV: Resource = {"lb_policy": "MAGLEV"}

CASES = [
    Case(cluster("ring", [endpoint(number) for number in range(37)], **RING), BY_KEY),
    Case(cluster("murmur", [endpoint(number) for number in range(37)], **MURMUR), BY_KEY),
    Case(cluster("maglev", [endpoint(number) for number in range(37)], **MAGLEV), BY_KEY),
]

KEY: Resource = {"header": {"header_name": "x-key"}}
REWRITTEN: Resource = {
    "header": {"header_name": "x-key", "regex_rewrite": {"pattern": {"regex": "[0-9]"}, "substitution": ""}}
}
OTHER: Resource = {"header": {"header_name": "x-other"}}
COOKIE: Resource = {"cookie": {"name": "c"}}
MADE: Resource = {"cookie": {"name": "c", "ttl": "60s", "path": "/p", "attributes": [{"name": "Secure"}]}}
QUERY: Resource = {"query_parameter": {"name": "q"}}
SOURCE: Resource = {"connection_properties": {"source_ip": True}}
NOTHING: Resource = {"connection_properties": {"source_ip": False}}
PATH: Resource = {"header": {"header_name": ":path"}}

POLICIES: dict[str, list[Resource]] = {
    "header": [KEY],
    "rewritten": [REWRITTEN],
    "two": [KEY, OTHER],
    "turned": [OTHER, KEY],
    "twice": [KEY, KEY],
    "terminal": [{**KEY, "terminal": True}, OTHER],
    "later": [OTHER, {**KEY, "terminal": True}, QUERY],
    "cookie": [COOKIE, SOURCE],
    "made": [MADE],
    "query": [QUERY, SOURCE],
    "source": [SOURCE],
    "nothing": [NOTHING, KEY],
    "path": [PATH],
    "all": [KEY, COOKIE, QUERY, SOURCE, OTHER],
}
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def own(*policies: Resource) -> Resource:
    """A cluster with hash policies of its own."""
    options = {"explicit_http_config": {"http_protocol_options": {}}, "hash_policy": list(policies)}
    return {"typed_extension_protocol_options": {HTTP: {"@type": f"type.googleapis.com/{HTTP}", **options}}}


def typed(kind: str, **fields: object) -> Resource:
    """A balancing policy by its extension."""
    config = {"@type": f"type.googleapis.com/envoy.extensions.load_balancing_policies.{kind}", **fields}
    return {"load_balancing_policy": {"policies": [{"typed_extension_config": {"name": "x", "typed_config": config}}]}}


def of_balancer(*policies: Resource) -> Resource:
    """A balancing policy with hash policies of its own."""
    return typed("ring_hash.v3.RingHash", consistent_hashing_lb_config={"hash_policy": list(policies)})


POOL = [endpoint(number) for number in range(37)]
MUTATED: Resource = {"request_headers_to_add": [{"header": {"key": "x-key", "value": "added"}}]}
BY_POLICY = [
    *(Case(cluster(name, POOL, **RING), {"hash_policy": policies}) for name, policies in POLICIES.items()),
    Case(cluster("of-cluster", POOL, **RING, **own(OTHER)), BY_KEY),
    Case(cluster("of-balancer", POOL, **own(OTHER), **of_balancer(QUERY, SOURCE)), BY_KEY),
    Case(cluster("mutated", POOL, **RING), BY_KEY, MUTATED),
    Case(cluster("none", POOL[:1], **RING)),
]


def mixed(count: int, seed: int = 11) -> list[Asked]:
    """Requests with some of the things that policies look at, in all their forms."""
    draw = random.Random(seed)
    texts = ["", "a", "b7", "7", "a,b", "b, a", '"q"', "x=1", "A", "%41"]
    found = []
    for _ in range(count):
        headers = [("x-key", draw.choice(texts)) for _ in range(draw.choice((0, 1, 1, 2, 3)))]
        headers += [("x-other", draw.choice(texts)) for _ in range(draw.choice((0, 1)))]
        headers += [("cookie", draw.choice(COOKIES)) for _ in range(draw.choice((0, 1, 1, 2)))]
        draw.shuffle(headers)
        found.append(Asked(tuple(headers), draw.choice(QUERIES)))
    return found


COOKIES = [
    "c=1",
    'c="1"',
    "a=1; c=2",
    "c=1;c=2",
    "c",
    "c=",
    "c=; c=3",
    "a=b;  c=4 ;",
    "C=5",
    "c =6",
    'c="7',
    "c==8",
    "a=b",
]
QUERIES = ["/", "/?q=1", "/?q", "/?q=", "/?a=1&q=2&q=3", "/?Q=1", "/a/b?q=%31", "/?q=1;q=2", "/?&q=5", "/?q=a=b"]


def groups(*parts: tuple[int, int, int], priority: int = 0) -> list[Resource]:
    """Localities of (weight, first endpoint, how many); weight 0 stands for none given."""
    found = []
    for number, (weight, first, count) in enumerate(parts):
        locality = {"region": f"r{9 - number}", "zone": "z"}
        own = {"locality": locality, "priority": priority, "lb_endpoints": weighted(count, first)}
        found.append({**own, **({"load_balancing_weight": weight} if weight else {})})
    return found


BY_LOCALITY: Resource = {"common_lb_config": {"locality_weighted_lb_config": {}}}
NO_PANIC: Resource = {"common_lb_config": {"healthy_panic_threshold": {"value": 0}}}
KEYED = [endpoint(number, 1 + number % 3, key=f"key-{number}" if number % 2 else None) for number in range(37)]
NAMED = [endpoint(number, hostname=f"host-{number}.example") for number in range(37)]
SICK = [
    endpoint(number, health_status=("UNHEALTHY", "HEALTHY", "DRAINING", "UNKNOWN", "HEALTHY", "DEGRADED")[number % 6])
    for number in range(36)
]
MOSTLY_SICK = [endpoint(number, health_status="HEALTHY" if number % 5 == 0 else "TIMEOUT") for number in range(37)]
SPARE = {"priority": 1, "lb_endpoints": [endpoint(number) for number in range(100, 110)]}
PREVIOUS = "envoy.retry_host_predicates.previous_hosts"
RETRY: Resource = {
    "retry_policy": {
        "retry_on": "connect-failure",
        "num_retries": 3,
        "retry_back_off": {"base_interval": "0.001s"},
        "retry_host_predicate": [
            {
                "name": PREVIOUS,
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 7,
    }
}

SHAPES: dict[str, dict[str, Any]] = {
    "weighted": {"endpoints": weighted(37)},
    "heavy": {"endpoints": [endpoint(0, 1000), *weighted(20, 1)]},
    "keyed": {"endpoints": KEYED},
    "localities": {"groups": groups((70, 0, 5), (20, 10, 9), (10, 30, 3)), **BY_LOCALITY},
    "localities-part": {"groups": groups((3, 0, 5), (0, 10, 9), (1, 30, 3)), **BY_LOCALITY},
    "localities-flat": {"groups": groups((70, 0, 5), (20, 10, 9), (10, 30, 3))},
    "sick": {"endpoints": SICK, **NO_PANIC},
    "panic": {"endpoints": MOSTLY_SICK},
    "no-panic": {"endpoints": MOSTLY_SICK, **NO_PANIC},
    "priorities": {"groups": [{"lb_endpoints": SICK}, SPARE], **NO_PANIC},
    "priorities-panic": {"groups": [{"lb_endpoints": MOSTLY_SICK}, SPARE]},
    "first-empty": {"groups": [SPARE]},
    "one": {"endpoints": [endpoint(0)]},
    "many": {"endpoints": [endpoint(number) for number in range(1500)]},
}
KINDS: dict[str, dict[str, Any]] = {
    "ring": RING,
    "murmur": MURMUR,
    "small-ring": {**RING, "ring_hash_lb_config": {"minimum_ring_size": 50, "maximum_ring_size": 61}},
    "maglev": MAGLEV,
    "small-maglev": {**MAGLEV, "maglev_lb_config": {"table_size": 251}},
}
IN_SHAPE = [
    Case(cluster(f"{kind}-{shape}", **{"endpoints": [], **fields, **policy}), BY_KEY)
    for kind, policy in KINDS.items()
    for shape, fields in SHAPES.items()
]
HOSTNAMES: Resource = {"consistent_hashing_lb_config": {"use_hostname_for_hashing": True}}
IN_SHAPE += [
    Case(cluster("ring-named", NAMED, **typed("ring_hash.v3.RingHash", use_hostname_for_hashing=True)), BY_KEY),
    Case(cluster("maglev-named", NAMED, **typed("maglev.v3.Maglev", **HOSTNAMES)), BY_KEY),
    Case(
        cluster("ring-typed", NAMED, **typed("ring_hash.v3.RingHash", hash_function="MURMUR_HASH_2", **HOSTNAMES)),
        BY_KEY,
    ),
]
RETRIED = [
    Case(cluster(f"{kind}-retried", [endpoint(number) for number in range(9)], **policy), {**BY_KEY, **RETRY})
    for kind, policy in KINDS.items()
]

WEIGHTS = {"clusters": [{"name": "third", "weight": 3}, {"name": "rest", "weight": 7}], "use_hash_policy": True}
OF_CLUSTERS = {"by-header": [KEY], "by-cookie": [MADE], "by-query": [QUERY], "by-source": [SOURCE]}
WEIGHTED = [
    Case(cluster("third", POOL[:1])),
    Case(cluster("rest", POOL[1:2])),
    *(
        Case(cluster(name, POOL[2:3]), {"weighted_clusters": WEIGHTS, "hash_policy": policies}, MUTATED)
        for name, policies in OF_CLUSTERS.items()
    ),
]


@pytest.fixture(scope="module")
def sides(frontend: Recording) -> Iterator[Pickers]:
    with pickers(frontend, [*CASES, *BY_POLICY, *IN_SHAPE, *RETRIED, *WEIGHTED]) as started:
        yield started


@pytest.mark.parametrize("name", ["ring", "murmur", "maglev"])
def test_ten_thousand_keys_go_where_envoy_sends_them(sides: Pickers, name: str) -> None:
    asked = keys(KEYS)
    theirs = sides.theirs(name, asked)
    assert len({each.endpoint for each in theirs}) == 37
    assert sides.ours(name, asked) == theirs


@pytest.mark.parametrize("name", [case.cluster["name"] for case in BY_POLICY])
def test_what_a_request_is_hashed_by(sides: Pickers, name: str) -> None:
    asked = mixed(400)
    theirs, ours, hashed = sides.theirs(name, asked), sides.ours(name, asked), sides.hashed(name, asked)
    differing = [each for each in zip(asked, theirs, ours, hashed, strict=True) if each[3] and each[1] != each[2]]
    assert not differing, differing[0]
    # Where nothing is hashed chance decides, on both sides alike.
    drawn = [one.endpoint for one, by in zip(theirs, hashed, strict=True) if not by]
    assert len(drawn) < 30 or len(set(drawn)) > 10 or name == "none"


@pytest.mark.parametrize("name", [case.cluster["name"] for case in IN_SHAPE])
def test_weights_localities_priorities_and_health_shape_a_table_as_envoys(sides: Pickers, name: str) -> None:
    asked = keys(300)
    theirs, ours = sides.theirs(name, asked), sides.ours(name, asked)
    differing = [each for each in zip(asked, theirs, ours, strict=True) if each[1] != each[2]]
    assert not differing, (len(differing), differing[0])


@pytest.mark.parametrize("name", [case.cluster["name"] for case in RETRIED])
def test_retries_that_avoid_hosts_go_on_along_the_table(sides: Pickers, name: str) -> None:
    asked = keys(100)
    assert sides.ours(name, asked, refused=True) == sides.theirs(name, asked)


@pytest.mark.parametrize("name", OF_CLUSTERS)
def test_a_hash_chooses_one_of_several_clusters(sides: Pickers, name: str) -> None:
    """Of the request as it came: what the route adds to it is not hashed."""
    asked = [Asked((("x-key", f"k{number}"), ("cookie", f"c={number}")), f"/?q={number}") for number in range(300)]
    theirs = sides.theirs(name, asked)
    assert sides.ours(name, asked) == theirs
    assert len({each.endpoint for each in theirs}) == (1 if name == "by-source" else 2)


def test_no_cookie_is_made_for_the_choice_of_a_cluster(sides: Pickers) -> None:
    asked = [Asked()] * 100
    theirs, ours = sides.theirs("by-cookie", asked), sides.ours("by-cookie", asked)
    assert len({each.endpoint for each in theirs}) == 2, "drawn"
    assert not any(each.cookies for each in (*theirs, *ours))
