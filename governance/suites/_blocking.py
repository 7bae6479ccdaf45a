"""Actions that a thread performs alike for every library (see `_awaiting` for tasks)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from time import monotonic
from typing import Any, Protocol

from ..actions import Ask, AwaitRace, AwaitSlot, Run
from ..driver import drive


class Patient(Protocol):
    """A call under way, as far as its patience goes."""

    def slot_limit(self, action: AwaitSlot) -> tuple[float | None, bool]:
        """How long to wait for a connection, and whether it is the caller who waits no longer."""

    def without_slot(self, *, own: bool) -> bool:
        """The time is over: the caller's, who is told, or the machine's."""


def pause(seconds: float) -> None:
    """Wait. By an event that nobody sets: unlike time.sleep it is what gevent and tests can replace."""
    Event().wait(seconds)


def await_slot(call: Patient, action: AwaitSlot) -> bool:
    event = Event()
    action.waiter.wake = event.set
    if action.waiter.grant is not None:
        return True
    limit_s, own = call.slot_limit(action)
    return event.wait(limit_s) or call.without_slot(own=own)


def ask(call: Any, action: Ask) -> Any:
    del call
    return action.service.ask(action.request, action.timeout_s)


def await_race(call: Any, action: AwaitRace) -> None:
    del call
    race, event = action.race, Event()
    race.wake = event.set
    if not race.events:
        event.wait(None if action.until is None else max(0.0, action.until - monotonic()))
    race.wake = None


def beside(action: Run, perform: Sequence[Callable[[Any, Any], Any]], branch: Any) -> None:
    """Run a machine in a thread of its own, with what a suite performs."""

    def work() -> None:
        try:
            drive(action.machine, perform, branch)
        except BaseException as error:
            action.failed(error)

    Thread(target=work, name="proxyless-try", daemon=True).start()
