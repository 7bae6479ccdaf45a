"""Several tries at once: one that is slow goes on while another is started (RouteAction.hedge_policy).

(envoy source: Filter::onSoftPerTryTimeout, Filter::onUpstreamHeaders.) Only routes that hedge come here; the tries run
beside each other, each a machine of its own, and tell this one by a `Race` what became of them. The first response that
the policy would not retry wins; the others are abandoned.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, final

from .actions import Action, AwaitRace, Discard, Failure, Head, Race, Run, Running, Send
from .balancing.host import Host
from .choosing import listen
from .cluster import ClusterRuntime
from .composition.calls import unlimited
from .connecting import wait_for_connection
from .internal_redirects import REDIRECTED, Redirected, follow
from .mirroring import mirrored
from .pool import Breaker, Slot
from .replies import LocalReply, closed, drop_overload, no_healthy_upstream, upstream_reset
from .reporting import deliver, heed, report
from .retry import BackOff, CompiledRetry
from .securing import securing_of
from .selection import Tried, choose
from .timing import EARLY_S

if TYPE_CHECKING:
    from .call import OutgoingCall

Outcome = Head | Failure | LocalReply


class Waiting:
    """A try that its driver has not begun yet, and therefore does not."""

    def abandon(self) -> None:
        """There is nothing to end."""


@final
class Try:
    """One of the tries. Whoever finds it both ended and abandoned gives its connection back; under the race's lock."""

    __slots__ = ("abandoned", "cluster", "ended", "error", "host", "outcome", "retried", "running", "slot", "soft_at")

    def __init__(self, host: Host, cluster: ClusterRuntime) -> None:
        self.host = host
        self.cluster = cluster
        """That the host belongs to."""
        self.slot: Slot | None = None
        self.running: Running = Waiting()
        self.soft_at: float | None = None
        """When another is started, if this one has no response by then."""
        self.retried = False
        self.ended = False
        self.abandoned = False
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None


def hedge_until_done(call: OutgoingCall) -> Generator[Action, Any, LocalReply | Redirected | None]:
    """As `attempts.attempt_until_done`."""
    hedge = Hedge(call)
    call.race = hedge.race
    try:
        return (yield from hedge.run())
    finally:
        call.race = None
        hedge.close()


class Hedge:
    """The tries of one call."""

    def __init__(self, call: OutgoingCall) -> None:
        route, cluster, upstream = call.route, call.cluster, call.upstream
        if route is None or cluster is None or upstream is None:
            raise AssertionError("nothing was decided")
        self.call = call
        self.route = route
        self.upstream = upstream
        self.cluster: ClusterRuntime = cluster
        self.clock = call.runtime.clock
        self.race = Race()
        self.tries: list[Try] = []
        self.retry: CompiledRetry | None = call.retry
        self.left = self.retry.retries if self.retry is not None else 0
        self.back_off: BackOff | None = self.retry.back_off() if self.retry is not None else None
        self.tried = Tried()
        self.retrying: Breaker | None = None
        self.timed_out = False
        """Whether it begins because another took too long."""
        self.due_at: float | None = None
        """When the next try begins."""
        times = route.retry
        limits = [] if times is None else [times.per_try_timeout_s, times.per_try_idle_timeout_s]
        self.patience_s = min((each for each in limits if each is not None), default=None)

    def run(self) -> Generator[Action, Any, LocalReply | Redirected | None]:
        """Until one try has won, or all have failed."""
        call, clock = self.call, self.clock
        share = self.cluster.dropped
        if share and 100 * call.runtime.uniform() < share:
            return drop_overload(unconditional=share >= 100)
        reply = yield from self._begin()
        while reply is None:
            if call.ended_by() is not None:
                return call.timed_out()
            one = self.race.take()
            if isinstance(one, Try):
                if one.ended and one in self.tries:
                    self.tries.remove(one)
                    won, reply = yield from self._ended(one)
                    if won is not None:
                        return won if isinstance(won, Redirected) else None
                continue
            if one is not None:  # the request is complete: now the tries' own time begins
                for each in self.tries:
                    self._arm(each)
                continue
            now = clock()
            if self.due_at is not None and now >= self.due_at - EARLY_S:
                self.due_at = None
                reply = yield from self._begin()
                continue
            late = now + EARLY_S
            slow = next((each for each in self.tries if each.soft_at is not None and late >= each.soft_at), None)
            if slow is not None:
                self._soften(slow)
                continue
            moments = [call.end(), self.due_at, *(each.soft_at for each in self.tries)]
            yield AwaitRace(self.race, min((each for each in moments if each is not None), default=None))
        return reply

    def close(self) -> None:
        """Whatever is still under way is given up."""
        if self.retrying is not None:
            self.retrying.end_retry(self.cluster.state.lock)
            self.retrying = None
        for each in self.tries:
            self._abandon(each)
        self.tries = []
        slot = self.call.slot
        if slot is not None:
            self.call.slot = None
            slot.pool.release(slot, self.clock())

    # -- one try -------------------------------------------------------------------------------------------------

    def _begin(self) -> Generator[Action, Any, LocalReply | None]:
        """Start a try; the reply where there is nowhere to go."""
        call, route = self.call, self.route
        call.attempts += 1
        if call.attempts > 1:
            left_s = None if call.deadline is None else call.deadline - self.clock()
            self.upstream.again(call.attempts, route.expected(left_s), timed_out=self.timed_out)
            current = call.runtime.plan.cluster(self.cluster.name)
            if current is None:
                return no_healthy_upstream()
            if isinstance(current, ClusterRuntime):
                self.cluster = call.cluster = current
        host = choose(call, self.cluster, self.retry, self.tried if call.attempts > 1 else None)
        if host is None:
            return no_healthy_upstream()
        call.host = host
        if host.must_be_secure and (call.runtime.tls is None or host.socket.unsupported):
            return closed(host.why_not(self.cluster.name))
        if call.attempts == 1 and (self.cluster.mirrors or route.mirrors):
            yield from mirrored(call, self.cluster, self.upstream)
        if route.auto_host:
            self.upstream.towards(host)
        aggregate = self.cluster.aggregate
        self.tried.add(host, None if aggregate is None else aggregate.priority(host))
        one = Try(host, self.cluster.of(host))
        self.tries.append(one)
        one.running = yield Run(self._attempt(one), self.race, one)
        return None

    def _attempt(self, one: Try) -> Generator[Action, Any, None]:
        """The machine of a try: runs beside the others."""
        call, cluster, host, upstream = self.call, one.cluster, one.host, self.upstream
        send = (upstream.method, upstream.authority, upstream.path, upstream.headers)
        try:
            secure = securing_of(call, cluster, host, upstream) if host.must_be_secure else None
            pool = cluster.pool(host, call.owner, self.route.high_priority, secure)
            lease = pool.lease(self.clock())
            granted = (
                lease if isinstance(lease, Slot) else (yield from wait_for_connection(call, pool, host, cluster, lease))
            )
            outcome: Outcome
            if isinstance(granted, Slot):
                one.slot = granted
                if pool.breaker.window is not None:
                    pool.count_request(self.clock())
                if not call.uploading:
                    self._arm(one)
                if host.state.monitor is not None:
                    host.state.monitor.result("connected")
                self.race.put(one)
                outcome = yield Send(granted, host, *send, call.try_until(), call.idle_s() if call.uploading else None)
            else:
                outcome = granted
            with self.race.lock:
                one.outcome, one.ended = outcome, True
                if not one.abandoned:
                    self.race.events.append(one)
            if one.abandoned:
                if isinstance(outcome, Head):
                    yield Discard(outcome)
                self._release(one)
            else:
                self.race.wakes()
        except BaseException:
            self._release(one)
            raise

    def _arm(self, one: Try) -> None:
        if self.patience_s is not None and one.slot is not None and one.soft_at is None and not one.retried:
            one.soft_at = self.clock() + self.patience_s

    def _abandon(self, one: Try) -> None:
        with self.race.lock:
            one.abandoned = True
            ended = one.ended
        if ended:
            self._release(one)
        else:
            one.running.abandon()

    def _release(self, one: Try) -> None:
        slot = one.slot
        if slot is not None:
            one.slot = None
            slot.pool.release(slot, self.clock())

    # -- what comes of it ----------------------------------------------------------------------------------------

    def _soften(self, one: Try) -> None:
        """Its time is over, and it goes on."""
        one.soft_at = None
        monitor = one.host.state.monitor
        if monitor is not None:
            monitor.result("timeout", 504)
        one.retried = self._again("pause") if self.retry is not None and not self.call.spent else False
        self.timed_out = one.retried

    def _again(self, wanted: str, head: Head | None = None) -> bool:
        """Whether another try is started, after a pause; what prevents it is said by a flag."""
        retry, back_off, runtime = self.retry, self.back_off, self.call.runtime
        if self.retrying is not None:
            self.retrying.end_retry(self.cluster.state.lock)
            self.retrying = None
        if not wanted or retry is None or back_off is None:
            return False
        if self.left <= 0:
            self._flag("URX")
            return False
        self.left -= 1
        self.timed_out = False
        breaker = self.cluster.breaker(self.route.high_priority)
        lock = self.cluster.state.lock
        if not breaker.try_retry(lock, self.clock()) and not (unlimited(self.call) and breaker.begin_retry(lock)):
            self._flag("UO")
            return False
        self.retrying = breaker
        asked_ms = None
        if head is not None and retry.reset_headers:
            asked_ms = retry.asked_pause_ms(head.headers, runtime.wall())
        self.due_at = self.clock() + (back_off.pause_s(runtime.uniform, asked_ms) if wanted == "pause" else 0.0)
        return True

    def _flag(self, flag: str) -> None:
        if flag not in self.call.flags:
            self.call.flags = (*self.call.flags, flag)

    def _ended(self, one: Try) -> Generator[Action, Any, tuple[Redirected | Try | None, LocalReply | None]]:
        """(what has won, the reply where nothing can win any more)."""
        call, outcome = self.call, one.outcome
        if one.error is not None:
            raise one.error
        monitor = one.host.state.monitor
        if monitor is not None and isinstance(outcome, Head | Failure):
            report(monitor, outcome, call, one.cluster)
        checker = one.cluster.state.checker
        if checker is not None and isinstance(outcome, Head | Failure):
            heed(checker, one.host, outcome)
        if isinstance(outcome, Head):
            if one.cluster.listens:
                listen(call, one.cluster, one.host, outcome.headers)
            won = yield from self._headed(one, outcome)
            return (None, won) if isinstance(won, LocalReply) else (won, None)
        self._release(one)
        if isinstance(outcome, LocalReply):
            return None, outcome
        if outcome is None:
            raise AssertionError("a try without an outcome")
        if outcome.kind == "timeout":
            return None, call.timed_out()
        call.spent = call.spent or not outcome.replayable
        wanted = self.retry is not None and not one.retried and outcome.replayable
        if wanted and self.retry is not None:
            self._again("pause" if self.retry.wants_reset(outcome.kind) else "")
        if self.tries or self.due_at is not None:
            return None, None
        return None, upstream_reset(outcome.kind, retried=call.attempts > 1, transport=outcome.transport)

    def _headed(self, one: Try, head: Head) -> Generator[Action, Any, Redirected | LocalReply | Try | None]:
        call, retry = self.call, self.retry
        dropped = False
        if retry is not None and head.replayable:
            early = b"early-data" in call.request.headers
            wanted = retry.wants_response(head.status, head.headers, early=early)
            if one.retried:
                dropped = bool(wanted) and (bool(self.tries) or self.due_at is not None)
            elif self._again(wanted, head):
                dropped = True
            else:
                dropped = bool(wanted) and bool(self.tries)
        policy = self.route.internal_redirect
        if not dropped and policy is not None and head.status in policy.codes:
            found = follow(call, policy, head)
            if found is not None:
                yield Discard(head)
                self._release(one)
                self.close()
                call.restart(*found)
                return REDIRECTED
        if dropped:
            yield Discard(head)
            self._release(one)
            return None
        call.secured_by = one.slot.connection if one.slot is not None else None
        call.slot, one.slot = one.slot, None
        call.host, call.status = one.host, head.status
        self.due_at = None
        for each in self.tries:
            self._abandon(each)
        self.tries = []
        self._again("")
        other = yield from deliver(call, head, one.host)
        return one if other is None else other
