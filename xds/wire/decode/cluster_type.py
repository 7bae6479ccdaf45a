"""How a cluster finds its endpoints: by the enum or by an extension (Cluster.DiscoveryType, CustomClusterType)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ...model.cluster import DiscoveryType
from ...model.dns import DnsCache, DnsOptions
from ...model.values import Address
from ..opening import as_it_is, open_any, type_of
from ..refused import RefusedError
from ..schema import find
from ..schema import types as pb
from .extensions import CLUSTERS, DNS_RESOLVERS, extension, type_at
from .values import named, seconds

TYPES: tuple[DiscoveryType, ...] = ("STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS", "ORIGINAL_DST")

Family = Literal["AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL"]
FAMILIES: tuple[Family, ...] = ("AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL")

CARES = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"

BY_NAME: Mapping[str, DiscoveryType] = {
    "envoy.cluster.eds": "EDS",
    "envoy.cluster.logical_dns": "LOGICAL_DNS",
    "envoy.cluster.original_dst": "ORIGINAL_DST",
    "envoy.cluster.static": "STATIC",
    "envoy.cluster.strict_dns": "STRICT_DNS",
}
"""Extensions without a configuration of their own: the cluster's fields are theirs."""

DEFAULT_HEADER = "x-envoy-original-dst-host"


def discovery_type(message: pb.cluster_v3.Cluster) -> DiscoveryType:
    """UNKNOWN for an extension that is not understood: such a cluster has no endpoints."""
    if message.HasField("cluster_type"):
        if message.HasField("eds_cluster_config"):
            raise RefusedError("eds_cluster_config set in a non-EDS cluster")
        return _custom(message.cluster_type)
    type_ = TYPES[message.type]
    if type_ != "EDS" and message.HasField("eds_cluster_config"):
        raise RefusedError("eds_cluster_config set in a non-EDS cluster")
    if type_ == "EDS" and not message.eds_cluster_config.HasField("eds_config"):
        raise RefusedError("cannot create an EDS cluster without an EDS config")
    return type_


def _custom(message: pb.cluster_v3.Cluster.CustomClusterType) -> DiscoveryType:
    type_name = type_of(message.typed_config)
    if not type_name:
        if message.name not in BY_NAME:
            raise RefusedError(f"Didn't find a registered cluster factory implementation for name: '{message.name}'")
        found = BY_NAME[message.name]
        if found == "EDS":
            raise RefusedError("cannot create an EDS cluster without an EDS config")
        return found
    if type_name not in CLUSTERS and find(type_name) is not None:
        raise RefusedError(f"Didn't find a registered cluster factory implementation for type: '{type_name}'")
    opened = open_any(message.typed_config)
    match opened:
        case pb.clusters_dns_v3.DnsCluster():
            return "LOGICAL_DNS" if opened.all_addresses_in_single_endpoint else "STRICT_DNS"
        case pb.clusters_original_dst_v3.OriginalDstCluster():
            return "ORIGINAL_DST"
        case pb.clusters_dynamic_forward_proxy_v3.ClusterConfig():
            return "DYNAMIC_FORWARD_PROXY" if opened.HasField("dns_cache_config") else "UNKNOWN"
        case pb.aggregate_v3.ClusterConfig():
            return "AGGREGATE"
        case _:
            return "UNKNOWN"


def aggregated(message: pb.cluster_v3.Cluster) -> tuple[str, ...]:
    """The clusters that an aggregate joins."""
    opened = _opened(message)
    return tuple(opened.clusters) if isinstance(opened, pb.aggregate_v3.ClusterConfig) else ()


def original_dst(message: pb.cluster_v3.Cluster) -> tuple[str, int]:
    """The header that names the destination and the port that counts in place of its own, where there is one."""
    config: pb.cluster_v3.Cluster.OriginalDstLbConfig | pb.clusters_original_dst_v3.OriginalDstCluster
    config = message.original_dst_lb_config
    opened = _opened(message)
    if isinstance(opened, pb.clusters_original_dst_v3.OriginalDstCluster):
        config = opened
    if config.http_header_name and not config.use_http_header:
        raise RefusedError(
            f"ORIGINAL_DST cluster: invalid config http_header_name={config.http_header_name} and use_http_header is "
            "false. Set use_http_header to true if http_header_name is desired."
        )
    header = config.http_header_name.lower() or DEFAULT_HEADER if config.use_http_header else ""
    return header, config.upstream_port_override.value


def dns_options(message: pb.cluster_v3.Cluster, type_: DiscoveryType) -> DnsOptions:
    """How names are resolved; the extension's own fields where it is one. Only who resolves looks at the resolver."""
    opened = _opened(message)
    config: pb.cluster_v3.Cluster | pb.clusters_dns_v3.DnsCluster = message
    # The families of the extension begin with UNSPECIFIED, which is AUTO.
    families: tuple[Family, ...] = FAMILIES
    respect_ttl = message.respect_dns_ttl
    if isinstance(opened, pb.clusters_dns_v3.DnsCluster):
        config, families, respect_ttl = opened, ("AUTO", *FAMILIES), opened.respect_dns_ttl
    asked = _resolver(config) if type_ in ("STRICT_DNS", "LOGICAL_DNS") else {}
    failure = config.dns_failure_refresh_rate
    given = config.HasField("dns_failure_refresh_rate")
    base_s, max_s = seconds(failure.base_interval), seconds(failure.max_interval)
    if failure.HasField("max_interval") and max_s < base_s:
        raise RefusedError("dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval")
    return DnsOptions(
        refresh_rate_s=seconds(config.dns_refresh_rate) if config.HasField("dns_refresh_rate") else 5.0,
        respect_ttl=respect_ttl,
        jitter_s=seconds(config.dns_jitter),
        lookup_family=named(families, config.dns_lookup_family),
        failure_refresh_base_s=base_s if given else None,
        failure_refresh_max_s=max_s or None if given else None,
        min_refresh_rate_s=(
            seconds(config.dns_min_refresh_rate) if isinstance(config, pb.clusters_dns_v3.DnsCluster) else 0.0
        ),
        **asked,
    )


Asking = pb.cluster_v3.Cluster | pb.clusters_dns_v3.DnsCluster | pb.common_dynamic_forward_proxy_v3.DnsCacheConfig


def _resolver(config: Asking) -> dict[str, Any]:
    """Who is asked: the typed resolver where there is one, else the older fields of the cluster (selectDnsResolver)."""
    if config.HasField("typed_dns_resolver_config"):
        resolver = config.typed_dns_resolver_config
        if type_at(resolver.name, resolver.typed_config, DNS_RESOLVERS) != CARES:
            extension(resolver.name, resolver.typed_config, DNS_RESOLVERS)
            return {}
        # Envoy applies no rule to what is in it.
        cares = as_it_is(resolver.typed_config)
        if not isinstance(cares, pb.cares_v3.CaresDnsResolverConfig):
            raise AssertionError("the type is CARES")
        found: dict[str, Any] = {
            "servers": tuple(_server(each) for each in cares.resolvers),
            "servers_are_fallback": cares.use_resolvers_as_fallback,
            "use_tcp": cares.dns_resolver_options.use_tcp_for_dns_lookups,
            "no_search": cares.dns_resolver_options.no_default_search_domain,
        }
        if cares.query_timeout_seconds.value:
            found["query_timeout_s"] = float(cares.query_timeout_seconds.value)
        if cares.query_tries.value:
            found["query_tries"] = cares.query_tries.value
        return found
    if isinstance(config, pb.clusters_dns_v3.DnsCluster):
        return {}
    if config.HasField("dns_resolution_config"):
        older = config.dns_resolution_config
        return {
            "servers": tuple(_server(each) for each in older.resolvers),
            "use_tcp": older.dns_resolver_options.use_tcp_for_dns_lookups,
            "no_search": older.dns_resolver_options.no_default_search_domain,
        }
    servers = config.dns_resolvers if isinstance(config, pb.cluster_v3.Cluster) else ()
    return {"servers": tuple(_server(each) for each in servers), "use_tcp": config.use_tcp_for_dns_lookups}


def _server(message: pb.core_v3.Address) -> Address:
    return Address(message.socket_address.address, message.socket_address.port_value)


def dns_cache(
    message: pb.cluster_v3.Cluster, options: pb.upstreams_http_v3.HttpProtocolOptions | None
) -> DnsCache | None:
    """Of a dynamic forward proxy without sub clusters; `options` are the cluster's own of HTTP."""
    opened = _opened(message)
    if not isinstance(opened, pb.clusters_dynamic_forward_proxy_v3.ClusterConfig):
        return None
    if options is not None and not opened.allow_insecure_cluster_options:
        upstream = options.upstream_http_protocol_options
        if not (upstream.auto_sni and upstream.auto_san_validation):
            raise RefusedError(
                "dynamic_forward_proxy cluster must have auto_sni and auto_san_validation true unless "
                "allow_insecure_cluster_options is set."
            )
    return cache_config(opened.dns_cache_config) if opened.HasField("dns_cache_config") else None


def cache_config(message: pb.common_dynamic_forward_proxy_v3.DnsCacheConfig) -> DnsCache:
    """DnsCacheConfig, of a cluster or a filter."""
    given = message.HasField
    failure = message.dns_failure_refresh_rate
    asked = _resolver(message)
    options = DnsOptions(
        refresh_rate_s=seconds(message.dns_refresh_rate) if given("dns_refresh_rate") else 60.0,
        respect_ttl=True,
        min_refresh_rate_s=seconds(message.dns_min_refresh_rate) if given("dns_min_refresh_rate") else 5.0,
        lookup_family=named(FAMILIES, message.dns_lookup_family),
        failure_refresh_base_s=seconds(failure.base_interval) if given("dns_failure_refresh_rate") else None,
        failure_refresh_max_s=seconds(failure.max_interval) or None,
        **asked,
    )
    pending = message.dns_cache_circuit_breaker.max_pending_requests
    return DnsCache(
        message.name,
        options,
        host_ttl_s=seconds(message.host_ttl) if given("host_ttl") else 300.0,
        max_hosts=message.max_hosts.value if given("max_hosts") else 1024,
        max_pending=pending.value if message.dns_cache_circuit_breaker.HasField("max_pending_requests") else 1024,
        query_timeout_s=seconds(message.dns_query_timeout) if given("dns_query_timeout") else 5.0,
    )


def _opened(message: pb.cluster_v3.Cluster) -> object | None:
    if not message.HasField("cluster_type") or not message.cluster_type.HasField("typed_config"):
        return None
    return open_any(message.cluster_type.typed_config)
