"""Processes of this machine as endpoints: what a Deployment says of them where no Kubernetes runs it.

The annotation `proxyless.dev/endpoints` of a Deployment, or of its template, lists where its processes are:

    proxyless.dev/endpoints: "127.0.20.1, 127.0.0.1:8081, grpc=127.0.0.1:9090"

An address alone serves every port of a service that selects the template, where the service's targetPort says. One with
a port serves there instead; a name before it is that of the one port of the service which it serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..api import kubernetes
from ..api.service_entry import ServiceEntry
from ..hosts import is_ip
from ..kinds import ENDPOINTS
from ..mesh import MeshConfig
from ..objects import Object
from . import endpoints as eps
from .authn import selects
from .endpoints import Endpoint, Workload
from .services import spiffe


@dataclass(frozen=True, slots=True)
class Process:
    address: str
    port: int = 0  # 0: where the service says
    name: str = ""  # of the service's port; empty for each

    def serves(self, port_name: str) -> bool:
        return self.name in ("", port_name)


def parse(text: str) -> Process | None:
    """None for what is no `[NAME=]ADDRESS[:PORT]`."""
    name, equals, place = text.strip().rpartition("=")
    if equals and not name:
        return None
    if is_ip(place):
        return Process(place, 0, name)
    address, colon, port = place.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    elif ":" in address:
        return None
    if not colon or not is_ip(address) or not port.isdecimal() or not 0 < int(port) < 65536:
        return None
    return Process(address, int(port), name)


def written(deployment: Object[kubernetes.Deployment]) -> list[str]:
    """The parts of the annotation; the Deployment's own goes before its template's."""
    template = deployment.spec.template.metadata.annotations
    text = deployment.meta.annotations.get(ENDPOINTS, template.get(ENDPOINTS, ""))
    return [part for part in text.split(",") if part.strip()]


def processes(deployment: Object[kubernetes.Deployment]) -> list[Process]:
    return [found for part in written(deployment) if (found := parse(part)) is not None]


def workload(deployment: Object[kubernetes.Deployment], mesh: MeshConfig) -> Workload:
    """What the Deployment's Pods would be."""
    template, meta = deployment.spec.template, deployment.meta
    labels = template.metadata.labels
    locality = eps.locality_of_labels(labels)
    return Workload(
        labels=eps.augmented(labels, locality, "", mesh.cluster_id),
        service_account=spiffe(mesh.trust_domain, meta.namespace, template.spec.service_account_name or "default"),
        locality=locality,
        tls_mode=labels.get(eps.TLS_MODE, "disabled"),
        namespace=meta.namespace,
        name=meta.name,
    )


def endpoints(
    deployment: Object[kubernetes.Deployment], service: kubernetes.Service, mesh: MeshConfig
) -> Iterator[Endpoint]:
    """Those that a Service of the same namespace has by its selector."""
    own = workload(deployment, mesh)
    if not service.selector or not selects(service.selector, own.labels):
        return
    named = eps.named_ports(deployment.spec.template.spec)
    for process in processes(deployment):
        for port in service.ports:
            number = process.port or _target(port, named)
            if number and process.serves(port.name):
                yield Endpoint(process.address, number, port.name, own, "HEALTHY")


def of_entry(
    deployment: Object[kubernetes.Deployment], selector: Mapping[str, str], entry: ServiceEntry, mesh: MeshConfig
) -> Iterator[Endpoint]:
    """Those that a ServiceEntry of the same namespace selects."""
    own = workload(deployment, mesh)
    if not selects(selector, own.labels):
        return
    named = eps.named_ports(deployment.spec.template.spec)
    for process in processes(deployment):
        for port in entry.ports:
            if process.serves(port.name):
                number = process.port or named.get(port.name) or port.target_port or port.number
                yield Endpoint(process.address, number, port.name, own, "HEALTHY", number=port.number)


def _target(port: kubernetes.ServicePort, named: Mapping[str, int]) -> int:
    if isinstance(port.target_port, str):
        return named.get(port.target_port, 0)
    return port.target_port if isinstance(port.target_port, int) and port.target_port else port.port
