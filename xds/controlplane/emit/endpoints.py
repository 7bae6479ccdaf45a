"""ClusterLoadAssignment: the endpoints of a cluster by locality, arranged for the proxy that asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...wire.schema.join import delimited, nested, number, tag, text, wrapped
from ...wire.schema.types import core_v3, endpoint_v3, google_protobuf
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
from .groups import Group, Locality, encoded_assignment
from .locality import effective
from .messages import ISTIO, TRANSPORT_SOCKET_MATCH, socket_address

_STATUS = {"UNKNOWN": 0, "HEALTHY": 1, "UNHEALTHY": 2, "DRAINING": 3}
_DRAINING = "istio.io/draining"
_MOST = 2**32 - 1

_ENDPOINT = tag(endpoint_v3.LbEndpoint, "endpoint")
_HEALTH = tag(endpoint_v3.LbEndpoint, "health_status")
_METADATA = tag(endpoint_v3.LbEndpoint, "metadata")
_WEIGHT = tag(endpoint_v3.LbEndpoint, "load_balancing_weight")
_ADDRESS = tag(endpoint_v3.Endpoint, "address")
_SOCKET = tag(core_v3.Address, "socket_address")
_HOST = tag(core_v3.SocketAddress, "address")
_PORT = tag(core_v3.SocketAddress, "port_value")
_FILTERS = tag(core_v3.Metadata, "filter_metadata")
_FIELDS = tag(google_protobuf.Struct, "fields")
_TEXT = tag(google_protobuf.Value, "string_value")
_KEY, _VALUE = b"\x0a", b"\x12"  # of an entry of a map: both are always written
_PLACED = ((_SOCKET, b""), (_ADDRESS, b""), (_ENDPOINT, b""))


def _in_filter(name: str, key: str) -> tuple[tuple[bytes, bytes], ...]:
    """Where metadata says one text to one filter: as a value, in a map of fields, in a map of filters."""
    return (
        (_TEXT, b""),
        (_VALUE, delimited(_KEY, key.encode())),
        (_FIELDS, b""),
        (_VALUE, delimited(_KEY, name.encode())),
        (_FILTERS, b""),
    )


_TLS_MODE = _in_filter(TRANSPORT_SOCKET_MATCH, "tlsMode")
_WORKLOAD = _in_filter(ISTIO, "workload")


@dataclass(frozen=True, slots=True)
class Caller:
    """What of the proxy decides about endpoints."""

    locality: Locality
    labels: Mapping[str, str]
    node: str
    at: Standpoint = Standpoint()
    local: bool = True  # in the cluster whose services these are


def load_assignment(name: str, scope: Scope, rule: Rule | None, caller: Caller, made: Made | None = None) -> bytes:
    """The assignment of an EDS cluster, encoded; empty for one that does not exist, or whose service is resolved by
    DNS. `made`: what is encoded for several assignments of one world.
    """
    key = parse_subset_key(name)
    service = scope.by_host.get(key.host) if key else None
    if key is None or service is None or service.is_dns:
        return encoded_assignment(name, ())
    port = service.port(key.port)
    if port is None:
        return encoded_assignment(name, ())
    found = scope.world.instances.get(service.key)
    far = bool(scope.world.gateways.by_network)  # then an endpoint may do without an address
    members = [
        endpoint
        for endpoint in (found.all if found else ())
        if endpoint.port_name == port.name
        and (endpoint.port == 0 or is_ip(endpoint.address) or (far and not endpoint.address))
    ]
    return assignment_of(name, service, key.subset, key.port, members, rule, caller, scope.world, made=made)


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
    made: Made | None = None,
) -> bytes:
    """`members` are the endpoints of the port, of every subset. `arranged`: with priorities and weights of places."""
    traffic = policy.for_cluster(rule.spec if rule else None, subset, port)
    mesh = world.mesh
    places = by_place(service, subset, port, members, rule, caller, mesh)
    authn = world.peer_authentications
    places, groups = grouped(places, subset, port, rule, mesh, authn, world.gateways, caller.at, made)
    setting = effective(policy.load_balancer(traffic), service, mesh)
    if setting is not None and groups and arranged:
        ejects = traffic is not None and traffic.outlier_detection is not None
        groups = setting.arrange(groups, list(places.values()), caller.locality, caller.labels, ejects=ejects)
    return encoded_assignment(name, groups)


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
    wanted = labels.items()
    for endpoint in members:
        if labels and not wanted <= endpoint.workload.labels.items():
            continue
        if not _wanted(endpoint, service, caller, unready=unready):
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
    made: Made | None = None,
) -> tuple[dict[str, list[Endpoint]], list[Group]]:
    """The endpoints that are called, those of other networks by their gateways, and the groups that they make."""
    mode = _rule_mode(rule.spec if rule else None, subset, port)
    making = made.get(mode) if made is not None else None
    if making is None:
        making = _Making(mesh, mode, authn)
        if made is not None:
            made[mode] = making
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
    """Makes the endpoints of one world that are called in one TLS mode, encoded, since there are more of them than of
    anything else, and only once: an endpoint is that of its subset and of the whole service.
    """

    def __init__(self, mesh: MeshConfig, mode: str | None, authn: PeerAuthentications | None) -> None:
        self._mesh = mesh
        self._mode = mode
        self._authn = authn
        self._metadata: dict[tuple[str, str], bytes] = {}
        self._policies: dict[int, PeerPolicy] = {}
        self._endpoints: dict[int, tuple[Endpoint, tuple[bytes, int]]] = {}

    def group(self, place: str, members: Sequence[Endpoint]) -> Group:
        """`weight` is what all of them weigh together."""
        weight = min(sum(endpoint.weight or 1 for endpoint in members), _MOST) if members else None
        return Group(locality_parts(place), [self._encoded(endpoint) for endpoint in members], weight)

    def _encoded(self, endpoint: Endpoint) -> tuple[bytes, int]:
        """With its weight."""
        known = self._endpoints.get(id(endpoint))
        if known is not None:
            return known[1]
        weight = endpoint.weight or 1
        parts = (_address(endpoint), number(_HEALTH, _STATUS[_health(endpoint)]), self._of(endpoint), _weight(weight))
        encoded = b"".join(parts), weight
        self._endpoints[id(endpoint)] = endpoint, encoded
        return encoded

    def _of(self, endpoint: Endpoint) -> bytes:
        workload = endpoint.workload
        mode = workload.tls_mode
        gateway = endpoint.gateway is not None
        mutual = gateway or (mode not in ("", "disabled") and self._mutual(endpoint))
        key = (_telemetry(endpoint, self._mesh), mode if mutual else "")
        made = self._metadata.get(key)
        if made is None:
            filters = nested(mode.encode(), _TLS_MODE) if mutual else b""
            made = delimited(_METADATA, filters + nested(key[0].encode(), _WORKLOAD))
            self._metadata[key] = made
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


Made = dict[str | None, _Making]
"""What makes the endpoints of several assignments of one world, by TLS mode."""


def _address(endpoint: Endpoint) -> bytes:
    if endpoint.port == 0:
        address = socket_address(endpoint.address, 0).SerializeToString(deterministic=True)
        return nested(address, _PLACED[1:])
    return nested(text(_HOST, endpoint.address) + number(_PORT, endpoint.port), _PLACED)


@lru_cache(1024)
def _weight(of: int) -> bytes:
    return delimited(_WEIGHT, wrapped(of))


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
