"""A request as filters see it, in a test's hand; and filters that a test makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proxyless.governance.actions import Action, Ask, Collect, Sleep
from proxyless.governance.filters.stream import RequestFilter, Steps, Stream
from proxyless.governance.headers import HeaderList
from proxyless.governance.peer import Peer
from proxyless.governance.replies import LocalReply
from proxyless.governance.request import RequestView
from proxyless.governance.routing import CompiledRoute, Target
from proxyless.governance.runtime import Runtime


@dataclass
class FakeStream:
    """A stream that is nobody's call."""

    request: RequestView
    route: CompiledRoute | None = None
    target: Target | None = None
    runtime: Runtime = field(default_factory=Runtime)
    response_headers: HeaderList = field(default_factory=list)
    flags: tuple[str, ...] = ()
    kept: dict[Any, Any] = field(default_factory=dict)
    dynamic: dict[str, dict[str, Any]] = field(default_factory=dict)
    peer: Peer | None = None
    incoming: bool = False
    reply: LocalReply | None = None
    cut: bool = False
    named: str | None = None
    protocol: str = "HTTP/1.1"
    moved: bool = False
    source_port: int = 0
    to: tuple[str, int] = ("10.0.0.9", 8080)

    def local(self) -> tuple[str, int]:
        return self.to

    def find_route(self) -> None:
        self.moved = True


@dataclass
class Ran:
    """What a filter wanted on the way in, and what it said in the end."""

    reply: LocalReply | None
    actions: list[Action]


def run(filter_: RequestFilter, stream: FakeStream, *answers: object) -> Ran:
    """One filter on one request; each action is told the next of `answers`, then None."""
    return finish(filter_.on_request(stream), *answers)


def finish(steps: LocalReply | Steps | None, *answers: object) -> Ran:
    """The same for steps that are under way, if there are any."""
    if steps is None or isinstance(steps, LocalReply):
        return Ran(steps, [])
    actions: list[Action] = []
    told = iter(answers)
    try:
        action = next(steps)
        while True:
            actions.append(action)
            answer = next(told, None)
            if isinstance(action, Collect) and isinstance(answer, int):
                action.body = b"x" * answer
            action = steps.send(answer)
    except StopIteration as stop:
        return Ran(stop.value, actions)


@dataclass
class Spy:
    """A filter that notes what it is asked; with `wait` it sleeps a second, asks `service` and flags DI first."""

    name: str
    seen: list[str]
    wait: bool = False
    reply: LocalReply | None = None
    service: Any = None

    def on_request(self, stream: Stream) -> LocalReply | Steps | None:
        self.seen.append(f"{self.name} request")
        return self._steps(stream) if self.wait else self.reply

    def _steps(self, stream: Stream) -> Steps:
        yield Sleep(1.0)
        if self.service is not None:
            stream.kept[self.name] = yield Ask(self.service, "may it?", 5.0)
        stream.flags = (*stream.flags, "DI")
        return self.reply

    def on_response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        self.seen.append(f"{self.name} response {status}")
        return [*headers, (self.name.encode(), b"1")]

    def on_end(self, stream: Stream) -> None:
        self.seen.append(f"{self.name} end")


class Oracle:
    """A service that always answers the same, and remembers what it was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[object, float]] = []

    def ask(self, request: object, timeout_s: float) -> object:
        self.asked.append((request, timeout_s))
        return self.answer

    async def ask_async(self, request: object, timeout_s: float) -> object:
        return self.ask(request, timeout_s)
