"""Services: what can be called, from Kubernetes Services and from ServiceEntries."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ..api import kubernetes
from ..api.service_entry import ServiceEntry, ServiceEntryStatus
from ..hosts import is_ip
from ..mesh import MeshConfig
from ..objects import Object
from . import protocols
from .protocols import Protocol

UNSPECIFIED = "0.0.0.0"

Resolution = Literal["ClientSideLB", "DNSLB", "Passthrough", "DNSRoundRobinLB", "Alias", "DynamicDNS"]
Registry = Literal["Kubernetes", "External"]
IPMode = Literal["IPv4", "IPv6", "Dual"]
Distribution = Literal["Any", "PreferSameZone", "PreferSameNode"]

_RESOLUTIONS: dict[str, Resolution] = {
    "NONE": "Passthrough",
    "STATIC": "ClientSideLB",
    "DNS": "DNSLB",
    "DNS_ROUND_ROBIN": "DNSRoundRobinLB",
    "DYNAMIC_DNS": "DynamicDNS",
}
_DISTRIBUTIONS: dict[str, Distribution] = {
    "preferclose": "PreferSameZone",
    "prefersamezone": "PreferSameZone",
    "prefersamenode": "PreferSameNode",
}
_SESSION = "istio.io/persistent-session"
_SESSION_HEADER = "istio.io/persistent-session-header"
_EXPORT_TO = "networking.istio.io/exportTo"
_AUTO_ALLOCATE = "networking.istio.io/enable-autoallocate-ip"
_DISTRIBUTION = "networking.istio.io/traffic-distribution"


@dataclass(frozen=True, slots=True, eq=False)
class Port:
    name: str
    number: int
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a proxy decides by which addresses it calls services."""

    mode: IPMode
    local: bool = True  # in the cluster whose services these are
    assigned: bool = False  # its resolver knows the addresses that istiod's controller gave


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Service:
    """One host name that can be called. A ServiceEntry makes one for each of its hosts and addresses."""

    hostname: str
    name: str
    namespace: str
    registry: Registry
    ports: tuple[Port, ...]
    resolution: Resolution
    source: Object[object]
    addresses: tuple[str, ...] = (UNSPECIFIED,)
    external: bool = False
    export_to: frozenset[str] = frozenset()
    selector: dict[str, str] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    service_accounts: tuple[str, ...] = ()
    external_name: str = ""
    node_local: bool = False
    publish_not_ready: bool = False
    traffic_distribution: Distribution = "Any"
    target_ports: dict[int, int] = field(default_factory=dict)  # of resolution NONE
    assigned_addresses: tuple[str, ...] = ()  # by istiod's controller, in the ServiceEntry's status
    race_connect: bool = False
    aliases: tuple[Service, ...] = ()

    @property
    def address(self) -> str:
        return self.addresses[0]

    @property
    def key(self) -> tuple[str, str]:
        return self.namespace, self.hostname

    def addresses_for(self, reach: Reach) -> tuple[str, ...]:
        """The addresses that a proxy may call it by; none if they are all of another family."""
        kubernetes = self.registry == "Kubernetes"
        found = _of_family(self.addresses, reach.mode) if kubernetes and reach.local else ()
        if not found and reach.assigned:
            found = _of_family(self.assigned_addresses, reach.mode)
        if not found:
            found = _of_family(self.addresses[:1], reach.mode) if kubernetes else self.addresses[:1]
        return found

    def address_for(self, reach: Reach) -> str:
        """The one that a listener is named after; where no family fits, the service's first all the same."""
        kubernetes = self.registry == "Kubernetes"
        found = _of_family(self.addresses, reach.mode) if kubernetes and reach.local else ()
        if not found and reach.assigned and self.address == UNSPECIFIED:
            found = _of_family(self.assigned_addresses, reach.mode)
        return found[0] if found else self.address

    def listener_addresses(self, reach: Reach) -> tuple[str, ...]:
        """Where a listener of its own stands, the address that it is named after first."""
        return (self.address_for(reach), *self.addresses_for(reach)[1:])

    @property
    def age(self) -> tuple[str, str, str]:
        """Creation order as istiod sorts; without times, Kubernetes' services come first."""
        return self.created, self.name, self.namespace

    @property
    def created(self) -> str:
        return self.source.created

    @property
    def is_dns(self) -> bool:
        return self.resolution in ("DNSLB", "DNSRoundRobinLB")

    @property
    def keeps_sessions(self) -> bool:
        """Whether sessions stay with an endpoint that is shutting down (by cookie, or by header)."""
        return bool(self.labels.get(_SESSION) or self.labels.get(_SESSION_HEADER))

    @property
    def keeps_sessions_by_cookie(self) -> bool:
        return bool(self.labels.get(_SESSION))

    def port(self, number: int) -> Port | None:
        for port in self.ports:
            if port.number == number:
                return port
        return None

    def port_named(self, name: str) -> Port | None:
        for port in self.ports:
            if port.name == name:
                return port
        return None


def from_kubernetes(source: Object[kubernetes.Service], namespace: Mapping[str, str], mesh: MeshConfig) -> Service:
    """`namespace` holds the annotations of the service's namespace."""
    spec, meta = source.spec, source.meta
    external_name = spec.external_name if spec.type == "ExternalName" else ""
    addresses: tuple[str, ...] = (UNSPECIFIED,)
    resolution: Resolution = "Alias" if external_name else "ClientSideLB"
    if spec.cluster_ip == "None":
        resolution = "Passthrough"
    elif spec.cluster_ip:
        addresses = spec.cluster_ips if len(spec.cluster_ips) > 1 else (spec.cluster_ip,)
    return Service(
        hostname=f"{meta.name}.{meta.namespace}.svc.{mesh.domain_suffix}",
        name=meta.name,
        namespace=meta.namespace,
        registry="Kubernetes",
        ports=tuple(
            Port(p.name, p.port, protocols.of_service_port(p.port, p.name, p.protocol, p.app_protocol))
            for p in spec.ports
        ),
        resolution=resolution,
        source=source,
        addresses=addresses,
        external=bool(external_name),
        export_to=_export_to(meta.annotations.get(_EXPORT_TO, "")),
        selector=spec.selector or None,
        labels=meta.labels,
        service_accounts=_declared_accounts(meta.annotations, meta.namespace, mesh.trust_domain),
        external_name=external_name,
        node_local=spec.internal_traffic_policy == "Local",
        publish_not_ready=spec.publish_not_ready_addresses,
        traffic_distribution=_distribution(spec.traffic_distribution, meta.annotations, namespace),
    )


def from_service_entry(source: Object[ServiceEntry], namespace: Mapping[str, str]) -> tuple[Service, ...]:
    """One service for each host and address."""
    spec, meta = source.spec, source.meta
    resolution = _RESOLUTIONS[spec.resolution]
    ports = tuple(Port(p.name, p.number, protocols.parse(p.protocol)) for p in spec.ports)
    target_ports = {p.number: p.target_port for p in spec.ports if p.target_port} if resolution == "Passthrough" else {}
    strategy = meta.annotations.get("istio.io/connect-strategy", "")
    assigned = _assigned(source)
    return tuple(
        Service(
            hostname=host,
            name=host,
            namespace=meta.namespace,
            registry="External",
            ports=ports,
            resolution=resolution,
            source=source,
            addresses=(address,),
            external=spec.location == "MESH_EXTERNAL",
            export_to=frozenset(spec.export_to),
            selector=spec.workload_selector.labels if spec.workload_selector else None,
            labels=meta.labels,
            service_accounts=spec.subject_alt_names,
            traffic_distribution=_distribution(None, meta.annotations, namespace),
            target_ports=target_ports,
            assigned_addresses=assigned.get(host, ()),
            race_connect=strategy.upper() == "RACE_FIRST_TCP_CONNECT",
        )
        for host in spec.hosts
        for address in _addresses(spec.addresses) or [UNSPECIFIED]
    )


def with_aliases(services: Iterable[Service]) -> list[Service]:
    """Gives each service the ExternalName services that stand for it, followed through other aliases."""
    found = list(services)
    stands_for = {service.hostname: service.external_name for service in found if service.resolution == "Alias"}
    if not stands_for:
        return found
    aliases: dict[str, list[Service]] = {}
    for service in found:
        if service.resolution != "Alias":
            continue
        seen, target = {service.hostname}, service.external_name
        while target in stands_for and target not in seen:
            seen.add(target)
            target = stands_for[target]
        if target not in stands_for:  # otherwise a loop, which Kubernetes resolves to nothing
            aliases.setdefault(target, []).append(service)
    return [
        replace(service, aliases=tuple(sorted(aliases[service.hostname], key=lambda alias: alias.key)))
        if service.hostname in aliases and service.resolution != "Alias"
        else service
        for service in found
    ]


def _addresses(written: tuple[str, ...]) -> list[str]:
    """IP addresses and CIDR ranges; a range of one address is the address, anything else is left out."""
    out = []
    for text in written:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        out.append(str(network.network_address) if network.num_addresses == 1 else text)
    return out


def _assigned(source: Object[ServiceEntry]) -> dict[str, tuple[str, ...]]:
    """By host, the addresses in its status: the last of each family, IPv4 first."""
    spec, status = source.spec, source.status
    opted_out = source.meta.labels.get(_AUTO_ALLOCATE, "").lower() == "false"
    if spec.addresses or spec.resolution == "NONE" or opted_out or not isinstance(status, ServiceEntryStatus):
        return {}
    found: dict[str, dict[int, str]] = {}
    for each in status.addresses:
        if is_ip(each.value):
            address = ipaddress.ip_address(each.value)
            found.setdefault(each.host, {})[address.version] = str(address)
    return {host: tuple(by_family[family] for family in sorted(by_family)) for host, by_family in found.items()}


def _of_family(addresses: tuple[str, ...], mode: IPMode) -> tuple[str, ...]:
    """Those of a proxy's family; for one of both those of the first address's, since istiod gives it no others."""
    six = ":" in addresses[0] if mode == "Dual" and addresses else mode == "IPv6"
    return tuple(address for address in addresses if (":" in address) == six)


def _export_to(annotation: str) -> frozenset[str]:
    return frozenset(part.strip() for part in annotation.split(",")) if annotation else frozenset()


def _declared_accounts(annotations: Mapping[str, str], namespace: str, trust_domain: str) -> tuple[str, ...]:
    canonical = annotations.get("alpha.istio.io/canonical-serviceaccounts", "")
    kubernetes_accounts = annotations.get("alpha.istio.io/kubernetes-serviceaccounts", "")
    accounts = canonical.split(",") if canonical else []
    if kubernetes_accounts:
        accounts += [spiffe(trust_domain, namespace, name) for name in kubernetes_accounts.split(",")]
    return tuple(accounts)


def in_every_domain(accounts: frozenset[str], aliases: tuple[str, ...]) -> set[str]:
    """Identities, and the same ones in the other trust domains that are taken for the mesh's own."""
    out = set(accounts)
    if not aliases:
        return out
    for account in accounts:
        domain, found, rest = account.removeprefix("spiffe://").partition("/ns/")
        if found and account.startswith("spiffe://") and "/" not in domain:
            out.update(f"spiffe://{alias}/ns/{rest}" for alias in aliases)
    return out


def spiffe(trust_domain: str, namespace: str, service_account: str) -> str:
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}"


def _distribution(field: str | None, own: Mapping[str, str], inherited: Mapping[str, str]) -> Distribution:
    """The service's field, else its annotation, else its namespace's."""
    if field is not None and field.lower() in _DISTRIBUTIONS:
        return _DISTRIBUTIONS[field.lower()]
    for notes in (own, inherited):
        said = notes.get(_DISTRIBUTION, "").lower()
        if said:
            return _DISTRIBUTIONS.get(said, "Any")
    return "Any"
