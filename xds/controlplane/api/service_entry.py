"""networking.istio.io ServiceEntry, WorkloadEntry and WorkloadGroup, field for field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .fields import REQUIRED, OneOf, Port, UInt32
from .kubernetes import Condition
from .selectors import WorkloadSelector


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
class AssignedAddress:
    value: str = ""
    host: str = ""

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ServiceEntryStatus:
    """Addresses that istiod's controller gave to hosts without any."""

    addresses: tuple[AssignedAddress, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class WorkloadEntryStatus:
    """What probes found, where an agent does them."""

    conditions: tuple[Condition, ...] = ()

    OPEN: ClassVar[bool] = True

    @property
    def healthy(self) -> bool:
        return any(each.type == "Healthy" and each.holds for each in self.conditions)


@dataclass(frozen=True, slots=True)
class HTTPHeader:
    name: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class HTTPHealthCheck:
    path: str = ""
    port: Annotated[Port, REQUIRED] = 0
    host: str = ""
    scheme: Literal["", "HTTP", "HTTPS"] = ""
    http_headers: tuple[HTTPHeader, ...] = ()


@dataclass(frozen=True, slots=True)
class TCPHealthCheck:
    host: str = ""
    port: Annotated[Port, REQUIRED] = 0


@dataclass(frozen=True, slots=True)
class ExecHealthCheck:
    command: Annotated[tuple[str, ...], REQUIRED] = ()


@dataclass(frozen=True, slots=True)
class GRPCHealthCheck:
    port: Port = 0
    service: str = ""


@dataclass(frozen=True, slots=True)
class ReadinessProbe:
    initial_delay_seconds: UInt32 = 0
    timeout_seconds: UInt32 = 0
    period_seconds: UInt32 = 0
    success_threshold: UInt32 = 0
    failure_threshold: UInt32 = 0
    http_get: HTTPHealthCheck | None = None
    tcp_socket: TCPHealthCheck | None = None
    exec: ExecHealthCheck | None = None
    grpc: GRPCHealthCheck | None = None

    ONE_OF: ClassVar[OneOf] = (("http_get", "tcp_socket", "exec", "grpc"),)


@dataclass(frozen=True, slots=True)
class GroupMeta:
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkloadTemplate(WorkloadEntry):
    """A WorkloadEntry that need not be whole: its machine says the address."""


@dataclass(frozen=True, slots=True)
class WorkloadGroup:
    """What the WorkloadEntries of machines that register themselves are made of. It makes no endpoint itself."""

    metadata: GroupMeta | None = None
    template: WorkloadTemplate | None = None
    probe: ReadinessProbe | None = None
