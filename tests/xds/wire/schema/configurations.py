"""Messages that break one rule each, with what Envoy says about it: the same table for our engine and for the real one.

A case is a resource as protobuf's JSON spells it; the text is what stands between the parentheses of Envoy's message,
from the resource on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

EMBEDDED = "embedded message failed validation | caused by "


@dataclass(frozen=True, slots=True)
class Broken:
    """A message of `kind` and the one thing that is wrong with it."""

    kind: str
    text: str
    message: Json


def _cluster(text: str, **fields: Any) -> Broken:
    return Broken("envoy.config.cluster.v3.Cluster", text, {"name": "c", "connect_timeout": "1s"} | fields)


def _listener(text: str, **fields: Any) -> Broken:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    return Broken("envoy.config.listener.v3.Listener", text, {"name": "l", "address": address} | fields)


def _route(text: str, route: Json) -> Broken:
    hosts = [{"name": "a", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c"}}, route]}]
    inner = (
        f"RouteConfigurationValidationError.VirtualHosts[0]: {EMBEDDED}VirtualHostValidationError.Routes[1]: {EMBEDDED}"
    )
    return Broken("envoy.config.route.v3.RouteConfiguration", inner + text, {"name": "r", "virtual_hosts": hosts})


def _filter(kind: str, text: str, message: Json) -> Broken:
    return Broken(f"envoy.extensions.filters.http.{kind}", text, message)


_TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_ACTION = {"route": {"cluster": "c"}}

BROKEN = [
    _cluster("ClusterValidationError.Name: value length must be at least 1 characters", name=""),
    _cluster("ClusterValidationError.ConnectTimeout: value must be greater than 0s", connect_timeout="0s"),
    _cluster("ClusterValidationError.LbPolicy: value must be one of the defined enum values", lb_policy=77),
    _cluster("ClusterValidationError.Type: value must be one of the defined enum values", type=77),
    _cluster(
        f"ClusterValidationError.RingHashLbConfig: {EMBEDDED}"
        "RingHashLbConfigValidationError.MinimumRingSize: value must be less than or equal to 8388608",
        lb_policy="RING_HASH",
        ring_hash_lb_config={"minimum_ring_size": "8388609"},
    ),
    _cluster(
        f"ClusterValidationError.LeastRequestLbConfig: {EMBEDDED}"
        "LeastRequestLbConfigValidationError.ChoiceCount: value must be greater than or equal to 2",
        lb_policy="LEAST_REQUEST",
        least_request_lb_config={"choice_count": 1},
    ),
    _cluster(
        f"ClusterValidationError.CommonLbConfig: {EMBEDDED}CommonLbConfigValidationError.HealthyPanicThreshold: "
        f"{EMBEDDED}PercentValidationError.Value: value must be inside range [0, 100]",
        common_lb_config={"healthy_panic_threshold": {"value": 100.5}},
    ),
    _cluster(
        f"ClusterValidationError.OutlierDetection: {EMBEDDED}"
        "OutlierDetectionValidationError.MaxEjectionPercent: value must be less than or equal to 100",
        outlier_detection={"max_ejection_percent": 101},
    ),
    _cluster(
        f"ClusterValidationError.LoadAssignment: {EMBEDDED}"
        "ClusterLoadAssignmentValidationError.ClusterName: value length must be at least 1 characters",
        load_assignment={},
    ),
    _cluster(
        f"ClusterValidationError.LoadAssignment: {EMBEDDED}ClusterLoadAssignmentValidationError.Endpoints[1]: "
        f"{EMBEDDED}LocalityLbEndpointsValidationError.LbEndpoints[0]: {EMBEDDED}LbEndpointValidationError.Endpoint: "
        f"{EMBEDDED}EndpointValidationError.Address: {EMBEDDED}AddressValidationError.SocketAddress: {EMBEDDED}"
        "SocketAddressValidationError.PortValue: value must be less than or equal to 65535",
        load_assignment={
            "cluster_name": "c",
            "endpoints": [
                {},
                {
                    "lb_endpoints": [
                        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 70000}}}}
                    ]
                },
            ],
        },
    ),
    _cluster(
        f"ClusterValidationError.LoadAssignment: {EMBEDDED}ClusterLoadAssignmentValidationError.Endpoints[0]: "
        f"{EMBEDDED}LocalityLbEndpointsValidationError.LbEndpoints[0]: {EMBEDDED}"
        "LbEndpointValidationError.LoadBalancingWeight: value must be greater than or equal to 1",
        load_assignment={"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"load_balancing_weight": 0}]}]},
    ),
    _cluster(
        f"ClusterValidationError.LoadAssignment: {EMBEDDED}ClusterLoadAssignmentValidationError.Endpoints[0]: "
        f"{EMBEDDED}LocalityLbEndpointsValidationError.LbEndpoints[0]: {EMBEDDED}LbEndpointValidationError.Endpoint: "
        f'{EMBEDDED}EndpointValidationError.Address: {EMBEDDED}field: "address", reason: is required',
        load_assignment={"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {}}}]}]},
    ),
    _cluster(
        f"ClusterValidationError.Metadata: {EMBEDDED}"
        "MetadataValidationError.FilterMetadata[]: value length must be at least 1 characters",
        metadata={"filter_metadata": {"": {}}},
    ),
    _cluster(
        f"ClusterValidationError.HealthChecks[0]: {EMBEDDED}HealthCheckValidationError.Timeout: value is required",
        health_checks=[{"interval": "1s"}],
    ),
    _cluster(
        f"ClusterValidationError.HealthChecks[0]: {EMBEDDED}"
        "HealthCheckValidationError.UnhealthyThreshold: value is required",
        health_checks=[{"interval": "1s", "timeout": "1s"}],
    ),
    _cluster(
        f"ClusterValidationError.HealthChecks[0]: {EMBEDDED}HealthCheckValidationError.HttpHealthCheck: {EMBEDDED}"
        "HttpHealthCheckValidationError.Path: value length must be at least 1 characters",
        health_checks=[
            {
                "interval": "1s",
                "timeout": "1s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "http_health_check": {},
            }
        ],
    ),
    # Plain fields are looked at before members of oneofs, whatever their order in the file.
    _cluster("ClusterValidationError.Name: value length must be at least 1 characters", name="", type=77),
    _listener(
        f"ListenerValidationError.Address: {EMBEDDED}AddressValidationError.SocketAddress: {EMBEDDED}"
        "SocketAddressValidationError.Address: value length must be at least 1 characters",
        address={"socket_address": {"port_value": 1}},
    ),
    _listener(
        f"ListenerValidationError.FilterChains[0]: {EMBEDDED}FilterChainValidationError.Filters[0]: {EMBEDDED}"
        "FilterValidationError.Name: value length must be at least 1 characters",
        filter_chains=[{"filters": [{}]}],
    ),
    _route(
        f'RouteValidationError.Match: {EMBEDDED}field: "path_specifier", reason: is required', {"match": {}} | _ACTION
    ),
    _route("RouteValidationError.Match: value is required", _ACTION),
    _route('field: "action", reason: is required', {"match": {"prefix": "/"}}),
    _route(
        f'RouteValidationError.Route: {EMBEDDED}field: "cluster_specifier", reason: is required',
        {"match": {"prefix": "/"}, "route": {}},
    ),
    _route(
        f"RouteValidationError.Route: {EMBEDDED}RouteActionValidationError.Cluster: "
        "value length must be at least 1 characters",
        {"match": {"prefix": "/"}, "route": {"cluster": ""}},
    ),
    _route(
        f"RouteValidationError.Route: {EMBEDDED}RouteActionValidationError.PrefixRewrite: value does not match regex "
        r'pattern "^[^\x00\n\r]*$"',
        {"match": {"prefix": "/"}, "route": {"cluster": "c", "prefix_rewrite": "a\nb"}},
    ),
    _route(
        f"RouteValidationError.Route: {EMBEDDED}RouteActionValidationError.RetryPolicy: {EMBEDDED}"
        f"RetryPolicyValidationError.RetryBackOff: {EMBEDDED}"
        "RetryBackOffValidationError.BaseInterval: value is required",
        {"match": {"prefix": "/"}, "route": {"cluster": "c", "retry_policy": {"retry_back_off": {}}}},
    ),
    _route(
        f"RouteValidationError.Route: {EMBEDDED}RouteActionValidationError.WeightedClusters: {EMBEDDED}"
        "WeightedClusterValidationError.Clusters: value must contain at least 1 item(s)",
        {"match": {"prefix": "/"}, "route": {"weighted_clusters": {}}},
    ),
    _route(
        f"RouteValidationError.DirectResponse: {EMBEDDED}DirectResponseActionValidationError.Status: "
        "value must be inside range [200, 600)",
        {"match": {"prefix": "/"}, "direct_response": {"status": 99}},
    ),
    _route(
        f"RouteValidationError.RequestHeadersToAdd[0]: {EMBEDDED}HeaderValueOptionValidationError.Header: {EMBEDDED}"
        "HeaderValueValidationError.Key: value length must be at least 1 characters",
        {"match": {"prefix": "/"}, "request_headers_to_add": [{"header": {}}]} | _ACTION,
    ),
    _route(
        "RouteValidationError.RequestHeadersToRemove[1]: value length must be at least 1 characters",
        {"match": {"prefix": "/"}, "request_headers_to_remove": ["a", ""]} | _ACTION,
    ),
    _route(
        f"RouteValidationError.Match: {EMBEDDED}RouteMatchValidationError.SafeRegex: {EMBEDDED}"
        "RegexMatcherValidationError.Regex: value length must be at least 1 characters",
        {"match": {"safe_regex": {}}} | _ACTION,
    ),
    _route(
        f"RouteValidationError.Match: {EMBEDDED}RouteMatchValidationError.PathSeparatedPrefix: "
        'value does not match regex pattern "^[^?#]+[^?#/]$"',
        {"match": {"path_separated_prefix": "/"}} | _ACTION,
    ),
    _filter(
        "local_ratelimit.v3.LocalRateLimit",
        "LocalRateLimitValidationError.StatPrefix: value length must be at least 1 characters",
        {},
    ),
    _filter(
        "local_ratelimit.v3.LocalRateLimit",
        f"LocalRateLimitValidationError.TokenBucket: {EMBEDDED}"
        "TokenBucketValidationError.FillInterval: value is required",
        {"stat_prefix": "s", "token_bucket": {"max_tokens": 1}},
    ),
    _filter(
        "local_ratelimit.v3.LocalRateLimit",
        f"LocalRateLimitValidationError.TokenBucket: {EMBEDDED}"
        "TokenBucketValidationError.TokensPerFill: value must be greater than 0",
        {"stat_prefix": "s", "token_bucket": {"max_tokens": 1, "tokens_per_fill": 0, "fill_interval": "1s"}},
    ),
    _filter(
        "fault.v3.HTTPFault",
        f"HTTPFaultValidationError.Abort: {EMBEDDED}FaultAbortValidationError.HttpStatus: "
        "value must be inside range [200, 600)",
        {"abort": {"http_status": 100, "percentage": {"numerator": 1}}},
    ),
    _filter(
        "fault.v3.HTTPFault",
        f'HTTPFaultValidationError.Delay: {EMBEDDED}field: "fault_delay_secifier", reason: is required',
        {"delay": {}},
    ),
    _filter(
        "rbac.v3.RBAC",
        f"RBACValidationError.Rules: {EMBEDDED}RBACValidationError.Policies[p]: {EMBEDDED}"
        "PolicyValidationError.Permissions: value must contain at least 1 item(s)",
        {"rules": {"policies": {"p": {"principals": [{"any": True}]}}}},
    ),
    _filter(
        "rbac.v3.RBAC",
        f"RBACValidationError.Rules: {EMBEDDED}RBACValidationError.Policies[p]: {EMBEDDED}"
        f"PolicyValidationError.Permissions[0]: {EMBEDDED}PermissionValidationError.Any: value must equal true",
        {"rules": {"policies": {"p": {"permissions": [{"any": False}], "principals": [{"any": True}]}}}},
    ),
    _filter(
        "router.v3.Router",
        "RouterValidationError.StrictCheckHeaders[0]: value must be in list [x-envoy-upstream-rq-timeout-ms "
        "x-envoy-upstream-rq-per-try-timeout-ms x-envoy-max-retries x-envoy-retry-grpc-on x-envoy-retry-on]",
        {"strict_check_headers": ["x-else"]},
    ),
    _filter(
        "buffer.v3.Buffer",
        "BufferValidationError.MaxRequestBytes: value is required and must not be nil.",
        {},
    ),
    _filter(
        "buffer.v3.Buffer",
        "BufferValidationError.MaxRequestBytes: value must be greater than 0",
        {"max_request_bytes": 0},
    ),
    _filter(
        "jwt_authn.v3.JwtAuthentication",
        f'JwtAuthenticationValidationError.Providers[p]: {EMBEDDED}field: "jwks_source_specifier", reason: is required',
        {"providers": {"p": {"issuer": "i"}}},
    ),
    Broken(
        _TLS,
        "UpstreamTlsContextValidationError.Sni: value length must be at most 255 bytes",
        {"sni": "x" * 256},
    ),
]
