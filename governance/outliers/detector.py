"""The hosts of one cluster, who of them is out and for how long (envoy source: DetectorImpl)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil, floor, inf
from threading import Lock
from typing import final

from ...xds.model.cluster import OutlierDetection
from ..balancing.host import HostState
from ..events import Ejected, EjectionType, Event, HealthChanged, Unejected
from .monitor import HostMonitor
from .rates import Outliers, find_outliers
from .spell import EPSILON_S

SHORTEST_INTERVAL_S = 0.001

ENFORCING: Mapping[EjectionType, Callable[[OutlierDetection], int]] = {
    "CONSECUTIVE_5XX": lambda config: config.enforcing_consecutive_5xx,
    "CONSECUTIVE_GATEWAY_FAILURE": lambda config: config.enforcing_consecutive_gateway_failure,
    "CONSECUTIVE_LOCAL_ORIGIN_FAILURE": lambda config: config.enforcing_consecutive_local_origin_failure,
    "SUCCESS_RATE": lambda config: config.enforcing_success_rate,
    "SUCCESS_RATE_LOCAL_ORIGIN": lambda config: config.enforcing_local_origin_success_rate,
    "FAILURE_PERCENTAGE": lambda config: config.enforcing_failure_percentage,
    "FAILURE_PERCENTAGE_LOCAL_ORIGIN": lambda config: config.enforcing_failure_percentage_local_origin,
}
"""How many of a hundred detected outliers are ejected."""


@final
class Detector:
    """`changed` is called after a host was ejected or came back, `emit` with every event; both without the lock."""

    __slots__ = (
        "_changed",
        "_draw",
        "_emit",
        "active",
        "clock",
        "cluster",
        "config",
        "detected",
        "due",
        "enforced",
        "interval_s",
        "lock",
        "monitors",
        "news",
        "overflows",
    )

    def __init__(
        self,
        cluster: str,
        clock: Callable[[], float],
        draw: Callable[[int], int],
        changed: Callable[[], None],
        emit: Callable[[Event], None],
    ) -> None:
        self.cluster = cluster
        self.lock = Lock()
        self.config = OutlierDetection()
        self.interval_s = inf
        self.due = inf
        """When the interval under way ends."""
        self.monitors: dict[str, HostMonitor] = {}
        self.active = 0
        """Hosts that are ejected."""
        self.detected: Counter[EjectionType] = Counter()
        self.enforced: Counter[EjectionType] = Counter()
        self.overflows = 0
        """Outliers that stayed because enough others are out."""
        self.news: list[Event] = []
        """What has happened and is to be told (`tell`)."""
        self.clock = clock
        self._draw = draw
        self._changed = changed
        self._emit = emit

    # -- configuration -------------------------------------------------------------------------------------------

    def configure(self, config: OutlierDetection, hosts: Mapping[str, HostState]) -> None:
        """From now on `config` holds, for these hosts: what is known of those that stay is kept."""
        with self.lock:
            now = self.clock()
            self.catch_up(now)
            self.config = config
            self.interval_s = max(SHORTEST_INTERVAL_S, config.interval_s)
            self.due = min(self.due, now + self.interval_s)
            kept = self.monitors
            for address, monitor in kept.items():
                if hosts.get(address) is not monitor.host:
                    self._drop(monitor)
            self.monitors = {}
            for address, host in hosts.items():
                known = kept.get(address)
                if known is None or known.host is not host:
                    known = HostMonitor(self, address, host)
                self.monitors[address] = host.monitor = known
        self.tell()

    def close(self) -> None:
        """The cluster has no outlier detection any more: whoever was ejected is back."""
        with self.lock:
            for monitor in self.monitors.values():
                self._drop(monitor)
            self.monitors = {}
            self.due = inf
        self._changed()

    def _drop(self, monitor: HostMonitor) -> None:
        host = monitor.host
        if host.ejected:
            self.active -= 1
            host.ejected = False
        host.self_degraded = False
        host.monitor = None

    # -- what happens --------------------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Somebody is about to choose a host: those whose time is over are back."""
        if now >= self.due:
            with self.lock:
                self.catch_up(now)
            self.tell()

    def refresh(self) -> None:
        """The same, for who has no clock at hand."""
        self.look(self.clock())

    def tell(self) -> None:
        """Tell what has happened; without the lock."""
        while self.news:
            try:
                event = self.news.pop(0)
            except IndexError:
                return  # another thread has told it
            if not isinstance(event, Ejected) or event.enforced:
                self._changed()
            self._emit(event)

    def row(self, monitor: HostMonitor, type_: EjectionType) -> None:
        """So many failures in a row that they are one too many; under the lock."""
        if monitor.host.ejected:
            return
        self.detected[type_] += 1
        self._eject(monitor, type_, self.clock(), Ejected(self.cluster, monitor.address, type_, False, 0))
        if type_ == "CONSECUTIVE_5XX":
            monitor.server_errors = 0
        elif type_ == "CONSECUTIVE_GATEWAY_FAILURE":
            monitor.gateway_failures = 0
        else:
            monitor.local_failures = 0

    def passed_check(self, monitor: HostMonitor) -> None:
        """The host has passed an active health check, and fails none."""
        if monitor.host.ejected and self.config.successful_active_health_check_uneject_host:
            self.uneject(monitor)

    def eject(self, monitor: HostMonitor) -> None:
        """Somebody wants the host out, whatever the limits say; it comes back as any other."""
        with self.lock:
            now = self.clock()
            self.catch_up(now)
            if not monitor.host.ejected:
                self._out(monitor, now, Ejected(self.cluster, monitor.address, "CONSECUTIVE_5XX", True, 0))
        self.tell()

    def uneject(self, monitor: HostMonitor) -> None:
        """An active health check says that the host is well, or somebody does who knows."""
        with self.lock:
            if monitor.host.ejected:
                self._uneject(monitor, self.clock())
        self.tell()

    def _eject(self, monitor: HostMonitor, type_: EjectionType, now: float, event: Ejected) -> None:
        config = self.config
        allowed = 100.0 * (self.active + 1) / len(self.monitors) <= min(100, config.max_ejection_percent)
        if not allowed and not (config.always_eject_one_host and not self.active):
            self.overflows += 1
            return
        if self._draw(100) < ENFORCING[type_](config):
            self.enforced[type_] += 1
            self._out(monitor, now, event)
        else:
            self.news.append(replace(event, ejections=monitor.ejections))

    def _out(self, monitor: HostMonitor, now: float, event: Ejected) -> None:
        self.active += 1
        monitor.host.ejected = True
        monitor.ejections += 1
        for_s = monitor.ejection.begin(now, self.config, self._draw)
        self.news.append(replace(event, enforced=True, ejections=monitor.ejections, for_s=for_s))

    def _uneject(self, monitor: HostMonitor, now: float) -> None:
        self.active -= 1
        monitor.host.ejected = False
        monitor.server_errors = monitor.gateway_failures = monitor.local_failures = 0
        monitor.ejection.ended_at = now
        away_s = now - monitor.ejection.began_at
        self.news.append(Unejected(self.cluster, monitor.address, monitor.ejections, away_s))

    def degrade(self, monitor: HostMonitor) -> None:
        """The host says that it is degraded; saying it again changes nothing. Under the lock."""
        if not monitor.host.self_degraded:
            self.detected["DEGRADED"] += 1
            monitor.host.self_degraded = True
            for_s = monitor.degradation.begin(self.clock(), self.config, self._draw)
            why = f"by its own word, for {for_s:.1f} s"
            self.news.append(HealthChanged(self.cluster, monitor.address, "degraded", why))

    # -- intervals -----------------------------------------------------------------------------------------------

    def catch_up(self, now: float | None = None) -> None:
        """Do what was to be done at the end of each interval that is over, as of its end; under the lock."""
        if now is None:
            now = self.clock()
        while self.due <= now:
            self._end_interval(self.due)
            self.due += self.interval_s
            until = self._nothing_until()
            if self.due <= now and until > self.due:
                # Intervals in which nothing can happen need not be gone through.
                if until > now:
                    self.due += self.interval_s * (floor((now - self.due) / self.interval_s) + 1)
                else:
                    self.due += self.interval_s * ceil((until - self.due) / self.interval_s - EPSILON_S)

    def _end_interval(self, now: float) -> None:
        monitors = list(self.monitors.values())
        external, local = [], []
        for each in monitors:
            if each.host.ejected and each.ends_at <= now + EPSILON_S:
                self._uneject(each, now)
            if each.host.self_degraded and each.degradation.ends_at(self.config) <= now + EPSILON_S:
                each.host.self_degraded = False
                each.degradation.ended_at = now
                self.news.append(HealthChanged(self.cluster, each.address, "not degraded"))
            outcomes = (each, *each.external.take()), (each, *each.local.take())
            if not each.host.ejected:
                external.append(outcomes[0])
                local.append(outcomes[1])
        self._judge(find_outliers(external, len(monitors), self.config), "SUCCESS_RATE", "FAILURE_PERCENTAGE", now)
        self._judge(
            find_outliers(local, len(monitors), self.config),
            "SUCCESS_RATE_LOCAL_ORIGIN",
            "FAILURE_PERCENTAGE_LOCAL_ORIGIN",
            now,
        )
        for each in monitors:
            if not each.host.ejected:
                each.ejection.fade(now, self.interval_s)
            if not each.host.self_degraded:
                each.degradation.fade(now, self.interval_s)

    def _judge(
        self, outliers: Outliers[HostMonitor], rate_type: EjectionType, percentage_type: EjectionType, now: float
    ) -> None:
        for monitor, rate in outliers.by_rate:
            self.detected[rate_type] += 1
            event = Ejected(self.cluster, monitor.address, rate_type, False, 0, 0.0, rate)
            event = replace(event, average=outliers.average, threshold=outliers.threshold)
            self._eject(monitor, rate_type, now, event)
        for monitor, rate in outliers.by_percentage:
            self.detected[percentage_type] += 1
            event = Ejected(self.cluster, monitor.address, percentage_type, False, 0, 0.0, rate)
            self._eject(monitor, percentage_type, now, event)

    def _nothing_until(self) -> float:
        """When something can happen at the end of an interval, if nobody reports anything."""
        until = inf
        for each in self.monitors.values():
            host, out, degraded = each.host, each.ejection, each.degradation
            if (
                each.external.total
                or each.local.total
                or (out.backoff and not host.ejected)
                or (degraded.backoff and not host.self_degraded)
            ):
                return -inf
            if host.ejected:
                until = min(until, out.ends_at(self.config))
            if host.self_degraded:
                until = min(until, degraded.ends_at(self.config))
        return until
