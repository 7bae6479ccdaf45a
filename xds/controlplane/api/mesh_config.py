"""istio.mesh.v1alpha1 MeshConfig and MeshNetworks, field for field, and the objects that hold them.

The defaults are those of istiod's mesh, so a field that is not given has the value that holds. Fields inside of a
message have protobuf's defaults, as they have when the message is given: `outboundTrafficPolicy: {}` is REGISTRY_ONLY.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .destination_rule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    LocalityLoadBalancerSetting,
    OutlierDetection,
    TcpKeepalive,
    ZoneAwareLoadBalancerSetting,
)
from .extension_providers import EnvoyFileAccessLog, ExtensionProvider, Prometheus, Stackdriver
from .fields import REQUIRED, Bounds, Duration, Format, Inert, OneOf, Port, UInt32
from .proxy_config import ProxyConfig
from .virtual_service import HTTPRetry

_GATEWAY = Inert("it is for gateways and ingress, which are not served")
_INJECTED = Inert("it is about the container that is injected, and nothing of it is sent to a client")
_CERTIFICATES = Inert("no certificates are issued")

ConnectTimeout = Annotated[float, Format.DURATION, Bounds(0.001, 3600)]


@dataclass(frozen=True, slots=True)
class OutboundTrafficPolicy:
    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"] = "REGISTRY_ONLY"
    tls: ClientTLSSettings | None = None


@dataclass(frozen=True, slots=True)
class InboundTrafficPolicy:
    mode: Literal["PASSTHROUGH", "LOCALHOST"] = "PASSTHROUGH"


@dataclass(frozen=True, slots=True)
class ConfigSource:
    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    subscribed_resources: tuple[Literal["SERVICE_REGISTRY"], ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateData:
    """The certificates themselves are for istiod's authority and for its agents; the trust domains are accepted."""

    pem: str | None = None
    spiffe_bundle_url: str | None = None
    cert_signers: tuple[str, ...] = ()
    trust_domains: tuple[str, ...] = ()

    ONE_OF: ClassVar[OneOf] = (("pem", "spiffe_bundle_url"),)


@dataclass(frozen=True, slots=True)
class Certificate:
    secret_name: str = ""
    dns_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    cluster_local: bool = False


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    settings: Settings | None = None
    hosts: tuple[str, ...] = ()


Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


@dataclass(frozen=True, slots=True)
class LabelSelectorRequirement:
    key: Annotated[str, REQUIRED] = ""
    operator: Operator = "In"
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class NamespaceSelector:
    """Kubernetes' LabelSelector: everything that it says must hold."""

    match_labels: dict[str, str] = field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        return self.match_labels.items() <= labels.items() and all(
            requirement.holds(labels) for requirement in self.match_expressions
        )


@dataclass(frozen=True, slots=True)
class ServiceScopeConfigs:
    namespace_selector: NamespaceSelector | None = None
    services_selector: NamespaceSelector | None = None
    scope: Literal["LOCAL", "GLOBAL"] = "LOCAL"


@dataclass(frozen=True, slots=True)
class CA:
    address: str = ""
    tls_settings: ClientTLSSettings | None = None
    request_timeout: Duration | None = None
    istiod_side: bool = False


@dataclass(frozen=True, slots=True)
class DefaultProviders:
    tracing: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    access_logging: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxyPathNormalization:
    normalization: Literal["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] = "DEFAULT"


@dataclass(frozen=True, slots=True)
class TLSConfig:
    min_protocol_version: Literal["TLS_AUTO", "TLSV1_2", "TLSV1_3"] = "TLS_AUTO"
    ecdh_curves: tuple[str, ...] = ()
    cipher_suites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DefaultTrafficPolicy:
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None


Visibility = Literal["VISIBILITY_UNSPECIFIED", "NONE", "NAMESPACE", "PUBLIC"]


@dataclass(frozen=True, slots=True)
class VisibilityRule:
    namespace_selector: NamespaceSelector | None = None


@dataclass(frozen=True, slots=True)
class VisibilityPolicy:
    visibility: Visibility = "VISIBILITY_UNSPECIFIED"
    matching_rules: tuple[VisibilityRule, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceEntryVisibility:
    default_visibility: Visibility = "VISIBILITY_UNSPECIFIED"
    apply_to_sidecars: bool = False
    policies: tuple[VisibilityPolicy, ...] = ()


EVERYWHERE = ("*",)
BUILT_IN = (
    ExtensionProvider("prometheus", prometheus=Prometheus()),
    ExtensionProvider("stackdriver", stackdriver=Stackdriver()),
    ExtensionProvider("envoy", envoy_file_access_log=EnvoyFileAccessLog(path="/dev/stdout")),
)
"""Providers that every mesh has."""


@dataclass(frozen=True, slots=True)
class MeshConfig:
    proxy_listen_port: Port = 15001
    proxy_inbound_listen_port: Port = 15006
    proxy_http_port: Port = 0
    connect_timeout: ConnectTimeout = 10.0
    hbone_idle_timeout: Annotated[Duration | None, Inert("ambient mode is not served")] = None
    protocol_detection_timeout: Duration = 0.0
    tcp_keepalive: TcpKeepalive | None = None
    ingress_class: Annotated[str, _GATEWAY] = "istio"
    ingress_service: Annotated[str, _GATEWAY] = "istio-ingressgateway"
    ingress_controller_mode: Annotated[Literal["UNSPECIFIED", "OFF", "DEFAULT", "STRICT"], _GATEWAY] = "STRICT"
    ingress_selector: Annotated[str, _GATEWAY] = ""
    enable_tracing: bool = True
    access_log_file: str = ""
    access_log_format: str = ""
    access_log_encoding: Literal["TEXT", "JSON"] = "TEXT"
    enable_envoy_access_log_service: bool = False
    disable_envoy_listener_log: bool = False
    default_config: ProxyConfig = ProxyConfig()
    outbound_traffic_policy: OutboundTrafficPolicy = OutboundTrafficPolicy("ALLOW_ANY")
    inbound_traffic_policy: InboundTrafficPolicy = InboundTrafficPolicy()
    config_sources: Annotated[tuple[ConfigSource, ...], Inert("objects come from one source")] = ()
    enable_auto_mtls: bool = True
    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    ca_certificates: tuple[CertificateData, ...] = ()
    default_service_export_to: tuple[str, ...] = EVERYWHERE
    default_virtual_service_export_to: tuple[str, ...] = EVERYWHERE
    default_destination_rule_export_to: tuple[str, ...] = EVERYWHERE
    root_namespace: str = "istio-system"
    locality_lb_setting: LocalityLoadBalancerSetting | None = LocalityLoadBalancerSetting(enabled=True)
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    dns_refresh_rate: Duration = 60.0
    h2_upgrade_policy: Literal["DO_NOT_UPGRADE", "UPGRADE"] = "DO_NOT_UPGRADE"
    inbound_cluster_stat_name: str = ""
    outbound_cluster_stat_name: str = ""
    certificates: Annotated[tuple[Certificate, ...], _CERTIFICATES] = ()
    service_settings: tuple[ServiceSettings, ...] = ()
    service_scope_configs: Annotated[tuple[ServiceScopeConfigs, ...], Inert("ambient mode is not served")] = ()
    enable_prometheus_merge: Annotated[bool, _INJECTED] = True
    verify_certificate_at_client: Annotated[bool | None, Inert("istiod does not read it any more")] = None
    ca: Annotated[CA | None, _CERTIFICATES] = None
    extension_providers: tuple[ExtensionProvider, ...] = ()
    default_providers: DefaultProviders = DefaultProviders()
    discovery_selectors: tuple[NamespaceSelector, ...] = ()
    path_normalization: ProxyPathNormalization = ProxyPathNormalization()
    default_http_retry_policy: HTTPRetry | None = None
    default_inbound_http_retry_policy: HTTPRetry | None = None
    mesh_mtls: TLSConfig = TLSConfig()
    tls_defaults: TLSConfig = TLSConfig()
    default_traffic_policy: DefaultTrafficPolicy = DefaultTrafficPolicy()
    service_entry_visibility: ServiceEntryVisibility = ServiceEntryVisibility()

    NAMES: ClassVar[Mapping[str, str]] = {"mesh_mtls": "meshMTLS"}


@dataclass(frozen=True, slots=True)
class NetworkEndpoints:
    from_cidr: str | None = None
    from_registry: str | None = None

    ONE_OF: ClassVar[OneOf] = (("from_cidr", "from_registry"),)


@dataclass(frozen=True, slots=True)
class NetworkGateway:
    registry_service_name: str | None = None
    address: str | None = None
    port: UInt32 = 0
    locality: str = ""

    ONE_OF: ClassVar[OneOf] = (("registry_service_name", "address"),)


@dataclass(frozen=True, slots=True)
class Network:
    endpoints: tuple[NetworkEndpoints, ...] = ()
    gateways: tuple[NetworkGateway, ...] = ()


@dataclass(frozen=True, slots=True)
class MeshNetworks:
    networks: dict[str, Network] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeshData:
    """`data` of the ConfigMap `istio`: YAML in text. Of others the certificates of authorities, in PEM."""

    mesh: Annotated[MeshConfig | None, Format.YAML] = None
    mesh_networks: Annotated[MeshNetworks | None, Format.YAML] = None
    ca_crt: str = ""
    cacert: str = ""

    OPEN: ClassVar[bool] = True
    NAMES: ClassVar[dict[str, str]] = {"ca_crt": "ca.crt"}

    @property
    def is_mesh(self) -> bool:
        return not (self.ca_crt or self.cacert) or self.mesh is not None or self.mesh_networks is not None


@dataclass(frozen=True, slots=True)
class MeshMap:
    """The ConfigMap that istiod reads, as istioctl and Helm write it."""

    data: MeshData = MeshData()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class IstioOperator:
    """`spec` of what istioctl installs from, as far as it is about the mesh."""

    mesh_config: MeshConfig | None = None
    revision: str = ""

    OPEN: ClassVar[bool] = True
