"""Endpoints: where a service's instances are, from EndpointSlices, Endpoints, ServiceEntries and workloads.

What an endpoint is beyond its address (identity, locality, labels, whether it takes mTLS) is its Pod's. A slice that
names a Pod which does not exist gives nothing for it: wrong facts would be worse than a missing endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..api import kubernetes
from ..api.service_entry import ServiceEntry, WorkloadEntry
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
_LOCALITY = "istio-locality"


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

    @property
    def key(self) -> tuple[str, str]:
        return self.address, self.port_name


def augmented(labels: Mapping[str, str], locality: str, node: str, cluster: str) -> dict[str, str]:
    """A workload's labels with its topology, which failoverPriority may name."""
    region, zone, subzone = (*locality.split("/"), "", "", "")[:3]
    out = dict(labels)
    topology = ((REGION, region), (ZONE, zone), (SUBZONE, subzone), (CLUSTER, cluster), (HOSTNAME, node))
    out.update((name, value) for name, value in topology if value)
    return out


def locality_of_labels(labels: Mapping[str, str]) -> str:
    """The `istio-locality` label, in which dots stand for slashes."""
    said = labels.get(_LOCALITY, "")
    return said if "/" in said else said.replace(".", "/")


def node_locality(labels: Mapping[str, str]) -> str:
    region = labels.get(REGION) or labels.get(_OLD_REGION, "")
    zone = labels.get(ZONE) or labels.get(_OLD_ZONE, "")
    subzone = labels.get(SUBZONE, "")
    return f"{region}/{zone}/{subzone}" if region or zone or subzone else ""


def workload_name(meta: Meta) -> str:
    """The name of what manages a Pod: of a ReplicaSet the Deployment, of a Job that a CronJob made the CronJob."""
    named = meta.labels.get("service.istio.io/workload-name")
    if named:
        return named
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


def pod_workload(pod: Object[kubernetes.Pod], node: Object[kubernetes.Node] | None, mesh: MeshConfig) -> Workload:
    spec, meta = pod.spec.spec, pod.meta
    locality = locality_of_labels(meta.labels) or (node_locality(node.meta.labels) if node else "")
    return Workload(
        labels=augmented(meta.labels, locality, spec.node_name, mesh.cluster_id),
        service_account=spiffe(mesh.trust_domain, meta.namespace, spec.service_account_name),
        locality=locality,
        tls_mode=meta.labels.get(TLS_MODE, "disabled"),
        namespace=meta.namespace,
        name=workload_name(meta),
        hostname=(spec.hostname or meta.name) if spec.subdomain else "",
        subdomain=spec.subdomain,
        node=spec.node_name,
    )


def entry_workload(entry: WorkloadEntry, name: str, namespace: str, mesh: MeshConfig) -> Workload:
    locality = entry.locality or locality_of_labels(entry.labels)
    account = spiffe(mesh.trust_domain, namespace, entry.service_account) if entry.service_account else ""
    return Workload(
        labels=augmented(entry.labels, locality, "", mesh.cluster_id),
        service_account=account,
        locality=locality,
        tls_mode=entry.labels.get(TLS_MODE) or ("istio" if account else "disabled"),
        namespace=namespace,
        name=entry.labels.get("service.istio.io/workload-name", name),
    )


_NO_POD = Workload()


def slice_endpoints(
    source: Object[kubernetes.EndpointSlice], pods: Mapping[tuple[str, str], Workload], service: Service | None
) -> list[Endpoint]:
    """`pods` by namespace and name."""
    if source.spec.address_type == "FQDN":
        return []
    out = []
    for given in source.spec.endpoints:
        workload: Workload | None = _NO_POD
        if given.target_ref is not None and given.target_ref.kind == "Pod":
            namespace = given.target_ref.namespace or source.meta.namespace
            workload = pods.get((namespace, given.target_ref.name))
        if workload is None:
            continue
        health = _health(given.conditions, service)
        for address in given.addresses:
            out += [Endpoint(address, port.port, port.name, workload, health) for port in source.spec.ports]
    return out


def _health(conditions: kubernetes.EndpointConditions, service: Service | None) -> Health:
    if conditions.ready is None or conditions.ready:
        return "HEALTHY"
    if service is not None and (conditions.terminating is None or conditions.terminating):
        serving = conditions.serving is None or conditions.serving
        return "DRAINING" if serving and service.keeps_sessions else "TERMINATING"
    return "UNHEALTHY"


def old_endpoints(source: Object[kubernetes.Endpoints], pods: Mapping[tuple[str, str], Workload]) -> list[Endpoint]:
    """Endpoints objects, as Kubernetes itself mirrors them into slices."""
    out = []
    for subset in source.spec.subsets:
        states: tuple[tuple[Health, tuple[kubernetes.EndpointAddress, ...]], ...] = (
            ("HEALTHY", subset.addresses),
            ("UNHEALTHY", subset.not_ready_addresses),
        )
        for health, addresses in states:
            for given in addresses:
                workload: Workload | None = _NO_POD
                if given.target_ref is not None and given.target_ref.kind == "Pod":
                    workload = pods.get((given.target_ref.namespace or source.meta.namespace, given.target_ref.name))
                if workload is not None:
                    out += [Endpoint(given.ip, port.port, port.name, workload, health) for port in subset.ports]
    return out


def entry_endpoints(source: Object[ServiceEntry], service: Service, mesh: MeshConfig) -> list[Endpoint]:
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
        workload = entry_workload(entry, f"{meta.name}-{index}", meta.namespace, mesh)
        out += workload_endpoints(entry, workload, spec)
    return out


def workload_endpoints(entry: WorkloadEntry, workload: Workload, spec: ServiceEntry) -> list[Endpoint]:
    """A workload's port: the one it maps the name to, else the entry's target port, else the number."""
    unix = entry.address.startswith("unix://")
    return [
        Endpoint(
            entry.address.removeprefix("unix://") if unix else entry.address,
            0 if unix else entry.ports.get(port.name) or port.target_port or port.number,
            port.name,
            workload,
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
