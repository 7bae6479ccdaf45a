"""Balancing policies: the enum with its fields, and the typed extensions."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import EDS, LB, cluster, extension, policies


def typed_policy(*found: tuple[str, str, Json], **fields: Any) -> Json:
    """The fields of a cluster with typed policies: (name, type, fields)."""
    own = policies(*(extension(kind, name, **config) for name, kind, config in found))
    return {"load_balancing_policy": own, **fields}


def picking(*found: tuple[str, str, Json]) -> Json:
    """The fields of a policy around others."""
    return {"endpoint_picking_policy": typed_policy(*found)["load_balancing_policy"]}


ROUND_ROBIN = policies(extension(LB + "round_robin.v3.RoundRobin", "z"))
NO_POLICY = policies(extension("google.protobuf.Empty", "z"))
CLIENT_SIDE = policies(extension(LB + "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin", "z"))


CASES = [
    Case(
        "static cp",
        cluster(lb_policy="CLUSTER_PROVIDED"),
        "cluster manager: cluster provided LB specified but cluster 'x' did not provide one. Check cluster documentation.",
    ),
    Case(
        "eds cp",
        cluster(**EDS, lb_policy="CLUSTER_PROVIDED"),
        "cluster manager: cluster provided LB specified but cluster 'x' did not provide one. Check cluster documentation.",
    ),
    Case(
        "typed policy: config none",
        cluster(lb_policy="LOAD_BALANCING_POLICY_CONFIG"),
        "cluster: field load_balancing_policy need to be set",
    ),
    Case(
        "typed policy: rr",
        cluster(**typed_policy(("envoy.load_balancing_policies.round_robin", LB + "round_robin.v3.RoundRobin", {}))),
    ),
    Case("typed policy: rr name", cluster(**typed_policy(("zzz", LB + "round_robin.v3.RoundRobin", {})))),
    Case(
        "typed policy: rr + lb_policy",
        cluster(**typed_policy(("zzz", LB + "round_robin.v3.RoundRobin", {}), lb_policy="RING_HASH")),
    ),
    Case(
        "typed policy: unknown then rr",
        cluster(**typed_policy(("z", "google.protobuf.Empty", {}), ("zzz", LB + "round_robin.v3.RoundRobin", {}))),
    ),
    Case(
        "typed policy: unknown",
        cluster(**typed_policy(("z", "google.protobuf.Empty", {}))),
        "cluster: didn't find a registered load balancer factory implementation for cluster: 'x' with names from [z]",
    ),
    Case(
        "typed policy: none",
        cluster(**typed_policy()),
        "cluster: didn't find a registered load balancer factory implementation for cluster: 'x' with names from []",
    ),
    Case("typed policy: lr", cluster(**typed_policy(("z", LB + "least_request.v3.LeastRequest", {"choice_count": 1})))),
    Case(
        "typed policy: lr ok", cluster(**typed_policy(("z", LB + "least_request.v3.LeastRequest", {"choice_count": 3})))
    ),
    Case("typed policy: rand", cluster(**typed_policy(("z", LB + "random.v3.Random", {})))),
    Case(
        "typed policy: ring",
        cluster(
            **typed_policy(
                ("z", LB + "ring_hash.v3.RingHash", {"minimum_ring_size": "2048", "maximum_ring_size": "1024"})
            )
        ),
        "ring hash: minimum_ring_size (2048) > maximum_ring_size (1024)",
    ),
    Case(
        "typed policy: ring hash bad",
        cluster(**typed_policy(("z", LB + "ring_hash.v3.RingHash", {"hash_function": 9}))),
    ),
    Case(
        "typed policy: maglev",
        cluster(**typed_policy(("z", LB + "maglev.v3.Maglev", {"table_size": "100"}))),
        "The table size of maglev must be prime number",
    ),
    Case(
        "typed policy: maglev big",
        cluster(**typed_policy(("z", LB + "maglev.v3.Maglev", {"table_size": "5000012"}))),
        "The table size of maglev must be prime number",
    ),
    Case(
        "typed policy: wrr",
        cluster(
            **typed_policy(
                ("z", LB + "wrr_locality.v3.WrrLocality", picking(("z", LB + "round_robin.v3.RoundRobin", {})))
            )
        ),
        "Currently WrrLocalityLoadBalancer only supports ClientSideWeightedRoundRobinLoadBalancer as its endpoint picking policy.",
    ),
    Case(
        "typed policy: wrr none",
        cluster(**typed_policy(("z", LB + "wrr_locality.v3.WrrLocality", {}))),
        "No supported endpoint picking policy.",
    ),
    Case(
        "typed policy: wrr ring",
        cluster(
            **typed_policy(("z", LB + "wrr_locality.v3.WrrLocality", picking(("z", LB + "ring_hash.v3.RingHash", {}))))
        ),
        "Currently WrrLocalityLoadBalancer only supports ClientSideWeightedRoundRobinLoadBalancer as its endpoint picking policy.",
    ),
    Case(
        "typed policy: wrr unknown",
        cluster(**typed_policy(("z", LB + "wrr_locality.v3.WrrLocality", picking(("z", "google.protobuf.Empty", {}))))),
        "No supported endpoint picking policy.",
    ),
    Case(
        "typed policy: cswrr",
        cluster(**typed_policy(("z", LB + "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin", {}))),
    ),
    Case(
        "typed policy: cluster_provided static",
        cluster(**typed_policy(("z", LB + "cluster_provided.v3.ClusterProvided", {}))),
        "cluster manager: cluster provided LB specified but cluster 'x' did not provide one. Check cluster documentation.",
    ),
    Case(
        "typed policy: cluster_provided odst",
        cluster(type="ORIGINAL_DST", **typed_policy(("z", LB + "cluster_provided.v3.ClusterProvided", {}))),
        "cluster: LB policy ROUND_ROBIN is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'",
    ),
    Case(
        "typed policy: rr odst",
        cluster(type="ORIGINAL_DST", **typed_policy(("z", LB + "round_robin.v3.RoundRobin", {}))),
        "cluster: LB policy ROUND_ROBIN is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'",
    ),
    Case(
        "typed policy: rr odst cp",
        cluster(
            type="ORIGINAL_DST",
            lb_policy="CLUSTER_PROVIDED",
            **typed_policy(("z", LB + "round_robin.v3.RoundRobin", {})),
        ),
        "cluster manager: cluster provided LB not specified but cluster 'x' provided one. Check cluster documentation.",
    ),
    Case(
        "typed policy: subset",
        cluster(
            **typed_policy(
                (
                    "z",
                    LB + "subset.v3.Subset",
                    {
                        "subset_lb_policy": typed_policy(("z", LB + "round_robin.v3.RoundRobin", {}))[
                            "load_balancing_policy"
                        ]
                    },
                )
            )
        ),
    ),
    Case(
        "typed policy: override",
        cluster(
            **typed_policy(
                (
                    "z",
                    LB + "override_host.v3.OverrideHost",
                    {
                        "override_host_sources": [{"header": "x"}],
                        "fallback_policy": typed_policy(("z", LB + "round_robin.v3.RoundRobin", {}))[
                            "load_balancing_policy"
                        ],
                    },
                )
            )
        ),
    ),
    Case(
        "typed policy: + subset",
        cluster(
            lb_subset_config={"subset_selectors": [{"keys": ["a"]}]},
            **typed_policy(("z", LB + "round_robin.v3.RoundRobin", {})),
        ),
        "cluster: load_balancing_policy cannot be combined with lb_subset_config",
    ),
    Case(
        "typed policy: + common",
        cluster(
            common_lb_config={"locality_weighted_lb_config": {}},
            **typed_policy(("z", LB + "round_robin.v3.RoundRobin", {})),
        ),
        "cluster: load_balancing_policy cannot be combined with partial fields (zone_aware_lb_config, locality_weighted_lb_config, consistent_hashing_lb_config) of common_lb_config",
    ),
    Case(
        "ring inverted",
        cluster(lb_policy="RING_HASH", ring_hash_lb_config={"minimum_ring_size": "2048", "maximum_ring_size": "1024"}),
        "ring hash: minimum_ring_size (2048) > maximum_ring_size (1024)",
    ),
    Case("ring inverted rr", cluster(ring_hash_lb_config={"minimum_ring_size": "2048", "maximum_ring_size": "1024"})),
    Case(
        "ring inverted maglev",
        cluster(lb_policy="MAGLEV", ring_hash_lb_config={"minimum_ring_size": "2048", "maximum_ring_size": "1024"}),
    ),
    Case(
        "ring max < default min",
        cluster(lb_policy="RING_HASH", ring_hash_lb_config={"maximum_ring_size": "512"}),
        "ring hash: minimum_ring_size (1024) > maximum_ring_size (512)",
    ),
    Case(
        "maglev not prime",
        cluster(lb_policy="MAGLEV", maglev_lb_config={"table_size": "100"}),
        "The table size of maglev must be prime number",
    ),
    Case("maglev prime", cluster(lb_policy="MAGLEV", maglev_lb_config={"table_size": "101"})),
    Case("maglev 1", cluster(lb_policy="MAGLEV", maglev_lb_config={"table_size": "1"})),
    Case(
        "maglev 0",
        cluster(lb_policy="MAGLEV", maglev_lb_config={"table_size": "0"}),
        "The table size of maglev must be prime number",
    ),
    Case(
        "lr choice 1",
        cluster(lb_policy="LEAST_REQUEST", least_request_lb_config={"choice_count": 1}),
        "LeastRequestLbConfigValidationError.ChoiceCount: value must be greater than or equal to 2",
    ),
    Case(
        "lr bias no key",
        cluster(lb_policy="LEAST_REQUEST", least_request_lb_config={"active_request_bias": {"default_value": 1.0}}),
    ),
    Case(
        "lr bias neg",
        cluster(
            lb_policy="LEAST_REQUEST",
            least_request_lb_config={"active_request_bias": {"default_value": -1.0, "runtime_key": "a"}},
        ),
    ),
    Case(
        "slow window neg",
        cluster(round_robin_lb_config={"slow_start_config": {"slow_start_window": "-1s"}}),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "slow aggr",
        cluster(
            round_robin_lb_config={
                "slow_start_config": {"slow_start_window": "1s", "aggression": {"default_value": 0, "runtime_key": "a"}}
            }
        ),
    ),
    Case(
        "slow min weight 101",
        cluster(
            round_robin_lb_config={
                "slow_start_config": {"slow_start_window": "1s", "min_weight_percent": {"value": 101}}
            }
        ),
        "PercentValidationError.Value: value must be inside range [0, 100]",
    ),
    Case(
        "hash_balance 99",
        cluster(lb_policy="MAGLEV", common_lb_config={"consistent_hashing_lb_config": {"hash_balance_factor": 99}}),
        "ConsistentHashingLbConfigValidationError.HashBalanceFactor: value must be greater than or equal to 100",
    ),
    Case(
        "hash_balance 0",
        cluster(lb_policy="MAGLEV", common_lb_config={"consistent_hashing_lb_config": {"hash_balance_factor": 0}}),
        "ConsistentHashingLbConfigValidationError.HashBalanceFactor: value must be greater than or equal to 100",
    ),
    Case("zone aware", cluster(common_lb_config={"zone_aware_lb_config": {"routing_enabled": {"value": 100}}})),
    Case("override_host_status", cluster(common_lb_config={"override_host_status": {"statuses": ["HEALTHY"]}})),
    Case(
        "lb bad", cluster(lb_policy=4), "ClusterValidationError.LbPolicy: value must be one of the defined enum values"
    ),
    Case("subset empty", cluster(lb_subset_config={})),
    Case(
        "subset",
        cluster(
            lb_subset_config={
                "fallback_policy": "DEFAULT_SUBSET",
                "default_subset": {"a": "b"},
                "subset_selectors": [{"keys": ["a"]}],
            }
        ),
    ),
    Case("subset dup", cluster(lb_subset_config={"subset_selectors": [{"keys": ["a"]}, {"keys": ["a"]}]})),
    Case(
        "subset fb keys without their policy",
        cluster(lb_subset_config={"subset_selectors": [{"keys": ["a", "b"], "fallback_keys_subset": ["b"]}]}),
        "fallback_keys_subset can be set only for KEYS_SUBSET fallback_policy",
    ),
    Case(
        "subset fb keys none",
        cluster(lb_subset_config={"subset_selectors": [{"keys": ["a"], "fallback_policy": "KEYS_SUBSET"}]}),
        "fallback_keys_subset cannot be empty",
    ),
    Case(
        "subset locality weights",
        cluster(lb_subset_config={"subset_selectors": [{"keys": ["a"]}], "locality_weight_aware": True}),
        "Locality weight aware subset LB requires that a locality_weighted_lb_config be set in",
    ),
    Case(
        "hashed by hostname",
        cluster(common_lb_config={"consistent_hashing_lb_config": {"use_hostname_for_hashing": True}}),
        "Cannot use hostname for consistent hashing loadbalancing for cluster of type: 'envoy.cluster.static'",
    ),
    Case(
        "override host: no source",
        cluster(
            **typed_policy(
                (
                    "z",
                    LB + "override_host.v3.OverrideHost",
                    {"fallback_policy": ROUND_ROBIN, "override_host_sources": [{}]},
                )
            )
        ),
        "Empty override source",
    ),
    Case(
        "override host: two sources",
        cluster(
            **typed_policy(
                (
                    "z",
                    LB + "override_host.v3.OverrideHost",
                    {
                        "fallback_policy": ROUND_ROBIN,
                        "override_host_sources": [
                            {"header": "a", "metadata": {"key": "envoy.lb", "path": [{"key": "z"}]}}
                        ],
                    },
                )
            )
        ),
        "Only one override source must be set",
    ),
    Case(
        "subset fb keys bad",
        cluster(
            lb_subset_config={
                "subset_selectors": [{"keys": ["a"], "fallback_policy": "KEYS_SUBSET", "fallback_keys_subset": ["b"]}]
            }
        ),
        "fallback_keys_subset must be a subset of selector keys",
    ),
    Case(
        "subset fb keys same",
        cluster(
            lb_subset_config={
                "subset_selectors": [{"keys": ["a"], "fallback_policy": "KEYS_SUBSET", "fallback_keys_subset": ["a"]}]
            }
        ),
        "fallback_keys_subset cannot be equal to keys",
    ),
    Case(
        "subset single multi",
        cluster(lb_subset_config={"subset_selectors": [{"keys": ["a", "b"], "single_host_per_subset": True}]}),
    ),
    Case("typed: lr ok", cluster(**typed_policy(("z", LB + "least_request.v3.LeastRequest", {"choice_count": 1})))),
    Case(
        "typed: lr neg bias",
        cluster(
            **typed_policy(
                (
                    "z",
                    LB + "least_request.v3.LeastRequest",
                    {"active_request_bias": {"default_value": -1, "runtime_key": "a"}},
                )
            )
        ),
    ),
    Case(
        "typed: slow",
        cluster(
            **typed_policy(("z", LB + "round_robin.v3.RoundRobin", {"slow_start_config": {"slow_start_window": "-1s"}}))
        ),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "typed: ring deep",
        cluster(**typed_policy(("z", LB + "ring_hash.v3.RingHash", {"minimum_ring_size": "8388609"}))),
        "ring hash: minimum_ring_size (8388609) > maximum_ring_size (8388608)",
    ),
    Case(
        "typed: ring hash 9",
        cluster(lb_policy="RING_HASH", ring_hash_lb_config={"hash_function": 9}),
        "RingHashLbConfigValidationError.HashFunction: value must be one of the defined enum values",
    ),
    Case(
        "typed: wrr cs",
        cluster(**typed_policy(("z", LB + "wrr_locality.v3.WrrLocality", {"endpoint_picking_policy": CLIENT_SIDE}))),
    ),
    Case(
        "typed: subset bad",
        cluster(**typed_policy(("z", LB + "subset.v3.Subset", {"subset_lb_policy": NO_POLICY}))),
        "cluster: didn't find a registered load balancer factory implementation for subset lb with names from [z]",
    ),
    Case(
        "typed: subset none",
        cluster(**typed_policy(("z", LB + "subset.v3.Subset", {}))),
        "cluster: didn't find a registered load balancer factory implementation for subset lb with names from []",
    ),
    Case(
        "typed: override bad",
        cluster(
            **typed_policy(
                (
                    "z",
                    LB + "override_host.v3.OverrideHost",
                    {"override_host_sources": [{"header": "x"}], "fallback_policy": NO_POLICY},
                )
            )
        ),
        "dynamic forwarding LB: didn't find a registered fallback load balancer factory with names from z",
    ),
    Case(
        "typed: override none",
        cluster(**typed_policy(("z", LB + "override_host.v3.OverrideHost", {"fallback_policy": ROUND_ROBIN}))),
        "OverrideHostValidationError.OverrideHostSources: value must contain at least 1 item(s)",
    ),
    Case(
        "typed: override no fb",
        cluster(
            **typed_policy(("z", LB + "override_host.v3.OverrideHost", {"override_host_sources": [{"header": "x"}]}))
        ),
        "OverrideHostValidationError.FallbackPolicy: value is required",
    ),
    Case(
        "typed: lbp config + enum",
        cluster(**typed_policy(("z", LB + "round_robin.v3.RoundRobin", {}), lb_policy="LOAD_BALANCING_POLICY_CONFIG")),
    ),
    Case(
        "typed: lbp config + random on odst",
        cluster(
            type="ORIGINAL_DST",
            lb_policy="CLUSTER_PROVIDED",
            **typed_policy(("z", LB + "cluster_provided.v3.ClusterProvided", {})),
        ),
    ),
    Case(
        "typed: odst enum config",
        cluster(
            type="ORIGINAL_DST",
            lb_policy="LOAD_BALANCING_POLICY_CONFIG",
            **typed_policy(("z", LB + "cluster_provided.v3.ClusterProvided", {})),
        ),
        "cluster: LB policy LOAD_BALANCING_POLICY_CONFIG is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'",
    ),
    Case(
        "typed: common panic",
        cluster(
            common_lb_config={"healthy_panic_threshold": {"value": 0}},
            **typed_policy(("z", LB + "round_robin.v3.RoundRobin", {})),
        ),
    ),
    Case(
        "typed: common zone",
        cluster(
            common_lb_config={"zone_aware_lb_config": {}}, **typed_policy(("z", LB + "round_robin.v3.RoundRobin", {}))
        ),
        "cluster: load_balancing_policy cannot be combined with partial fields (zone_aware_lb_config, locality_weighted_lb_config, consistent_hashing_lb_config) of common_lb_config",
    ),
    Case(
        "typed: maglev 4",
        cluster(**typed_policy(("z", LB + "maglev.v3.Maglev", {"table_size": "4"}))),
        "The table size of maglev must be prime number",
    ),
    Case(
        "typed: maglev 9",
        cluster(**typed_policy(("z", LB + "maglev.v3.Maglev", {"table_size": "9"}))),
        "The table size of maglev must be prime number",
    ),
    Case(
        "typed: maglev 25",
        cluster(**typed_policy(("z", LB + "maglev.v3.Maglev", {"table_size": "25"}))),
        "The table size of maglev must be prime number",
    ),
    Case(
        "typed: maglev 49",
        cluster(**typed_policy(("z", LB + "maglev.v3.Maglev", {"table_size": "49"}))),
        "The table size of maglev must be prime number",
    ),
    Case("typed: maglev 2", cluster(**typed_policy(("z", LB + "maglev.v3.Maglev", {"table_size": "2"})))),
    Case("typed: maglev unset", cluster(**typed_policy(("z", LB + "maglev.v3.Maglev", {})))),
    Case(
        "typed: subset w lb policy ok",
        cluster(
            **typed_policy(
                ("z", LB + "subset.v3.Subset", {"subset_lb_policy": ROUND_ROBIN, "subset_selectors": [{"keys": ["a"]}]})
            )
        ),
    ),
    Case("typed: odst policy maglev bad ring", cluster(lb_policy="MAGLEV", maglev_lb_config={"table_size": "5000011"})),
    Case(
        "typed: empty policies entry",
        cluster(load_balancing_policy={"policies": [{}]}),
        "cluster: didn't find a registered load balancer factory implementation for cluster: 'x' with names from []",
    ),
]
