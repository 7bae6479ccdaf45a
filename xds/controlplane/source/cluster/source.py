"""The source: a reflector for each kind, and all of them together as one state."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable

from ...apiserver import MISSING, UNREACHABLE, ApiServer
from ...kinds import KINDS
from ...objects import Fault, Place
from ...registry.meshes import HOME
from .. import Loaded
from .conditions import GOOD, KindStatus
from .reflector import Pace, Reflector
from .resources import MESH_MAP, readable, selection


class KubernetesSource:
    """What a cluster holds, followed from `start` until `close`.

    `without` names kinds that are not read. `root_namespace` holds the mesh's ConfigMap `mesh_map`: `istio`, or
    `istio-` and a revision. `uniform` gives numbers from 0 to 1.

    Raises:
        ValueError: `without` names what is not read anyway.
    """

    def __init__(
        self,
        api: ApiServer,
        *,
        without: Iterable[str] = (),
        root_namespace: str = HOME,
        mesh_map: str = MESH_MAP,
        uniform: Callable[[], float] = random.random,
        pace: Pace = Pace(),
    ) -> None:
        left_out = frozenset(without)
        if unknown := sorted(left_out - readable().keys()):
            raise ValueError(f"{', '.join(unknown)}: no kind that is read from a cluster")
        self.url = api.url
        self._turn = threading.Condition()
        self._dirty = True
        self._heard: Callable[[set[str]], None] | None = None
        self._threads: list[threading.Thread] = []
        self._reflectors = [
            Reflector(api, name, kind, selection(name, root_namespace, mesh_map), self._changed, uniform, pace)
            for name, kind in readable(left_out).items()
        ]

    def start(self) -> None:
        """Begins to list, in threads of its own."""
        for each in self._reflectors:
            thread = threading.Thread(target=each.run, name=f"proxyless-watch-{each.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Ends the watches."""
        for each in self._reflectors:
            each.stop()
        for thread in self._threads:
            thread.join(timeout=2)

    @property
    def synced(self) -> bool:
        """Whether every kind that exists has been listed."""
        return all(each.synced for each in self._reflectors)

    def wait_synced(self, timeout_s: float) -> bool:
        with self._turn:
            return self._turn.wait_for(lambda: self.synced, timeout_s)

    def status(self) -> tuple[KindStatus, ...]:
        """How each kind stands. For any thread."""
        return tuple(each.status() for each in self._reflectors)

    def poll(self, names: Collection[str] | None = None) -> Loaded | None:  # noqa: ARG002  (all is cheap to look at)
        """The new state, or None if nothing changed since the last call."""
        with self._turn:
            if not self._dirty:
                return None
            self._dirty = False
        parts = [each.store.part() for each in self._reflectors]
        conditions = tuple(self._conditions())
        return Loaded(
            tuple(item for part in parts for item in part.objects),
            (*conditions, *(fault for part in parts for fault in part.faults)),
            (*self._absent(), *(note for part in parts for note in part.notes)),
        )

    def watch(self, heard: Callable[[set[str]], None]) -> Callable[[], None]:
        """Tells of changes; returns what ends that."""
        self._heard = heard

        def end() -> None:
            self._heard = None

        return end

    def _changed(self, name: str) -> None:
        with self._turn:
            self._dirty = True
            self._turn.notify_all()
        heard = self._heard
        if heard is not None:
            heard({name})

    def _conditions(self) -> Iterable[Fault]:
        """What is wrong with whole kinds; a server that nobody reaches is said once."""
        away: dict[str, list[str]] = {}
        for each in self._reflectors:
            condition, message = each.condition, each.message
            if condition == UNREACHABLE:
                away.setdefault(message, []).append(each.name)
            elif condition not in GOOD:
                yield Fault(Place(each.name), f"cannot be read ({condition}): {message}")
        for message, kinds in away.items():
            which = "" if len(kinds) == len(self._reflectors) else f" for {', '.join(kinds)}"
            yield Fault(Place(self.url), f"is not reached{which} ({UNREACHABLE}): {message}")

    def _absent(self) -> Iterable[Fault]:
        groups: dict[str, list[str]] = {}
        for each in self._reflectors:
            if each.condition == MISSING:
                groups.setdefault(KINDS[each.name].group, []).append(each.name)
        for group, kinds in groups.items():
            yield Fault(Place(group), f"is not served by this cluster ({MISSING}): {', '.join(kinds)}")


def until_synced(source: KubernetesSource, ended: Callable[[], bool], told: Callable[[str], None]) -> bool:
    """Waits for the first complete state, and tells once in a while what it waits for; False where that was ended."""
    due = time.monotonic() + 5.0
    while not source.wait_synced(0.2):
        if ended():
            return False
        if time.monotonic() >= due:
            due += 30.0
            waiting = [each for each in source.status() if not each.synced]
            told("; ".join(f"{each.kind}: {each.message or each.condition}" for each in waiting))
    return True
