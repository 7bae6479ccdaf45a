"""What a call tells the balancer of its cluster, where that wants to know (envoy source: Router::Filter)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .balancing.context import PickContext
from .cluster import ClusterRuntime
from .hashing import FIRST_PORT, PORTS, Caller, Cookies

if TYPE_CHECKING:
    from .call import OutgoingCall


def wish(call: OutgoingCall, cluster: ClusterRuntime) -> PickContext:
    """The context of a try. What the first one found out is good for all."""
    if call.attempts == 1 and cluster.hashes:
        call.hash = _hash(call, cluster)
    return PickContext(call.hash)


def _hash(call: OutgoingCall, cluster: ClusterRuntime) -> int | None:
    """Of the request as it goes out, by the policies of the balancer, else of the cluster, else of the route."""
    route, upstream = call.route, call.upstream
    policies = cluster.hashing
    if policies is None and route is not None:
        policies = route.hashing
    if policies is None or upstream is None:
        return None
    runtime = call.runtime
    caller = Caller(runtime.options.address, call.dialled(), lambda: FIRST_PORT + runtime.draw(PORTS))
    found = policies.hash(upstream.view(), caller)
    if caller.cookies:
        call.cookies = Cookies(caller.cookies, late=bool(cluster.config.lb.hash_policies))
    return found
