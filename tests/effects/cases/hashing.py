"""Hash policies, rings and maglev tables."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Send
from tests.effects.registry import effect
from tests.effects.resources import Json, Shop, assignment, endpoint, extension, locality, shop, typed
from tests.effects.scene import Scene
from tests.effects.seeing import See, answered, each_of, explained

HASH = "envoy.config.route.v3.RouteAction.HashPolicy"
CLUSTER = "envoy.config.cluster.v3.Cluster"
HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
LB = "envoy.extensions.load_balancing_policies."
RING: Json = {"lb_policy": "RING_HASH"}
MANY = [endpoint(f"10.0.0.{number}") for number in range(1, 10)]
NAMED = [{"endpoint": {**each["endpoint"], "hostname": f"host-{number}"}} for number, each in enumerate(MANY)]

RESOLVED: Json = {
    "type": "STRICT_DNS",
    "load_assignment": assignment("a", locality(*NAMED)),
    "common_lb_config": {"consistent_hashing_lb_config": {"use_hostname_for_hashing": True}},
}
ADDRESSES = {f"10.0.0.{number}": [f"10.0.0.{number}"] for number in range(1, 10)}

hashed = explained(
    "hash", headers=[("x-key", "/a/b"), ("x-other", "o"), ("cookie", "c=1")], url="http://shop/a?q=1&r=2"
)


def keyed(count: int = 40) -> See:
    """Where keys go."""
    return each_of("endpoint", *({"headers": [("x-key", str(number))]} for number in range(count)))


def by(*policies: Json, cluster_fields: Json | None = None, **fields: Any) -> Shop:
    """A ring, and a route with these hash policies."""
    own = {**RING, **(cluster_fields or {})}
    return shop(action={"hash_policy": list(policies)}, cluster_fields=own, **{"endpoints": MANY, **fields})


def held(count: int = 30) -> See:
    """Where requests with one key go while all those before are under way."""

    def see(scene: Scene) -> list[str]:
        runs = []
        for _ in range(count):
            run = scene.world.steps("http://shop/a", headers=[("x-key", "same")])
            run.until(Send)
            runs.append(run)
        return [each.hosts[0] for each in runs]

    return see


KEY: Json = {"header": {"header_name": "x-key"}}
Q: Json = {"query_parameter": {"name": "q"}}
OTHER: Json = {"header": {"header_name": "x-other"}}


def made(**fields: Any) -> Json:
    return {"cookie": {"name": "new", "ttl": "60s", **fields}}


def policy(kind: str, **fields: Any) -> Json:
    """A cluster's policy by its extension."""
    return {"load_balancing_policy": {"policies": [{"typed_extension_config": extension(LB + kind, **fields)}]}}


def ring(**fields: Any) -> Shop:
    return by(KEY, cluster_fields=policy("ring_hash.v3.RingHash", **fields))


def maglev(**fields: Any) -> Shop:
    return by(KEY, cluster_fields=policy("maglev.v3.Maglev", **fields))


def http(**fields: Any) -> Json:
    own = typed(HTTP, explicit_http_config={"http_protocol_options": {}}, **fields)
    return {"typed_extension_protocol_options": {HTTP: own}}


COMMON = "consistent_hashing_lb_config"
BOUND: Json = {"hash_balance_factor": 150}
BY_LOCALITY: Json = {"locality_weighted_lb_config": {}}
UNEVEN = [
    locality(*MANY[:3], locality={"region": "a"}, load_balancing_weight=9),
    locality(*MANY[3:], locality={"region": "b"}, load_balancing_weight=1),
]

CASES = [
    effect("envoy.config.route.v3.RouteAction.hash_policy", by(KEY), hashed),
    effect(f"{HASH}.header", by(KEY), hashed, "12032446498354195496", against=by(OTHER)),
    effect(f"{HASH}.Header.header_name", by(KEY), hashed, "12032446498354195496", against=by(OTHER)),
    effect(
        f"{HASH}.Header.regex_rewrite",
        by({"header": {"header_name": "x-key", "regex_rewrite": {"pattern": {"regex": "/b"}, "substitution": ""}}}),
        hashed,
    ),
    effect(f"{HASH}.cookie", by({"cookie": {"name": "c"}}), hashed, "13237225503670494420", against=by(KEY)),
    effect(f"{HASH}.Cookie.name", by({"cookie": {"name": "c"}}), hashed, "13237225503670494420", against=by(made())),
    effect(f"{HASH}.Cookie.ttl", by(made()), answered("set-cookie")),
    effect(f"{HASH}.Cookie.path", by(made(path="/p")), answered("set-cookie")),
    effect(f"{HASH}.Cookie.attributes", by(made(attributes=[{"name": "Secure"}])), answered("set-cookie")),
    effect(
        f"{HASH}.CookieAttribute.name",
        by(made(attributes=[{"name": "Secure"}])),
        answered("set-cookie"),
        [b'new="dada063ff92125d5"; Max-Age=60; Secure; HttpOnly'],
    ),
    effect(
        f"{HASH}.CookieAttribute.value",
        by(made(attributes=[{"name": "SameSite", "value": "Lax"}])),
        answered("set-cookie"),
    ),
    effect(
        f"{HASH}.connection_properties",
        by({"connection_properties": {"source_ip": True}}),
        hashed,
        "13874206750357698471",
        against=by(KEY),
    ),
    effect(f"{HASH}.ConnectionProperties.source_ip", by({"connection_properties": {"source_ip": True}}), hashed),
    effect(
        f"{HASH}.query_parameter",
        by(Q),
        hashed,
        "13237225503670494420",
        against=by(KEY),
    ),
    effect(
        f"{HASH}.QueryParameter.name",
        by(Q),
        hashed,
        "13237225503670494420",
        against=by({"query_parameter": {"name": "r"}}),
    ),
    effect(f"{HASH}.terminal", by({**KEY, "terminal": True}, OTHER), hashed),
    effect(f"{HTTP}.hash_policy", by(KEY, cluster_fields=http(hash_policy=[OTHER])), hashed),
    effect(f"{CLUSTER}.lb_policy", by(KEY), keyed()),
    effect(
        f"{CLUSTER}.ring_hash_lb_config",
        by(KEY, cluster_fields={"ring_hash_lb_config": {"minimum_ring_size": 9}}),
        keyed(),
    ),
    effect(
        f"{CLUSTER}.RingHashLbConfig.minimum_ring_size",
        by(KEY, cluster_fields={"ring_hash_lb_config": {"minimum_ring_size": 9}}),
        keyed(),
    ),
    effect(
        f"{CLUSTER}.RingHashLbConfig.maximum_ring_size",
        by(KEY, cluster_fields={"ring_hash_lb_config": {"minimum_ring_size": 12, "maximum_ring_size": 12}}),
        keyed(),
    ),
    effect(
        f"{CLUSTER}.RingHashLbConfig.hash_function",
        by(KEY, cluster_fields={"ring_hash_lb_config": {"hash_function": "MURMUR_HASH_2"}}),
        keyed(),
    ),
    effect(
        f"{CLUSTER}.maglev_lb_config",
        by(KEY, cluster_fields={"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 101}}),
        keyed(),
    ),
    effect(
        f"{CLUSTER}.MaglevLbConfig.table_size",
        by(KEY, cluster_fields={"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 101}}),
        keyed(),
    ),
    effect(
        f"{CLUSTER}.CommonLbConfig.{COMMON}",
        by(KEY, cluster_fields=RESOLVED, addresses=ADDRESSES),
        keyed(),
    ),
    effect(
        f"{CLUSTER}.CommonLbConfig.ConsistentHashingLbConfig.use_hostname_for_hashing",
        by(KEY, cluster_fields=RESOLVED, addresses=ADDRESSES),
        keyed(),
    ),
    effect(
        "envoy.config.endpoint.v3.Endpoint.hostname",
        by(KEY, cluster_fields=RESOLVED, addresses=ADDRESSES),
        keyed(),
    ),
    effect(f"{LB}ring_hash.v3.RingHash.minimum_ring_size", ring(minimum_ring_size=9), keyed()),
    effect(f"{LB}ring_hash.v3.RingHash.maximum_ring_size", ring(minimum_ring_size=12, maximum_ring_size=12), keyed()),
    effect(f"{LB}ring_hash.v3.RingHash.hash_function", ring(hash_function="MURMUR_HASH_2"), keyed()),
    effect(
        f"{LB}ring_hash.v3.RingHash.use_hostname_for_hashing",
        by(KEY, cluster_fields=policy("ring_hash.v3.RingHash", use_hostname_for_hashing=True), endpoints=NAMED),
        keyed(),
    ),
    effect(f"{LB}ring_hash.v3.RingHash.{COMMON}", ring(**{COMMON: {"hash_policy": [OTHER]}}), hashed),
    effect(f"{LB}maglev.v3.Maglev.{COMMON}", maglev(**{COMMON: {"hash_policy": [OTHER]}}), hashed),
    effect(f"{LB}maglev.v3.Maglev.table_size", maglev(table_size=101), keyed()),
    effect(f"{LB}common.v3.ConsistentHashingLbConfig.hash_policy", ring(**{COMMON: {"hash_policy": [OTHER]}}), hashed),
    effect(
        f"{LB}common.v3.ConsistentHashingLbConfig.use_hostname_for_hashing",
        by(
            KEY,
            cluster_fields=policy("ring_hash.v3.RingHash", **{COMMON: {"use_hostname_for_hashing": True}}),
            endpoints=NAMED,
        ),
        keyed(),
    ),
    effect(
        f"{CLUSTER}.CommonLbConfig.ConsistentHashingLbConfig.hash_balance_factor",
        by(KEY, cluster_fields={"common_lb_config": {COMMON: {"hash_balance_factor": 150}}}),
        held(),
    ),
    effect(f"{LB}common.v3.ConsistentHashingLbConfig.hash_balance_factor", maglev(**{COMMON: BOUND}), held()),
    effect(f"{LB}ring_hash.v3.RingHash.hash_balance_factor", ring(**BOUND), held()),
    effect(
        f"{LB}ring_hash.v3.RingHash.locality_weighted_lb_config",
        by(KEY, cluster_fields=policy("ring_hash.v3.RingHash", **BY_LOCALITY), endpoints=UNEVEN),
        keyed(),
        what="keys",
    ),
    effect(
        f"{LB}maglev.v3.Maglev.locality_weighted_lb_config",
        by(KEY, cluster_fields=policy("maglev.v3.Maglev", **BY_LOCALITY), endpoints=UNEVEN),
        keyed(),
        what="keys",
    ),
]
