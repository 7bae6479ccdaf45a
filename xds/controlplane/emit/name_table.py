"""The name table: what a host name resolves to, for the resolver in a proxy's pod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...wire.schema.types import istio_nds_v1
from ..hosts import is_ip
from ..registry.endpoints import Endpoint
from ..registry.instances import NOWHERE
from ..registry.services import UNSPECIFIED, Service
from .view import View

NameTable = istio_nds_v1.NameTable


def name_table(view: View) -> NameTable:
    """Full names only; `cart`, `cart.shop` and the like are the resolver's business."""
    out = NameTable()
    for listener in view.scope.listeners:
        for service in listener.services:
            _add(out, service, view)
    return out


def _add(out: NameTable, service: Service, view: View) -> None:
    addresses = list(service.addresses_for(view.proxy.reach))
    if UNSPECIFIED in addresses:
        addresses = []
        if service.resolution == "Passthrough" and service.ports:
            addresses = _add_pods(out, service, view)
    addresses = [address for address in addresses if is_ip(address)]
    if not addresses:
        return
    kubernetes = service.registry == "Kubernetes"
    if service.hostname not in out.table:
        entry = out.table[service.hostname]
        entry.ips.extend(addresses)
        entry.registry = service.registry
        if kubernetes:
            entry.namespace, entry.shortname = service.namespace, service.name
        return
    entry = out.table[service.hostname]
    if entry.registry == "Kubernetes":
        return
    if kubernetes:  # a ServiceEntry came first that only adds to the service
        del entry.ips[:]
        entry.registry, entry.namespace, entry.shortname = service.registry, service.namespace, service.name
    entry.ips.extend(addresses)


def _ready(service: Service, view: View) -> Iterator[Endpoint]:
    """A headless service's endpoints, each address once; of all its ports, those that a Sidecar leaves out too."""
    seen = set()
    whole = view.world.services_by_key.get(service.key, (service,))
    every = replace(service, ports=tuple(port for each in whole for port in each.ports))
    for endpoint in view.world.instances.get(service.key, NOWHERE).of_ports(every):
        ready = service.publish_not_ready or endpoint.health == "HEALTHY"
        if ready and endpoint.address not in seen and is_ip(endpoint.address):
            seen.add(endpoint.address)
            yield endpoint


def _add_pods(out: NameTable, service: Service, view: View) -> list[str]:
    """Pods with a subdomain have names of their own: `db-0.db.shop.svc.cluster.local`. Gives the service's addresses.

    Where the proxy is in another network than an endpoint, its name does not lead there.
    """
    network = view.proxy.node.text("NETWORK")
    _, dot, domain = service.hostname.partition(".")
    addresses, named = [], dict[str, list[str]]()
    for endpoint in _ready(service, view):
        workload = endpoint.workload
        if network and workload.network not in ("", network):
            continue
        if workload.subdomain:
            if not dot:
                continue
            named.setdefault(f"{workload.hostname}.{workload.subdomain}", []).append(endpoint.address)
        addresses.append(endpoint.address)
    for short, ips in named.items():
        found = NameTable.NameInfo(ips=ips, registry=service.registry, namespace=service.namespace, shortname=short)
        out.table[f"{short}.{domain}"].CopyFrom(found)
    return addresses
