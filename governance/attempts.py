"""From a routed request to a response: endpoint, connection, attempt, next attempt (envoy source: Router::Filter).

The connection of the attempt under way is the call's `slot`; whatever happens, it goes back to its pool.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from .actions import Action, AwaitSlot, BodyEnd, Discard, Failure, Head, OpenConnection, Send, Sleep
from .balancing.context import ANY
from .balancing.host import Host
from .choosing import wish
from .cluster import ClusterRuntime
from .outliers.monitor import HostMonitor
from .outliers.results import status_of_grpc
from .pool import Breaker, Connect, ConnectFailed, Overflow, Pool, Slot, Waiter
from .replies import (
    LocalReply,
    closed,
    no_healthy_upstream,
    overflow,
    per_try_timeout,
    route_timeout,
    upstream_reset,
)
from .retry import CompiledRetry

if TYPE_CHECKING:
    from .call import OutgoingCall

Outcome = Head | Failure | LocalReply

_NOT_THE_HOSTS = frozenset({"timeout", "caller"})
"""How a response can be cut that says nothing about the host."""


def attempt_until_done(call: OutgoingCall) -> Generator[Action, Any, LocalReply | None]:
    """Try until there is a response to deliver (None) or a reply to give."""
    route, cluster, upstream = call.route, call.cluster, call.upstream
    if route is None or cluster is None or upstream is None:
        raise AssertionError("nothing was decided")
    runtime = call.runtime
    clock = runtime.clock
    retry = route.retry
    retrying: Breaker | None = None
    tried: list[str] = []
    try:
        while True:
            call.attempts += 1
            result: Outcome
            host = _choose(call, cluster, retry, tried)
            if host is None:
                result = no_healthy_upstream()
            elif host.must_be_secure:
                call.host = host
                result = closed(host.why_not(cluster.name))
            else:
                call.host = host
                if retry is not None:
                    tried.append(host.address)
                pool = cluster.pool(host, call.owner, route.high_priority)
                lease = pool.lease(clock())
                granted = (
                    lease
                    if type(lease) is Slot
                    else (yield from _wait_for_connection(call, pool, host, cluster, lease))
                )
                if type(granted) is Slot:
                    call.slot = granted
                    until = call.try_until()
                    monitor = host.state.monitor
                    if monitor is not None:
                        monitor.result("connected")
                    answer: Head | Failure = yield Send(
                        granted, host, upstream.method, upstream.authority, upstream.path, upstream.headers, until
                    )
                    result = answer
                    if monitor is not None:
                        _report(monitor, answer, call)
                    if type(result) is Head and (
                        retry is None or not retry.wants_response(result.status, result.headers)
                    ):
                        if retrying is not None:
                            retrying.end_retry(cluster.state.lock)  # a retry is over with the head of its response
                            retrying = None
                        call.status = result.status
                        yield from _deliver(call, result, host)
                        return None
                else:
                    result = granted
                    if host.state.monitor is not None and type(result) is Failure:
                        host.state.monitor.result("connect-failed")
            if retrying is not None:
                retrying.end_retry(cluster.state.lock)
                retrying = None
            reply, wanted = _judge(retry, result, call)
            flag = ""
            if wanted and retry is not None:
                breaker = cluster.breaker(route.high_priority)
                if call.attempts > retry.retries:
                    flag = "URX"
                elif not breaker.try_retry(cluster.state.lock):
                    flag = "UO"
                else:
                    retrying = breaker
            if retrying is None:
                if type(result) is Head:
                    call.status = result.status
                    if flag:
                        call.flags = (*call.flags, flag)
                    yield from _deliver(call, result, call.host)
                    return None
                return reply.flagged(flag) if reply is not None and flag else reply
            if type(result) is Head:
                yield Discard(result)
            _release(call)
            if not (yield from _pause(call, retry)):
                return route_timeout()
            left_s = None if call.deadline is None else call.deadline - clock()
            upstream.again(call.attempts + 1, route.expected(left_s))
            # The configuration may have changed meanwhile; the route stays, its cluster is looked at anew.
            current = runtime.plan.cluster(cluster.name)
            if current is None:
                return no_healthy_upstream()
            if isinstance(current, ClusterRuntime):
                cluster = call.cluster = current
    finally:
        if retrying is not None:
            retrying.end_retry(cluster.state.lock)
        _release(call)


def _deliver(call: OutgoingCall, head: Head, host: Host | None) -> Generator[Action, Any, None]:
    end: BodyEnd = yield call.deliver(head)
    call.finished(end)
    if host is not None and host.state.monitor is not None and not end.complete and end.kind not in _NOT_THE_HOSTS:
        host.state.monitor.result("connect-failed")


def _report(monitor: HostMonitor, result: Head | Failure, call: OutgoingCall) -> None:
    """Tell outlier detection what came of a request that was sent (envoy source: Filter::updateOutlierDetection)."""
    if isinstance(result, Failure):
        if result.kind == "timeout":
            monitor.result("timeout", 504)
        else:
            monitor.result("connect-failed")
        return
    code = result.status
    if call.request.is_grpc:
        said = next((value for name, value in result.headers if name.lower() == b"grpc-status"), b"")
        code = status_of_grpc(said) if said else code
    monitor.status(code)


def _choose(call: OutgoingCall, cluster: ClusterRuntime, retry: CompiledRetry | None, tried: list[str]) -> Host | None:
    detector = cluster.state.detector
    if detector is not None:
        detector.look(call.runtime.clock())
    if cluster.original_dst:
        destination = call.destination
        resolved = destination.resolved if destination is not None else None
        return cluster.dialled(resolved or call.url_host.decode("latin-1").strip("[]"), call.port)
    context = wish(call, cluster) if cluster.asks else ANY
    if tried and retry is not None and retry.avoid_previous_hosts:
        rejects = tried.__contains__
        context = context.again(lambda host: rejects(host.address), retry.host_attempts)
    return cluster.choose(context)


def _wait_for_connection(
    call: OutgoingCall,
    pool: Pool,
    host: Host,
    cluster: ClusterRuntime,
    lease: Connect | Overflow | Waiter,
) -> Generator[Action, Any, Slot | Failure | LocalReply]:
    """There is no connection ready: wait for one that becomes free, or make one."""
    granted: Slot | Connect | Overflow | ConnectFailed | None
    if isinstance(lease, Waiter):
        granted = None
        try:
            left_s = None if call.deadline is None else call.deadline - call.runtime.clock()
            if (yield AwaitSlot(lease, left_s)):
                granted = lease.grant
        finally:
            if granted is None:
                pool.leave(lease, call.runtime.clock())
        if granted is None:
            return route_timeout()
    else:
        granted = lease
    if isinstance(granted, Slot):
        return granted
    if isinstance(granted, Overflow):
        return overflow(retried=call.attempts > 1)
    if isinstance(granted, ConnectFailed):
        return Failure(granted.kind, granted.reason)
    limit_s, hurry = cluster.config.connect_timeout_s, False
    if call.deadline is not None:
        left_s = call.deadline - call.runtime.clock()
        if left_s <= 0:
            pool.abandoned()
            return route_timeout()
        if left_s < limit_s:
            limit_s, hurry = left_s, True
    made: Any = None
    try:
        made = yield OpenConnection(host, pool, limit_s, cluster.http2)
    finally:
        if made is None:
            pool.abandoned()
    if isinstance(made, Failure):
        if hurry and made.kind == "connect-timeout":
            # The route's timeout has ended it, which says nothing about the endpoint.
            pool.abandoned()
            return route_timeout()
        pool.failed(made.kind, made.reason)
        return made
    slot = pool.connected(made, call.runtime.clock())
    return slot if isinstance(slot, Slot) else overflow(retried=call.attempts > 1)


def _judge(retry: CompiledRetry | None, result: Outcome, call: OutgoingCall) -> tuple[LocalReply | None, bool]:
    """(the reply if there is no other attempt, whether the policy wants another)."""
    if isinstance(result, Head):
        return None, result.replayable
    if isinstance(result, LocalReply):
        return result, False
    if result.kind == "timeout":
        if call.deadline is not None and call.runtime.clock() >= call.deadline:
            return route_timeout(), False
        kind, reply = "per-try-timeout", per_try_timeout()
    else:
        kind, reply = result.kind, upstream_reset(result.kind, retried=call.attempts > 1)
    return reply, retry is not None and result.replayable and retry.wants_reset(kind)


def _pause(call: OutgoingCall, retry: CompiledRetry | None) -> Generator[Action, Any, bool]:
    """The back-off before the next attempt; False when the route's timeout ends in it."""
    runtime = call.runtime
    pause_s = retry.back_off_s(call.attempts, runtime.uniform) if retry is not None else 0.0
    left_s = None if call.deadline is None else call.deadline - runtime.clock()
    if left_s is not None and pause_s >= left_s:
        yield Sleep(max(0.0, left_s))
        return False
    yield Sleep(pause_s)
    return True


def _release(call: OutgoingCall) -> None:
    slot = call.slot
    if slot is not None:
        call.slot = None
        slot.pool.release(slot, call.runtime.clock())
