"""ClusterLoadAssignment: the endpoints of a cluster by locality, arranged for the proxy that asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...wire.schema.types import core_v3, endpoint_v3
from ..api.destination_rule import ClientTLSSettings, DestinationRule, TrafficPolicy
from ..hosts import is_ip, parse_subset_key
from ..mesh import MeshConfig
from ..registry.authn import PeerAuthentications, PeerPolicy
from ..registry.destination_rules import Rule
from ..registry.endpoints import Endpoint, locality_parts
from ..registry.networks import Gateways, Standpoint
from ..registry.scope import Scope
from ..registry.services import Service
from ..registry.world import World
from . import policy
from .across import through_gateways
from .cluster_local import is_cluster_local
from .locality import Locality, effective
from .messages import ISTIO, TRANSPORT_SOCKET_MATCH, socket_address

Assignment = endpoint_v3.ClusterLoadAssignment

_STATUS = {"UNKNOWN": 0, "HEALTHY": 1, "UNHEALTHY": 2, "DRAINING": 3}
_DRAINING = "istio.io/draining"
_MOST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Caller:
    """What of the proxy decides about endpoints."""

    locality: Locality
    labels: Mapping[str, str]
    node: str
    at: Standpoint = Standpoint()
    local: bool = True  # in the cluster whose services these are


def load_assignment(name: str, scope: Scope, rule: Rule | None, caller: Caller) -> Assignment:
    """The assignment of an EDS cluster; empty for one that does not exist, or whose service is resolved by DNS."""
    key = parse_subset_key(name)
    service = scope.by_host.get(key.host) if key else None
    if key is None or service is None or service.is_dns:
        return Assignment(cluster_name=name)
    port = service.port(key.port)
    if port is None:
        return Assignment(cluster_name=name)
    found = scope.world.instances.get(service.key)
    far = bool(scope.world.gateways.by_network)  # then an endpoint may do without an address
    members = [
        endpoint
        for endpoint in (found.all if found else ())
        if endpoint.port_name == port.name
        and (endpoint.port == 0 or is_ip(endpoint.address) or (far and not endpoint.address))
    ]
    return assignment_of(name, service, key.subset, key.port, members, rule, caller, scope.world)


def assignment_of(
    name: str,
    service: Service,
    subset: str,
    port: int,
    members: Sequence[Endpoint],
    rule: Rule | None,
    caller: Caller,
    world: World,
    *,
    arranged: bool = True,
) -> Assignment:
    """`members` are the endpoints of the port, of every subset. `arranged`: with priorities and weights of places."""
    traffic = policy.for_cluster(rule.spec if rule else None, subset, port)
    mesh = world.mesh
    places = by_place(service, subset, port, members, rule, caller, mesh)
    places, groups = grouped(places, subset, port, rule, mesh, world.peer_authentications, world.gateways, caller.at)
    setting = effective(policy.load_balancer(traffic), service, mesh)
    if setting is not None and groups and arranged:
        ejects = traffic is not None and traffic.outlier_detection is not None
        groups = setting.arrange(groups, list(places.values()), caller.locality, caller.labels, ejects=ejects)
    return Assignment(cluster_name=name, endpoints=groups)


def by_place(
    service: Service,
    subset: str,
    port: int,
    members: Sequence[Endpoint],
    rule: Rule | None,
    caller: Caller,
    mesh: MeshConfig,
) -> dict[str, list[Endpoint]]:
    """The endpoints of a subset that the caller is told of, by their locality, in its order."""
    spec = rule.spec if rule else None
    labels = next((item.labels for item in spec.subsets if item.name == subset), {}) if spec and subset else {}
    traffic = policy.for_cluster(spec, subset, port)
    ejection = traffic.outlier_detection if traffic else None
    if not caller.local and is_cluster_local(service.hostname, mesh):
        return {}
    forced = service.traffic_distribution != "Any"
    unready = forced or (mesh.send_unhealthy_endpoints and not (ejection and ejection.min_health_percent > 0))
    found: dict[str, list[Endpoint]] = {}
    for endpoint in members:
        if not _wanted(endpoint, service, caller, unready=unready):
            continue
        if labels and not labels.items() <= endpoint.workload.labels.items():
            continue
        found.setdefault(endpoint.workload.locality, []).append(endpoint)
    return {place: found[place] for place in sorted(found)}


def grouped(
    places: dict[str, list[Endpoint]],
    subset: str,
    port: int,
    rule: Rule | None,
    mesh: MeshConfig,
    authn: PeerAuthentications | None,
    gateways: Gateways,
    at: Standpoint,
) -> tuple[dict[str, list[Endpoint]], list[endpoint_v3.LocalityLbEndpoints]]:
    """The endpoints that are called, those of other networks by their gateways, and the groups that they make."""
    making = _Making(mesh, _rule_mode(rule.spec if rule else None, subset, port), authn)
    if gateways.by_network:
        places = through_gateways(places, gateways, at, mesh.cluster_id, making.mutual_with)
    return places, [making.group(place, members) for place, members in places.items()]


def _wanted(endpoint: Endpoint, service: Service, caller: Caller, *, unready: bool) -> bool:
    if not caller.at.sees_network(endpoint.workload.network):
        return False
    if service.node_local and endpoint.workload.node != caller.node:
        return False
    if endpoint.health == "TERMINATING" or (endpoint.health == "UNHEALTHY" and not unready):
        return False
    return service.keeps_sessions_by_cookie or _health(endpoint) != "DRAINING"


def _health(endpoint: Endpoint) -> str:
    """A label may say that it drains."""
    return "DRAINING" if endpoint.workload.labels.get(_DRAINING) else endpoint.health


class _Making:
    """Makes the endpoints of one assignment. Those of one workload share their metadata, which is most of the work."""

    def __init__(self, mesh: MeshConfig, mode: str | None, authn: PeerAuthentications | None) -> None:
        self._mesh = mesh
        self._mode = mode
        self._authn = authn
        self._metadata: dict[tuple[str, str], core_v3.Metadata] = {}
        self._policies: dict[int, PeerPolicy] = {}

    def group(self, place: str, members: Sequence[Endpoint]) -> endpoint_v3.LocalityLbEndpoints:
        region, zone, subzone = locality_parts(place)
        made = endpoint_v3.LocalityLbEndpoints(
            locality=core_v3.Locality(region=region, zone=zone, sub_zone=subzone),
        )
        if members:
            made.load_balancing_weight.value = min(sum(endpoint.weight or 1 for endpoint in members), _MOST)
        for endpoint in members:
            one = made.lb_endpoints.add(health_status=_STATUS[_health(endpoint)], metadata=self._of(endpoint))
            one.endpoint.address.CopyFrom(socket_address(endpoint.address, endpoint.port))
            one.load_balancing_weight.value = endpoint.weight or 1
        return made

    def _of(self, endpoint: Endpoint) -> core_v3.Metadata:
        workload = endpoint.workload
        mode = workload.tls_mode
        gateway = endpoint.gateway is not None
        mutual = gateway or (mode not in ("", "disabled") and self._mutual(endpoint))
        key = (_telemetry(endpoint, self._mesh), mode if mutual else "")
        made = self._metadata.get(key)
        if made is None:
            made = self._metadata[key] = core_v3.Metadata()
            made.filter_metadata[ISTIO].fields["workload"].string_value = key[0]
            if mutual:
                made.filter_metadata[TRANSPORT_SOCKET_MATCH].fields["tlsMode"].string_value = mode
        return made

    def mutual_with(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint is called with Istio's mTLS, by which gateways know where to pass connections on."""
        return endpoint.workload.tls_mode == "istio" and self._mutual(endpoint)

    def _mutual(self, endpoint: Endpoint) -> bool:
        """Whether callers should use mTLS: the rule decides, else the endpoint's sidecar and its PeerAuthentication."""
        if self._mode is not None:
            return self._mode == "ISTIO_MUTUAL"
        workload = endpoint.workload
        if workload.tls_mode != "istio":
            return False
        if self._authn is None:
            return True
        policy = self._policies.get(id(workload))
        if policy is None:
            policy = self._policies[id(workload)] = self._authn.of_workload(workload.namespace, workload.labels)
        return policy.of(endpoint.port) != "DISABLE"


def _telemetry(endpoint: Endpoint, mesh: MeshConfig) -> str:
    """workload;namespace;canonical service;canonical revision;cluster, for the caller's metrics."""
    labels = endpoint.workload.labels
    service = labels.get(
        "service.istio.io/canonical-name",
        labels.get("app.kubernetes.io/name", labels.get("app", endpoint.workload.name)),
    )
    revision = labels.get(
        "service.istio.io/canonical-revision", labels.get("app.kubernetes.io/version", labels.get("version", ""))
    )
    if revision == "latest":
        revision = ""
    cluster = mesh.cluster_id if endpoint.gateway is None else endpoint.gateway
    return f"{endpoint.workload.name};{endpoint.workload.namespace};{service};{revision};{cluster}"


def _rule_mode(spec: DestinationRule | None, subset: str, port: int) -> str | None:
    """The TLS mode that a DestinationRule sets for a port, of the subset before its own."""
    if spec is None:
        return None
    for item in spec.subsets if subset else ():
        if item.name == subset:
            own = _policy_mode(item.traffic_policy, port)
            return own if own is not None else _policy_mode(spec.traffic_policy, port)
    return _policy_mode(spec.traffic_policy, port) if not subset else None


def _policy_mode(traffic: TrafficPolicy | None, port: int) -> str | None:
    if traffic is None:
        return None
    found: ClientTLSSettings | None = traffic.tls
    for own in traffic.port_level_settings:
        if own.port is not None and own.port.number == port and own.tls is not None:
            found = own.tls
            break
    return found.mode if found else None
