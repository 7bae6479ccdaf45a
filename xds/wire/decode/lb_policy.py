"""Balancing policies: the enum of a cluster with its fields, and the typed extensions that say the same.

(envoy.config.cluster.v3.Cluster.LbPolicy and LoadBalancingPolicy, envoy.extensions.load_balancing_policies)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isnan
from typing import Any

from ...model.cluster import ClientSideWeights, LbConfig, LbPolicy, SlowStart, ZoneAware
from ..installed import BALANCERS
from ..opening import checked, type_of, unchecked
from ..refused import RefusedError
from ..schema import find
from ..schema import types as pb
from .brought import brought
from .extensions import LOAD_BALANCING_POLICIES
from .route_policies import hash_policies
from .subsets import subset_config
from .values import seconds

POLICIES: Mapping[int, LbPolicy] = {
    0: "ROUND_ROBIN",
    1: "LEAST_REQUEST",
    2: "RING_HASH",
    3: "RANDOM",
    5: "MAGLEV",
    6: "CLUSTER_PROVIDED",
}
BY_CONFIG = 7

MIN_RING, MAX_RING = 1024, 8 * 1024 * 1024
MAGLEV_TABLE, MAX_TABLE = 65537, 5000011

Choice = tuple[LbPolicy, LbConfig]

WRR_LOCALITY = (
    "Currently WrrLocalityLoadBalancer only supports ClientSideWeightedRoundRobinLoadBalancer as its endpoint picking "
    "policy."
)


def lb_policy(message: pb.cluster_v3.Cluster) -> Choice:
    """The policy of a cluster and its parameters; the typed form wins where it is given, as in Envoy."""
    if message.HasField("load_balancing_policy"):
        return _by_config(message)
    if message.lb_policy == BY_CONFIG:
        raise RefusedError("cluster: field load_balancing_policy need to be set")
    return POLICIES[message.lb_policy], _config(message)


def _config(message: pb.cluster_v3.Cluster) -> LbConfig:
    common = message.common_lb_config
    base = _common(message)
    subset = subset_config(message.lb_subset_config)
    base = replace(
        base,
        subset=subset if subset.selectors else None,
        hash_balance_factor=common.consistent_hashing_lb_config.hash_balance_factor.value or None,
        hash_by_hostname=common.consistent_hashing_lb_config.use_hostname_for_hashing,
        locality_weighted=common.HasField("locality_weighted_lb_config"),
        zone=_zone(common.zone_aware_lb_config),
    )
    match POLICIES[message.lb_policy]:
        case "ROUND_ROBIN":
            return replace(base, slow_start=_slow_start(message.round_robin_lb_config.slow_start_config))
        case "LEAST_REQUEST":
            return _least_request(base, message.least_request_lb_config)
        case "RING_HASH":
            return _ring(base, message.ring_hash_lb_config, message.ring_hash_lb_config.hash_function == 1)
        case "MAGLEV":
            return _maglev(base, message.maglev_lb_config)
        case _:
            return base


def _zone(message: Any) -> ZoneAware:
    """Cluster.CommonLbConfig.ZoneAwareLbConfig, or the extension's: they share these fields."""
    return ZoneAware(
        routing_enabled=_percent(message, "routing_enabled", 100.0),
        min_cluster_size=message.min_cluster_size.value if message.HasField("min_cluster_size") else 6,
        fail_traffic_on_panic=message.fail_traffic_on_panic,
    )


def _typed_zone(message: pb.load_balancing_common_v3.LocalityLbConfig.ZoneAwareLbConfig) -> ZoneAware:
    enough: int | None = 1 if message.force_locality_direct_routing else None
    if message.HasField("force_local_zone"):
        enough = message.force_local_zone.min_size.value if message.force_local_zone.HasField("min_size") else 1
    return replace(_zone(message), force_local_zone=enough, by_weight=message.locality_basis == 1)


def _common(message: pb.cluster_v3.Cluster) -> LbConfig:
    return LbConfig(panic_threshold=_percent(message.common_lb_config, "healthy_panic_threshold", 50.0))


def _percent(message: Any, field: str, default: float) -> float:
    value: float = getattr(message, field).value if message.HasField(field) else default
    if isnan(value):
        raise RefusedError("Value not in the range of 0..100 range.")
    return value


def _least_request(base: LbConfig, message: Any) -> LbConfig:
    """Cluster.LeastRequestLbConfig, or the extension: they share these fields."""
    bias = message.active_request_bias.default_value if message.HasField("active_request_bias") else 1.0
    return replace(
        base,
        choice_count=message.choice_count.value if message.HasField("choice_count") else 2,
        active_request_bias=bias,
        slow_start=_slow_start(message.slow_start_config),
    )


def _ring(base: LbConfig, message: Any, murmur: bool) -> LbConfig:
    smallest = message.minimum_ring_size.value if message.HasField("minimum_ring_size") else MIN_RING
    largest = message.maximum_ring_size.value if message.HasField("maximum_ring_size") else MAX_RING
    if smallest > largest:
        raise RefusedError(f"ring hash: minimum_ring_size ({smallest}) > maximum_ring_size ({largest})")
    return replace(base, ring_min=smallest, ring_max=largest, ring_hash="MURMUR_HASH_2" if murmur else "XX_HASH")


def _maglev(base: LbConfig, message: Any) -> LbConfig:
    size = message.table_size.value if message.HasField("table_size") else MAGLEV_TABLE
    if size > MAX_TABLE or not _is_prime(size):
        raise RefusedError("The table size of maglev must be prime number")
    return replace(base, maglev_table=size)


def _is_prime(number: int) -> bool:
    """As Envoy's own test has it, 1 passes for a prime."""
    if number in (1, 2, 3):
        return True
    if number % 2 == 0 or number % 3 == 0:
        return False
    return all(number % each for each in range(5, int(number**0.5) + 1, 2))


def _slow_start(message: Any) -> SlowStart | None:
    window_s = seconds(message.slow_start_window)
    if not window_s:
        return None
    return SlowStart(
        window_s,
        message.aggression.default_value if message.HasField("aggression") else 1.0,
        _percent(message, "min_weight_percent", 10.0),
    )


# -- the typed form -------------------------------------------------------------------------------------------------


def _by_config(message: pb.cluster_v3.Cluster) -> Choice:
    common = message.common_lb_config
    if message.HasField("lb_subset_config"):
        raise RefusedError("cluster: load_balancing_policy cannot be combined with lb_subset_config")
    if common.WhichOneof("locality_config_specifier") or common.HasField("consistent_hashing_lb_config"):
        raise RefusedError(
            "cluster: load_balancing_policy cannot be combined with partial fields (zone_aware_lb_config, "
            "locality_weighted_lb_config, consistent_hashing_lb_config) of common_lb_config"
        )
    return _first(
        message.load_balancing_policy,
        _common(message),
        "cluster: didn't find a registered load balancer factory implementation for cluster: "
        f"'{message.name}' with names from [{{names}}]",
    )


def _first(policies: pb.cluster_v3.LoadBalancingPolicy, base: LbConfig, refusal: str) -> Choice:
    """The first policy that Envoy or another package has. One that nobody here knows may be one that Envoy has: round
    robin then."""
    unknown = False
    for each in policies.policies:
        packed = each.typed_extension_config.typed_config
        type_name = type_of(packed)
        if type_name in LOAD_BALANCING_POLICIES:
            return BY_MESSAGE[type_name.rpartition(".")[2]](base, unchecked(packed))
        own = brought(BALANCERS, each.typed_extension_config.name, packed, ("choose_host", "choose_host_for"))
        if own is not None:
            return "LOAD_BALANCING_POLICY_CONFIG", replace(base, extension=own)
        unknown = unknown or (bool(type_name) and find(type_name) is None)
    if unknown:
        return "ROUND_ROBIN", base
    raise RefusedError(refusal.format(names=", ".join(each.typed_extension_config.name for each in policies.policies)))


def _spread(base: LbConfig, message: pb.load_balancing_common_v3.LocalityLbConfig) -> LbConfig:
    return replace(
        base,
        locality_weighted=message.HasField("locality_weighted_lb_config"),
        zone=_typed_zone(message.zone_aware_lb_config),
    )


def _hashed(base: LbConfig, message: pb.ring_hash_v3.RingHash | pb.maglev_v3.Maglev) -> LbConfig:
    common = message.consistent_hashing_lb_config
    return replace(
        base,
        locality_weighted=message.HasField("locality_weighted_lb_config"),
        hash_balance_factor=common.hash_balance_factor.value or None,
        hash_by_hostname=common.use_hostname_for_hashing,
        hash_policies=hash_policies(common.hash_policy),
    )


def _typed_round_robin(base: LbConfig, message: pb.round_robin_v3.RoundRobin) -> Choice:
    spread = _spread(base, message.locality_lb_config)
    return "ROUND_ROBIN", replace(spread, slow_start=_slow_start(message.slow_start_config))


def _typed_least_request(base: LbConfig, message: pb.least_request_v3.LeastRequest) -> Choice:
    chosen = _least_request(_spread(base, message.locality_lb_config), message)
    return "LEAST_REQUEST", replace(chosen, full_scan=message.selection_method == 1)


def _typed_random(base: LbConfig, message: pb.random_v3.Random) -> Choice:
    return "RANDOM", _spread(base, message.locality_lb_config)


def _typed_ring_hash(base: LbConfig, message: pb.ring_hash_v3.RingHash) -> Choice:
    hashed = _hashed(base, message)
    if not message.HasField("consistent_hashing_lb_config"):
        # Deprecated: they count only where the message that replaced them is not there at all.
        factor, by_hostname = message.hash_balance_factor.value or None, message.use_hostname_for_hashing
        hashed = replace(hashed, hash_balance_factor=factor, hash_by_hostname=by_hostname)
    # XX_HASH is 1 here and MURMUR_HASH_2 is 2; 0 is the default, which is XX_HASH.
    return "RING_HASH", _ring(hashed, message, message.hash_function == 2)


def _typed_maglev(base: LbConfig, message: pb.maglev_v3.Maglev) -> Choice:
    return "MAGLEV", _maglev(_hashed(base, message), message)


def _typed_subset(base: LbConfig, message: pb.subset_v3.Subset) -> Choice:
    policy, config = _first(message.subset_lb_policy, base, NO_SUBSET)
    return policy, replace(config, subset=subset_config(message))


def _override_host(base: LbConfig, message: pb.override_host_v3.OverrideHost) -> Choice:
    checked(message)
    for each in message.override_host_sources:
        if each.HasField("metadata") and each.header:
            raise RefusedError("Only one override source must be set")
        if not each.HasField("metadata") and not each.header:
            raise RefusedError("Empty override source")
    policy, config = _first(message.fallback_policy, base, NO_FALLBACK)
    # What a source in the request's metadata says is never there: no filter here writes it.
    return policy, replace(
        config, override_headers=tuple(each.header for each in message.override_host_sources if each.header)
    )


def _typed_client_side(base: LbConfig, message: Any) -> Choice:
    def given_s(field: str, default_s: float) -> float:
        return seconds(getattr(message, field)) if message.HasField(field) else default_s

    weights = ClientSideWeights(
        metrics=tuple(message.metric_names_for_computing_utilization),
        # 0 where it is not given, whatever the comment at the field says (envoy source).
        penalty=message.error_utilization_penalty.value,
        blackout_s=given_s("blackout_period", 10.0),
        expiration_s=given_s("weight_expiration_period", 180.0),
        update_s=given_s("weight_update_period", 1.0),
        out_of_band_s=(
            given_s("oob_reporting_period", 0.0) or DEFAULT_REPORTING_S
            if message.enable_oob_load_report.value
            else None
        ),
        out_of_band_port=message.oob_reporting_config.port_value,
        out_of_band_authority=message.oob_reporting_config.authority,
    )
    return "ROUND_ROBIN", replace(base, client_side=weights, slow_start=_slow_start(message.slow_start_config))


def _typed_wrr_locality(base: LbConfig, message: pb.wrr_locality_v3.WrrLocality) -> Choice:
    for each in message.endpoint_picking_policy.policies:
        type_name = type_of(each.typed_extension_config.typed_config)
        if type_name in LOAD_BALANCING_POLICIES:
            if not type_name.endswith(".ClientSideWeightedRoundRobin"):
                raise RefusedError(WRR_LOCALITY)
            inner = unchecked(each.typed_extension_config.typed_config)
            return "ROUND_ROBIN", replace(_typed_client_side(base, inner)[1], locality_weighted=True)
        if find(type_name) is None:
            return "ROUND_ROBIN", replace(base, locality_weighted=True)
    raise RefusedError("No supported endpoint picking policy.")


DEFAULT_REPORTING_S = 10.0

NO_SUBSET = (
    "cluster: didn't find a registered load balancer factory implementation for subset lb with names from [{names}]"
)
NO_FALLBACK = "dynamic forwarding LB: didn't find a registered fallback load balancer factory with names from {names}"

BY_MESSAGE: Mapping[str, Callable[[LbConfig, Any], Choice]] = {
    "ClientSideWeightedRoundRobin": _typed_client_side,
    "ClusterProvided": lambda base, message: ("CLUSTER_PROVIDED", base),
    "LeastRequest": _typed_least_request,
    "Maglev": _typed_maglev,
    "OverrideHost": _override_host,
    "Random": _typed_random,
    "RingHash": _typed_ring_hash,
    "RoundRobin": _typed_round_robin,
    "Subset": _typed_subset,
    "WrrLocality": _typed_wrr_locality,
}
"""What each extension of `LOAD_BALANCING_POLICIES` amounts to, by the last part of its message's name."""
