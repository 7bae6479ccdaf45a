"""networking.istio.io ServiceEntry, WorkloadEntry and Sidecar, field for field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from .destination_rule import ConnectionPoolSettings
from .fields import REQUIRED, Json, Port, UInt32
from .selectors import WorkloadSelector
from .virtual_service import Destination


@dataclass(frozen=True, slots=True)
class ServicePort:
    number: Annotated[Port, REQUIRED] = 0
    protocol: str = ""
    name: Annotated[str, REQUIRED] = ""
    target_port: Port = 0


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    address: str = ""
    ports: dict[str, Port] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    network: str = ""
    locality: str = ""
    weight: UInt32 = 0
    service_account: str = ""


Resolution = Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"]


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    hosts: Annotated[tuple[str, ...], REQUIRED] = ()
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = "MESH_EXTERNAL"
    resolution: Resolution = "NONE"
    endpoints: tuple[WorkloadEntry, ...] = ()
    workload_selector: WorkloadSelector | None = None
    export_to: tuple[str, ...] = ()
    subject_alt_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SidecarPort:
    number: Port = 0
    protocol: str = ""
    name: str = ""
    target_port: Port = 0


CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]


@dataclass(frozen=True, slots=True)
class IstioIngressListener:
    port: Annotated[SidecarPort, REQUIRED] = SidecarPort()
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    default_endpoint: str = ""
    tls: Json = None
    connection_pool: ConnectionPoolSettings | None = None


@dataclass(frozen=True, slots=True)
class IstioEgressListener:
    port: SidecarPort | None = None
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    hosts: Annotated[tuple[str, ...], REQUIRED] = ()


@dataclass(frozen=True, slots=True)
class OutboundTrafficPolicy:
    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY", "ALLOW_ANY_DYNAMIC_DNS"] = "REGISTRY_ONLY"
    egress_proxy: Destination | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    workload_selector: WorkloadSelector | None = None
    ingress: tuple[IstioIngressListener, ...] = ()
    egress: tuple[IstioEgressListener, ...] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
