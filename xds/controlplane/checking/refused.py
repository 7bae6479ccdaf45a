"""What istiod sends and Envoy refuses, a whole push for one resource of it: found in what a client would get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...wire.schema.types import cluster_v3
from ..api.sidecar import Sidecar
from ..discovery.resources import Resources
from ..emit import dynamic_dns
from ..emit.outbound import outbound_listeners
from ..emit.view import View
from ..objects import Object
from ..registry.node import parse_node
from ..registry.proxy import Proxy, place
from ..registry.scope import Scope
from ..registry.services import Service
from .mesh import Mesh


def clusters(source: Object[object], mesh: Mesh) -> Iterator[tuple[Service, str]]:
    """Clusters of an object's services that resolve what is called, as the clients of any namespace get them."""
    services = [each for each in mesh.world.services if each.source is source and each.resolution == "DynamicDNS"]
    if not services:
        return
    rules = mesh.world.of_kind("DestinationRule", object)
    seen: set[str] = set()
    for namespace in dict.fromkeys([source.meta.namespace, *(each.meta.namespace for each in rules)]):
        view = _client(namespace, mesh)
        for service in services:
            for name, packed in Resources().clusters(view, {service.hostname}):
                made = cluster_v3.Cluster.FromString(packed.value)
                if name not in seen and service.hostname in name and dynamic_dns.refused(made):
                    seen.add(name)
                    yield service, name


def sockets(source: Object[Sidecar], mesh: Mesh) -> Iterator[int]:
    """Egress listeners on Unix sockets with hosts that are resolved when they are called: such a call has no port."""
    found = [index for index, each in enumerate(source.spec.egress) if each.port is not None and not each.port.number]
    if not found:
        return
    selector, namespace = source.spec.workload_selector, source.meta.namespace
    scope = Scope(mesh.world, namespace, source)
    found = [index for index in found if any(dynamic_dns.resolves(each) for each in scope.listeners[index].services)]
    if found:
        view = View(scope, _proxy(namespace, mesh, selector.labels if selector is not None else {}))
        names = {each.name for each in outbound_listeners(view) if dynamic_dns.nameless_port(each)}
        yield from (index for index in found if f"{source.spec.egress[index].bind}_0" in names)


def _client(namespace: str, mesh: Mesh) -> View:
    proxy = _proxy(namespace, mesh, {})
    return View(Scope.of(mesh.world, proxy), proxy)


def _proxy(namespace: str, mesh: Mesh, labels: Mapping[str, str]) -> Proxy:
    domain = f"{namespace}.svc.{mesh.world.mesh.domain_suffix}"
    said = {"NAMESPACE": namespace, "CLUSTER_ID": mesh.world.mesh.cluster_id, "LABELS": dict(labels)}
    return place(parse_node(f"sidecar~127.0.0.1~.{namespace}~{domain}", said), mesh.world)
