"""Those who watch a mesh: metrics, the log of what is not honoured, the status socket."""

from __future__ import annotations

import atexit
import logging
import os
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError
from .governance.telemetry.events import EventLog
from .governance.telemetry.facts import Exporter, Facts
from .governance.telemetry.notes import ConfigurationLog
from .xds.identity.bootstrap import Node
from .xds.transport.pacing import Pace

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from .documents import Subject
    from .governance.attending import Attendant
    from .governance.runtime import Runtime
    from .governance.telemetry.prometheus import PrometheusListener
    from .status_socket import StatusServer

log = logging.getLogger("proxyless.telemetry")


class Observers:
    """The watchers of one mesh; they keep it no longer than its owner does.

    `facts` says how things stand, None when the mesh is gone. `tick` comes about once a second. `quiet`: what is not
    honoured is not logged; whoever asks is told in another way.

    Raises:
        ConfigurationError: the metrics cannot be registered.
    """

    def __init__(
        self,
        facts: Callable[[], Facts | None],
        clock: Callable[[], float],
        node: Node,
        registry: CollectorRegistry | bool | None,
        *,
        quiet: bool = False,
    ) -> None:
        self._facts = facts
        self._pace = Pace(self._busy)
        self._exporters: list[Exporter] = [] if quiet else [ConfigurationLog(self._pace)]
        self._server: StatusServer | None = None
        self._attendants: dict[Callable[[], type[Attendant]], Attendant] = {}
        self._failed: set[Exporter] = set()
        self.metrics: PrometheusListener | None = None
        if registry is not False:
            self.metrics = _metrics(None if registry is True else registry, node, facts, clock, self._pace)
            self._exporters.append(self.metrics)
        self._at_exit = partial(_close, weakref.ref(self))
        atexit.register(self._at_exit)

    def _busy(self) -> bool:
        facts = self._facts()
        return facts is not None and facts.runtime.busy()

    def watch(self, runtime: Runtime, *, checks: bool) -> None:
        """Log what happens to hosts. `checks`: ask them for their health and load, from the
        first cluster on that wants it."""
        runtime.add_event_listener(EventLog())
        if not checks:
            return
        reference = weakref.ref(runtime)

        runtime.on_checks = lambda: self._wake(_health_driver, reference)
        runtime.on_reports = lambda: self._wake(_load_driver, reference)
        runtime.on_keys = lambda: self._wake(_key_set_driver, reference)

    def _wake(self, kind: Callable[[], type[Attendant]], runtime: weakref.ref[Runtime]) -> None:
        """Made when it is woken first: what it needs is imported only then."""
        attendant = self._attendants.get(kind)
        if attendant is None:
            attendant = self._attendants.setdefault(kind, kind()(runtime))
        attendant.wake()

    def serve(self, subject: Subject) -> None:
        """Answer on a socket, unless the environment says no."""
        from .status_socket import OFF, SWITCH, StatusServer

        if os.environ.get(SWITCH, "1").lower() in OFF:
            return
        self._server = StatusServer(_answers(subject, self._pace))
        self._server.start()

    def tick(self) -> None:
        """Tell all exporters how things stand. What one of them does wrong concerns no other, and is logged once."""
        facts = self._facts()
        if facts is None:
            return
        for each in self._exporters:
            try:
                each.tick(facts)
            except Exception:
                if each not in self._failed:
                    self._failed.add(each)
                    log.exception("%s failed", type(each).__name__)

    def forked(self) -> None:
        """In a child: what belongs to the parent is left to it."""
        if self.metrics is not None:
            self.metrics.forked()
        if self._server is not None:
            self._server.forked()
        for each in self._attendants.values():
            each.forked()

    def close(self) -> None:
        """Write the last figures, remove the socket."""
        atexit.unregister(self._at_exit)
        for each in list(self._attendants.values()):
            each.close()
        server, self._server = self._server, None
        if server is not None:
            server.close()
        if self.metrics is not None:
            self.metrics.close()

    def let_go(self) -> None:
        """The same for a mesh that nobody closed. The garbage collector calls it, in any thread, at any moment, and
        with any lock held by that thread: it takes none and waits for nothing."""
        atexit.unregister(self._at_exit)
        if self._server is not None:
            self._server.let_go()
        if self.metrics is not None:
            self.metrics.let_go()


def _close(reference: weakref.ref[Observers]) -> None:
    observers = reference()
    if observers is not None:
        observers.close()


def _health_driver() -> type[Attendant]:
    from .governance.suites._health import HealthDriver

    return HealthDriver


def _load_driver() -> type[Attendant]:
    from .governance.services.load_reports import LoadDriver

    return LoadDriver


def _key_set_driver() -> type[Attendant]:
    from .governance.services.key_sets import KeySetDriver

    return KeySetDriver


def _metrics(
    registry: CollectorRegistry | None,
    node: Node,
    facts: Callable[[], Facts | None],
    clock: Callable[[], float],
    pause: Callable[[], None],
) -> PrometheusListener:
    from .governance.telemetry.labels import Workload
    from .governance.telemetry.prometheus import PrometheusListener

    metadata: Mapping[str, Any] = node.message()["metadata"]
    try:
        return PrometheusListener(registry, Workload.of_node(metadata), facts, clock, pause)
    except ValueError as error:
        raise ConfigurationError(f"metrics: {error}") from error


def _answers(subject: Subject, pace: Pace) -> Callable[[dict[str, Any]], Any]:
    def answer(request: dict[str, Any]) -> Any:
        from .documents import parts

        return parts(subject, request, pace)

    return answer
