"""Clusters (envoy.config.cluster.v3)."""

from dataclasses import field
from typing import Literal

from .dns import DnsCache, DnsOptions
from .endpoint import ClusterLoadAssignment
from .extension import Extension
from .health_check import HealthCheck
from .matchers import ResponsePredicate
from .records import dataclass
from .route import HashPolicy, MirrorPolicy, RetryPolicy
from .subsets import SubsetConfig
from .tls import UpstreamTls
from .values import FilterMetadata, MetadataValue, Note

DiscoveryType = Literal[
    "STATIC", "STRICT_DNS", "LOGICAL_DNS", "EDS", "ORIGINAL_DST", "DYNAMIC_FORWARD_PROXY", "AGGREGATE", "UNKNOWN"
]
LbPolicy = Literal[
    "ROUND_ROBIN",
    "LEAST_REQUEST",
    "RING_HASH",
    "RANDOM",
    "MAGLEV",
    "CLUSTER_PROVIDED",
    "LOAD_BALANCING_POLICY_CONFIG",
]
UpstreamProtocol = Literal["http1", "http2", "http3", "downstream", "auto"]

UNLIMITED = 4294967295


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """CircuitBreakers.Thresholds.RetryBudget: how many retries may be under way, in percent of the requests under way,
    or of those begun within the last `interval_s`; `min_concurrency` always may."""

    percent: float = 20.0
    min_concurrency: int = 3
    interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """CircuitBreakers.Thresholds of one routing priority; the defaults are Envoy's."""

    max_connections: int = 1024
    max_pending_requests: int = 1024
    max_requests: int = 1024
    max_retries: int = 3
    max_connection_pools: int | None = None
    retry_budget: RetryBudget | None = None
    """In place of `max_retries`."""
    max_connections_per_host: int | None = None
    """CircuitBreakers.per_host_thresholds."""


@dataclass(frozen=True, slots=True)
class TcpKeepalive:
    """envoy.config.core.v3.TcpKeepalive: probes on idle connections; None is what the operating system says."""

    probes: int | None = None
    time_s: int | None = None
    interval_s: int | None = None


@dataclass(frozen=True, slots=True)
class HttpProtocol:
    """envoy.extensions.upstreams.http.v3.HttpProtocolOptions as far as it concerns a client."""

    protocol: UpstreamProtocol = "http1"
    idle_timeout_s: float | None = 3600.0
    max_connection_duration_s: float | None = None
    max_requests_per_connection: int | None = None
    max_concurrent_streams: int | None = None
    proper_case: bool = False
    """Http1ProtocolOptions.header_key_format: names of headers in proper words."""
    auto_sni: bool = False
    """UpstreamHttpProtocolOptions: SNI is the host that a request is for."""
    auto_san_validation: bool = False
    """The certificate must name that host."""
    override_auto_sni_header: str = ""
    """The header that names it in place of the host."""
    hash_policies: tuple[HashPolicy, ...] = ()
    """They stand before those of a route."""
    max_stream_duration_s: float | None = None
    retry: RetryPolicy | None = None
    """Its conditions and numbers stand in place of the routes'; its timeouts of tries do not count."""
    error_matcher: ResponsePredicate | None = None
    """Which responses outlier detection takes for errors, whatever their status."""
    mirrors: tuple[MirrorPolicy, ...] = ()
    """They stand before those of a route."""


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """envoy.config.cluster.v3.OutlierDetection; times in seconds, shares in percent, the defaults are Envoy's."""

    consecutive_5xx: int = 5
    interval_s: float = 10.0
    base_ejection_time_s: float = 30.0
    max_ejection_time_s: float = 300.0
    max_ejection_time_jitter_s: float = 0.0
    max_ejection_percent: int = 10
    enforcing_consecutive_5xx: int = 100
    enforcing_success_rate: int = 100
    success_rate_minimum_hosts: int = 5
    success_rate_request_volume: int = 100
    success_rate_stdev_factor: int = 1900
    consecutive_gateway_failure: int = 5
    enforcing_consecutive_gateway_failure: int = 0
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failure: int = 5
    enforcing_consecutive_local_origin_failure: int = 100
    enforcing_local_origin_success_rate: int = 100
    failure_percentage_threshold: int = 85
    enforcing_failure_percentage: int = 0
    enforcing_failure_percentage_local_origin: int = 0
    failure_percentage_minimum_hosts: int = 5
    failure_percentage_request_volume: int = 50
    always_eject_one_host: bool = False
    successful_active_health_check_uneject_host: bool = True
    detect_degraded_hosts: bool = False


@dataclass(frozen=True, slots=True)
class TransportSocket:
    """How to talk to an endpoint: plaintext, or by TLS where there is `upstream`."""

    name: str = ""
    upstream: UpstreamTls | None = None
    unsupported: str = ""
    """Why it is not understood, in words: endpoints behind it fail with UF."""

    @property
    def tls(self) -> bool:
        """Whether an endpoint is spoken to by TLS."""
        return self.upstream is not None


@dataclass(frozen=True, slots=True)
class TransportSocketMatch:
    """Cluster.TransportSocketMatch: endpoint metadata `envoy.transport_socket_match` that selects a socket."""

    name: str
    match: dict[str, MetadataValue]
    socket: TransportSocket


@dataclass(frozen=True, slots=True)
class SlowStart:
    """Cluster.SlowStartConfig."""

    window_s: float
    aggression: float = 1.0
    min_weight_percent: float = 10.0


@dataclass(frozen=True, slots=True)
class ZoneAware:
    """LocalityLbConfig.ZoneAwareLbConfig; the defaults are Envoy's, and hold where it is not given at all.

    `force_local_zone`: how many healthy hosts in the own zone keep all requests there; None: zones share the load.
    """

    routing_enabled: float = 100.0
    min_cluster_size: int = 6
    fail_traffic_on_panic: bool = False
    force_local_zone: int | None = None
    by_weight: bool = False


@dataclass(frozen=True, slots=True)
class ClientSideWeights:
    """ClientSideWeightedRoundRobin: how endpoints are weighed by the load that they report (ORCA)."""

    metrics: tuple[str, ...] = ()
    penalty: float = 0.0
    blackout_s: float = 10.0
    expiration_s: float = 180.0
    update_s: float = 1.0
    out_of_band_s: float | None = None
    """How often endpoints report by a stream of their own; None: with responses only."""
    out_of_band_port: int = 0
    """Where they do, in place of their own port; 0 for that."""
    out_of_band_authority: str = ""


@dataclass(frozen=True, slots=True)
class LbConfig:
    """The parameters of the balancing policy (Cluster.*LbConfig, CommonLbConfig)."""

    choice_count: int = 2
    full_scan: bool = False
    active_request_bias: float = 1.0
    slow_start: SlowStart | None = None
    ring_min: int = 1024
    ring_max: int = 8 * 1024 * 1024
    ring_hash: Literal["XX_HASH", "MURMUR_HASH_2"] = "XX_HASH"
    maglev_table: int = 65537
    hash_balance_factor: int | None = None
    hash_by_hostname: bool = False
    hash_policies: tuple[HashPolicy, ...] = ()
    """The balancing policy's own: they stand before those of the cluster and of a route."""
    panic_threshold: float = 50.0
    locality_weighted: bool = False
    zone: ZoneAware = ZoneAware()
    override_host_status: tuple[str, ...] = ()
    override_headers: tuple[str, ...] = ()
    """Headers that name endpoints to take before the policy is asked (OverrideHost.override_host_sources)."""
    subset: SubsetConfig | None = None
    client_side: ClientSideWeights | None = None
    extension: Extension | None = None
    """The policy of another package (LOAD_BALANCING_POLICY_CONFIG)."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """envoy.config.cluster.v3.Cluster."""

    name: str
    type: DiscoveryType = "STATIC"
    eds_service_name: str = ""
    load_assignment: ClusterLoadAssignment | None = None
    lb_policy: LbPolicy = "ROUND_ROBIN"
    lb: LbConfig = LbConfig()
    connect_timeout_s: float = 5.0
    keepalive: TcpKeepalive | None = None
    default_thresholds: Thresholds = Thresholds()
    high_thresholds: Thresholds = Thresholds()
    http: HttpProtocol = HttpProtocol()
    outlier_detection: OutlierDetection | None = None
    health_check: HealthCheck | None = None
    ignore_new_hosts: bool = False
    """CommonLbConfig.ignore_new_hosts_until_first_hc."""
    drains_on_change: bool = False
    """CommonLbConfig.close_connections_on_host_set_change."""
    transport_socket: TransportSocket = TransportSocket()
    transport_socket_matches: tuple[TransportSocketMatch, ...] = ()
    secrets: frozenset[str] = frozenset()
    """What its sockets take from the control plane by name: without them nobody can be spoken to."""
    dns: DnsOptions = DnsOptions()
    dns_cache: DnsCache | None = None
    """Of a dynamic forward proxy: where its hosts are found."""
    aggregate: tuple[str, ...] = ()
    """The clusters that an aggregate joins (envoy.extensions.clusters.aggregate.v3.ClusterConfig.clusters)."""
    metadata: FilterMetadata = field(default_factory=dict)
    original_dst_header: str = ""
    """The header of a request that names the endpoint in place of what was dialled (OriginalDstLbConfig)."""
    original_dst_port: int = 0
    """In place of the port that was dialled or named; 0 without one."""
    alt_stat_name: str = ""
    buffer_limit: int = 1024 * 1024
    notes: tuple[Note, ...] = ()

    @property
    def assignment_name(self) -> str:
        """The name to ask EDS for: the service name where there is one, else the cluster's."""
        return self.eds_service_name or self.name
