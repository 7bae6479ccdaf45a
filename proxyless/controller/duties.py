"""What the leader does: one duty after the other, whenever the mesh changes, and all over again once in a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..xds.controlplane.apiserver import ApiError
from ..xds.controlplane.registry.world import World

log = logging.getLogger(__name__)

DONE, WAITING = "Done", "Waiting"


class Duty(Protocol):
    """Brings something of the cluster in line with the mesh; cheap where it is so already."""

    name: str
    written: int

    def perform(self, world: World) -> None: ...

    def forget(self) -> None: ...


class Leader(Protocol):
    """Says whether this replica may write."""

    @property
    def leading(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class DutyStatus:
    """`condition`: Done, Waiting (another replica leads), or why it could not be done, as for kinds that are read."""

    name: str
    condition: str
    message: str
    written: int


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds: between two looks, until everything is done again, and between two tries of what failed."""

    look_s: float = 0.5
    again_s: float = 60.0
    first_s: float = 1.0
    most_s: float = 30.0


class Duties:
    """Performs them from `start` to `stop`, in a thread of its own, while `leader` leads."""

    def __init__(
        self,
        leader: Leader,
        duties: Sequence[Duty],
        world: Callable[[], World],
        *,
        rhythm: Rhythm = Rhythm(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leader = leader
        self._duties = tuple(duties)
        self._world = world
        self._rhythm = rhythm
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._told = {each.name: (WAITING, "") for each in duties}
        self._seen: dict[str, tuple[World, float]] = {}
        self._failures: dict[str, tuple[int, float]] = {}

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="proxyless-leader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def status(self) -> tuple[DutyStatus, ...]:
        """For any thread."""
        return tuple(DutyStatus(each.name, *self._told[each.name], each.written) for each in self._duties)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.step()
            self._stop.wait(self._rhythm.look_s)

    def step(self) -> None:
        """One look."""
        for each in self._duties:
            if self._leader.leading:
                self._do(each)
            elif self._told[each.name][0] != WAITING:
                self._told[each.name] = (WAITING, "")
                each.forget()
                self._seen.pop(each.name, None)

    def _do(self, duty: Duty) -> None:
        world, now = self._world(), self._clock()
        failures, due = self._failures.get(duty.name, (0, 0.0))
        if now < due:
            return
        known = self._seen.get(duty.name)
        if known is None or now - known[1] >= self._rhythm.again_s:
            duty.forget()
            known = (world, now)
        elif known[0] is world and not failures and self._told[duty.name][0] == DONE:
            return
        try:
            duty.perform(world)
        except ApiError as error:
            self._fail(duty, failures, now, error.reason, str(error))
        except Exception as error:  # one duty must not end the others
            log.exception("%s could not be done", duty.name)
            self._fail(duty, failures, now, "Failing", type(error).__name__)
        else:
            self._failures.pop(duty.name, None)
            self._told[duty.name] = (DONE, "")
            self._seen[duty.name] = (world, known[1])

    def _fail(self, duty: Duty, failures: int, now: float, reason: str, text: str) -> None:
        if (reason, text) != self._told[duty.name]:
            log.warning("%s: %s: %s", duty.name, reason, text)
        self._told[duty.name] = (reason, text)
        pause = min(self._rhythm.first_s * 2.0 ** min(failures, 16), self._rhythm.most_s)
        self._failures[duty.name] = (failures + 1, now + pause)
