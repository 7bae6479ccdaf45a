"""Every metric there is, as one table: the code registers it, docs/metrics.md shows it, a test compares the two.

The `istio_` metrics are Istio's standard ones, name for name and label for label (istio.io: "Istio Standard Metrics";
envoy source: contrib/istio/filters/http/istio_stats), in the order in which a sidecar prints them.
"""

from typing import Literal

from ...xds.model.records import dataclass

Kind = Literal["counter", "gauge", "histogram"]
Across = Literal["sum", "min", "max"]

BUCKETS = (
    *(0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0, 60000.0),
    *(300000.0, 600000.0, 1800000.0, 3600000.0),
)
"""Upper bounds of Envoy's histograms (config.metrics.v3.HistogramBucketSettings), for milliseconds and bytes alike."""

REQUEST_LABELS = (
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_service",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service_name",
    "destination_service_namespace",
    "destination_cluster",
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
    "connection_security_policy",
)


@dataclass(frozen=True, slots=True)
class Metric:
    """`across`: how a gauge is put together from several meshes, or from several processes (multiprocess mode)."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    help: str
    across: Across = "sum"


_CONTROL = ("control_plane",)
_TYPE = ("control_plane", "type")
_SECRET = ("secret", "kind")

METRICS = (
    Metric("istio_requests_total", "counter", REQUEST_LABELS, "requests", "Requests, counted when they are over."),
    Metric(
        "istio_request_duration_milliseconds",
        "histogram",
        REQUEST_LABELS,
        "ms",
        "From the request to the last byte of its response, retries included.",
    ),
    Metric("istio_request_bytes", "histogram", REQUEST_LABELS, "bytes", "Size of the request body."),
    Metric("istio_response_bytes", "histogram", REQUEST_LABELS, "bytes", "Size of the response body."),
    Metric("proxyless_retries_total", "counter", ("cluster",), "attempts", "Attempts after the first."),
    Metric(
        "proxyless_local_replies_total",
        "counter",
        ("reporter", "response_code", "response_flags"),
        "requests",
        "Requests that the mesh answered itself, by Envoy's response flags.",
    ),
    Metric(
        "proxyless_rate_limited_total",
        "counter",
        ("reporter",),
        "requests",
        "Requests refused by a rate limit (response flag RL).",
    ),
    Metric(
        "proxyless_jwt_authentications_total",
        "counter",
        ("result",),
        "requests",
        "Requests whose tokens were looked at: allowed or denied.",
    ),
    Metric(
        "proxyless_authorizations_total",
        "counter",
        ("mode", "result", "prefix", "policy"),
        "decisions",
        "Decisions of RBAC filters, enforced or shadow, by the filter's stat prefix; by policy where it counts them.",
    ),
    Metric(
        "proxyless_ungoverned_requests_total",
        "counter",
        ("reporter", "destination_service_name", "response_code", "response_flags"),
        "requests",
        "Requests on connections that are opaque TCP to the mesh: no route, no retry, no request metrics.",
    ),
    Metric(
        "proxyless_shadowed_total",
        "counter",
        ("reporter", "policy", "outcome"),
        "decisions",
        "What policies in shadow mode have decided and not enforced: a status, or delay, retry, copy, route.",
    ),
    Metric(
        "proxyless_fallbacks_total",
        "counter",
        ("reporter", "answer", "response_flags"),
        "requests",
        "Failures that a fallback has answered: by a response, a function, another host.",
    ),
    Metric("proxyless_cluster_active_requests", "gauge", ("cluster",), "requests", "Requests at an endpoint now."),
    Metric(
        "proxyless_cluster_pending_requests",
        "gauge",
        ("cluster",),
        "requests",
        "Requests waiting for a connection now.",
    ),
    Metric("proxyless_cluster_connections", "gauge", ("cluster",), "connections", "Open and opening connections."),
    Metric("proxyless_cluster_active_retries", "gauge", ("cluster",), "attempts", "Retries under way now."),
    Metric(
        "proxyless_cluster_overflows_total",
        "counter",
        ("cluster", "threshold"),
        "overflows",
        "How often a circuit breaker threshold was reached: connections, pending, requests, retries.",
    ),
    Metric("proxyless_cluster_ejections_active", "gauge", ("cluster",), "endpoints", "Endpoints that are ejected now."),
    Metric(
        "proxyless_cluster_ejections_detected_total",
        "counter",
        ("cluster", "type"),
        "ejections",
        "Outliers found, ejected or not, by what gave them away (envoy.data.cluster.v3.OutlierEjectionType).",
    ),
    Metric(
        "proxyless_cluster_ejections_enforced_total",
        "counter",
        ("cluster", "type"),
        "ejections",
        "Outliers ejected.",
    ),
    Metric(
        "proxyless_cluster_ejections_overflow_total",
        "counter",
        ("cluster",),
        "ejections",
        "Outliers that stayed, since as many as may be were out.",
    ),
    Metric(
        "proxyless_cluster_health_checks_total",
        "counter",
        ("cluster", "result"),
        "checks",
        "Active health checks: success, active (an answer that says no), network, network_timeout, passive.",
    ),
    Metric(
        "proxyless_mirrored_requests_total",
        "counter",
        ("result",),
        "requests",
        "Copies of requests: answered, failed, or dropped since too many were under way or the body was too large.",
    ),
    Metric(
        "proxyless_access_log_lines_total",
        "counter",
        ("result",),
        "lines",
        "Lines of access logs: written, or dropped since too many waited or their file could not be written.",
    ),
    Metric(
        "proxyless_cluster_endpoints",
        "gauge",
        ("cluster", "health"),
        "endpoints",
        "Endpoints of the clusters in use, by the health that the control plane says.",
        "max",
    ),
    Metric(
        "proxyless_control_plane_connected",
        "gauge",
        _CONTROL,
        "1 or 0",
        "Whether the control plane has answered on the stream that is open.",
        "min",
    ),
    Metric(
        "proxyless_control_plane_reconnects_total",
        "counter",
        _CONTROL,
        "attempts",
        "Attempts to connect after the first.",
    ),
    Metric("proxyless_control_plane_updates_total", "counter", _TYPE, "responses", "Discovery responses applied."),
    Metric("proxyless_control_plane_rejects_total", "counter", _TYPE, "resources", "Resources refused with a NACK."),
    Metric(
        "proxyless_control_plane_info",
        "gauge",
        ("control_plane", "version"),
        "1",
        "The version that the control plane says it has.",
        "max",
    ),
    Metric("proxyless_resources", "gauge", _TYPE, "resources", "Resources held.", "max"),
    Metric(
        "proxyless_resources_rejected",
        "gauge",
        _TYPE,
        "resources",
        "Resources whose newest version is refused, late rejects included; the version before is in force.",
        "max",
    ),
    Metric(
        "proxyless_configuration_generation",
        "gauge",
        _CONTROL,
        "count",
        "Number of the configuration in force; it grows with every change.",
        "max",
    ),
    Metric(
        "proxyless_configuration_age_seconds",
        "gauge",
        _CONTROL,
        "s",
        "Since the last good update came, or was saved if the configuration is from disk.",
        "max",
    ),
    Metric(
        "proxyless_configuration_from_disk",
        "gauge",
        _CONTROL,
        "1 or 0",
        "Whether the configuration in force is the copy on disk.",
        "max",
    ),
    Metric(
        "proxyless_identity_ready",
        "gauge",
        ("source",),
        "1 or 0",
        "Whether there is a certificate to show; only where one is to come from somewhere.",
        "min",
    ),
    Metric(
        "proxyless_certificate_expiration_timestamp_seconds",
        "gauge",
        _SECRET,
        "Unix time",
        "When the certificate of a secret ends: the one that is shown, or the first to end of those that peers are "
        "verified by.",
        "min",
    ),
    Metric(
        "proxyless_certificate_last_rotation_timestamp_seconds",
        "gauge",
        _SECRET,
        "Unix time",
        "When the certificates of a secret were got.",
        "max",
    ),
    Metric(
        "proxyless_certificate_rotations_total",
        "counter",
        ("secret",),
        "rotations",
        "How often a secret was replaced by another.",
    ),
    Metric(
        "proxyless_certificate_failures_total",
        "counter",
        ("reason",),
        "attempts",
        "Attempts that brought no certificate: unauthenticated, permission_denied, unavailable, refused, bad_answer, "
        "unserved.",
    ),
    Metric("proxyless_info", "gauge", ("version",), "1", "The version of proxyless.", "max"),
)
