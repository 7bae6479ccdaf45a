"""Hosts that are resolved when they are called: of DYNAMIC_DNS entries, and any host under ALLOW_ANY_DYNAMIC_DNS.

A filter before the router (HTTP) or the TCP proxy (TLS, by its SNI) resolves the name into a cache, and the cluster of
that cache connects to what was found. Filter and cluster find each other by the cache's name.
"""

from __future__ import annotations

from ...wire.schema.types import (
    cares_v3,
    cluster_v3,
    clusters_dynamic_forward_proxy_v3,
    common_dynamic_forward_proxy_v3,
    http_connection_manager_v3,
    http_dynamic_forward_proxy_v3,
    listener_v3,
    sni_dynamic_forward_proxy_v3,
    upstreams_http_v3,
)
from ..hosts import is_ip, is_wildcard
from ..registry.protocols import Protocol
from ..registry.proxy import Proxy
from ..registry.services import Service
from .messages import pack, socket_address, u32

Cluster = cluster_v3.Cluster
Cache = common_dynamic_forward_proxy_v3.DnsCacheConfig
HttpFilter = http_connection_manager_v3.HttpFilter

ANY_MODE = "ALLOW_ANY_DYNAMIC_DNS"
ANY_HOST = "allow_any_dynamic_dns"
ANY_CLUSTER = "AllowAnyDynamicDNSCluster"
SERVED: frozenset[Protocol] = frozenset({"HTTP", "TLS", "GRPC", "HTTP2"})
"""The protocols that such an entry's ports may have; others have no cluster."""

_SNI_FILTER = "envoy.extensions.filters.network.sni_dynamic_forward_proxy"
_FORWARDS = "envoy.clusters.dynamic_forward_proxy"
_MOST_HOSTS = 1024
_AGENTS_DNS = ("127.0.0.1", 15053)


def dns_family(addresses: tuple[str, ...]) -> int:
    """IPv6 only where the proxy has nothing else."""
    six = addresses and all(":" in address for address in addresses if is_ip(address))
    return Cluster.V6_ONLY if six else Cluster.V4_ONLY


def resolves(service: Service) -> bool:
    """Whether callers resolve the name of what they call, since the service has but a pattern."""
    return service.resolution == "DynamicDNS" and is_wildcard(service.hostname)


def cache_of(service: Service, family: int) -> Cache:
    return Cache(name=f"{service.hostname}_dfp_dns_cache", dns_lookup_family=family)


def cache_of_any(proxy: Proxy) -> Cache:
    """For hosts that nobody knows. Where the agent captures DNS it is asked itself."""
    made = Cache(
        name="allow_any_dfp_dns_cache", max_hosts=u32(_MOST_HOSTS), dns_lookup_family=dns_family(proxy.node.addresses)
    )
    if proxy.node.flag("DNS_CAPTURE"):
        host, port = _agents_dns(proxy.node.text("DNS_PROXY_ADDR"))
        resolver = cares_v3.CaresDnsResolverConfig(resolvers=[socket_address(host, port)])
        made.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
        made.typed_dns_resolver_config.typed_config.CopyFrom(pack(resolver))
    return made


def _agents_dns(written: str) -> tuple[str, int]:
    host, _, port = written.rpartition(":")
    if not port.isdecimal():
        return _AGENTS_DNS
    host = host.removeprefix("[").removesuffix("]")
    return "127.0.0.1" if host == "localhost" else host, int(port)


def http_filter(held: Cache) -> HttpFilter:
    config = http_dynamic_forward_proxy_v3.FilterConfig(dns_cache_config=held)
    return HttpFilter(name="envoy.filters.http.dynamic_forward_proxy", typed_config=pack(config))


def sni_filter(held: Cache, port: int) -> listener_v3.Filter:
    config = sni_dynamic_forward_proxy_v3.FilterConfig(dns_cache_config=held, port_value=port)
    return listener_v3.Filter(name=_SNI_FILTER, typed_config=pack(config))


def nameless_port(made: listener_v3.Listener) -> bool:
    """Whether Envoy refuses a listener because what is called there would have no port: that of a Unix socket is 0."""
    return any(
        sni_dynamic_forward_proxy_v3.FilterConfig.FromString(each.typed_config.value).port_value == 0
        for chain in (*made.filter_chains, made.default_filter_chain)
        for each in chain.filters
        if each.name == _SNI_FILTER
    )


def forwarding(name: str, held: Cache, *, insecure: bool = False) -> Cluster:
    """A cluster that connects to what the cache holds."""
    made = Cluster(name=name, lb_policy=Cluster.CLUSTER_PROVIDED, alt_stat_name=f"{name};")
    made.cluster_type.name = _FORWARDS
    config = clusters_dynamic_forward_proxy_v3.ClusterConfig(
        dns_cache_config=held, allow_insecure_cluster_options=insecure
    )
    made.cluster_type.typed_config.CopyFrom(pack(config))
    return made


def refused(made: Cluster) -> bool:
    """Whether Envoy refuses it. Settings for HTTP without those of TLS by the name that is called seem unsafe to it."""
    if made.cluster_type.name != _FORWARDS or not made.typed_extension_protocol_options:
        return False
    config = clusters_dynamic_forward_proxy_v3.ClusterConfig.FromString(made.cluster_type.typed_config.value)
    (held,) = made.typed_extension_protocol_options.values()
    upstream = upstreams_http_v3.HttpProtocolOptions.FromString(held.value).upstream_http_protocol_options
    return not config.allow_insecure_cluster_options and not (upstream.auto_sni and upstream.auto_san_validation)


def allow_insecure(made: Cluster) -> None:
    """Envoy asks for it where the name that is called is not what the certificate is checked against."""
    config = clusters_dynamic_forward_proxy_v3.ClusterConfig.FromString(made.cluster_type.typed_config.value)
    config.allow_insecure_cluster_options = True
    made.cluster_type.typed_config.CopyFrom(pack(config))
