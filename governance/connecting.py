"""A connection for one try: one that is ready, one that becomes free, or a new one (envoy source: ConnPoolImplBase)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .actions import Action, AwaitSlot, Failure, OpenConnection
from .balancing.host import Host
from .cluster import ClusterRuntime
from .composition.calls import unlimited
from .events import NotSecured
from .pool import Connect, ConnectFailed, NoPool, Overflow, Pool, Slot, Waiter
from .replies import LocalReply, no_healthy_upstream, overflow

if TYPE_CHECKING:
    from .call import OutgoingCall


def wait_for_connection(
    call: OutgoingCall,
    pool: Pool,
    host: Host,
    cluster: ClusterRuntime,
    lease: Connect | Overflow | NoPool | Waiter,
) -> Generator[Action, Any, Slot | Failure | LocalReply]:
    """There is no connection ready: wait for one that becomes free, or make one."""
    granted: Slot | Connect | Overflow | NoPool | ConnectFailed | None
    found: Slot | Connect | Overflow | NoPool | Waiter = lease
    limited = call.policies is None or call.policies.breaker == "on"
    if not limited and not isinstance(lease, Connect):
        found = _without_limits(call, pool, lease)
    if isinstance(found, Waiter):
        granted = None
        try:
            end = call.end()
            left_s = None if end is None else end - call.runtime.clock()
            if (yield AwaitSlot(found, left_s)):
                granted = found.grant
        finally:
            if granted is None:
                pool.leave(found, call.runtime.clock())
        if granted is None:
            return call.timed_out()
    else:
        granted = found
    if isinstance(granted, Slot):
        return granted
    if isinstance(granted, Overflow):
        return overflow(retried=call.attempts > 1)
    if isinstance(granted, NoPool):
        return no_healthy_upstream()
    if isinstance(granted, ConnectFailed):
        return Failure(granted.kind, granted.reason, transport=granted.transport)
    limit_s, hurry = cluster.config.connect_timeout_s, False
    end = call.end()
    if end is not None:
        left_s = end - call.runtime.clock()
        if left_s <= 0:
            pool.abandoned()
            return call.timed_out()
        if left_s < limit_s:
            limit_s, hurry = left_s, True
    made: Any = None
    try:
        made = yield OpenConnection(host, pool, limit_s, cluster.http2, cluster.socket_options)
    finally:
        if made is None:
            pool.abandoned()
    if isinstance(made, Failure):
        if hurry and made.kind == "connect-timeout":
            # The route's timeout has ended it, which says nothing about the endpoint.
            pool.abandoned()
            return call.timed_out()
        pool.failed(made.kind, made.reason, made.transport)
        if made.transport and pool.secure is not None and host.state.not_secured != made.transport:
            # Said once, and again when it is another reason or there was a connection between.
            host.state.not_secured = made.transport
            call.runtime.emit(NotSecured(host.state.cluster, host.address, made.transport))
        return made
    if host.state.not_secured:
        host.state.not_secured = ""
    if not limited and pool.breaker.requests >= pool.breaker.limits.max_requests:
        unlimited(call)
    slot = pool.connected(made, call.runtime.clock(), limited=limited)
    return slot if isinstance(slot, Slot) else overflow(retried=call.attempts > 1)


def _without_limits(call: OutgoingCall, pool: Pool, lease: Overflow | NoPool | Waiter) -> Slot | Connect:
    """What a call gets whose user does not keep to the thresholds: it neither fails by them nor waits."""
    now = call.runtime.clock()
    if isinstance(lease, Waiter):
        pool.leave(lease, now)
    else:
        unlimited(call)
    return pool.lease_unlimited(now)
