"""Endpoints: where a service's instances are, from EndpointSlices, Endpoints, ServiceEntries and workloads.

What an endpoint is beyond its address (identity, locality, labels, whether it takes mTLS) is its Pod's. A slice that
names a Pod which does not exist gives nothing for it: wrong facts would be worse than a missing endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ..api import kubernetes
from ..api.service_entry import ServiceEntry, WorkloadEntry, WorkloadEntryStatus
from ..hosts import is_ip
from ..mesh import MeshConfig
from ..objects import Meta, Object
from .services import Service, spiffe

Health = Literal["UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TERMINATING"]

TLS_MODE = "security.istio.io/tlsMode"
REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
SUBZONE = "topology.istio.io/subzone"
HOSTNAME = "kubernetes.io/hostname"
CLUSTER = "topology.istio.io/cluster"
NETWORK = "topology.istio.io/network"
_OLD_REGION = "failure-domain.beta.kubernetes.io/region"
_OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
_LOCALITIES = ("topology.istio.io/locality", "istio-locality")
_WORKLOAD = "service.istio.io/workload-name"
_GROUP = "istio.io/autoRegistrationGroup"
_PROBED = "proxy.istio.io/health-checks-enabled"


@dataclass(frozen=True, slots=True)
class Workload:
    """What endpoints of one Pod or WorkloadEntry share."""

    labels: dict[str, str] = field(default_factory=dict)
    service_account: str = ""
    locality: str = ""
    tls_mode: str = "disabled"
    namespace: str = ""
    name: str = ""
    hostname: str = ""
    subdomain: str = ""
    node: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address and port of a service. `number` is the service port's number where the name is not what counts."""

    address: str
    port: int
    port_name: str
    workload: Workload
    health: Health = "UNKNOWN"
    weight: int = 0
    number: int = 0
    gateway: str | None = None  # of another network, in its place: the cluster of its gateway

    @property
    def key(self) -> tuple[str, str]:
        return self.address, self.port_name


def augmented(labels: Mapping[str, str], locality: str, node: str, cluster: str, network: str = "") -> dict[str, str]:
    """A workload's labels with its topology, which failoverPriority may name."""
    region, zone, subzone = locality_parts(locality)
    out = dict(labels)
    if region:
        out[REGION] = region
    if zone:
        out[ZONE] = zone
    if subzone:
        out[SUBZONE] = subzone
    if cluster:
        out[CLUSTER] = cluster
    if node:
        out[HOSTNAME] = node
    if network and not out.get(NETWORK):
        out[NETWORK] = network
    return out


def locality_parts(text: str) -> tuple[str, str, str]:
    """Region, zone and subzone; what is missing is empty."""
    region, zone, subzone = (*text.split("/"), "", "", "")[:3]
    return region, zone, subzone


def locality_label(labels: Mapping[str, str]) -> str:
    """The label that says a workload's locality, as it is written."""
    for name in _LOCALITIES:
        if name in labels:
            return labels[name]
    return ""


def locality_of_labels(labels: Mapping[str, str]) -> str:
    """The locality that a label says; dots in it stand for slashes."""
    said = locality_label(labels)
    return said if "/" in said else said.replace(".", "/")


def node_locality(labels: Mapping[str, str]) -> str:
    region = labels.get(REGION) or labels.get(_OLD_REGION, "")
    zone = labels.get(ZONE) or labels.get(_OLD_ZONE, "")
    subzone = labels.get(SUBZONE, "")
    return f"{region}/{zone}/{subzone}" if region or zone or subzone else ""


def workload_name(meta: Meta) -> str:
    """The name of what manages a Pod: of a ReplicaSet the Deployment, of a Job that a CronJob made the CronJob."""
    if _WORKLOAD in meta.labels:
        return meta.labels[_WORKLOAD]
    kind, name = meta.controller
    if not meta.generate_name or not name:
        return meta.name
    if kind == "ReplicaSet":
        for label in ("pod-template-hash", "rollouts-pod-template-hash"):
            suffix = meta.labels.get(label, "")
            if suffix and name.endswith(suffix):
                return name.removesuffix(f"-{suffix}")
    elif kind == "ReplicationController" and meta.labels.get("deploymentconfig"):
        return meta.labels["deploymentconfig"]
    elif kind == "Job":
        head, dash, tail = name.rpartition("-")
        if dash and tail.isdecimal() and 8 <= len(tail) <= 10:
            return head
    return name


def pod_workload(
    pod: Object[kubernetes.Pod], node: Object[kubernetes.Node] | None, mesh: MeshConfig, network: str = ""
) -> Workload:
    spec, meta = pod.spec.spec, pod.meta
    locality = locality_of_labels(meta.labels) or (node_locality(node.meta.labels) if node else "")
    labels = augmented(meta.labels, locality, spec.node_name, mesh.cluster_id, network)
    return Workload(
        labels=labels,
        service_account=spiffe(mesh.trust_domain, meta.namespace, spec.service_account_name),
        locality=locality,
        tls_mode=meta.labels.get(TLS_MODE, "disabled"),
        namespace=meta.namespace,
        name=workload_name(meta),
        hostname=(spec.hostname or meta.name) if spec.subdomain else "",
        subdomain=spec.subdomain,
        node=spec.node_name,
        network=labels.get(NETWORK, ""),
    )


def named_ports(pod: kubernetes.PodSpec) -> dict[str, int]:
    """The TCP ports of a Pod by name; of two the first."""
    out: dict[str, int] = {}
    for container in containers(pod):
        for port in container.ports:
            if port.name and port.protocol == "TCP":
                out.setdefault(port.name, port.container_port)
    return out


def containers(pod: kubernetes.PodSpec) -> tuple[kubernetes.Container, ...]:
    """Those that run while the Pod does: init containers that are restarted too."""
    return (*pod.containers, *(each for each in pod.init_containers if each.restart_policy == "Always"))


def entry_workload(
    entry: WorkloadEntry, name: str, namespace: str, mesh: MeshConfig, network: Callable[[str, Mapping[str, str]], str]
) -> Workload:
    """`network` knows the network of an address and labels."""
    locality = entry.locality or locality_of_labels(entry.labels)
    account = spiffe(mesh.trust_domain, namespace, entry.service_account) if entry.service_account else ""
    found = entry.network or network(entry.address, entry.labels)
    return Workload(
        labels=augmented(entry.labels, locality, "", mesh.cluster_id, found),
        service_account=account,
        locality=locality,
        tls_mode=entry.labels.get(TLS_MODE, "istio" if account else "disabled"),
        namespace=namespace,
        name=name,
        network=entry.network,
    )


def whole(entry: Object[WorkloadEntry]) -> WorkloadEntry:
    """A WorkloadEntry with the labels of its metadata, which go before those of its spec."""
    return replace(entry.spec, labels=entry.spec.labels | entry.meta.labels) if entry.meta.labels else entry.spec


def entry_name(meta: Meta) -> str:
    """What a WorkloadEntry is called in telemetry: its group, a label, its name."""
    return meta.annotations.get(_GROUP, meta.labels.get(_WORKLOAD, meta.name))


def serves(entry: Object[WorkloadEntry]) -> bool:
    """Whether a WorkloadEntry counts: one that is probed does while its probes succeed."""
    if not entry.meta.flag(_PROBED):
        return True
    return isinstance(entry.status, WorkloadEntryStatus) and entry.status.healthy


def only_by_name(entry: WorkloadEntry) -> bool:
    """Whether it has no address that a Service could use: a host name or a socket."""
    return bool(entry.address) and not is_ip(entry.address)


NO_POD = Workload()
_NO_MIRROR = "endpointslice.kubernetes.io/skip-mirror"


Located = Callable[[kubernetes.ObjectReference | None, str, str], Workload | None]
"""What is known of whom a slice points to, by target, address and namespace of the slice; None for an unknown Pod."""


def slice_endpoints(
    source: Object[kubernetes.EndpointSlice], located: Located, service: Service | None
) -> list[Endpoint]:
    """`service` is Kubernetes', if there is one."""
    out = []
    for given in source.spec.endpoints:
        health = _health(given.conditions, service)
        for address in given.addresses:
            workload = located(given.target_ref, address, source.meta.namespace)
            if workload is not None:
                out += [Endpoint(address, port.port, port.name, workload, health) for port in source.spec.ports]
    return out


def _health(conditions: kubernetes.EndpointConditions, service: Service | None) -> Health:
    if conditions.ready is None or conditions.ready:
        return "HEALTHY"
    if service is not None and conditions.terminating is not False:
        return "DRAINING" if service.keeps_sessions and conditions.serving is not False else "TERMINATING"
    return "UNHEALTHY"


def old_endpoints(source: Object[kubernetes.Endpoints], located: Located) -> list[Endpoint]:
    """Endpoints objects, as Kubernetes itself mirrors them into slices; not those that say that it must not."""
    if source.meta.labels.get(_NO_MIRROR) == "true":
        return []
    out = []
    for subset in source.spec.subsets:
        states: tuple[tuple[Health, tuple[kubernetes.EndpointAddress, ...]], ...] = (
            ("HEALTHY", subset.addresses),
            ("UNHEALTHY", subset.not_ready_addresses),
        )
        for health, addresses in states:
            for given in addresses:
                workload = located(given.target_ref, given.ip, source.meta.namespace)
                if workload is not None:
                    out += [Endpoint(given.ip, port.port, port.name, workload, health) for port in subset.ports]
    return out


def entry_endpoints(
    source: Object[ServiceEntry],
    service: Service,
    mesh: MeshConfig,
    network: Callable[[str, Mapping[str, str]], str],
) -> list[Endpoint]:
    """The endpoints that a ServiceEntry lists; a DNS entry that lists none is reached at its own host name."""
    spec, meta = source.spec, source.meta
    if not spec.endpoints and service.is_dns and spec.workload_selector is None:
        own = Workload(namespace=meta.namespace, name=meta.name)
        return [
            Endpoint(service.hostname, port.target_port or port.number, port.name, own, number=port.number)
            for port in spec.ports
        ]
    out = []
    for index, entry in enumerate(spec.endpoints):
        workload = entry_workload(entry, f"{meta.name}-{index}", meta.namespace, mesh, network)
        out += workload_endpoints(entry, workload, spec)
    return out


def workload_endpoints(
    entry: WorkloadEntry, workload: Workload, spec: ServiceEntry, health: Health = "UNKNOWN"
) -> list[Endpoint]:
    """A workload's port: the one it maps the name to, else the entry's target port, else the number."""
    unix = entry.address.startswith("unix://")
    return [
        Endpoint(
            entry.address.removeprefix("unix://") if unix else entry.address,
            0 if unix else entry.ports.get(port.name) or port.target_port or port.number,
            port.name,
            workload,
            health,
            weight=entry.weight,
            number=port.number,
        )
        for port in spec.ports
    ]


def unique(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """An address that moves from one slice to another may stand in both; it counts once."""
    out: dict[tuple[str, str], Endpoint] = {}
    for endpoint in endpoints:
        out.setdefault(endpoint.key, endpoint)
    return tuple(out.values())
