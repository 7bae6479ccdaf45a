"""What the configuration in use asks for and does not get: found for the status document, logged once each."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...xds.model.records import dataclass
from ...xds.model.resource import Resource, ResourceError
from ...xds.model.snapshot import Snapshot
from ...xds.model.values import Note
from ..plan import INBOUND, Plan
from .facts import Facts

log = logging.getLogger("proxyless.configuration")

MAX_LOGGED = 10_000
"""Notes that are logged in the life of a process; the status document has them all."""

NAMED = 5
"""Resources that one line names."""

LOOK_EVERY = 10
"""Ticks after which everything is looked at, changed or not."""

BATCH = 16
"""Subjects that are looked at without a pause."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A part of the configuration in use. `version` is another object when its content is another."""

    key: tuple[str, ...]
    version: object
    notes: Callable[[], tuple[Note, ...]]


def subjects(plan: Plan) -> Iterator[Subject]:
    """Everything that decisions rest on: what no call has used has no effect anyway."""
    snapshot = plan.snapshot
    for resource in _decoded(snapshot):
        if resource.name == INBOUND and not plan.takes_requests:
            continue
        yield Subject((resource.type.message, resource.name), resource.raw, resource.notes)
    for name, handle in list(snapshot.routes.items()):
        if handle.decoded:
            for host in handle.get().virtual_hosts:
                if host.decoded:
                    yield Subject(("VirtualHost", name, host.name), host.raw, host.notes)
    for name, cluster in list(plan.clusters.items()):
        yield Subject(("policy", name), cluster, lambda own=cluster.notes: own)  # type: ignore[misc]
    for http in plan.http_runtimes():
        yield Subject(("filters", http.scope), http, lambda own=http.notes: own)  # type: ignore[misc]


def _decoded(snapshot: Snapshot) -> Iterator[Resource[Any]]:
    tables: tuple[Mapping[str, Resource[Any]], ...] = (
        snapshot.listeners,
        snapshot.routes,
        snapshot.clusters,
        snapshot.assignments,
        snapshot.extensions,
    )
    for table in tables:
        for resource in list(table.values()):
            if resource.decoded:
                yield resource


def not_honoured(plan: Plan, pause: Callable[[], None] = lambda: None) -> list[Note]:
    """All notes on the configuration in use, each once."""
    found: dict[Note, None] = {}
    for each in subjects(plan):
        pause()
        try:
            found.update(dict.fromkeys(each.notes()))
        except ResourceError:
            continue
    return list(found)


class ConfigurationLog:
    """Warns of every field that is set and not honoured, when what holds it is first used: once for each resource."""

    def __init__(self, pause: Callable[[], None] = lambda: None) -> None:
        self._pause = pause
        self._seen: dict[tuple[str, ...], object] = {}
        self._logged: set[Note] = set()
        self._state: tuple[int, int] | None = None
        self._ticks = 0

    def tick(self, facts: Facts) -> None:
        """Look at what has come into use since the last time."""
        plan = facts.runtime.plan
        state = (plan.snapshot.generation, len(plan.clusters))
        self._ticks += 1
        # A virtual host can come into use without either of them changing; that may wait.
        if state == self._state and self._ticks % LOOK_EVERY:
            return
        self._state = state
        self.look(plan)

    def look(self, plan: Plan) -> None:
        """Find what is new, and warn."""
        new: list[Note] = []
        seen: dict[tuple[str, ...], object] = {}
        for count, each in enumerate(subjects(plan)):
            if not count % BATCH:
                self._pause()
            seen[each.key] = each.version
            if self._seen.get(each.key) is not each.version:
                self._pause()
                try:
                    new += each.notes()
                except ResourceError:
                    continue  # a late reject; it is logged as one
        self._seen = seen
        self._warn(new)

    def _warn(self, notes: list[Note]) -> None:
        """One line for all resources that ask for the same in vain."""
        together: dict[tuple[str, str], list[str]] = {}
        for note in notes:
            if note not in self._logged and len(self._logged) < MAX_LOGGED:
                self._logged.add(note)
                together.setdefault((note.field, note.reason), []).append(note.resource)
        for (field, reason), resources in together.items():
            named = ", ".join(resources[:NAMED])
            more = f" and {len(resources) - NAMED} more" if len(resources) > NAMED else ""
            log.warning("not honoured in %s%s: %s: %s", named, more, field, reason)
