"""A client of the control plane: who it says it is, and what the world knows about it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..api import kubernetes
from ..api.proxy_config import ProxyConfig
from ..hosts import is_ip
from ..objects import Object
from . import endpoints as eps
from .proxy_configs import of_proxy
from .services import IPMode, Port, Service
from .world import World

PROCESS = "proxyless"
"""What clients call themselves that are no proxies."""


_VERSION = re.compile(r"([1-9][0-9]*)\.([0-9]+)")


class NodeError(ValueError):
    """The Node of a client cannot be served; the text is for the client."""


@dataclass(frozen=True, slots=True)
class Node:
    """The Node message of a client: `sidecar~ip~pod.namespace~namespace.svc.cluster.local` and its metadata."""

    id: str
    type: str
    name: str  # pod.namespace
    addresses: tuple[str, ...]
    domain: str
    cluster: str = ""
    locality: tuple[str, str, str] = ("", "", "")
    metadata: Mapping[str, Any] = field(default_factory=dict)
    agent: str = ""  # the program that asks: `user_agent_name`

    @property
    def namespace(self) -> str:
        said = self.metadata.get("NAMESPACE")
        return str(said) if said else self.domain.partition(".")[0]

    def text(self, key: str) -> str:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def flag(self, key: str) -> bool:
        return str(self.metadata.get(key, "")).lower() in ("true", "1")

    def at_least(self, major: int, minor: int) -> bool:
        """Whether it is a proxy of that version of Istio or later; who says none is of the latest."""
        found = _VERSION.match(self.text("ISTIO_VERSION").removeprefix("release-"))
        return found is None or (int(found[1]), int(found[2])) >= (major, minor)

    def labels(self, key: str = "LABELS") -> dict[str, str]:
        value = self.metadata.get(key)
        return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def parse_node(
    node_id: str,
    metadata: Mapping[str, Any],
    cluster: str = "",
    locality: tuple[str, str, str] = ("", "", ""),
    agent: str = "",
) -> Node:
    """Raises NodeError for an id that names no sidecar or no address."""
    parts = node_id.split("~")
    if len(parts) != 4:
        raise NodeError(f'node id "{node_id}" is not of the form sidecar~ip~pod.namespace~domain')
    if parts[0] != "sidecar":
        raise NodeError(f'node id "{node_id}": type "{parts[0]}" is not served, only sidecar is')
    said = metadata.get("INSTANCE_IPS")
    addresses = tuple(part for part in str(said).split(",") if is_ip(part)) if said else ()
    if not addresses and is_ip(parts[1]):
        addresses = (parts[1],)
    if not addresses:
        raise NodeError(f'node id "{node_id}" has no valid IP address, nor has metadata INSTANCE_IPS')
    return Node(node_id, parts[0], parts[2], addresses, parts[3], cluster, locality, metadata, agent)


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A service port that this proxy serves, and the port its application listens on."""

    service: Service
    port: Port
    target: int


@dataclass(frozen=True, slots=True, eq=False)
class Proxy:
    """A client in one world."""

    node: Node
    labels: dict[str, str]
    locality: tuple[str, str, str]
    targets: tuple[Target, ...]
    ip_mode: IPMode
    config: ProxyConfig = ProxyConfig()

    @property
    def namespace(self) -> str:
        return self.node.namespace

    @property
    def wildcards(self) -> tuple[str, ...]:
        """The addresses that mean any, the one that names listeners first."""
        return {"IPv4": ("0.0.0.0",), "IPv6": ("::",), "Dual": ("0.0.0.0", "::")}[self.ip_mode]

    @property
    def wildcard(self) -> str:
        return self.wildcards[0]

    @property
    def localhosts(self) -> tuple[str, ...]:
        """The addresses that only the workload itself reaches."""
        return {"IPv4": ("127.0.0.1",), "IPv6": ("::1",), "Dual": ("127.0.0.1", "::1")}[self.ip_mode]

    @property
    def localhost(self) -> str:
        return self.localhosts[0]

    @property
    def public_address(self) -> str | None:
        """The first of its addresses that is neither loopback nor link-local."""
        for address in self.node.addresses:
            found = ipaddress.ip_address(address)
            if not (found.is_loopback or found.is_link_local or found.is_multicast or found.is_unspecified):
                return address
        return None

    @property
    def keeps_case(self) -> bool:
        """Whether HTTP/1 header names go on as they were written."""
        headers = self.config.proxy_headers
        return headers is not None and bool(headers.preserve_http1_header_case)

    @property
    def node_name(self) -> str:
        return self.node.text("NODE_NAME") or self.labels.get(eps.HOSTNAME, "")

    @property
    def interception(self) -> str:
        said = self.node.text("INTERCEPTION_MODE")
        return said if said in ("TPROXY", "NONE") else "REDIRECT"

    @property
    def is_grpc(self) -> bool:
        """Whether this is gRPC's own xDS, which is served a form of its own."""
        return self.node.text("GENERATOR") == "grpc"

    @property
    def cluster_id(self) -> str:
        return self.node.text("CLUSTER_ID")


def place(node: Node, world: World) -> Proxy:
    """What a world knows about a client. Its Pod, where there is one, says labels and locality."""
    pod = _pod(node, world)
    if pod is not None:
        workload = world.workloads[pod.meta.namespace, pod.meta.name]
        labels = node.labels("STATIC_LABELS") | workload.labels
    else:
        labels = node.labels()
    locality = _locality(labels) or node.locality
    text = "/".join(locality).rstrip("/")
    name = node.text("NODE_NAME") or labels.get(eps.HOSTNAME, "")
    labels = eps.augmented(labels, text, name, node.text("CLUSTER_ID"))
    targets = _targets(node, pod, labels, world)
    # Nobody injects into a process, so what the injector would have told a proxy is read here.
    annotations = pod.meta.annotations if pod is not None and node.agent == PROCESS else {}
    config = of_proxy(node.metadata, annotations, world.mesh.default_config)
    return Proxy(node, labels, locality, targets, _ip_mode(node.addresses), config)


def _pod(node: Node, world: World) -> Object[kubernetes.Pod] | None:
    name, _, namespace = node.name.rpartition(".")
    found = world.pods.get((namespace, name)) if name else None
    return found or world.pods_by_ip.get(node.addresses[0])


def _locality(labels: Mapping[str, str]) -> tuple[str, str, str] | None:
    region, zone, subzone = (labels.get(key, "") for key in (eps.REGION, eps.ZONE, eps.SUBZONE))
    if region or zone or subzone:
        return region, zone, subzone
    said = eps.locality_of_labels(labels)
    return (*said.split("/"), "", "", "")[:3] if said else None  # type: ignore[return-value]


def _ip_mode(addresses: tuple[str, ...]) -> IPMode:
    versions = {ipaddress.ip_address(address).version for address in addresses}
    return "Dual" if len(versions) == 2 else "IPv6" if versions == {6} else "IPv4"


def _targets(
    node: Node, pod: Object[kubernetes.Pod] | None, labels: Mapping[str, str], world: World
) -> tuple[Target, ...]:
    """The service ports that select this workload, each target port and protocol once per service."""
    namespace = pod.meta.namespace if pod is not None else node.namespace
    own = pod.meta.labels if pod is not None else labels
    found: list[Target] = []
    for service in world.services:
        near = service.registry == "Kubernetes" and service.namespace == namespace
        if near and service.selector and service.selector.items() <= own.items():
            found += _service_targets(service, pod)
    if not found:
        found = _by_address(node.addresses[0], namespace, world, "Kubernetes")
    found += _by_address(node.addresses[0], None, world, "External")
    return tuple(sorted(found, key=lambda target: (target.service.source.meta.created, target.service.hostname)))


def _service_targets(service: Service, pod: Object[kubernetes.Pod] | None) -> list[Target]:
    out: dict[tuple[int, str], Target] = {}
    source: Object[kubernetes.Service] = service.source  # type: ignore[assignment]
    for written in source.spec.ports:
        port = service.port_named(written.name)
        if port is None:
            continue
        number: int | None = written.target_port if isinstance(written.target_port, int) else None
        if isinstance(written.target_port, str):
            if written.target_port.isdecimal():
                number = int(written.target_port)
            else:
                number = _container_port(written.target_port, written.protocol, pod)
        elif number is None:
            number = written.port
        if number is not None:
            out.setdefault((number, port.protocol), Target(service, port, number))
    return list(out.values())


def _container_port(name: str, protocol: str, pod: Object[kubernetes.Pod] | None) -> int | None:
    for container in pod.spec.spec.containers if pod is not None else ():
        for port in container.ports:
            if port.name == name and port.protocol == protocol:
                return port.container_port
    return None


def _by_address(address: str, namespace: str | None, world: World, registry: str) -> list[Target]:
    """Services that no selector ties to the workload but whose endpoints hold its address."""
    out = []
    for service in world.services:
        if service.registry != registry or (namespace is not None and service.namespace != namespace):
            continue
        instances = world.instances.get(service.key)
        for endpoint in instances.all if instances else ():
            if endpoint.address == address:
                port = service.port(endpoint.number) if endpoint.number else service.port_named(endpoint.port_name)
                if port is not None:
                    out.append(Target(service, port, endpoint.port))
    return out
