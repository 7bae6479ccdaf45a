"""Kubernetes objects, as far as discovery reads them.

Other fields of these kinds pass unread (`OPEN`), so nothing here is checked for unknown names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from .fields import REQUIRED, Json, Port

Names = Mapping[str, str]
"""Fields whose JSON name is not the usual camel case."""


@dataclass(frozen=True, slots=True)
class ServicePort:
    port: Annotated[Port, REQUIRED] = 0
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: Json = None  # a number, or the name of a container's port

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Service:
    """`spec` of a Service."""

    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    type: str = "ClusterIP"
    external_name: str = ""
    selector: dict[str, str] = field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    publish_not_ready_addresses: bool = False
    internal_traffic_policy: str = "Cluster"
    traffic_distribution: str | None = None

    OPEN: ClassVar[bool] = True
    NAMES: ClassVar[Names] = {"cluster_ip": "clusterIP", "cluster_ips": "clusterIPs"}


@dataclass(frozen=True, slots=True)
class ObjectReference:
    kind: str = ""
    name: str = ""
    namespace: str = ""

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class EndpointConditions:
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    node_name: str = ""
    target_ref: ObjectReference | None = None

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class SlicePort:
    name: str = ""
    port: Port = 0
    protocol: str = "TCP"

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """The object itself: an EndpointSlice has no `spec`."""

    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class EndpointAddress:
    ip: str = ""
    node_name: str = ""
    target_ref: ObjectReference | None = None

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class EndpointSubset:
    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[SlicePort, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The object itself, the older form of EndpointSlice."""

    subsets: tuple[EndpointSubset, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ContainerPort:
    container_port: Port = 0
    name: str = ""
    protocol: str = "TCP"

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Container:
    ports: tuple[ContainerPort, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class PodSpec:
    node_name: str = ""
    service_account_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    containers: tuple[Container, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class PodStatus:
    pod_ip: str = ""

    OPEN: ClassVar[bool] = True
    NAMES: ClassVar[Names] = {"pod_ip": "podIP"}


@dataclass(frozen=True, slots=True)
class Pod:
    """The object itself."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Node:
    """The object itself: its labels say the locality."""

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Namespace:
    """The object itself: its annotations are inherited by services."""

    OPEN: ClassVar[bool] = True
