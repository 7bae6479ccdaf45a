"""A client of the control plane: who it says it is, and what the world knows about it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from ..api import kubernetes
from ..api.proxy_config import ProxyConfig
from ..objects import Object
from . import endpoints as eps
from .networks import Standpoint
from .node import PROCESS, Node
from .proxy_configs import of_proxy
from .services import IPMode, Reach
from .targets import Target, at_addresses, found_targets
from .world import World


@dataclass(frozen=True, slots=True, eq=False)
class Proxy:
    """A client in one world."""

    node: Node
    labels: dict[str, str]
    locality: tuple[str, str, str]
    targets: tuple[Target, ...]
    ip_mode: IPMode
    config: ProxyConfig = ProxyConfig()
    reach: Reach = Reach("IPv4")

    @property
    def namespace(self) -> str:
        return self.node.namespace

    @property
    def standpoint(self) -> Standpoint:
        said = self.node.metadata.get("REQUESTED_NETWORK_VIEW")
        sees = frozenset(part for part in str(said).split(",") if part) if said else frozenset()
        return Standpoint(self.node.text("NETWORK"), sees, self.ip_mode)

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
        return _node_name(self.node, self.labels)

    @property
    def interception(self) -> str:
        said = self.node.text("INTERCEPTION_MODE")
        return said if said in ("TPROXY", "NONE") else "REDIRECT"

    @property
    def is_stock(self) -> bool:
        """Whether this is an Envoy that says of itself that it is not Istio's build."""
        return self.node.flag("STOCK_ENVOY")

    @property
    def is_grpc(self) -> bool:
        """Whether this is gRPC's own xDS, which is served a form of its own."""
        return self.node.text("GENERATOR") == "grpc"

    @property
    def cluster_id(self) -> str:
        return self.node.cluster_id


def place(node: Node, world: World) -> Proxy:
    """What a world knows about a client. Its Pod, where there is one, says labels and locality."""
    near = node.cluster_id in ("", world.mesh.cluster_id)
    pod = _pod(node, world) if near else None
    labels = _labels(node, pod, world) if near else node.labels()
    locality = _locality(labels) or node.locality
    text = "/".join(locality).rstrip("/")
    labels = eps.augmented(labels, text, _node_name(node, labels), node.cluster_id, node.text("NETWORK"))
    targets = found_targets(node, pod, labels, world)
    # Nobody injects into a process, so what the injector would have told a proxy is read here.
    annotations = pod.meta.annotations if pod is not None and node.agent == PROCESS else {}
    config = of_proxy(node.metadata, annotations, world.mesh.default_config)
    mode = _ip_mode(node.addresses)
    knows_assigned = node.flag("DNS_CAPTURE")
    reach = Reach(mode, node.cluster_id == world.mesh.cluster_id, knows_assigned)
    return Proxy(node, labels, locality, targets, mode, config, reach)


def _node_name(node: Node, labels: Mapping[str, str]) -> str:
    """What it says; of a process its Pod knows it, too."""
    return node.text("NODE_NAME") or (labels.get(eps.HOSTNAME, "") if node.agent == PROCESS else "")


def _pod(node: Node, world: World) -> Object[kubernetes.Pod] | None:
    """The Pod that the id names. A process need not know how Kubernetes would call it: its address finds one too."""
    name, _, namespace = node.name.partition(".")
    if namespace and namespace == node.text("NAMESPACE"):
        found = world.pods.get((namespace, name))
        if found is not None:
            return found
    if node.agent != PROCESS:
        return None
    there = world.pods_by_ip.get(node.addresses[0], [])
    if _shares_its_address(node):  # then a Pod whose labels are others is another program's
        there = [pod for pod in there if not any(pod.meta.labels.get(k, v) != v for k, v in node.labels().items())]
    return next((pod for pod in there if len(there) == 1 or pod.meta.namespace == node.namespace), None)


def _shares_its_address(node: Node) -> bool:
    """Whether it is a process of this machine, at whose address other programs are, too."""
    return node.agent == PROCESS and ipaddress.ip_address(node.addresses[0]).is_loopback


def _labels(node: Node, pod: Object[kubernetes.Pod] | None, world: World) -> Mapping[str, str]:
    """Its Pod's, else those of an endpoint of a ServiceEntry at its address, else what it says itself.

    A process at a loopback address is asked first: who else is said to be there is another program of this machine, and
    policies that select the process by its labels would not hold for it.
    """
    static = node.labels("STATIC_LABELS")
    if pod is not None:
        labels = world.workloads[pod.meta.namespace, pod.meta.name].labels
        if node.agent != PROCESS:  # Which node it is on, a proxy alone says.
            labels = {name: label for name, label in labels.items() if name != eps.HOSTNAME or name in pod.meta.labels}
            if node.text("NODE_NAME"):
                labels[eps.HOSTNAME] = node.text("NODE_NAME")
        return static | labels
    said = node.labels()
    if said and _shares_its_address(node):
        return said
    for _, endpoint in at_addresses(node, world):
        return static | endpoint.workload.labels
    return said


def _locality(labels: Mapping[str, str]) -> tuple[str, str, str] | None:
    if any(key in labels for key in (eps.REGION, eps.ZONE, eps.SUBZONE)):
        return labels.get(eps.REGION, ""), labels.get(eps.ZONE, ""), labels.get(eps.SUBZONE, "")
    said = eps.locality_label(labels)
    return eps.locality_parts(said) if said else None


def _ip_mode(addresses: tuple[str, ...]) -> IPMode:
    versions = {ipaddress.ip_address(address).version for address in addresses}
    return "Dual" if len(versions) == 2 else "IPv6" if versions == {6} else "IPv4"
