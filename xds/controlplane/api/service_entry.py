"""networking.istio.io ServiceEntry and WorkloadEntry, field for field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from .fields import REQUIRED, Port, UInt32
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
