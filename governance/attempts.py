"""From a routed request to a response: endpoint, connection, attempt, next attempt (envoy source: Router::Filter).

The connection of the attempt under way is the call's `slot`; whatever happens, it goes back to its pool.

    selection.py    which endpoint        connecting.py    a connection to it
    retry.py        whether again, and after what pause        budget.py    whether the cluster has a retry left
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ..xds.model.route import InternalRedirectPolicy
from .actions import Action, Discard, Failure, Head, Send, Sleep
from .choosing import listen
from .cluster import ClusterRuntime
from .composition.calls import shadowed_retry, unlimited
from .connecting import wait_for_connection
from .describing import subject_of_attempt
from .internal_redirects import REDIRECTED, Redirected, follow
from .mirroring import mirrored
from .pool import Breaker, Slot
from .replies import (
    LocalReply,
    closed,
    drop_overload,
    no_healthy_upstream,
    per_try_idle_timeout,
    per_try_timeout,
    upstream_reset,
)
from .reporting import deliver, delivered, heed, report
from .retry import TOO_EARLY, BackOff, CompiledRetry, Retry
from .securing import securing_of
from .selection import Tried, choose
from .timing import reply_of
from .trace_context import carrying

if TYPE_CHECKING:
    from .call import OutgoingCall

Outcome = Head | Failure | LocalReply

UNCONNECTED = frozenset({"connect-failure", "connect-timeout"})
"""Failures of a try that has reached no endpoint."""


def _reached(result: Outcome) -> bool:
    """Whether a try has had a connection to its endpoint."""
    return type(result) is Head or (type(result) is Failure and result.kind not in UNCONNECTED)


def attempt_until_done(call: OutgoingCall) -> Generator[Action, Any, LocalReply | Redirected | None]:
    """Try until there is a response to deliver (None), a reply to give, or another place to ask."""
    route, cluster, upstream = call.route, call.cluster, call.upstream
    if route is None or cluster is None or upstream is None:
        raise AssertionError("nothing was decided")
    runtime = call.runtime
    clock = runtime.clock
    retry, times, follows = call.retry, route.retry, route.internal_redirect
    timed = times is not None and times.timed
    retrying: Breaker | None = None
    tried: Tried | None = None
    back_off: BackOff | None = None
    dropped = cluster.dropped
    if dropped and 100 * runtime.uniform() < dropped:
        return drop_overload(unconditional=dropped >= 100)
    try:
        while True:
            call.attempts += 1
            result: Outcome
            wanted: Retry = ""
            host = choose(call, cluster, retry, tried)
            if host is None:
                result = no_healthy_upstream()
            elif host.must_be_secure and (runtime.tls is None or host.socket.unsupported):
                call.host = host
                result = closed(host.why_not(cluster.name))
            else:
                call.host = host
                own = cluster if cluster.aggregate is None else cluster.aggregate.of(host)
                if call.attempts == 1 and (cluster.mirrors or route.mirrors):
                    yield from mirrored(call, cluster, upstream)
                if call.trace is not None and (told := call.trace.attempt(own.config.alt_stat_name or own.name)):
                    upstream.headers = carrying(upstream.headers, told)
                secure = securing_of(call, own, host, upstream) if host.must_be_secure else None
                pool = own.pool(host, call.owner, route.high_priority, secure)
                lease = pool.lease(clock())
                granted = (
                    lease if type(lease) is Slot else (yield from wait_for_connection(call, pool, host, own, lease))
                )
                if type(granted) is Slot:
                    call.slot = granted
                    if secure is not None:
                        call.secured_by = granted.connection
                    if route.auto_host:
                        upstream.towards(host)
                    if pool.breaker.window is not None:
                        pool.count_request(clock())
                    limits = call.limits
                    if limits is not None:
                        limits.begin_try(clock())
                    if timed or limits is not None:
                        until, idle_s = call.try_until(), call.idle_s()
                    else:
                        until, idle_s = call.deadline, None
                    monitor = host.state.monitor
                    if monitor is not None and monitor.detector.config.split_external_local_origin_errors:
                        monitor.result("connected")  # else it says nothing
                    answer: Head | Failure = yield Send(
                        granted,
                        host,
                        upstream.method,
                        upstream.authority,
                        upstream.path,
                        upstream.headers,
                        until,
                        idle_s,
                    )
                    result = answer
                    if monitor is not None:
                        report(monitor, answer, call, own)
                    if own.state.checker is not None:
                        heed(own.state.checker, host, answer)
                    if type(result) is Head:
                        if own.listens:
                            listen(call, own, host, result.headers)
                        if retry is not None:
                            if result.status == TOO_EARLY:
                                wanted = _judge_early(retry, result, call)
                            elif result.replayable:  # without the body there is no other try
                                wanted = retry.wants_response(result.status, result.headers)
                            if wanted and shadowed_retry(call):
                                wanted = ""
                        if not wanted:
                            if retrying is not None:
                                retrying.end_retry(cluster.state.lock)  # a retry is over with the head of its response
                                retrying = None
                            if follows is not None and (yield from _redirected(call, follows, result)):
                                return REDIRECTED
                            call.status = result.status
                            if call.policies is not None:
                                return (yield from deliver(call, result, host))
                            delivered(call, host, (yield call.deliver(result)))  # no generator for one step
                            return None
                else:
                    result = granted
                    if host.state.monitor is not None and type(result) is Failure:
                        host.state.monitor.result("connect-failed")
            if call.trace is not None and not isinstance(result, LocalReply):
                call.trace.came(result)
            if retrying is not None:
                retrying.end_retry(cluster.state.lock)
                retrying = None
            reply: LocalReply | None = None
            if type(result) is not Head:
                reply, wanted = _judge(retry, result, call)
                if wanted and shadowed_retry(call):
                    wanted = ""
                call.spent = call.spent or (type(result) is Failure and not result.replayable)
            flag = ""
            if wanted and retry is not None:
                breaker = cluster.breaker(route.high_priority)
                if call.attempts > retry.retries:
                    flag = "URX"
                elif not breaker.try_retry(cluster.state.lock, clock()) and not (
                    unlimited(call) and breaker.begin_retry(cluster.state.lock)
                ):
                    flag = "UO"
                else:
                    retrying = breaker
            if retrying is None or retry is None:
                if type(result) is Head:
                    if follows is not None and (yield from _redirected(call, follows, result)):
                        return REDIRECTED
                    call.status = result.status
                    call.flags = (*call.flags, flag)
                    return (yield from deliver(call, result, host))
                return reply.flagged(flag) if reply is not None and flag else reply
            if tried is None or back_off is None:
                tried, back_off = Tried(), retry.back_off()
            if host is None:
                raise AssertionError("a retry of nothing")
            if host.address not in call.tried and _reached(result):
                call.tried = (*call.tried, host.address)
            tried.add(host, None if cluster.aggregate is None else cluster.aggregate.priority(host))
            pause_s = 0.0
            if wanted == "pause":
                asked_ms = None
                if retry.reset_headers and type(result) is Head:
                    asked_ms = retry.asked_pause_ms(result.headers, runtime.wall())
                pause_s = back_off.pause_s(runtime.uniform, asked_ms)
            if type(result) is Head:
                timed_out = False
                yield Discard(result)
            else:
                timed_out = _took_too_long(result, call)
            _release(call)
            call.secured_by = None
            if call.trace is not None:
                call.trace.attempted(subject_of_attempt(call))
            if call.limits is not None:
                call.limits.try_at = None
            if not (yield from _pause(call, pause_s)):
                return call.timed_out()
            left_s = None if call.deadline is None else call.deadline - clock()
            upstream.again(call.attempts + 1, route.expected(left_s), timed_out=timed_out)
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


def _redirected(call: OutgoingCall, policy: InternalRedirectPolicy, head: Head) -> Generator[Action, Any, bool]:
    """Whether the response is a redirect that the mesh follows itself; the call is then ready to begin anew."""
    if head.status not in policy.codes:
        return False
    found = follow(call, policy, head)
    if found is None:
        return False
    yield Discard(head)
    _release(call)
    call.restart(*found)
    return True


def _judge_early(retry: CompiledRetry, head: Head, call: OutgoingCall) -> Retry:
    """Whether the policy wants another try in place of a response that says that it was too early."""
    early = b"early-data" in call.request.headers
    return retry.wants_response(head.status, head.headers, early=early) if head.replayable else ""


def _judge(
    retry: CompiledRetry | None, result: Failure | LocalReply, call: OutgoingCall
) -> tuple[LocalReply | None, Retry]:
    """(the reply if there is no other attempt, whether the policy wants another)."""
    if isinstance(result, LocalReply):
        return result, ""
    if result.kind == "timeout":
        end = call.ended_by()
        if end is None:
            kind, reply = "per-try-timeout", per_try_timeout()
        elif end == "upstream":
            kind, reply = "max-stream-duration", reply_of(end, incomplete=call.incomplete)
        else:
            return reply_of(end, incomplete=call.incomplete), ""
    elif result.kind == "idle":
        if call.uploading:
            return reply_of("idle", incomplete=True), ""
        kind, reply = "per-try-timeout", per_try_idle_timeout()
    else:
        kind, reply = result.kind, upstream_reset(result.kind, retried=call.attempts > 1, transport=result.transport)
    wanted = retry is not None and result.replayable and retry.wants_reset(kind)
    return reply, "pause" if wanted else ""


def _took_too_long(result: Outcome, call: OutgoingCall) -> bool:
    """Whether a try ended by its own timeout."""
    kind = result.kind if isinstance(result, Failure) else ""
    return kind == "idle" or (kind == "timeout" and call.ended_by() is None)


def _pause(call: OutgoingCall, pause_s: float) -> Generator[Action, Any, bool]:
    """The back-off before the next attempt; False when the route's timeout, or another limit, ends in it."""
    end = call.end()
    left_s = None if end is None else end - call.runtime.clock()
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
