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
    node_port: Port = 0
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
    external_ips: tuple[str, ...] = ()
    internal_traffic_policy: str = "Cluster"
    traffic_distribution: str | None = None

    OPEN: ClassVar[bool] = True
    NAMES: ClassVar[Names] = {"cluster_ip": "clusterIP", "cluster_ips": "clusterIPs", "external_ips": "externalIPs"}


@dataclass(frozen=True, slots=True)
class Ingress:
    ip: str = ""
    hostname: str = ""

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    ingress: tuple[Ingress, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """`status` of a Service: where it is called from outside of the cluster."""

    load_balancer: LoadBalancer = LoadBalancer()

    OPEN: ClassVar[bool] = True


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
    restart_policy: str = ""  # of an init container: `Always` makes it a sidecar, which runs on

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class PodSpec:
    node_name: str = ""
    service_account_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Condition:
    """One of an object's `status.conditions`."""

    type: str = ""
    status: str = ""

    OPEN: ClassVar[bool] = True

    @property
    def holds(self) -> bool:
        return self.status.lower() == "true"


@dataclass(frozen=True, slots=True)
class PodStatus:
    pod_ip: str = ""
    phase: str = ""
    conditions: tuple[Condition, ...] = ()

    OPEN: ClassVar[bool] = True
    NAMES: ClassVar[Names] = {"pod_ip": "podIP"}


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What `metadata` says of an object's end."""

    deletion_timestamp: str | None = None

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Pod:
    """The object itself."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
    metadata: Lifetime = Lifetime()

    OPEN: ClassVar[bool] = True

    @property
    def failed(self) -> bool:
        """Of failed Pods istiod hears nothing."""
        return self.status.phase == "Failed"

    @property
    def serves(self) -> bool:
        """Whether it is an endpoint where it is selected: it has an address, is ready and not on its way out.

        A Pod without any condition is one that no kubelet wrote, but a person: it is taken for ready.
        """
        if self.status.phase in ("Failed", "Succeeded") or not self.status.pod_ip:
            return False
        ready = next((each.holds for each in self.status.conditions if each.type == "Ready"), None)
        return (ready if self.status.conditions else True) is True and self.metadata.deletion_timestamp is None


@dataclass(frozen=True, slots=True)
class TemplateMeta:
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class PodTemplate:
    metadata: TemplateMeta = TemplateMeta()
    spec: PodSpec = PodSpec()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Deployment:
    """`spec` of a Deployment, for the processes that an annotation says it has."""

    template: PodTemplate = PodTemplate()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class NodeAddress:
    type: str = ""
    address: str = ""

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class NodeStatus:
    addresses: tuple[NodeAddress, ...] = ()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Node:
    """The object itself: its labels say the locality."""

    status: NodeStatus = NodeStatus()

    OPEN: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Namespace:
    """The object itself: its annotations are inherited by services."""

    OPEN: ClassVar[bool] = True
