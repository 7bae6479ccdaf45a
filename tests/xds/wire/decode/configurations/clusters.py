"""Clusters: discovery, outlier detection, thresholds, health checks."""

# ruff: noqa: E501  # Envoy's words are not broken.

from __future__ import annotations

from typing import Any

from . import Case, Json
from .build import EDS, HTTP_OPTIONS, UNKNOWN, cluster, endpoint, extension, locality, typed


def load(*endpoints: Json, **fields: Any) -> Json:
    """A ClusterLoadAssignment of one locality."""
    return {"cluster_name": "x", "endpoints": [locality(*endpoints, **fields)]}


def outlier(**fields: Any) -> Json:
    """Outlier detection."""
    return {"outlier_detection": fields}


def thresholds(*found: Json) -> Json:
    """Circuit breakers."""
    return {"circuit_breakers": {"thresholds": list(found)}}


SECURE = (
    "dynamic_forward_proxy cluster must have auto_sni and auto_san_validation true unless allow_insecure_cluster_options "
    "is set."
)


def forward_proxy(*, lb_policy: str = "CLUSTER_PROVIDED", options: Json | None = None, **fields: object) -> Json:
    """A dynamic forward proxy; `options` are its HttpProtocolOptions."""
    kind = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"
    own = extension(kind, "envoy.clusters.dynamic_forward_proxy", dns_cache_config={"name": "d"}, **fields)
    http = typed(HTTP_OPTIONS, explicit_http_config={"http_protocol_options": {}}, **(options or {}))
    more: Json = {} if options is None else {"typed_extension_protocol_options": {HTTP_OPTIONS: http}}
    return cluster(lb_policy=lb_policy, cluster_type=own, **more)


CASES = [
    Case("ok", cluster()),
    Case("no connect timeout", cluster(connect_timeout=None)),
    Case("neg connect", cluster(connect_timeout="-1s"), "Invalid duration: Expected positive duration: seconds: -1"),
    Case("eds no config", cluster(type="EDS"), "cannot create an EDS cluster without an EDS config"),
    Case(
        "eds config on static",
        cluster(eds_cluster_config={"eds_config": {"ads": {}}}),
        "eds_cluster_config set in a non-EDS cluster",
    ),
    Case("eds + load_assignment", cluster(**EDS, load_assignment=load(endpoint()))),
    Case("static load", cluster(load_assignment=load(endpoint()))),
    Case(
        "static hostname",
        cluster(load_assignment=load(endpoint("example.com"))),
        "malformed IP address: example.com. Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
    ),
    Case("strict dns", cluster(type="STRICT_DNS", load_assignment=load(endpoint("example.com")))),
    Case("strict dns no load", cluster(type="STRICT_DNS")),
    Case(
        "logical dns two",
        cluster(type="LOGICAL_DNS", load_assignment=load(endpoint("a.com"), endpoint("b.com"))),
        "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint",
    ),
    Case(
        "logical dns none",
        cluster(type="LOGICAL_DNS", load_assignment={"cluster_name": "x"}),
        "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint",
    ),
    Case("logical dns no load", cluster(type="LOGICAL_DNS"), "LOGICAL_DNS clusters must have a single host"),
    Case(
        "logical dns 2 loc",
        cluster(
            type="LOGICAL_DNS",
            load_assignment={
                "cluster_name": "x",
                "endpoints": [
                    {"lb_endpoints": [endpoint("a.com")]},
                    {"lb_endpoints": [endpoint("b.com")], "priority": 1},
                ],
            },
        ),
        "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint",
    ),
    Case("logical dns prio", cluster(type="LOGICAL_DNS", load_assignment=load(endpoint("a.com"), priority=1))),
    Case("original dst:", cluster(type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED")),
    Case(
        "original dst: rr",
        cluster(type="ORIGINAL_DST"),
        "cluster: LB policy ROUND_ROBIN is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'",
    ),
    Case(
        "original dst: lr",
        cluster(type="ORIGINAL_DST", lb_policy="LEAST_REQUEST"),
        "cluster: LB policy LEAST_REQUEST is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'",
    ),
    Case(
        "original dst: load",
        cluster(type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED", load_assignment=load(endpoint())),
        "ORIGINAL_DST clusters must have no load assignment configured",
    ),
    Case(
        "original dst: subset",
        cluster(
            type="ORIGINAL_DST",
            lb_policy="CLUSTER_PROVIDED",
            lb_subset_config={"fallback_policy": "ANY_ENDPOINT", "subset_selectors": [{"keys": ["a"]}]},
        ),
        "cluster: LB policy CLUSTER_PROVIDED cannot be combined with lb_subset_config",
    ),
    Case(
        "original dst: header",
        cluster(
            type="ORIGINAL_DST",
            lb_policy="CLUSTER_PROVIDED",
            original_dst_lb_config={"use_http_header": True, "http_header_name": "x"},
        ),
    ),
    Case(
        "original dst: header both",
        cluster(
            type="ORIGINAL_DST",
            lb_policy="CLUSTER_PROVIDED",
            original_dst_lb_config={"use_http_header": True, "metadata_key": {"key": "a", "path": [{"key": "b"}]}},
        ),
    ),
    Case(
        "original dst: header name without use",
        cluster(type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED", original_dst_lb_config={"http_header_name": "x"}),
        "ORIGINAL_DST cluster: invalid config http_header_name=x and use_http_header is false. Set use_http_header to true if http_header_name is desired.",
    ),
    Case(
        "original dst: port override",
        cluster(
            type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED", original_dst_lb_config={"upstream_port_override": 99}
        ),
    ),
    Case(
        "outlier: max<base",
        cluster(**outlier(base_ejection_time="30s", max_ejection_time="10s")),
        "outlier detector's max_ejection_time cannot be smaller than base_ejection_time",
    ),
    Case("outlier: base > 300", cluster(**outlier(base_ejection_time="400s"))),
    Case(
        "outlier: interval 0",
        cluster(**outlier(interval="0s")),
        "OutlierDetectionValidationError.Interval: value must be greater than 0s",
    ),
    Case(
        "outlier: neg",
        cluster(**outlier(base_ejection_time="-1s")),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "outlier: jitter neg",
        cluster(**outlier(max_ejection_time_jitter="-1s")),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case(
        "outlier: enforcing 101",
        cluster(**outlier(enforcing_consecutive_5xx=101)),
        "OutlierDetectionValidationError.EnforcingConsecutive_5Xx: value must be less than or equal to 100",
    ),
    Case("outlier: monitors", cluster(**outlier(monitors=[UNKNOWN]))),
    Case("thresholds: dup prio", cluster(**thresholds({"max_requests": 1}, {"max_requests": 2}))),
    Case(
        "thresholds: prio bad",
        cluster(**thresholds({"priority": 7})),
        "ThresholdsValidationError.Priority: value must be one of the defined enum values",
    ),
    Case(
        "thresholds: budget",
        cluster(**thresholds({"retry_budget": {"budget_percent": {"value": 101}}})),
        "PercentValidationError.Value: value must be inside range [0, 100]",
    ),
    Case("thresholds: per host", cluster(circuit_breakers={"per_host_thresholds": [{"max_connections": 1}]})),
    Case(
        "thresholds: per host other",
        cluster(circuit_breakers={"per_host_thresholds": [{"max_requests": 1}]}),
        "Unsupported field in per_host_thresholds",
    ),
    Case(
        "dns bad refresh",
        cluster(type="STRICT_DNS", dns_refresh_rate="0s"),
        "ClusterValidationError.DnsRefreshRate: value must be greater than 1ms",
    ),
    Case(
        "dns 1ms",
        cluster(type="STRICT_DNS", dns_refresh_rate="0.001s"),
        "ClusterValidationError.DnsRefreshRate: value must be greater than 1ms",
    ),
    Case(
        "dns 0.5ms",
        cluster(type="STRICT_DNS", dns_refresh_rate="0.0005s"),
        "ClusterValidationError.DnsRefreshRate: value must be greater than 1ms",
    ),
    Case(
        "dns failure",
        cluster(type="STRICT_DNS", dns_failure_refresh_rate={"base_interval": "2s", "max_interval": "1s"}),
        "dns_failure_refresh_rate must have max_interval greater than or equal to the base_interval",
    ),
    Case(
        "dns family bad",
        cluster(type="STRICT_DNS", dns_lookup_family=9),
        "ClusterValidationError.DnsLookupFamily: value must be one of the defined enum values",
    ),
    Case(
        "dns resolver unknown",
        cluster(type="STRICT_DNS", typed_dns_resolver_config=UNKNOWN),
        "Didn't find a registered implementation for 'x' with type URL: 'google.protobuf.Empty'",
    ),
    Case(
        "dns jitter neg",
        cluster(type="STRICT_DNS", dns_jitter="-1s"),
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    Case("dns family on static", cluster(dns_lookup_family="V4_ONLY")),
    Case("type bad", cluster(type=9), "ClusterValidationError.Type: value must be one of the defined enum values"),
    Case("no name", cluster(name=""), "ClusterValidationError.Name: value length must be at least 1 characters"),
    Case(
        "cluster_type eds",
        cluster(cluster_type={"name": "envoy.cluster.eds"}, eds_cluster_config={"eds_config": {"ads": {}}}),
        "eds_cluster_config set in a non-EDS cluster",
    ),
    Case("cluster_type static", cluster(cluster_type={"name": "envoy.cluster.static"})),
    Case(
        "cluster_type strict",
        cluster(cluster_type={"name": "envoy.cluster.strict_dns"}, load_assignment=load(endpoint("a.com"))),
    ),
    Case(
        "cluster_type dns",
        cluster(
            cluster_type=extension("envoy.extensions.clusters.dns.v3.DnsCluster", "envoy.cluster.dns"),
            load_assignment=load(endpoint("a.com")),
        ),
    ),
    Case(
        "cluster_type dns bad",
        cluster(
            cluster_type=extension(
                "envoy.extensions.clusters.dns.v3.DnsCluster", "envoy.cluster.dns", dns_refresh_rate="0s"
            ),
            load_assignment=load(endpoint("a.com")),
        ),
        "DnsClusterValidationError.DnsRefreshRate: value must be greater than 1ms",
    ),
    Case(
        "cluster_type dns logical",
        cluster(
            cluster_type=extension(
                "envoy.extensions.clusters.dns.v3.DnsCluster",
                "envoy.cluster.dns",
                all_addresses_in_single_endpoint=True,
            ),
            load_assignment=load(endpoint("a.com"), endpoint("b.com")),
        ),
        "LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint",
    ),
    Case(
        "cluster_type odst",
        cluster(
            lb_policy="CLUSTER_PROVIDED",
            cluster_type=extension(
                "envoy.extensions.clusters.original_dst.v3.OriginalDstCluster",
                "envoy.cluster.original_dst",
                use_http_header=True,
            ),
        ),
    ),
    Case(
        "cluster_type odst rr",
        cluster(cluster_type={"name": "envoy.cluster.original_dst"}),
        "cluster: LB policy ROUND_ROBIN is not valid for Cluster type envoy.cluster.original_dst. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'",
    ),
    Case(
        "cluster_type dfp",
        cluster(
            lb_policy="CLUSTER_PROVIDED",
            cluster_type=extension(
                "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
                "envoy.clusters.dynamic_forward_proxy",
                dns_cache_config={"name": "d"},
            ),
        ),
    ),
    *(
        Case(f"dfp: {name}", forward_proxy(**fields), None if good else SECURE)
        for name, fields, good in (
            ("options of its own", {"options": {}}, False),
            ("auto_sni alone", {"options": {"upstream_http_protocol_options": {"auto_sni": True}}}, False),
            (
                "both",
                {"options": {"upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True}}},
                True,
            ),
            ("insecure", {"options": {}, "allow_insecure_cluster_options": True}, True),
        )
    ),
    Case(
        "dfp: another balancer",
        forward_proxy(lb_policy="ROUND_ROBIN"),
        "cluster manager: cluster provided LB not specified but cluster 'x' provided one. Check cluster documentation.",
    ),
    Case(
        "cluster_type aggregate",
        cluster(
            lb_policy="CLUSTER_PROVIDED",
            cluster_type=extension(
                "envoy.extensions.clusters.aggregate.v3.ClusterConfig", "envoy.clusters.aggregate", clusters=["c"]
            ),
        ),
    ),
    Case(
        "cluster_type unknown",
        cluster(cluster_type={"name": "zzz"}),
        "Didn't find a registered cluster factory implementation for name: 'zzz'",
    ),
    Case(
        "cluster_type unknown typed",
        cluster(cluster_type=extension("google.protobuf.Empty", "zzz")),
        "Didn't find a registered cluster factory implementation for type: 'google.protobuf.Empty'",
    ),
    Case("health check: none", cluster(health_checks=[{}]), "HealthCheckValidationError.Timeout: value is required"),
    Case(
        "health check: http",
        cluster(
            health_checks=[
                {
                    "timeout": "1s",
                    "interval": "1s",
                    "unhealthy_threshold": 1,
                    "healthy_threshold": 1,
                    "http_health_check": {"path": "/"},
                }
            ]
        ),
    ),
    Case("bind", cluster(upstream_bind_config={"source_address": {"address": "127.0.0.6", "port_value": 0}})),
    Case(
        "bind bad",
        cluster(upstream_bind_config={"source_address": {"address": "zz", "port_value": 0}}),
        "malformed IP address: zz",
        differs="source addresses are not bound, and coverage says so",
    ),
    Case("bind none", cluster(upstream_bind_config={})),
    Case("track", cluster(track_cluster_stats={"timeout_budgets": True})),
    Case("lrs", cluster(lrs_server={"self": {}})),
    Case("metadata", cluster(metadata={"filter_metadata": {"a": {"b": 1}}})),
    Case("cleanup neg", cluster(cleanup_interval="-1s"), "Invalid duration: Expected positive duration: seconds: -1"),
    Case(
        "cleanup 0",
        cluster(cleanup_interval="0s"),
        "ClusterValidationError.CleanupInterval: value must be greater than 0s",
    ),
    Case("wait warm", cluster(wait_for_warm_on_init=False)),
]
