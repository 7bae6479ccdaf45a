"""Subsets, and endpoints that a request names itself."""

from __future__ import annotations

from typing import Any

from tests.effects.registry import effect
from tests.effects.resources import Json, Shop, endpoint, extension, locality, shop
from tests.effects.seeing import picks, refusals, spread

CLUSTER = "envoy.config.cluster.v3.Cluster"
LEGACY = f"{CLUSTER}.LbSubsetConfig"
ROUTE = "envoy.config.route.v3."
LB = "envoy.extensions.load_balancing_policies."
SUBSET = LB + "subset.v3.Subset"
OVERRIDE = LB + "override_host.v3.OverrideHost"
ROUND_ROBIN: Json = {"policies": [{"typed_extension_config": extension(LB + "round_robin.v3.RoundRobin")}]}
WEIGHTED: Json = {"common_lb_config": {"locality_weighted_lb_config": {}}}
CALM: Json = {"common_lb_config": {"healthy_panic_threshold": {"value": 0}}}


def labelled(number: int, **labels: Any) -> Json:
    fields = {key: labels.pop(key) for key in ("health_status",) if key in labels}
    return endpoint(f"10.0.0.{number}", metadata={"filter_metadata": {"envoy.lb": labels}}, **fields)


POOL = [labelled(1, v="1"), labelled(2, v="2"), labelled(3, v="2", s="x"), labelled(4, v=["1", "3"])]
SICK = [labelled(1, v="1", health_status="UNHEALTHY"), *POOL[1:]]
LOCALITIES = [
    locality(*POOL[:1], locality={"region": "a"}, load_balancing_weight=9),
    locality(labelled(5, v="1"), labelled(6), labelled(7), locality={"region": "b"}, load_balancing_weight=9),
]


UNEVEN = [LOCALITIES[0], {**LOCALITIES[1], "load_balancing_weight": 1}]
WEIGHING: Json = {"locality_lb_config": {"locality_weighted_lb_config": {}}}
BY_LOCALITY: Json = {"policies": [{"typed_extension_config": extension(LB + "round_robin.v3.RoundRobin", **WEIGHING)}]}


def matching(**wanted: Any) -> Json:
    return {"metadata_match": {"filter_metadata": {"envoy.lb": wanted}}}


def by(*keys: str, **fields: Any) -> Json:
    return {"keys": list(keys), **fields}


def divided(
    *selectors: Json, wanted: Json | None = None, endpoints: Any = POOL, more: Json | None = None, **config: Any
) -> Shop:
    """Cluster `a` divided by its field of old, and a route that wants some of it."""
    own = {"lb_subset_config": {"subset_selectors": list(selectors), **config}, **(more or {})}
    return shop(action=matching(**(wanted or {"v": "1"})), cluster_fields=own, endpoints=endpoints)


def typed(
    *selectors: Json, wanted: Json | None = None, endpoints: Any = POOL, more: Json | None = None, **config: Any
) -> Shop:
    """The same by the extension."""
    policy = extension(SUBSET, **{"subset_selectors": list(selectors), "subset_lb_policy": ROUND_ROBIN, **config})
    own = {"load_balancing_policy": {"policies": [{"typed_extension_config": policy}]}, **(more or {})}
    return shop(action=matching(**(wanted or {"v": "1"})), cluster_fields=own, endpoints=endpoints)


def naming(**source: Any) -> Shop:
    """A cluster whose requests name their endpoint."""
    policy = extension(OVERRIDE, override_host_sources=[source], fallback_policy=ROUND_ROBIN)
    return shop(cluster_fields={"load_balancing_policy": {"policies": [{"typed_extension_config": policy}]}})


WEIGHTED_CLUSTERS = {"weighted_clusters": {"clusters": [{"name": "a", "weight": 1, **matching(v="2")}]}}

CASES = [
    effect(f"{ROUTE}RouteAction.metadata_match", divided(by("v")), picks(6)),
    effect(
        f"{ROUTE}WeightedCluster.ClusterWeight.metadata_match",
        shop(
            action={**WEIGHTED_CLUSTERS, **matching(v="1")},
            cluster_fields={"lb_subset_config": {"subset_selectors": [by("v")]}},
            endpoints=POOL,
        ),
        picks(6),
    ),
    effect(f"{CLUSTER}.lb_subset_config", divided(by("v")), picks(6)),
]
for make, name in ((divided, LEGACY), (typed, SUBSET)):
    selector = f"{name}.LbSubsetSelector"
    CASES += [
        effect(f"{name}.subset_selectors", make(by("v")), picks(6)),
        effect(f"{name}.fallback_policy", make(by("s"), fallback_policy="ANY_ENDPOINT"), picks(6)),
        effect(
            f"{name}.default_subset",
            make(by("s"), fallback_policy="DEFAULT_SUBSET", default_subset={"v": "2"}),
            picks(6),
        ),
        effect(
            f"{name}.panic_mode_any",
            make(
                by("s"),
                fallback_policy="DEFAULT_SUBSET",
                default_subset={"v": "1"},
                panic_mode_any=True,
                endpoints=SICK,
                more=CALM,
            ),
            picks(6),
        ),
        effect(f"{name}.list_as_any", make(by("v"), list_as_any=True), picks(6)),
        effect(
            f"{name}.metadata_fallback_policy",
            make(by("v"), wanted={"fallback_list": [{"v": "2"}]}, metadata_fallback_policy="FALLBACK_LIST"),
            picks(6),
        ),
        effect(f"{selector}.keys", make(by("v")), picks(6)),
        effect(
            f"{selector}.single_host_per_subset",
            make(by("v", single_host_per_subset=True), wanted={"v": "2"}),
            picks(6),
        ),
        effect(
            f"{selector}.fallback_policy", make(by("v", fallback_policy="ANY_ENDPOINT"), wanted={"v": "9"}), picks(6)
        ),
        effect(
            f"{selector}.fallback_keys_subset",
            make(
                by("s", "v", fallback_policy="KEYS_SUBSET", fallback_keys_subset=["s"]),
                by("s"),
                wanted={"s": "x", "v": "9"},
            ),
            picks(6),
            ["10.0.0.3:80"] * 6,
            against=make(
                by("s", "v", fallback_policy="KEYS_SUBSET", fallback_keys_subset=["v"]),
                by("s"),
                wanted={"s": "x", "v": "9"},
            ),
        ),
    ]
CASES += [
    effect(
        f"{LEGACY}.locality_weight_aware",
        divided(by("v"), endpoints=UNEVEN, locality_weight_aware=True, more=WEIGHTED),
        spread(),
    ),
    effect(
        f"{LEGACY}.scale_locality_weight",
        divided(by("v"), endpoints=LOCALITIES, locality_weight_aware=True, scale_locality_weight=True, more=WEIGHTED),
        spread(),
    ),
    effect(
        f"{SUBSET}.locality_weight_aware",
        typed(by("v"), endpoints=UNEVEN, locality_weight_aware=True, subset_lb_policy=BY_LOCALITY),
        spread(),
    ),
    effect(
        f"{SUBSET}.scale_locality_weight",
        typed(
            by("v"),
            endpoints=LOCALITIES,
            locality_weight_aware=True,
            scale_locality_weight=True,
            subset_lb_policy=BY_LOCALITY,
        ),
        spread(),
    ),
    effect(
        f"{SUBSET}.allow_redundant_keys",
        typed(by("v"), wanted={"v": "1", "s": "x"}, allow_redundant_keys=True),
        picks(6),
    ),
    effect(f"{OVERRIDE}.override_host_sources", naming(header="x-to"), refusals),
    effect(
        f"{OVERRIDE}.OverrideHostSource.header",
        naming(header="x-to"),
        picks(6, headers=[("x-to", "10.0.0.2:80")]),
        ["10.0.0.2:80"] * 6,
        against=naming(header="x-else"),
    ),
]
