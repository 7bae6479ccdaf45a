"""`local_cluster`: where a proxy's own workload is beside it, by which its Envoy divides calls among zones.

It is a cluster of Envoy's bootstrap (ENABLE_SELF_DISCOVERY), so that only its endpoints are asked for here.
"""

from __future__ import annotations

from ..hosts import is_ip
from ..registry.endpoints import Endpoint, locality_parts
from ..registry.services import Service
from .endpoints import Caller, assignment_of
from .groups import encoded_assignment
from .view import View

NAME = "local_cluster"
_SETS = ("pod-template-hash", "rollouts-pod-template-hash")


def own_service(view: View) -> tuple[Service, int] | None:
    """The first service that leads to the proxy, and its port."""
    for target in view.proxy.targets:
        return target.service, target.port.number
    return None


def own_assignment(view: View) -> bytes:
    """Encoded endpoints of the proxy's own service, workload and region. Balancing is done by them, not for them."""
    own = own_service(view)
    if own is None or own[0].is_dns:
        return encoded_assignment(NAME, ())
    service, port = own
    proxy, world = view.proxy, view.world
    members = [endpoint for endpoint in world.endpoints(service, port) if _beside(endpoint, view)]
    caller = Caller(proxy.locality, proxy.labels, proxy.node_name, proxy.standpoint, proxy.reach.local)
    return assignment_of(NAME, service, "", port, members, None, caller, world, arranged=False)


def _beside(endpoint: Endpoint, view: View) -> bool:
    workload, proxy = endpoint.workload, view.proxy
    return (
        is_ip(endpoint.address)
        and workload.name == proxy.node.text("WORKLOAD_NAME")
        and all(workload.labels.get(name, "") == proxy.labels.get(name, "") for name in _SETS)
        and locality_parts(workload.locality)[0] == proxy.locality[0]
    )
