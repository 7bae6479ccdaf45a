"""Balancing: priorities, localities, zones, slow start, and what is dropped."""

from __future__ import annotations

from typing import Any

from proxyless.governance.runtime import Options
from proxyless.xds.model.values import Locality
from tests.support.world import World

from ..registry import Effect, effect
from ..resources import Json, Shop, assignment, cluster, endpoint, extension, locality, shop
from ..scene import Scene
from ..seeing import spread, tried

C = "envoy.config.cluster.v3."
CLUSTER = C + "Cluster."
COMMON = CLUSTER + "CommonLbConfig."
E = "envoy.config.endpoint.v3."
POLICY = E + "ClusterLoadAssignment.Policy."
LB = "envoy.extensions.load_balancing_policies."
ROUND_ROBIN = LB + "round_robin.v3.RoundRobin"
LEAST = LB + "least_request.v3.LeastRequest"
LOCAL = LB + "common.v3.LocalityLbConfig"
ZONES = LOCAL + ".ZoneAwareLbConfig"
SLOW = LB + "common.v3.SlowStartConfig"


def clustered(*localities: Json, policy: Json | None = None, **fields: Any) -> Shop:
    """Cluster `a` with these localities."""
    load = assignment("a", *localities, **({"policy": policy} if policy is not None else {}))
    return shop(clusters=[cluster("a", **fields, load_assignment=load)])


def balanced(kind: str, *localities: Json, **fields: Any) -> Shop:
    """Cluster `a` with this extension as its policy."""
    policy = {"policies": [{"typed_extension_config": extension(kind, **fields)}]}
    return clustered(*localities, load_balancing_policy=policy)


# -- priorities ----------------------------------------------------------------------------------------------------

SICK = "UNHEALTHY"
HALF = locality(endpoint("10.0.0.1", load_balancing_weight=9), endpoint("10.0.0.2", health_status=SICK))
MORE: Json = {"overprovisioning_factor": 200}
NEXT = locality(endpoint("10.0.0.3"), priority=1)

# -- localities ----------------------------------------------------------------------------------------------------


def zone(name: str, *endpoints: Json, **fields: Any) -> Json:
    """A locality by its zone."""
    return locality(*endpoints, locality={"region": "r", "zone": name}, **fields)


WEIGHTED = (
    zone("a", endpoint("10.0.0.1"), load_balancing_weight=3),
    zone("b", endpoint("10.0.0.2"), load_balancing_weight=1),
)
BY_WEIGHT: Json = {"locality_weighted_lb_config": {}}

# -- zones ---------------------------------------------------------------------------------------------------------

HOME = Locality("r", "a")
UPSTREAM = tuple(
    zone(name, *(endpoint(f"10.0.{net}.{each}", load_balancing_weight=weight) for each in range(1, 4)))
    for net, name, weight in ((1, "a", 1), (2, "b", 3))
)
SICK_ZONES = tuple(
    zone(name, *(endpoint(f"10.0.{net}.{each}", health_status=SICK) for each in range(1, 4)))
    for net, name in ((1, "a"), (2, "b"))
)
MANY_HERE = (zone("a", *(endpoint(f"10.9.1.{each}") for each in range(1, 10))), zone("b", endpoint("10.9.2.1")))
SELDOM: Json = {"routing_enabled": {"value": 1}}
DIRECT: Json = {"force_locality_direct_routing": True}
EVEN = (zone("a", endpoint("10.9.1.1")), zone("b", endpoint("10.9.2.1")))


def zoned(settings: Json, typed: bool = True, local: tuple[Json, ...] = MANY_HERE, upstream: Any = UPSTREAM) -> Shop:
    """Cluster `a` in two zones, and the cluster `me` that this process is a part of, mostly in the first."""
    fields: Json = {"common_lb_config": {"zone_aware_lb_config": settings}}
    if typed:
        locality_lb_config = {"zone_aware_lb_config": settings}
        policy = extension(ROUND_ROBIN, locality_lb_config=locality_lb_config)
        fields = {"load_balancing_policy": {"policies": [{"typed_extension_config": policy}]}}
    made = [
        cluster("a", **fields, load_assignment=assignment("a", *upstream)),
        cluster("me", load_assignment=assignment("me", *local)),
    ]
    return shop(clusters=made)


def at_home(count: int = 300) -> Any:
    """How many of so many picks stay in the zone `a`; None is counted apart."""

    def see(scene: Scene) -> dict[str, int]:
        world = World(scene.graph.snapshot, options=Options(locality=HOME, local_cluster="me"))
        found = [world.cluster().choose() for _ in range(count)]
        zones = [each.locality.zone if each is not None else "-" for each in found]
        return {each: zones.count(each) for each in sorted(set(zones))}

    return see


# -- slow start ----------------------------------------------------------------------------------------------------


def starting(after_s: float, count: int = 110) -> Any:
    """How many of so many picks a host has that came so long before the last look, beside one that is old."""

    def see(scene: Scene) -> int:
        world = scene.world
        both = world.cluster()
        old, new = both.hosts
        old.state.healthy_since = world.clock.now - 3600
        world.clock.advance(after_s)
        world.cluster().state.health_changed()
        for _ in range(30):
            both.choose()
        return sum(both.choose() is new for _ in range(count))

    return see


PAIR = locality(endpoint("10.0.0.1"), endpoint("10.0.0.2"))
WINDOW: Json = {"slow_start_window": "100s"}


def slow(**fields: Any) -> Shop:
    """Round robin that starts slowly, by the cluster's own field."""
    return clustered(PAIR, round_robin_lb_config={"slow_start_config": {**WINDOW, **fields}})


def slow_typed(kind: str = ROUND_ROBIN, **fields: Any) -> Shop:
    """The same by an extension."""
    return balanced(kind, PAIR, slow_start_config={**WINDOW, **fields})


BENT: Json = {"aggression": {"default_value": 2, "runtime_key": "r"}}
CLIENT_SIDE = (
    "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin"
)
LEAST_PART: Json = {"min_weight_percent": {"value": 50}}

# -- least request -------------------------------------------------------------------------------------------------


def least_busy(scene: Scene) -> list[str]:
    """Who gets the calls while all but one are busy."""
    found = scene.world.cluster()
    for host in found.hosts[1:]:
        host.state.active = 5
    return [str(found.choose()) for _ in range(20)]


MANY = locality(*(endpoint(f"10.0.0.{each}") for each in range(1, 9)))
TWO: Json = {"drop_overloads": [{"category": "x", "drop_percentage": {"numerator": 100}}]}
DROPPED = [200]

CASES: list[Effect] = [
    effect(E + "LocalityLbEndpoints.priority", clustered(NEXT, HALF), spread()),
    effect(
        E + "ClusterLoadAssignment.policy", clustered(HALF, NEXT, policy={"overprovisioning_factor": 200}), spread()
    ),
    effect(
        POLICY + "overprovisioning_factor",
        clustered(HALF, NEXT, policy=MORE),
        spread(),
        {"10.0.0.1:80": 200},
    ),
    effect(
        POLICY + "weighted_priority_health",
        clustered(HALF, NEXT, policy={"weighted_priority_health": True}),
        spread(),
        {"10.0.0.1:80": 200},
    ),
    effect(POLICY + "drop_overloads", clustered(HALF, policy=TWO), tried(DROPPED), (0, 503, "UDO")),
    effect(POLICY + "DropOverload.drop_percentage", clustered(HALF, policy=TWO), tried(DROPPED), (0, 503, "UDO")),
    effect(
        E + "LocalityLbEndpoints.load_balancing_weight",
        clustered(*WEIGHTED, common_lb_config=BY_WEIGHT),
        spread(40),
        {"10.0.0.1:80": 30, "10.0.0.2:80": 10},
    ),
    effect(COMMON + "locality_weighted_lb_config", clustered(*WEIGHTED, common_lb_config=BY_WEIGHT), spread(40)),
    *(
        effect(f"{kind}.locality_lb_config", balanced(kind, *WEIGHTED, locality_lb_config=BY_WEIGHT), spread(40))
        for kind in (ROUND_ROBIN, LEAST, LB + "random.v3.Random")
    ),
    effect(
        LOCAL + ".locality_weighted_lb_config",
        balanced(ROUND_ROBIN, *WEIGHTED, locality_lb_config=BY_WEIGHT),
        spread(40),
        {"10.0.0.1:80": 30, "10.0.0.2:80": 10},
    ),
    *(
        effect(
            f"{LB}{name}.locality_weighted_lb_config",
            balanced(LB + name, *WEIGHTED, locality_weighted_lb_config={}),
            spread(400),
        )
        for name in ("ring_hash.v3.RingHash", "maglev.v3.Maglev")
    ),
    # Zones.
    effect(COMMON + "zone_aware_lb_config", zoned({"min_cluster_size": 9}, typed=False), at_home()),
    effect(COMMON + "ZoneAwareLbConfig.min_cluster_size", zoned({"min_cluster_size": 9}, typed=False), at_home()),
    effect(
        COMMON + "ZoneAwareLbConfig.routing_enabled", zoned({"routing_enabled": {"value": 1}}, typed=False), at_home()
    ),
    effect(
        COMMON + "ZoneAwareLbConfig.fail_traffic_on_panic",
        zoned({"fail_traffic_on_panic": True}, typed=False, upstream=SICK_ZONES),
        at_home(),
        {"-": 300},
    ),
    effect(LOCAL + ".zone_aware_lb_config", zoned({"min_cluster_size": 9}), at_home()),
    effect(ZONES + ".min_cluster_size", zoned({"min_cluster_size": 9}), at_home()),
    effect(ZONES + ".routing_enabled", zoned(SELDOM), at_home()),
    effect(
        ZONES + ".fail_traffic_on_panic",
        zoned({"fail_traffic_on_panic": True}, upstream=SICK_ZONES),
        at_home(),
        {"-": 300},
    ),
    effect(
        ZONES + ".force_locality_direct_routing", zoned({"force_locality_direct_routing": True}), at_home(), {"a": 300}
    ),
    effect(ZONES + ".force_local_zone", zoned({"force_local_zone": {}}), at_home(), {"a": 300}),
    effect(ZONES + ".ForceLocalZone.min_size", zoned({"force_local_zone": {"min_size": 4}}), at_home()),
    effect(ZONES + ".locality_basis", zoned({"locality_basis": "HEALTHY_HOSTS_WEIGHT"}, local=EVEN), at_home()),
    # Slow start.
    effect(CLUSTER + "round_robin_lb_config", slow(), starting(25), 22),
    effect(CLUSTER + "RoundRobinLbConfig.slow_start_config", slow(), starting(25), 22),
    effect(
        CLUSTER + "LeastRequestLbConfig.slow_start_config",
        clustered(PAIR, lb_policy="LEAST_REQUEST", least_request_lb_config={"slow_start_config": WINDOW}),
        starting(25),
        22,
    ),
    effect(CLUSTER + "SlowStartConfig.slow_start_window", slow(), starting(25), 22),
    effect(CLUSTER + "SlowStartConfig.aggression", slow(**BENT), starting(25), 37),
    effect(CLUSTER + "SlowStartConfig.min_weight_percent", slow(**LEAST_PART), starting(25), 37),
    effect(ROUND_ROBIN + ".slow_start_config", slow_typed(), starting(25), 22),
    effect(LEAST + ".slow_start_config", slow_typed(LEAST), starting(25), 22),
    effect(CLIENT_SIDE + ".slow_start_config", slow_typed(CLIENT_SIDE), starting(25), 22),
    effect(SLOW + ".slow_start_window", slow_typed(), starting(25), 22),
    effect(SLOW + ".aggression", slow_typed(**BENT), starting(25), 37),
    effect(SLOW + ".min_weight_percent", slow_typed(**LEAST_PART), starting(25), 37),
    effect(
        LEAST + ".selection_method",
        balanced(LEAST, MANY, selection_method="FULL_SCAN"),
        least_busy,
        ["<Host 10.0.0.1:80>"] * 20,
    ),
]
