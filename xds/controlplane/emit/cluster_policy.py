"""A traffic policy on a cluster: thresholds, outlier detection, balancing, TLS, in istiod's order."""

from __future__ import annotations

from collections.abc import Iterable

from ...wire.schema.types import (
    cluster_v3,
    common_matcher_v3,
    core_v3,
    matcher_v3,
    route_v3,
    type_v3,
)
from ..api.destination_rule import (
    ConnectionPoolSettings,
    HTTPSettings,
    LoadBalancerSettings,
    OutlierDetection,
    RetryBudget,
    TcpKeepalive,
    TCPSettings,
    TrafficPolicy,
    WarmupConfiguration,
)
from ..api.fields import UINT32_MAX
from ..mesh import MeshConfig
from ..registry import protocols
from ..registry.services import Service
from . import filters
from .cluster_target import Cluster, Options, Target
from .cluster_tls import announce, encrypt
from .locality import effective
from .messages import duration, percent, u32, u64


def apply(cluster: Cluster, policy: TrafficPolicy | None, target: Target) -> Options | None:
    """Changes the cluster; returns its HTTP options, if it has any."""
    policy = policy or TrafficPolicy()
    pool = policy.connection_pool or ConnectionPoolSettings()
    http, tcp = pool.http or HTTPSettings(), pool.tcp or TCPSettings()
    options = _protocol(target, http)
    _thresholds(cluster, http, tcp, policy.retry_budget)
    cluster.connect_timeout.CopyFrom(
        duration(target.mesh.connect_timeout if tcp.connect_timeout is None else tcp.connect_timeout)
    )
    _keepalive(cluster, target.mesh, tcp)
    options = _connections(options, http, tcp)
    if target.outbound:
        _outlier(cluster, policy.outlier_detection, target.service)
        if policy.outlier_detection and policy.outlier_detection.outlier_detection_http_error_codes:
            options = options or Options()
            codes = policy.outlier_detection.outlier_detection_http_error_codes
            options.outlier_detection.error_matcher.CopyFrom(_errors(codes))
        _balance(cluster, policy.load_balancer, target)
        options = encrypt(cluster, policy.tls, target, options)
        if policy.proxy_protocol is not None:
            announce(cluster, policy.proxy_protocol.version)
    if cluster.type == Cluster.ORIGINAL_DST:
        cluster.lb_policy = Cluster.CLUSTER_PROVIDED
    if options is not None and options.WhichOneof("upstream_protocol_options") is None:
        options.explicit_http_config.http_protocol_options.SetInParent()
    return options


def _protocol(target: Target, http: HTTPSettings) -> Options | None:
    """HTTP/2 where the port says so or a policy upgrades, the caller's protocol where nothing is declared."""
    protocol = target.port.protocol
    options: Options | None = None
    if protocol in protocols.HTTP2:
        options = Options()
        options.explicit_http_config.http2_protocol_options.SetInParent()
    elif target.keep_case and protocol in protocols.HTTP_OR_SNIFFED:
        options = Options()
        options.explicit_http_config.http_protocol_options.header_key_format.CopyFrom(filters.preserve_case())
    if protocol in protocols.SNIFFED:
        options = _downstream(options)
    if options is None and target.outbound and _upgraded(target, http):
        options = Options()
        options.explicit_http_config.http2_protocol_options.SetInParent()
    return options


def _downstream(options: Options | None) -> Options:
    options = options or Options()
    http1 = core_v3.Http1ProtocolOptions()
    http1.CopyFrom(options.explicit_http_config.http_protocol_options)
    options.use_downstream_protocol_config.http_protocol_options.CopyFrom(http1)
    options.use_downstream_protocol_config.http2_protocol_options.SetInParent()
    return options


def _upgraded(target: Target, http: HTTPSettings) -> bool:
    if http.use_client_protocol or http.h2_upgrade_policy == "DO_NOT_UPGRADE":
        return False
    if http.h2_upgrade_policy == "UPGRADE":
        return True
    return target.mesh.h2_upgrade_policy == "UPGRADE" and target.port.protocol in protocols.HTTP


def _thresholds(cluster: Cluster, http: HTTPSettings, tcp: TCPSettings, budget: RetryBudget | None) -> None:
    """Without a limit the limit is as high as it goes: Envoy's own default of 1024 would be one."""
    made = cluster_v3.CircuitBreakers.Thresholds(
        max_connections=u32(tcp.max_connections if tcp.max_connections > 0 else UINT32_MAX),
        max_pending_requests=u32(
            http.http1_max_pending_requests if http.http1_max_pending_requests > 0 else UINT32_MAX
        ),
        max_requests=u32(http.http2_max_requests if http.http2_max_requests > 0 else UINT32_MAX),
        max_retries=u32(http.max_retries if http.max_retries > 0 else UINT32_MAX),
    )
    if budget is not None:
        made.retry_budget.budget_percent.value = 20.0 if budget.percent is None else budget.percent
        made.retry_budget.min_retry_concurrency.value = budget.min_retry_concurrency or 3
        if budget.budget_interval is not None:
            made.retry_budget.budget_interval.CopyFrom(duration(budget.budget_interval))
    cluster.circuit_breakers.thresholds.append(made)


def limited(cluster: Cluster, mesh: MeshConfig, pool: ConnectionPoolSettings) -> None:
    """A pool on a cluster that goes wherever it is told; an empty one has no limits."""
    http, tcp = pool.http or HTTPSettings(), pool.tcp or TCPSettings()
    _thresholds(cluster, http, tcp, None)
    cluster.connect_timeout.CopyFrom(
        duration(mesh.connect_timeout if tcp.connect_timeout is None else tcp.connect_timeout)
    )
    _keepalive(cluster, mesh, tcp)


def _keepalive(cluster: Cluster, mesh: MeshConfig, tcp: TCPSettings) -> None:
    """The mesh's, then what a rule says otherwise."""
    for wanted in (mesh.tcp_keepalive, tcp.tcp_keepalive):
        if wanted is not None:
            _keep_alive(cluster, wanted)


def _keep_alive(cluster: Cluster, wanted: TcpKeepalive) -> None:
    made = cluster.upstream_connection_options.tcp_keepalive
    made.SetInParent()
    if wanted.probes:
        made.keepalive_probes.value = wanted.probes
    if wanted.time is not None:
        made.keepalive_time.value = int(wanted.time)
    if wanted.interval is not None:
        made.keepalive_interval.value = int(wanted.interval)


def _connections(options: Options | None, http: HTTPSettings, tcp: TCPSettings) -> Options | None:
    idle = tcp.idle_timeout if http.idle_timeout is None else http.idle_timeout
    wanted = (
        tcp.max_connection_duration is not None
        or idle is not None
        or http.max_requests_per_connection > 0
        or http.max_concurrent_streams > 0
        or http.http2_keep_alive is not None
    )
    if wanted:
        options = options or Options()
        common = options.common_http_protocol_options
        common.SetInParent()
        if idle is not None:
            common.idle_timeout.CopyFrom(duration(idle))
        if http.max_requests_per_connection > 0:
            common.max_requests_per_connection.value = http.max_requests_per_connection
        if tcp.max_connection_duration is not None:
            common.max_connection_duration.CopyFrom(duration(tcp.max_connection_duration))
        if options.explicit_http_config.HasField("http2_protocol_options"):
            _http2(options.explicit_http_config.http2_protocol_options, http)
    if http.use_client_protocol:
        options = _downstream(options)
    return options


def _http2(made: core_v3.Http2ProtocolOptions, http: HTTPSettings) -> None:
    if http.max_concurrent_streams > 0:
        made.max_concurrent_streams.value = http.max_concurrent_streams
    alive = http.http2_keep_alive
    if alive is not None:
        made.connection_keepalive.SetInParent()
        if alive.interval is not None:
            made.connection_keepalive.interval.CopyFrom(duration(alive.interval))
        if alive.timeout is not None:
            made.connection_keepalive.timeout.CopyFrom(duration(alive.timeout))


def _outlier(cluster: Cluster, wanted: OutlierDetection | None, service: Service) -> None:
    if wanted is None:
        return
    made = cluster.outlier_detection
    made.enforcing_success_rate.value = 0
    if wanted.consecutive_5xx_errors is not None:
        made.consecutive_5xx.value = wanted.consecutive_5xx_errors
        made.enforcing_consecutive_5xx.value = 100 if wanted.consecutive_5xx_errors else 0
    if wanted.consecutive_gateway_errors is not None:
        made.consecutive_gateway_failure.value = wanted.consecutive_gateway_errors
        made.enforcing_consecutive_gateway_failure.value = 100 if wanted.consecutive_gateway_errors else 0
    if wanted.interval is not None:
        made.interval.CopyFrom(duration(wanted.interval))
    if wanted.base_ejection_time is not None:
        made.base_ejection_time.CopyFrom(duration(wanted.base_ejection_time))
    if wanted.max_ejection_percent:
        made.max_ejection_percent.value = wanted.max_ejection_percent
    if wanted.split_external_local_origin_errors:
        made.split_external_local_origin_errors = True
        if wanted.consecutive_local_origin_failures:
            made.consecutive_local_origin_failure.value = wanted.consecutive_local_origin_failures
            made.enforcing_consecutive_local_origin_failure.value = 100
        made.enforcing_local_origin_success_rate.value = 0
    forced = service.traffic_distribution != "Any"
    cluster.common_lb_config.healthy_panic_threshold.value = 0 if forced else wanted.min_health_percent


def _errors(codes: Iterable[int]) -> common_matcher_v3.MatchPredicate:
    rules = [
        common_matcher_v3.MatchPredicate(
            http_response_headers_match=common_matcher_v3.HttpHeadersMatch(
                headers=[route_v3.HeaderMatcher(name=":status", string_match=matcher_v3.StringMatcher(exact=str(code)))]
            )
        )
        for code in codes
    ]
    if len(rules) == 1:
        return rules[0]
    return common_matcher_v3.MatchPredicate(or_match=common_matcher_v3.MatchPredicate.MatchSet(rules=rules))


def _balance(cluster: Cluster, wanted: LoadBalancerSettings | None, target: Target) -> None:
    if target.forwards:
        return
    common = cluster.common_lb_config
    if not common.HasField("healthy_panic_threshold") and target.mesh.send_unhealthy_endpoints:
        # Unready endpoints are sent, so panic would call them.
        common.healthy_panic_threshold.CopyFrom(percent(0))
    setting = effective(wanted, target.service, target.mesh)
    if setting is not None:
        setting.configure(cluster)
        if cluster.HasField("load_assignment"):
            setting.arrange_within(cluster, target.first, target.locality, target.labels)
    if cluster.type == Cluster.ORIGINAL_DST:
        cluster.lb_policy = Cluster.CLUSTER_PROVIDED
        return
    simple = wanted.simple if wanted else None
    if simple == "RANDOM":
        cluster.lb_policy = Cluster.RANDOM
    elif simple == "ROUND_ROBIN":
        cluster.lb_policy = Cluster.ROUND_ROBIN
        _warm(cluster, wanted)
    elif simple == "PASSTHROUGH":
        cluster.lb_policy = Cluster.CLUSTER_PROVIDED
        cluster.type = Cluster.ORIGINAL_DST
        cluster.ClearField("load_assignment")
    else:
        cluster.lb_policy = Cluster.LEAST_REQUEST
        _warm(cluster, wanted)
    hash_policy(cluster, wanted)


def _warm(cluster: Cluster, wanted: LoadBalancerSettings | None) -> None:
    """Slow start. The runtime key is istiod's; Envoy has no such value, so the default counts."""
    if wanted is None:
        return
    if wanted.warmup is not None:
        made = _slow_start(wanted.warmup)
    elif wanted.warmup_duration_secs is not None:
        made = Cluster.SlowStartConfig(slow_start_window=duration(wanted.warmup_duration_secs))
    else:
        return
    if cluster.lb_policy == Cluster.ROUND_ROBIN:
        cluster.round_robin_lb_config.slow_start_config.CopyFrom(made)
    else:
        cluster.least_request_lb_config.slow_start_config.CopyFrom(made)


def _slow_start(warmup: WarmupConfiguration) -> cluster_v3.Cluster.SlowStartConfig:
    aggression = 1.0 if warmup.aggression is None else warmup.aggression
    return Cluster.SlowStartConfig(
        slow_start_window=duration(warmup.duration),
        aggression=core_v3.RuntimeDouble(default_value=aggression, runtime_key="("),
        min_weight_percent=type_v3.Percent(value=10.0 if warmup.minimum_percent is None else warmup.minimum_percent),
    )


def hash_policy(cluster: Cluster, wanted: LoadBalancerSettings | None) -> None:
    """Consistent hashing, where it is wanted."""
    consistent = wanted.consistent_hash if wanted else None
    if consistent is None:
        return
    if consistent.maglev is not None:
        cluster.lb_policy = Cluster.MAGLEV
        if consistent.maglev.table_size:
            cluster.maglev_lb_config.table_size.CopyFrom(u64(consistent.maglev.table_size))
        return
    cluster.lb_policy = Cluster.RING_HASH
    size = consistent.ring_hash.minimum_ring_size if consistent.ring_hash else consistent.minimum_ring_size or 1024
    if size:
        cluster.ring_hash_lb_config.minimum_ring_size.CopyFrom(u64(size))
