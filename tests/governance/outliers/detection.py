"""A detector with a clock and draws in a test's hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from proxyless.governance.balancing.host import HostState
from proxyless.governance.events import (
    Ejected,
    Event,
    ExtensionFailed,
    HealthChanged,
    NotEnforced,
    NotSecured,
    Unejected,
)
from proxyless.governance.outliers.detector import Detector
from proxyless.governance.outliers.monitor import HostMonitor
from proxyless.xds.model.cluster import OutlierDetection


class Detection:
    """Hosts `a`, `b` ...; times in seconds since the detector began."""

    def __init__(self, hosts: int | str = 10, *, draws: Iterable[int] = (), **config: Any) -> None:
        self.now = 0.0
        self.changes = 0
        self.events: list[Event] = []
        self._draws = list(draws)
        self.states = {name: HostState() for name in (hosts if isinstance(hosts, str) else "abcdefghijklmn"[:hosts])}
        self.detector = Detector("c", lambda: self.now, self._draw, self._changed, self.events.append)
        self.configure(**config)

    def configure(self, hosts: str | None = None, **config: Any) -> None:
        if hosts is not None:
            self.states = {name: self.states.get(name) or HostState() for name in hosts}
        self.detector.configure(OutlierDetection(**config), self.states)

    def _draw(self, n: int) -> int:
        return self._draws.pop(0) % n if self._draws and n > 1 else 0

    def _changed(self) -> None:
        assert not self.detector.lock.locked()
        self.changes += 1

    def monitor(self, host: str) -> HostMonitor:
        found = self.states[host].monitor
        assert found is not None
        return found

    def status(self, host: str, *codes: int) -> None:
        for code in codes:
            self.monitor(host).status(code)

    def at(self, now: float) -> str:
        """The hosts that are out at this time, somebody having looked then."""
        self.now = now
        self.detector.look(now)
        return self.out

    @property
    def out(self) -> str:
        return "".join(name for name, state in self.states.items() if state.ejected)

    @property
    def told(self) -> list[str]:
        """The events in short: `a CONSECUTIVE_5XX 30` (with how long), `a noticed TYPE`, `a back 30`."""
        return [_short(each) for each in self.events]


def _short(event: Event) -> str:
    match event:
        case Ejected(enforced=True):
            return f"{event.address} {event.type} {event.for_s:g}"
        case Ejected():
            return f"{event.address} noticed {event.type}"
        case Unejected():
            return f"{event.address} back {event.after_s:g}"
        case HealthChanged():
            return f"{event.address} {event.health}"
        case NotSecured():
            return f"{event.address} {event.reason}"
        case NotEnforced():
            return f"{event.policy} {event.outcome}"
        case ExtensionFailed():
            return event.reason
