"""Clusters (envoy.config.cluster.v3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...model.cluster import (
    Cluster,
    DiscoveryType,
    HttpProtocol,
    LbPolicy,
    OutlierDetection,
    RetryBudget,
    TcpKeepalive,
    Thresholds,
    TransportSocket,
    TransportSocketMatch,
)
from ..opening import checked
from ..refused import RefusedError
from ..schema import types as pb
from .cluster_type import aggregated, discovery_type, dns_cache, dns_options, original_dst
from .endpoint import inline_assignment
from .health_check import health_check
from .http_protocol import http_protocol, options_of
from .lb_policy import lb_policy
from .transport_socket import transport_socket
from .upstream_filters import closing_filter
from .values import metadata, optional, seconds, struct

STRICT_DNS = 1
"""Of Cluster.DiscoveryType."""

DNS_TYPES = frozenset({"STRICT_DNS", "LOGICAL_DNS"})


def _secrets(sockets: Iterable[TransportSocket]) -> frozenset[str]:
    return frozenset().union(*(each.upstream.common.discovered for each in sockets if each.upstream is not None))


def cluster(raw: bytes) -> Cluster:
    """envoy.config.cluster.v3.Cluster from its bytes."""
    message = pb.cluster_v3.Cluster.FromString(raw)
    checked(message)
    type_ = discovery_type(message)
    policy, lb = lb_policy(message)
    _refuse_policy(message, type_, policy)
    _refuse_endpoints(message, type_)
    http = http_protocol(message)
    socket = transport_socket(message.transport_socket) if message.HasField("transport_socket") else TransportSocket()
    matches = tuple(
        TransportSocketMatch(each.name, struct(each.match), transport_socket(each.transport_socket))
        for each in message.transport_socket_matches
    )
    _refuse_sockets(message, http, socket, matches)
    closed = closing_filter(message)
    if closed is not None:
        # A filter between here and the endpoints that cannot be enforced: nothing may get past it.
        socket = replace(socket, unsupported=closed)
        matches = tuple(replace(each, socket=replace(each.socket, unsupported=closed)) for each in matches)
    thresholds = _all_thresholds(message.circuit_breakers)
    dns = type_ in DNS_TYPES
    dst_header, dst_port = original_dst(message)
    return Cluster(
        name=message.name,
        type=type_,
        eds_service_name=message.eds_cluster_config.service_name,
        load_assignment=(
            inline_assignment(message.load_assignment, "dns" if dns else "none")
            if message.HasField("load_assignment") and type_ != "EDS"
            else None
        ),
        lb_policy=policy,
        lb=lb,
        connect_timeout_s=seconds(message.connect_timeout) if message.HasField("connect_timeout") else 5.0,
        keepalive=_keepalive(message.upstream_connection_options),
        default_thresholds=thresholds.get(0, Thresholds()),
        high_thresholds=thresholds.get(1, Thresholds()),
        http=http,
        outlier_detection=_outlier(message.outlier_detection) if message.HasField("outlier_detection") else None,
        health_check=health_check(message.health_checks),
        ignore_new_hosts=message.common_lb_config.ignore_new_hosts_until_first_hc,
        drains_on_change=message.common_lb_config.close_connections_on_host_set_change,
        transport_socket=socket,
        transport_socket_matches=matches,
        secrets=_secrets((socket, *(each.socket for each in matches))),
        dns=dns_options(message, type_),
        dns_cache=dns_cache(message, options_of(message)),
        aggregate=aggregated(message),
        metadata=metadata(message.metadata),
        original_dst_header=dst_header,
        original_dst_port=dst_port,
        alt_stat_name=message.alt_stat_name,
        buffer_limit=optional(message, "per_connection_buffer_limit_bytes", 1024 * 1024),
    )


def _refuse_policy(message: pb.cluster_v3.Cluster, type_: DiscoveryType, policy: LbPolicy) -> None:
    """A cluster type that brings its own balancer wants it, and no other type has one."""
    if type_ == "ORIGINAL_DST":
        named = pb.cluster_v3.Cluster.LbPolicy.Name(message.lb_policy)
        shown = message.cluster_type.name if message.HasField("cluster_type") else type_
        if named != "CLUSTER_PROVIDED":
            raise RefusedError(
                f"cluster: LB policy {named} is not valid for Cluster type {shown}. Only 'CLUSTER_PROVIDED' is allowed "
                "with cluster type 'ORIGINAL_DST'"
            )
        if policy != "CLUSTER_PROVIDED":
            raise RefusedError(
                f"cluster manager: cluster provided LB not specified but cluster '{message.name}' provided one. Check "
                "cluster documentation."
            )
    elif policy != "CLUSTER_PROVIDED" and type_ in ("DYNAMIC_FORWARD_PROXY", "AGGREGATE"):
        raise RefusedError(
            f"cluster manager: cluster provided LB not specified but cluster '{message.name}' provided one. Check "
            "cluster documentation."
        )
    elif policy == "CLUSTER_PROVIDED" and type_ not in ("UNKNOWN", "DYNAMIC_FORWARD_PROXY", "AGGREGATE"):
        raise RefusedError(
            f"cluster manager: cluster provided LB specified but cluster '{message.name}' did not provide one. Check "
            "cluster documentation."
        )
    if message.common_lb_config.consistent_hashing_lb_config.use_hostname_for_hashing and message.type != STRICT_DNS:
        # As in Envoy, it is the enum that is looked at: a cluster that is told by its extension is none of these.
        name = f"envoy.cluster.{type_.lower()}"
        if message.HasField("cluster_type"):
            name = "" if message.cluster_type.HasField("typed_config") else message.cluster_type.name
        raise RefusedError(f"Cannot use hostname for consistent hashing loadbalancing for cluster of type: '{name}'")
    weighted = message.common_lb_config.HasField("locality_weighted_lb_config")
    if message.lb_subset_config.locality_weight_aware and not weighted:
        raise RefusedError(
            "Locality weight aware subset LB requires that a locality_weighted_lb_config be set in " + message.name
        )
    if message.lb_policy == 6 and message.HasField("lb_subset_config"):
        raise RefusedError("cluster: LB policy CLUSTER_PROVIDED cannot be combined with lb_subset_config")


def _refuse_endpoints(message: pb.cluster_v3.Cluster, type_: DiscoveryType) -> None:
    if type_ == "LOGICAL_DNS":
        if not message.HasField("load_assignment"):
            raise RefusedError("LOGICAL_DNS clusters must have a single host")
        localities = message.load_assignment.endpoints
        if len(localities) != 1 or len(localities[0].lb_endpoints) != 1:
            raise RefusedError("LOGICAL_DNS clusters must have a single locality_lb_endpoint and a single lb_endpoint")
    elif type_ == "ORIGINAL_DST" and message.HasField("load_assignment"):
        raise RefusedError("ORIGINAL_DST clusters must have no load assignment configured")
    for each in message.circuit_breakers.per_host_thresholds:
        given = {field.name for field, _ in each.ListFields()}
        if not given <= {"priority", "max_connections"}:
            raise RefusedError("Unsupported field in per_host_thresholds")


def _refuse_sockets(
    message: pb.cluster_v3.Cluster,
    http: HttpProtocol,
    socket: TransportSocket,
    matches: tuple[TransportSocketMatch, ...],
) -> None:
    plain = [each for each in (socket, *(each.socket for each in matches)) if not each.tls and not each.unsupported]
    if http.protocol == "auto" and plain:
        kind = "transport socket" if plain[0] is socket else "transport socket matcher"
        raise RefusedError(f"ALPN configured for cluster {message.name} which has a non-ALPN {kind}")
    if http.protocol == "http3" and (plain or socket.tls):
        raise RefusedError(f"HTTP3 requires a QuicUpstreamTransport transport socket: {message.name}")


def _keepalive(message: pb.cluster_v3.UpstreamConnectionOptions) -> TcpKeepalive | None:
    """None where it is not asked for: not at all, or with a number that is 0."""
    if not message.HasField("tcp_keepalive"):
        return None
    said = {field.name: wrapper.value for field, wrapper in message.tcp_keepalive.ListFields()}
    if 0 in said.values():
        return None
    return TcpKeepalive(said.get("keepalive_probes"), said.get("keepalive_time"), said.get("keepalive_interval"))


def _all_thresholds(message: pb.cluster_v3.CircuitBreakers) -> dict[int, Thresholds]:
    """By priority; the first that is listed counts."""
    general = {each.priority: each for each in reversed(message.thresholds)}
    per_host = {each.priority: each for each in reversed(message.per_host_thresholds)}
    unsaid = pb.cluster_v3.CircuitBreakers.Thresholds()
    return {each: _thresholds(general.get(each, unsaid), per_host.get(each)) for each in (*general, *per_host)}


def _thresholds(
    message: pb.cluster_v3.CircuitBreakers.Thresholds, per_host: pb.cluster_v3.CircuitBreakers.Thresholds | None
) -> Thresholds:
    default = Thresholds()
    budget = None
    if message.HasField("retry_budget"):
        said, usual = message.retry_budget, RetryBudget()
        budget = RetryBudget(
            said.budget_percent.value if said.HasField("budget_percent") else usual.percent,
            _wrapped(said.min_retry_concurrency, said.HasField("min_retry_concurrency"), usual.min_concurrency),
            seconds(said.budget_interval),
        )
    return Thresholds(
        _wrapped(message.max_connections, message.HasField("max_connections"), default.max_connections),
        _wrapped(message.max_pending_requests, message.HasField("max_pending_requests"), default.max_pending_requests),
        _wrapped(message.max_requests, message.HasField("max_requests"), default.max_requests),
        _wrapped(message.max_retries, message.HasField("max_retries"), default.max_retries),
        message.max_connection_pools.value if message.HasField("max_connection_pools") else None,
        budget,
        per_host.max_connections.value if per_host is not None and per_host.HasField("max_connections") else None,
    )


def _wrapped(wrapper: pb.google_protobuf.UInt32Value, given: bool, default: int) -> int:
    return wrapper.value if given else default


def _outlier(message: pb.cluster_v3.OutlierDetection) -> OutlierDetection:
    values: dict[str, float | int | bool] = {}
    names = {"interval": "interval_s", "base_ejection_time": "base_ejection_time_s"}
    names |= {"max_ejection_time": "max_ejection_time_s", "max_ejection_time_jitter": "max_ejection_time_jitter_s"}
    for field, value in message.ListFields():
        own = names.get(field.name, field.name)
        if own not in OutlierDetection.__dataclass_fields__:
            continue
        if isinstance(value, bool):
            values[own] = value
        elif own.endswith("_s"):
            values[own] = seconds(value)
        else:
            values[own] = value.value
    base_s = float(values.get("base_ejection_time_s", 30.0))
    # Envoy: never shorter than the base, whatever the default says.
    values.setdefault("max_ejection_time_s", max(300.0, base_s))
    if float(values["max_ejection_time_s"]) < base_s:
        raise RefusedError("outlier detector's max_ejection_time cannot be smaller than base_ejection_time")
    return OutlierDetection(**values)  # type: ignore[arg-type]  # the names are checked above
