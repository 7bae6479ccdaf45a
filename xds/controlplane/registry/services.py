"""Services: what can be called, from Kubernetes Services and from ServiceEntries."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ..api import kubernetes
from ..api.service_entry import ServiceEntry
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
_DISTRIBUTION = "networking.istio.io/traffic-distribution"


@dataclass(frozen=True, slots=True, eq=False)
class Port:
    name: str
    number: int
    protocol: Protocol


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

    def addresses_for(self, mode: IPMode) -> tuple[str, ...]:
        """The addresses that a proxy with those IP families calls it by; never none."""
        if self.registry != "Kubernetes" or mode == "Dual":
            return self.addresses
        return tuple(a for a in self.addresses if (":" in a) == (mode == "IPv6")) or self.addresses[:1]

    def address_for(self, mode: IPMode) -> str:
        return self.addresses_for(mode)[0]

    @property
    def age(self) -> tuple[str, bool, str, str]:
        """Creation order as istiod sorts; without times, Kubernetes' services come first."""
        return self.source.meta.created, self.registry != "Kubernetes", self.name, self.namespace

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
