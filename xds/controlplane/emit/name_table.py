"""The name table: what a host name resolves to, for the resolver in a proxy's pod."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...wire.schema.types import istio_nds_v1
from ..hosts import is_ip
from ..registry.endpoints import Endpoint
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
    addresses = list(service.addresses_for(view.proxy.ip_mode))
    if UNSPECIFIED in addresses:
        addresses = []
        if service.resolution == "Passthrough" and service.ports:
            ready = list(_ready(service, view))
            addresses = [endpoint.address for endpoint in ready]
            _add_pods(out, service, ready)
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
    """A headless service's endpoints, each address once."""
    seen = set()
    instances = view.world.instances.get(service.key)
    for endpoint in instances.all if instances else ():
        ready = service.publish_not_ready or endpoint.health == "HEALTHY"
        if ready and endpoint.address not in seen and is_ip(endpoint.address):
            seen.add(endpoint.address)
            yield endpoint


def _add_pods(out: NameTable, service: Service, ready: Iterable[Endpoint]) -> None:
    """Pods with a subdomain have names of their own: `db-0.db.shop.svc.cluster.local`."""
    _, dot, domain = service.hostname.partition(".")
    for endpoint in ready:
        if endpoint.workload.subdomain and dot:
            short = f"{endpoint.workload.hostname}.{endpoint.workload.subdomain}"
            entry = out.table[f"{short}.{domain}"]
            entry.ips.append(endpoint.address)
            entry.registry, entry.namespace, entry.shortname = service.registry, service.namespace, short
