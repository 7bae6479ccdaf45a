"""What istiod sends and Envoy refuses: a whole push of clusters for one of them."""

from __future__ import annotations

from collections.abc import Iterator

from ...wire.schema.types import cluster_v3
from ..discovery.resources import Resources
from ..emit import dynamic_dns
from ..emit.view import View
from ..objects import Object
from ..registry.node import parse_node
from ..registry.proxy import place
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


def _client(namespace: str, mesh: Mesh) -> View:
    domain = f"{namespace}.svc.{mesh.world.mesh.domain_suffix}"
    said = {"NAMESPACE": namespace, "CLUSTER_ID": mesh.world.mesh.cluster_id}
    proxy = place(parse_node(f"sidecar~127.0.0.1~.{namespace}~{domain}", said), mesh.world)
    return View(Scope.of(mesh.world, proxy), proxy)
