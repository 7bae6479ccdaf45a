"""What is switched of connections whose bytes nobody looks into: by the mesh's list alone (docs/tcp.md).

There is no request, so own policies and fallbacks are not asked.
"""

from __future__ import annotations

from dataclasses import replace

from ...xds.model.listener import TcpProxy
from ..balancing.host import Host
from ..cluster import ClusterRuntime
from ..events import NotEnforced
from ..passing import DIRECT, TcpRoute
from ..replies import LocalReply
from ..runtime import Runtime
from ..tcp import TcpConnection, connect
from .compose import Policies


def dials_itself(runtime: Runtime) -> bool:
    """Whether programs dial as they would without a mesh (`routing` is off)."""
    return runtime.policies is not None and runtime.policies.routing == "off"


def routed_tcp(runtime: Runtime, found: TcpRoute | LocalReply) -> TcpRoute | LocalReply:
    """What the mesh makes of a connection; with `routing` in shadow mode it goes as it was dialled; that is told."""
    policies = runtime.policies
    if policies is None or policies.routing != "shadow" or found is DIRECT:
        return found
    outcome, cluster = (str(found.status), "") if isinstance(found, LocalReply) else ("route", found.cluster)
    runtime.emit(NotEnforced("routing", outcome, cluster))
    return DIRECT


def connect_under(runtime: Runtime, cluster: ClusterRuntime, host: Host) -> TcpConnection | None:
    """Count a connection, under the thresholds of its cluster as far as they hold."""
    policies = runtime.policies
    if policies is None or policies.breaker == "on":
        return connect(cluster, host)
    normal = cluster.state.normal
    if policies.breaker == "shadow" and normal.connections >= normal.limits.max_connections:
        runtime.emit(NotEnforced("breaker", "503", cluster.name))
    return connect(cluster, host, limited=False)


def proxy_under(policies: Policies | None, proxy: TcpProxy) -> TcpProxy:
    """How often a connection is tried and how long it lasts, as far as that is switched on."""
    if policies is not None and policies.retry != "on":
        proxy = replace(proxy, max_connect_attempts=1)
    if policies is not None and policies.timeout != "on":
        proxy = replace(proxy, idle_timeout_s=None, max_duration_s=None)
    return proxy


def not_tried_again(runtime: Runtime, route: TcpRoute) -> None:
    """A connection could not be made, and is not tried again where `retry` is in shadow mode."""
    policies = runtime.policies
    if policies is not None and policies.retry == "shadow" and route.proxy.max_connect_attempts > 1:
        runtime.emit(NotEnforced("retry", "retry", route.cluster))
