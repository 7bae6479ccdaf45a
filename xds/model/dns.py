"""How host names are resolved (Cluster, DnsCluster, DnsCacheConfig)."""

from typing import Literal

from .records import dataclass
from .values import Address


@dataclass(frozen=True, slots=True)
class DnsOptions:
    """How STRICT_DNS and LOGICAL_DNS resolve. `servers`: to be asked instead of the machine's resolver."""

    refresh_rate_s: float = 5.0
    respect_ttl: bool = False
    min_refresh_rate_s: float = 0.0
    """The least that a TTL counts."""
    jitter_s: float = 0.0
    lookup_family: Literal["AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL"] = "AUTO"
    failure_refresh_base_s: float | None = None
    failure_refresh_max_s: float | None = None
    servers: tuple[Address, ...] = ()
    servers_are_fallback: bool = False
    """Only where the machine has no resolver of its own (CaresDnsResolverConfig.use_resolvers_as_fallback)."""
    use_tcp: bool = False
    no_search: bool = False
    query_timeout_s: float = 5.0
    query_tries: int = 4


DNS_CACHE_PORT, DNS_CACHE_TLS_PORT = 80, 443
"""The port of a host that names none, by the cluster's transport socket."""


@dataclass(frozen=True, slots=True)
class DnsCache:
    """envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig; filters and clusters share caches by name."""

    name: str
    options: DnsOptions = DnsOptions(refresh_rate_s=60.0, respect_ttl=True, min_refresh_rate_s=5.0)
    host_ttl_s: float = 300.0
    max_hosts: int = 1024
    max_pending: int = 1024
    query_timeout_s: float = 5.0
