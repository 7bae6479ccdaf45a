"""A case under a clock that the test moves: the machine of a call, and backends that do what the description says."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proxyless.governance.actions import Failure, Head, OpenConnection, Send
from proxyless.governance.events import Ejected, Event, Unejected
from proxyless.governance.replies import reply_body
from proxyless.xds.model.snapshot import Snapshot
from tests.differential.batch import placed
from tests.differential.case import Case
from tests.differential.requests import Request
from tests.differential.timeline.script import Script
from tests.differential.timeline.story import Change, Story, Told, answered, tried
from tests.support.behaviour import Address, Behaviour, Headers
from tests.support.simulation import Begun, Simulation
from tests.support.world import FakeConnection, Steps, World

FAULTS = {"reset": "reset", "close": "reset", "refused": "refused-stream"}
"""What a fault of a backend is to the machine."""

CLOSING = ("connection", "close")
"""With such a response a connection ends."""


def by_machine(snapshot: Snapshot, case: Case, number: int, ports: dict[Address, int], until_s: float) -> Story:
    """What becomes of the case with this number of a batch, looked at until a moment."""
    world = World(snapshot)
    start = world.clock.now
    noted = _Noted(world)
    world.runtime.add_event_listener(noted)
    script = Script(case.backends)
    known = {f"{address[0]}:{port}": address for address, port in ports.items()}

    def serve(send: Send) -> tuple[float, Head | Failure]:
        what = script.play(known[send.host.address], world.clock.now - start)
        if CLOSING in what.headers:
            assert isinstance(send.slot.connection, FakeConnection)
            send.slot.connection.open = False
        return _served(what)

    def connect(action: OpenConnection) -> tuple[float, Failure | None]:
        match script.closed(known[action.host.address], world.clock.now - start):
            case "refuse":
                return 0.0, Failure("connect-failure", "refused")
            case "stall":
                return action.timeout_s, Failure("connect-timeout", "stalled")
        return 0.0, None

    simulation = Simulation(world, serve=serve, connect=connect)
    for at_s, backend, what in script.changes():
        if what != "accept":
            simulation.close_all(at_s, f"{backend[0]}:{ports[backend]}")
    calls: list[Steps] = []

    def beginning(request: Request) -> Callable[[], Steps]:
        def begin() -> Steps:
            made = world.steps(request.url, method=request.method, headers=request.headers)
            calls.append(made)
            return made

        return begin

    asked = [placed(each, number, at) for at, each in enumerate(case.requests)]
    case.prime(lambda: known[world.call(asked[0].url, headers=asked[0].headers).hosts[0]])
    simulation.run_at([Begun(request.at_s, beginning(request)) for request in asked])
    world.clock.now = max(world.clock.now, start + until_s)
    world.runtime.tick()
    told = [_told(each, known) for each in calls]
    return Story(tuple(told), tuple(_changes(noted.events, known, start)))


def _told(steps: Steps, known: dict[str, Address]) -> Told:
    tries = tuple(
        tried(known[each.host.address], each.method.decode(), each.authority.decode(), each.path.decode(), plain)
        for each, plain in ((send, _plain(send.headers)) for send in steps.sent())
    )
    flags = "" if steps.flags == "-" else steps.flags
    if steps.reply is not None:
        body = reply_body(steps.reply).decode()
        return Told(steps.status, flags, body, answered(_plain(steps.reply.headers)), tries)
    headers = steps.head.headers if steps.head is not None else ()
    return Told(steps.status, flags, None, answered(_plain(headers)), tries)


def _plain(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)


class _Noted:
    """Events with their moments."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.events: list[tuple[float, Event]] = []

    def on_event(self, event: Event) -> None:
        self.events.append((self._world.clock.now, event))


def _changes(events: list[tuple[float, Event]], known: dict[str, Address], start: float) -> list[Change]:
    found: list[Change] = []
    out: dict[str, float] = {}
    for moment, event in events:
        if isinstance(event, Ejected) and event.enforced:
            out[event.address] = moment
            found.append(Change(moment - start, known[event.address], True))
        elif isinstance(event, Unejected):
            found.append(Change(out[event.address] + event.after_s - start, known[event.address], False))
    return found


def _served(what: Behaviour) -> tuple[float, Head | Failure]:
    if what.fault in FAULTS:
        return what.delay_s, Failure(FAULTS[what.fault], what.fault)
    return what.delay_s, Head(what.status, [(n.encode(), v.encode()) for n, v in what.headers], None)
