"""Where gateways of networks are found: in `meshNetworks`, in Services, and in Gateways of the Gateway API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from ..api import kubernetes
from ..api.gateway import NetworkGatewaySpec
from ..hosts import is_ip
from ..mesh import MeshConfig
from ..objects import Object
from .endpoints import NETWORK
from .networks import Gateway, Gateways
from .services import Service

PORT = "networking.istio.io/gatewayPort"
_NODES = "traffic.istio.io/nodeSelector"
_ACCOUNT = "networking.istio.io/service-account"
_REMOTE = "istio-remote"
_PASSES_ON = ("gateway.istio.io/listener-protocol", "auto-passthrough")
_DEFAULT_PORT = 15443
_HBONE = "HBONE"
_HBONE_PORT = 15008

Resolve = Callable[[str], Sequence[str]]
"""The addresses that a host name is known to have."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """The objects that gateways are found in."""

    services: Iterable[Service]
    nodes: Sequence[Object[kubernetes.Node]] = ()
    gateways: Sequence[Object[NetworkGatewaySpec]] = ()


def gateways(candidates: Candidates, mesh: MeshConfig, resolve: Resolve) -> Gateways:
    """All of a mesh. A name that nobody could resolve is no gateway."""
    found: list[Gateway] = []
    names: set[str] = set()
    for each in _found(candidates, mesh):
        if is_ip(each.address):
            found.append(each)
        else:
            names.add(each.address)
            found += [replace(each, address=address) for address in resolve(each.address)]
    return Gateways.of(found, frozenset(names))


def _found(candidates: Candidates, mesh: MeshConfig) -> Iterator[Gateway]:
    by_name: dict[str, list[Gateway]] = {}
    for name, network in mesh.networks.networks.items():
        own = any(endpoint.from_registry == mesh.cluster_id for endpoint in network.endpoints)
        for gateway in network.gateways:
            if gateway.address:
                yield Gateway(gateway.address, gateway.port, name)
            elif gateway.registry_service_name and own:
                by_name.setdefault(gateway.registry_service_name, []).append(Gateway("", gateway.port, name))
    for service in candidates.services:
        if service.registry == "Kubernetes" and (NETWORK in service.labels or service.hostname in by_name):
            yield from _of_service(service, by_name, candidates.nodes, mesh)
    for source in candidates.gateways:
        yield from _of_object(source, mesh.cluster_id)


# -- Services ---------------------------------------------------------------------------------------------------------


def _of_service(
    service: Service, by_name: Mapping[str, list[Gateway]], nodes: Iterable[Object[kubernetes.Node]], mesh: MeshConfig
) -> Iterator[Gateway]:
    source = cast(Object[kubernetes.Service], service.source)
    found = _labelled(service) if service.labels.get(NETWORK) else by_name.get(service.hostname, [])
    on_nodes = source.spec.type == "NodePort" and _NODES in source.meta.annotations
    ports = {port.port: port.node_port for port in source.spec.ports} if on_nodes else {}
    for address in _outside(source) or (_of_nodes(source, nodes) if on_nodes else ()):
        for each in found:
            yield replace(each, address=address, port=ports.get(each.port, each.port), cluster=mesh.cluster_id)


def _labelled(service: Service) -> list[Gateway]:
    said = service.labels.get(PORT, "")
    port = int(said) if said.isdecimal() else _DEFAULT_PORT
    mutual = port if service.port(port) is not None else 0
    hbone = _HBONE_PORT if service.port(_HBONE_PORT) is not None else 0
    return [Gateway("", mutual, service.labels[NETWORK], hbone=hbone)] if mutual or hbone else []


def _outside(source: Object[kubernetes.Service]) -> list[str]:
    """The addresses by which a Service is called from outside of the cluster."""
    out: list[str] = []
    if source.spec.type == "LoadBalancer" and isinstance(source.status, kubernetes.ServiceStatus):
        out += [each.ip or each.hostname for each in source.status.load_balancer.ingress if each.ip or each.hostname]
    return out + list(source.spec.external_ips)


def _of_nodes(source: Object[kubernetes.Service], nodes: Iterable[Object[kubernetes.Node]]) -> list[str]:
    """The outside addresses of the nodes that the Service's annotation selects; of each node the first."""
    try:
        said: Any = json.loads(source.meta.annotations[_NODES] or "{}")
    except ValueError:
        said = {}
    wanted = said.items() if isinstance(said, dict) else {}.items()
    out = []
    for node in nodes:
        outside = (each.address for each in node.spec.status.addresses if each.type == "ExternalIP" and each.address)
        address = next(outside, "")
        if address and wanted <= node.meta.labels.items():
            out.append(address)
    return out


# -- the Gateway API --------------------------------------------------------------------------------------------------


def _of_object(source: Object[NetworkGatewaySpec], cluster: str) -> Iterator[Gateway]:
    """Every address with every listener that passes mTLS on, or takes HBONE."""
    labels, spec = source.meta.labels, source.spec
    network = labels.get(NETWORK, "")
    if not network:
        return
    account = source.meta.annotations.get(_ACCOUNT, "")
    account = account or (f"{source.meta.name}-{_REMOTE}" if spec.gateway_class_name == _REMOTE else source.meta.name)
    expected = labels.get(PORT, str(_DEFAULT_PORT))
    for address in spec.addresses:
        if address.type not in ("IPAddress", "Hostname"):
            continue
        for listener in spec.listeners:
            options = listener.tls.options if listener.tls is not None else {}
            passes_on = options.get(_PASSES_ON[0]) == _PASSES_ON[1] or str(listener.port) == expected
            at = Gateway(address.value, listener.port, network, cluster, f"{source.meta.namespace}/{account}")
            if listener.tls is not None and passes_on:
                yield at
            if listener.protocol == _HBONE:
                yield replace(at, hbone=listener.port)
