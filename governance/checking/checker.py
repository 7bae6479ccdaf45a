"""The endpoints of one cluster, how each of them answered last, and when it is asked again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import inf
from threading import Lock
from typing import final

from ...xds.model.health_check import HealthCheck
from ..balancing.host import Host
from ..events import Event, Health, HealthChanged
from .answers import Answer, Failed, Passed

SHORTEST_S = 0.001

News = tuple[Health, str]
"""What a host is now, and why."""

NETWORK = frozenset({"network", "network timeout"})


@final
class Session:
    """One endpoint that is asked. `due`: when; infinite while a check is under way."""

    __slots__ = ("due", "failures", "first", "gone", "host", "passes")

    def __init__(self, host: Host, due: float) -> None:
        self.host = host
        self.due = due
        self.first = True
        self.passes = 0
        self.failures = 0
        self.gone = False


@final
class Checker:
    """`changed` is called after the health of a host has changed, `emit` with every event, `ready` when the cluster is
    warm; all without the lock. `used`: whether the cluster has had traffic."""

    __slots__ = (
        "_changed",
        "_clock",
        "_emit",
        "_lock",
        "_ready",
        "_uniform",
        "_used",
        "attempts",
        "cluster",
        "config",
        "failures",
        "sessions",
        "successes",
        "warm",
    )

    def __init__(
        self,
        cluster: str,
        clock: Callable[[], float],
        uniform: Callable[[], float],
        changed: Callable[[], None],
        emit: Callable[[Event], None],
        used: Callable[[], bool],
        ready: Callable[[], None],
    ) -> None:
        self.cluster = cluster
        self.config: HealthCheck | None = None
        self.sessions: dict[str, Session] = {}
        self.attempts = 0
        self.successes = 0
        self.failures: Counter[str] = Counter()
        self.warm = False
        """Whether every endpoint has been asked once: until then Envoy does not use a new cluster."""
        self._used = used
        self._ready = ready
        self._clock = clock
        self._uniform = uniform
        self._changed = changed
        self._emit = emit
        self._lock = Lock()

    def configure(self, config: HealthCheck | None, hosts: Iterable[Host], *, ignore_new: bool = False) -> None:
        """From now on these endpoints are asked so; None: nobody is. What is known of those that stay is kept.

        An endpoint that is new fails until it has passed. `ignore_new`: until it has been asked it counts for nothing
        (CommonLbConfig.ignore_new_hosts_until_first_hc).
        """
        with self._lock:
            now = self._clock()
            kept, self.sessions = self.sessions, {}
            self.config = config
            if config is not None:
                for host in hosts:
                    if host.endpoint.health_check.disabled:
                        continue
                    session = kept.get(host.address)
                    if session is not None and session.host.state is host.state:
                        del kept[host.address]
                        session.host = host
                    else:
                        session = Session(host, now + self._initial_jitter_s(config))
                        host.state.failing = True
                        host.state.pending = ignore_new
                    self.sessions[host.address] = session
            self.warm = self.warm or not self.sessions
            for session in kept.values():
                session.gone = True
                state = session.host.state
                state.failing = state.pending = state.degraded = False
        self._changed()

    # -- for the driver ------------------------------------------------------------------------------------------

    def next_due(self) -> float:
        """When the next check is due."""
        return min((each.due for each in list(self.sessions.values())), default=inf)

    def take_due(self, now: float) -> list[Session]:
        """Those that are to be asked now. `report` must follow for each."""
        with self._lock:
            due = [each for each in self.sessions.values() if each.due <= now]
            for each in due:
                each.due = inf
            self.attempts += len(due)
        return due

    def report(self, session: Session, answer: Answer) -> None:
        """What came of a check."""
        with self._lock:
            config = self.config
            if session.gone or config is None:
                return
            now = self._clock()
            if isinstance(answer, Passed):
                events, changed, pending = self._passed(session, answer, config, now)
            else:
                events, changed, pending = self._failed(session, answer, config)
            session.first = False
            session.due = now + self._wait_s(config, healthy=isinstance(answer, Passed), pending=pending)
            warm = not self.warm and not any(each.first for each in self.sessions.values())
            self.warm = self.warm or warm
        self._tell(session, events, changed=changed)
        if warm:
            self._ready()
        state = session.host.state
        monitor = state.monitor
        if isinstance(answer, Passed) and not state.failing and monitor is not None:
            monitor.detector.passed_check(monitor)

    def fail_at_once(self, address: str) -> None:
        """A response to a request said `x-envoy-immediate-health-check-fail`."""
        with self._lock:
            session, config = self.sessions.get(address), self.config
            if session is None or config is None:
                return
            answer = Failed("passive", "it wants to be left out", exclude=True)
            events, _, _ = self._failed(session, answer, config)
            session.first = False
        self._tell(session, events, changed=True)

    # -- the rules -----------------------------------------------------------------------------------------------

    def _passed(
        self, session: Session, answer: Passed, config: HealthCheck, now: float
    ) -> tuple[list[News], bool, bool]:
        """(what to tell, whether a balancer has to look, whether a change is pending)."""
        state = session.host.state
        self.successes += 1
        session.failures = 0
        events: list[News] = []
        changed = pending = False
        if state.failing:
            session.passes += 1
            if session.first or session.passes == config.healthy_threshold:
                state.failing = state.pending = False
                events.append(("healthy", ""))
                changed = True
            else:
                pending = True
            state.healthy_since = now
        if answer.degraded != state.degraded:
            state.degraded = answer.degraded
            events.append(("degraded" if answer.degraded else "not degraded", ""))
            changed = True
        if config.always_log_success and not events:
            events.append(("healthy", "it passed again"))
        return events, changed, pending

    def _failed(self, session: Session, answer: Failed, config: HealthCheck) -> tuple[list[News], bool, bool]:
        state = session.host.state
        self.failures[answer.kind] += 1
        session.passes = 0
        events: list[News] = []
        changed = pending = False
        reason = f"{answer.kind}: {answer.reason}" if answer.reason else answer.kind
        if not state.failing:
            session.failures += 1
            if not (answer.kind in NETWORK or answer.retriable) or session.failures == config.unhealthy_threshold:
                state.failing = changed = True
                events.append(("unhealthy", reason))
            else:
                pending = True
        if answer.exclude:
            changed, state.pending = changed or not state.pending, True
        elif state.pending and session.first:
            state.pending, changed, pending = False, True, False
        if (session.first or config.always_log_failures) and not events:
            events.append(("unhealthy", reason))
        return events, changed, pending

    def _tell(self, session: Session, events: list[News], *, changed: bool) -> None:
        if changed:
            self._changed()
        for health, reason in events:
            self._emit(HealthChanged(self.cluster, session.host.address, health, reason))

    def _wait_s(self, config: HealthCheck, *, healthy: bool, pending: bool) -> float:
        if self._used():
            if healthy:
                base_s = config.healthy_edge_interval_s if pending else config.interval_s
            else:
                base_s = config.unhealthy_edge_interval_s if pending else config.unhealthy_interval_s
        else:
            quiet = healthy and not pending
            base_s = config.no_traffic_healthy_interval_s if quiet else config.no_traffic_interval_s
        return self._jittered(config, base_s, config.interval_jitter_s)

    def _initial_jitter_s(self, config: HealthCheck) -> float:
        return self._jittered(config, 0.0, config.initial_jitter_s) if config.initial_jitter_s else 0.0

    def _jittered(self, config: HealthCheck, base_s: float, jitter_s: float) -> float:
        base_s += self._uniform() * base_s * config.interval_jitter_percent / 100
        return max(SHORTEST_S, base_s + self._uniform() * jitter_s)
