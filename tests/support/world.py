"""A `Runtime` with a clock that a test moves and draws that a test chooses, over model values built by hand.

    world = World(tables=[table(route("/", "a"))], clusters=[cluster("a", "10.0.0.1:80")])
    run = world.call("http://shop/", answers=[503, "reset", 200])

`World.call` drives a whole call from a script of answers; `Steps` drives one action at a time.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from proxyless.governance.actions import (
    Action,
    AwaitConfig,
    AwaitSlot,
    BodyEnd,
    Bypass,
    Collect,
    Deliver,
    Discard,
    Failure,
    Head,
    OpenConnection,
    Send,
    Sleep,
    Start,
)
from proxyless.governance.call import OutgoingCall
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.events import Event
from proxyless.governance.peer import Principals
from proxyless.governance.pool import Breaker
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Options, Runtime
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.snapshot import Snapshot
from tests.support.model import snapshot

A = TypeVar("A")

OK = BodyEnd(complete=True)
Answer = int | str | Head | Failure | Callable[[Send], "Head | Failure"]
"""What becomes of a request that is sent: a status, a kind of failure, the thing itself, or whatever decides."""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Draws:
    """Random numbers in [0, 1): those given, in order, then those of a seeded generator."""

    def __init__(self, *given: float, seed: int = 1) -> None:
        self._given = deque(given)
        self._source = random.Random(seed)

    def random(self) -> float:
        return self._given.popleft() if self._given else self._source.random()

    def getrandbits(self, k: int, /) -> int:
        return self._source.getrandbits(k)

    def give(self, *given: float) -> None:
        """What comes next."""
        self._given.extend(given)


class FakeConnection:
    """A connection that is open until a test or the pool closes it."""

    def __init__(self) -> None:
        self.open = True
        self.stale = False
        self.principals: Principals | None = None
        self.closed = 0

    def peer(self) -> None:
        return None

    def usable(self) -> bool:
        return self.open

    def fresh(self) -> bool:
        return self.open and not self.stale

    def close(self) -> None:
        self.open = False
        self.closed += 1


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.requests: list[Any] = []
        self.events: list[Event] = []

    def on_call(self, call: Any) -> None:
        self.calls.append(call)

    def on_request(self, request: Any) -> None:
        self.requests.append(request)

    def on_event(self, event: Event) -> None:
        self.events.append(event)


class World:
    """A runtime with everything around it in a test's hand; keyword arguments are those of `model.snapshot`."""

    def __init__(
        self, held: Snapshot | None = None, *, options: Options = Options(), draws: Sequence[float] = (), **parts: Any
    ) -> None:
        self.clock = Clock()
        self.draws = Draws(*draws)
        self.asked: list[tuple[ResourceType, tuple[str, ...]]] = []
        self.on_ask: Callable[[ResourceType, Collection[str]], None] = lambda type_, names: None
        self.heard = Heard()
        self.connections: list[FakeConnection] = []
        self.runtime = Runtime(options, self.clock, self.draws, self._asked, self.clock)
        self.runtime.add_listener(self.heard)
        self.runtime.add_event_listener(self.heard)
        self.runtime.publish(snapshot(**parts) if held is None else held)

    def _asked(self, type_: ResourceType, names: Collection[str]) -> None:
        self.asked.append((type_, tuple(names)))
        self.on_ask(type_, names)

    def update(self, **changes: Any) -> None:
        """Publish the snapshot in force with some of its fields replaced."""
        self.runtime.publish(replace(self.runtime.plan.snapshot, **changes))

    def cluster(self, name: str = "a") -> ClusterRuntime:
        """A cluster that is there."""
        found = self.runtime.plan.cluster(name)
        assert isinstance(found, ClusterRuntime)
        return found

    def breaker(self, name: str = "a") -> Breaker:
        """The counts of a cluster."""
        return self.cluster(name).breaker(high_priority=False)

    def counts(self, name: str = "a") -> tuple[int, int, int, int]:
        """(connections, pending, requests, retries) of a cluster."""
        breaker = self.breaker(name)
        return breaker.connections, breaker.pending, breaker.requests, breaker.retries

    def start(
        self,
        url: str = "http://shop/",
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        owner: Any = "test",
    ) -> OutgoingCall:
        """A call that has not begun."""
        scheme, _, rest = url.partition("://")
        authority, slash, path = rest.partition("/")
        name, _, port = authority.partition(":")
        raw = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers]
        asked = next((value for key, value in raw if key.lower() == b"host"), authority.encode())
        view = RequestView(method.encode(), scheme.encode(), asked, (slash + path).encode() or b"/", raw)
        return OutgoingCall(self.runtime, owner, view, name.encode(), int(port or (443 if scheme == "https" else 80)))

    def steps(self, url: str = "http://shop/", **request: Any) -> Steps:
        """A call to be driven one action at a time."""
        return Steps(self, self.start(url, **request))

    def call(self, url: str = "http://shop/", answers: Iterable[Answer] = (200,), **request: Any) -> Steps:
        """A call driven to its end: connections open, sleeps pass, the body comes whole."""
        steps = self.steps(url, **request)
        steps.finish(answers)
        return steps


class Steps:
    """A machine under way. `action` is what it wants now, None when it has ended; `trace` what it has wanted."""

    def __init__(self, world: World, call: OutgoingCall) -> None:
        self.world = world
        self.call = call
        self.machine = call.run()
        self.trace: list[Action] = []
        self.action: Action | None = None
        self.reply: LocalReply | None = None
        self.slept: list[float] = []
        self.turn = 0
        self._next(lambda: next(self.machine))

    def _next(self, resume: Callable[[], Action]) -> Action | None:
        self.turn += 1
        try:
            self.action = resume()
        except StopIteration as stop:
            self.action, self.reply = None, stop.value
        else:
            self.trace.append(self.action)
        return self.action

    def answer(self, result: object = None) -> Action | None:
        """Tell the machine what came of its action; returns the next one."""
        return self._next(lambda: self.machine.send(result))

    def wants(self, kind: type[A]) -> A:
        """The action it wants now, which is of this kind."""
        assert isinstance(self.action, kind), self.action
        return self.action

    def close(self) -> None:
        """The caller goes away."""
        self.action = None
        self.machine.close()

    def sent(self) -> list[Send]:
        """Every attempt that went out."""
        return [each for each in self.trace if isinstance(each, Send)]

    @property
    def hosts(self) -> list[str]:
        """Where they went."""
        return [each.host.address for each in self.sent()]

    @property
    def head(self) -> Head | None:
        """The response that was delivered."""
        return next((each.head for each in self.trace if isinstance(each, Deliver)), None)

    @property
    def status(self) -> int:
        """What the caller got."""
        return self.reply.status if self.reply is not None else self.head.status if self.head is not None else 0

    @property
    def flags(self) -> str:
        """As Envoy's access log prints them."""
        return ",".join(self.call.flags) or "-"

    def until(self, *kinds: type[Action], answers: Iterable[Answer] = ()) -> Action | None:
        """Answer what the script can until the machine wants one of `kinds`, or has ended."""
        script = deque(answers)
        while self.action is not None and not isinstance(self.action, kinds):
            match self.action:
                case OpenConnection():
                    self.answer(self.connection())
                case Send() as action:
                    self.answer(outcome(script.popleft(), action))
                case Collect():
                    self.answer()
                case Sleep(seconds=seconds):
                    self.slept.append(seconds)
                    self.world.clock.advance(seconds)
                    self.answer()
                case Bypass():
                    self.answer(outcome(script.popleft(), None))
                case Deliver():
                    self.answer(OK)
                case Discard() | Start():
                    self.answer()
                case AwaitSlot() | AwaitConfig():
                    raise AssertionError(f"the call waits: {self.action}")
        assert not script or self.action is not None, f"not needed: {list(script)}"
        return self.action

    def finish(self, answers: Iterable[Answer] = (200,)) -> None:
        """Answer everything to the end."""
        self.until(answers=answers)

    def connection(self) -> FakeConnection:
        """One that has just been opened."""
        made = FakeConnection()
        self.world.connections.append(made)
        return made


def outcome(answer: Answer, action: Any) -> Head | Failure:
    """An entry of the script as the machine is told it."""
    if isinstance(answer, int):
        return Head(answer, [], None)
    if isinstance(answer, str):
        return Failure(answer, answer)
    return answer if isinstance(answer, Head | Failure) else answer(action)
