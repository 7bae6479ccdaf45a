"""A checker with a clock and draws in a test's hand."""

from __future__ import annotations

from typing import Any

from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.checking.answers import Answer, Failed, Passed
from proxyless.governance.checking.checker import Checker, Session
from proxyless.governance.events import Event, HealthChanged
from proxyless.xds.model.endpoint import HealthCheckConfig
from proxyless.xds.model.health_check import HealthCheck, TcpCheck
from tests.support.model import host

NETWORK, TIMEOUT, ACTIVE = Failed("network"), Failed("network timeout"), Failed("active", "status 500")
RETRIABLE = Failed("active", "status 500", retriable=True)
WELL, DEGRADED = Passed(), Passed(degraded=True)


class Asking:
    """Hosts `a`, `b` ...; times in seconds since the checker began."""

    def __init__(self, names: str = "a", *, ignore_new: bool = False, draw: float = 0.0, **config: Any) -> None:
        self.now = 0.0
        self.used = True
        self.changes = 0
        self.warm = 0
        self.events: list[Event] = []
        self.states = {name: HostState() for name in "abc"}
        self.checker = Checker(
            "c",
            lambda: self.now,
            lambda: draw,
            self._changed,
            self.events.append,
            lambda: self.used,
            self._warm,
        )
        self.configure(names, ignore_new=ignore_new, **config)

    def configure(self, names: str, *, ignore_new: bool = False, disabled: str = "", **config: Any) -> None:
        hosts = [
            Host(host(f"{name}:80", health_check=HealthCheckConfig(disabled=name in disabled)), self.states[name])
            for name in names
        ]
        fields = {"timeout_s": 1.0, "interval_s": 10.0, **config}
        for name, default in (("unhealthy_interval_s", 10.0), ("healthy_edge_interval_s", 10.0)):
            fields.setdefault(name, default)
        fields.setdefault("unhealthy_edge_interval_s", fields["unhealthy_interval_s"])
        check = None if config.get("none") else HealthCheck(TcpCheck(), **fields)
        self.checker.configure(check, hosts, ignore_new=ignore_new)

    def _changed(self) -> None:
        self.changes += 1

    def _warm(self) -> None:
        self.warm += 1

    def session(self, name: str = "a") -> Session:
        return self.checker.sessions[f"{name}:80"]

    def answer(self, *answers: Answer, name: str = "a") -> list[str]:
        """The host answers each time it is asked; its state after each, and when it is asked again."""
        seen = []
        for each in answers:
            self.now = max(self.now, self.session(name).due)
            for session in self.checker.take_due(self.now):
                if session is self.session(name):
                    self.checker.report(session, each)
                else:
                    session.due = self.now
            seen.append(f"{self.state(name)} +{self.session(name).due - self.now:g}")
        return seen

    def state(self, name: str = "a") -> str:
        state = self.states[name]
        words = [word for word in ("failing", "pending", "degraded") if getattr(state, word)]
        return ",".join(words) or "well"

    @property
    def told(self) -> list[str]:
        return [f"{each.address[0]} {each.health}" for each in self.events if isinstance(each, HealthChanged)]
