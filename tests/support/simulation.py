"""Many calls at once under a fake clock: what happens when, without waiting for it.

Connections take `connect_s` to open and requests `serve(send)` seconds to be answered; a list of events in time order
takes the place of threads and event loops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count

from proxyless.governance.actions import (
    Action,
    AwaitConfig,
    AwaitRace,
    AwaitSlot,
    Bypass,
    Deliver,
    Discard,
    Failure,
    Head,
    OpenConnection,
    Run,
    Send,
    Sleep,
)
from tests.support.world import OK, FakeConnection, Steps, World

Served = tuple[float, Head | Failure]


@dataclass(frozen=True, slots=True)
class Begun:
    """A call that begins at a moment of its own."""

    at_s: float
    begin: Callable[[], Steps]


@dataclass(frozen=True, slots=True)
class Result:
    """How one call ended; times in seconds since it began, rounded."""

    status: int
    flags: str
    took_s: float
    host: str


class Aside:
    """A machine that runs beside a call's own (hedging). What it sends is in the trace of the call."""

    def __init__(self, simulation: Simulation, number: int, steps: Steps, run: Run) -> None:
        self._simulation = simulation
        self._number = number
        self._steps = steps
        self._machine = run.machine
        self.action: Action | None = None
        self.turn = 0

    def answer(self, result: object = None) -> None:
        """Tell the machine what came of its action."""
        self.turn += 1
        try:
            self.action = self._machine.send(result)
        except StopIteration:
            self.action = None
        if isinstance(self.action, Send):
            self._steps.trace.append(self.action)

    def connection(self) -> FakeConnection:
        """One that has just been opened."""
        return self._steps.connection()

    def abandon(self) -> None:
        """Whatever it waits for fails."""
        if isinstance(self.action, Send):
            assert isinstance(self.action.slot.connection, FakeConnection)
            self.action.slot.connection.open = False
        if self.action is not None:
            self.answer(Failure("reset", "abandoned"))
            self._simulation.go_on(self._number, self)


def serve_200(send: Send) -> Served:
    """0.3 seconds for every request, as in the experiments of docs/envoy-facts.md."""
    del send
    return 0.3, Head(200, [], None)


class Simulation:
    """Calls under way over one world."""

    def __init__(
        self,
        world: World,
        *,
        connect_s: float = 0.0,
        body_s: float = 0.0,
        serve: Callable[[Send], Served] = serve_200,
        connect: Callable[[OpenConnection], tuple[float, Failure | None]] | None = None,
    ) -> None:
        """`connect` says how long a connection takes, or why there is none; by default each takes `connect_s`."""
        self.world = world
        self.connect = connect
        self.connect_s = connect_s
        self.body_s = body_s
        self.serve = serve
        self.opened: Counter[str] = Counter()
        self._open: dict[str, list[FakeConnection]] = {}
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._results: dict[int, Result] = {}

    def run(self, calls: int, url: str = "http://shop/", *, every_s: float = 0.001) -> list[Result]:
        """Start calls one after the other, `every_s` apart, and let everything happen."""
        return self.run_at([Begun(number * every_s, partial(self.world.steps, url)) for number in range(calls)])

    def run_at(self, calls: Sequence[Begun]) -> list[Result]:
        """Start each call at its moment from now, and let everything happen."""
        begin = self.world.clock.now
        self._results.clear()
        for number, call in enumerate(calls):
            self._at(begin + call.at_s, partial(self._begin, number, call.begin))
        while self._events:
            self.world.clock.now, _, happen = heappop(self._events)
            happen()
        return [self._results[number] for number in range(len(calls))]

    def close_all(self, after_s: float, address: str) -> None:
        """Once a run is under way for `after_s`, an endpoint ends all connections."""

        def happen() -> None:
            for each in self._open.pop(address, ()):
                each.open = False

        self._at(self.world.clock.now + after_s, happen)

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        heappush(self._events, (when, next(self._order), happen))

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        self._at(self.world.clock.now + seconds, happen)

    def _begin(self, number: int, begin: Callable[[], Steps]) -> None:
        self.go_on(number, begin())

    def _resume(self, number: int, steps: Steps | Aside, result: object, turn: int) -> None:
        if steps.turn != turn:
            return  # abandoned meanwhile
        steps.answer(result)
        self.go_on(number, steps)

    def go_on(self, number: int, steps: Steps | Aside) -> None:
        """Do what a machine wants, each in its time."""

        def later(seconds: float, result: object) -> None:
            self._after(seconds, partial(self._resume, number, steps, result, steps.turn))

        match steps.action:
            case None:
                if isinstance(steps, Steps):
                    call = steps.call
                    address = call.host.address if call.host is not None else ""
                    took_s = round(self.world.clock.now - call.started, 2)
                    self._results[number] = Result(steps.status, steps.flags, took_s, address)
            case OpenConnection(host=host) as action:
                self.opened[host.address] += 1
                took_s, failed = (self.connect_s, None) if self.connect is None else self.connect(action)
                later(took_s, self._opened(host.address, steps) if failed is None else failed)
            case AwaitSlot() as action:
                self._await(number, steps, action)
            case Send() as action:
                later(*self._served(action))
            case Sleep(seconds=seconds):
                later(seconds, None)
            case Deliver():
                later(self.body_s, OK)
            case Discard():
                later(0.0, None)
            case Run() as action:
                assert isinstance(steps, Steps)
                beside = Aside(self, number, steps, action)
                beside.answer()
                self.go_on(number, beside)
                later(0.0, beside)
            case AwaitRace() as action:
                self._await_race(number, steps, action)
            case AwaitConfig() | Bypass() as other:
                raise AssertionError(other)

    def _opened(self, address: str, steps: Steps | Aside) -> FakeConnection:
        made = steps.connection()
        self._open.setdefault(address, []).append(made)
        return made

    def _served(self, send: Send) -> Served:
        seconds, answer = self.serve(send)
        left_s = None if send.deadline is None else send.deadline - self.world.clock.now
        if left_s is not None and left_s < seconds:
            seconds, answer = left_s, Failure("timeout", "")
        if isinstance(answer, Failure):
            assert isinstance(send.slot.connection, FakeConnection)
            send.slot.connection.open = False
        return seconds, answer

    def _await(self, number: int, steps: Steps | Aside, action: AwaitSlot) -> None:
        turn = steps.turn

        def resume(given: bool) -> None:
            self._resume(number, steps, given, turn)

        def wake() -> None:
            self._after(0.0, partial(resume, True))

        action.waiter.wake = wake
        if action.waiter.grant is not None:
            wake()
        if action.timeout_s is not None:
            self._after(max(0.0, action.timeout_s), partial(resume, False))

    def _await_race(self, number: int, steps: Steps | Aside, action: AwaitRace) -> None:
        resume = partial(self._resume, number, steps, None, steps.turn)
        action.race.wake = partial(self._after, 0.0, resume)
        if action.race.events:
            action.race.wakes()
        if action.until is not None:
            self._at(action.until, resume)
