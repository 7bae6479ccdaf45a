"""Outbound clusters: one for each service port, and one more for each subset of its DestinationRule."""

from __future__ import annotations

from dataclasses import dataclass

from ...wire.schema.types import cares_v3, cluster_v3, core_v3
from ..api.destination_rule import Subset, TrafficPolicy
from ..hosts import outbound, server_name
from ..mesh import MeshConfig
from ..registry.authn import Mode, PeerAuthentications
from ..registry.destination_rules import Rule
from ..registry.endpoints import Endpoint
from ..registry.networks import Gateways, Standpoint
from ..registry.services import Port, Service
from . import dynamic_dns, filters, policy, stat_names
from .cluster_policy import apply
from .cluster_target import AGENTS, Certificates, Target
from .endpoints import Caller, by_place, grouped
from .groups import Group
from .messages import ISTIO, ads, config_path, duration, pack, u32

Cluster = cluster_v3.Cluster
_SESSION_STATUSES = [core_v3.HealthStatus.Value(name) for name in ("HEALTHY", "DRAINING", "UNKNOWN", "DEGRADED")]
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a cluster needs to know of the mesh and of the proxy beside the service itself."""

    mesh: MeshConfig
    rule: Rule | None
    accounts: tuple[str, ...]
    peer_mode: Mode | None  # what PeerAuthentication says for the service's namespace
    endpoints: list[Endpoint]  # where they stand in the cluster
    dns_family: int
    locality: tuple[str, str, str] = ("", "", "")
    labels: dict[str, str] | None = None
    keep_case: bool = False
    certificates: Certificates = AGENTS
    authn: PeerAuthentications | None = None
    gateways: Gateways = Gateways()
    at: Standpoint = Standpoint()
    local: bool = True  # whether the proxy is in the cluster whose services these are


def discovery_type(service: Service) -> int:
    match service.resolution:
        case "DNSLB":
            return Cluster.LOGICAL_DNS if service.race_connect else Cluster.STRICT_DNS
        case "DNSRoundRobinLB":
            return Cluster.LOGICAL_DNS
        case "Passthrough":
            return Cluster.ORIGINAL_DST
        case _:
            return Cluster.EDS


def passes_through(service: Service, rule: Rule | None) -> bool:
    """Whether calls go to the address that was dialled, of the service itself or of a subset."""
    if service.resolution == "Passthrough":
        return True
    said = (rule.spec.traffic_policy, *(subset.traffic_policy for subset in rule.spec.subsets)) if rule else ()
    return any(map(policy.passes_through, said))


def clusters_of(service: Service, port: Port, seen: Seen) -> list[Cluster]:
    """The cluster of a port and those of its subsets; none for a DNS service that has no endpoint."""
    resolved = dynamic_dns.resolves(service)
    default = (
        _resolved_when_called(service, port, seen)
        if resolved
        else _cluster(service, port, "", discovery_type(service), seen)
    )
    if default is None:
        return []
    rule = seen.rule.spec if seen.rule else None
    base, _ = policy.port_level(rule.traffic_policy if rule else None, port.number)
    base = policy.seeded(base, seen.mesh.default_traffic_policy)
    mode = _mutual_mode(service, rule.traffic_policy if rule else None, seen)
    _finish(default, service, port, "", base, mode, seen)
    out = [default]
    # Where names are resolved subsets would have no endpoints to choose from: there are none.
    for subset in rule.subsets if rule and not resolved else ():
        made = _subset(service, port, subset, base, seen)
        if made is not None:
            out.append(made)
    return out


def _resolved_when_called(service: Service, port: Port, seen: Seen) -> Cluster | None:
    if port.protocol not in dynamic_dns.SERVED:
        return None
    name = outbound(service.hostname, port.number)
    return dynamic_dns.forwarding(name, dynamic_dns.cache_of(service, seen.dns_family))


def _subset(service: Service, port: Port, subset: Subset, base: TrafficPolicy | None, seen: Seen) -> Cluster | None:
    own = subset.traffic_policy
    # PASSTHROUGH of the destination, too, makes it one by original destination.
    passthrough = policy.passes_through(own) or policy.passes_through(base)
    kind = Cluster.ORIGINAL_DST if passthrough else discovery_type(service)
    made = _cluster(service, port, subset.name, kind, seen)
    if made is not None:
        mode = _mutual_mode(service, own, seen)
        _finish(made, service, port, subset.name, policy.of_subset(base, own, port.number), mode, seen)
    return made


def _cluster(service: Service, port: Port, subset: str, kind: int, seen: Seen) -> Cluster | None:
    name = outbound(service.hostname, port.number, subset)
    pattern = seen.mesh.outbound_cluster_stat_name
    statistics = stat_names.of_port(pattern, service, port, subset) if pattern else name
    made = Cluster(name=name, type=kind, alt_stat_name=statistics + ";")
    made.common_lb_config.SetInParent()
    if kind in (Cluster.STRICT_DNS, Cluster.LOGICAL_DNS):
        groups = _grouped(service, subset, port, seen)[1]
        if not groups:
            return None
        made.load_assignment.cluster_name = name
        made.load_assignment.endpoints.extend([group.message() for group in groups])
        _resolve(made, service, seen)
    elif kind == Cluster.ORIGINAL_DST and port.number in service.target_ports:
        made.original_dst_lb_config.upstream_port_override.value = service.target_ports[port.number]
    if service.keeps_sessions and not subset:
        made.common_lb_config.override_host_status.statuses.extend(_SESSION_STATUSES)
    of = made.metadata.filter_metadata[ISTIO].fields["services"].list_value.values.add().struct_value.fields
    for key, text in named(service).items():
        of[key].string_value = text
    return made


def named(service: Service) -> dict[str, str]:
    return {"host": service.hostname, "name": service.name, "namespace": service.namespace}


def _resolve(made: Cluster, service: Service, seen: Seen) -> None:
    made.dns_lookup_family = Cluster.ALL if service.race_connect else seen.dns_family
    resolver = cares_v3.CaresDnsResolverConfig(udp_max_queries=u32(100))
    made.typed_dns_resolver_config.name = "envoy.network.dns_resolver.cares"
    made.typed_dns_resolver_config.typed_config.CopyFrom(pack(resolver))
    made.dns_jitter.CopyFrom(duration(seen.mesh.dns_jitter))
    made.dns_refresh_rate.CopyFrom(duration(seen.mesh.dns_refresh_rate))
    made.respect_dns_ttl = True


def _grouped(service: Service, subset: str, port: Port, seen: Seen) -> tuple[dict[str, list[Endpoint]], list[Group]]:
    """The endpoints that stand in the cluster, by their places, and the groups that they make."""
    caller = Caller(seen.locality, seen.labels or {}, "", seen.at, seen.local)
    places = by_place(service, subset, port.number, seen.endpoints, seen.rule, caller, seen.mesh)
    return grouped(places, subset, port.number, seen.rule, seen.mesh, seen.authn, seen.gateways, seen.at)


def _finish(
    made: Cluster,
    service: Service,
    port: Port,
    subset: str,
    traffic: TrafficPolicy | None,
    mode: Mode | None,
    seen: Seen,
) -> None:
    """Policy, discovery and metadata."""
    forwards = dynamic_dns.resolves(service)
    sni = "" if forwards else server_name(service.hostname, port.number, subset)
    within = made.HasField("load_assignment") and not subset
    target = Target(
        seen.mesh,
        port,
        service,
        () if forwards else seen.accounts,
        sni,
        mode,
        keep_case=seen.keep_case,
        selected=seen.rule is not None and seen.rule.selector is not None,
        certificates=seen.certificates,
        locality=seen.locality,
        labels=seen.labels or {},
        forwards=forwards,
        first=next(iter(_grouped(service, "", port, seen)[0].values()), ()) if within else (),
    )
    options = apply(made, traffic, target)
    if not forwards and made.type == Cluster.EDS:
        made.eds_cluster_config.service_name = made.name
        made.eds_cluster_config.eds_config.CopyFrom(ads())
    made.filters.append(filters.cluster_exchange())
    if not forwards or service.external or seen.rule is not None:
        _describe(made, service, subset, traffic, seen.rule)
    if options is not None:
        made.typed_extension_protocol_options[HTTP_OPTIONS].CopyFrom(pack(options))


def _describe(made: Cluster, service: Service, subset: str, traffic: TrafficPolicy | None, rule: Rule | None) -> None:
    fields = made.metadata.filter_metadata[ISTIO].fields
    if service.external and not subset:
        fields["external"].bool_value = True
    if rule is not None:
        fields["config"].string_value = config_path(rule.source)
        if subset:
            fields["subset"].string_value = subset
        if traffic is not None and traffic.tls is not None and traffic.tls.mode in ("SIMPLE", "MUTUAL"):
            fields["alpn_override"].string_value = "false"


def _mutual_mode(service: Service, traffic: TrafficPolicy | None, seen: Seen) -> Mode | None:
    """What auto mTLS believes about a service: None where it must not be tried."""
    if service.external:
        return None
    unbalanced = service.resolution == "Passthrough" or policy.passes_through(traffic)
    if unbalanced and (not seen.endpoints or any(e.workload.tls_mode == "disabled" for e in seen.endpoints)):
        return "DISABLE"
    return seen.peer_mode or "PERMISSIVE"
