"""A case by the clock on real backends: under Envoy, and through a governed httpx client."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import httpx

import proxyless.httpx
from proxyless.governance.events import Ejected, Event, Unejected
from proxyless.mesh import Mesh
from tests.differential.batch import placed, requests_of
from tests.differential.case import Case
from tests.differential.decision import PROXIED, own_arrivals
from tests.differential.governed import Governed, as_httpx, call_of, governed
from tests.differential.requests import Names, Request
from tests.differential.rig import Observation, Rig
from tests.differential.timeline import QUIET_S
from tests.differential.timeline.script import Script
from tests.differential.timeline.story import Change, Story, Told, Try, answered, tried
from tests.support.backends import Backends
from tests.support.behaviour import Address, Arrival
from tests.support.envoy import Envoy

LEAD_S = 0.3
"""Between the moment a run is made ready and the moment that its cases call 0."""

PAUSE_S = 0.02
TIMEOUTS = httpx.Timeout(20.0)


class Stage:
    """Real backends that play the scripts of cases from a moment on."""

    def __init__(self, backends: Backends, cases: Sequence[Case]) -> None:
        self.backends = backends
        self.cases = cases
        self.start = 0.0
        self._timers: list[threading.Timer] = []

    def begin(self) -> None:
        """From `LEAD_S` on the scripts are played, from their beginning."""
        script = Script(act for case in self.cases for act in case.backends)
        self.start = time.monotonic() + LEAD_S
        self.backends.take()
        self.backends.follow(lambda backend: script.play(backend, time.monotonic() - self.start))
        does: dict[str, Callable[[Address], None]] = {
            "refuse": self.backends.refuse,
            "stall": self.backends.stall,
            "accept": self.backends.accept,
        }
        for at_s, backend, what in script.changes():
            timer = threading.Timer(max(0.0, self.start + at_s - time.monotonic()), does[what], [backend])
            timer.start()
            self._timers.append(timer)

    def end(self) -> None:
        """Everything is as it was."""
        for timer in self._timers:
            timer.join()
        self._timers.clear()
        self.backends.follow(None)


def _tries(arrivals: Sequence[Arrival]) -> tuple[Try, ...]:
    own = own_arrivals(tuple(arrivals))
    return tuple(tried(each.backend, each.method, each.authority, each.target, each.headers) for each in own)


def _of_envoy(seen: Observation) -> Told:
    response = seen.response
    body = None if seen.details in PROXIED else response.body.decode("utf-8", "replace")
    flags = "" if seen.flags == "-" else seen.flags
    return Told(response.status, flags, body, answered(response.headers), _tries(seen.arrivals))


def _of_httpx(response: httpx.Response, arrivals: Sequence[Arrival]) -> Told:
    call = call_of(response)
    body = None if call.reply is None else response.text
    headers = answered((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
    return Told(response.status_code, ",".join(call.flags), body, headers, _tries(arrivals))


def tagged(cases: Sequence[Case], tag: str) -> list[Request]:
    """The requests of cases, each with a request id of its own."""
    found = []
    for number, request in enumerate(requests_of(cases)):
        kept = tuple(pair for pair in request.headers if pair[0].lower() != "x-request-id")
        found.append(replace(request, headers=(*kept, ("x-request-id", f"{tag}-{number}"))))
    return found


def _first(cases: Sequence[Case]) -> list[Request]:
    """A request to each case."""
    return [placed(case.requests[0], number, 0) for number, case in enumerate(cases)]


def _asked(client: Governed, request: Request) -> Address:
    return client.send(request)[1][0].backend


def by_envoy(rig: Rig, cases: Sequence[Case]) -> list[Story]:
    """What Envoy makes of them, all at once."""
    stage = Stage(rig.backends, cases)
    requests = tagged(cases, "envoy")
    names = Names(rig.recording)

    def asked(request: Request) -> Address:
        return rig.run([names.sent(request)])[0].arrivals[0].backend

    for case, first in zip(cases, _first(cases), strict=True):
        case.prime(partial(asked, first))
    stage.begin()
    with watching(rig.envoy, rig.backends, stage) as changes:
        sent = [replace(names.sent(each), at=stage.start + each.at_s) for each in requests]
        seen = rig.run(sent, parallel=len(sent), settle_s=QUIET_S)
    stage.end()
    return _stories(cases, [_of_envoy(each) for each in seen], changes)


@contextmanager
def watching(envoy: Envoy, backends: Backends, stage: Stage) -> Iterator[list[Change]]:
    """The hosts that Envoy's admin calls ejected, as they change."""
    known = {(address[0], port): address for address, port in backends.ports.items()}
    changes: list[Change] = []
    out: set[Address] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(PAUSE_S):
            with suppress(OSError):
                found = set()
                for cluster in json.loads(envoy.admin("/clusters?format=json"))["cluster_statuses"]:
                    for host in cluster.get("host_statuses", ()):
                        if host["health_status"].get("failed_outlier_check"):
                            socket = host["address"]["socket_address"]
                            found.add(known[socket["address"], socket["port_value"]])
                now_s = time.monotonic() - stage.start
                changes.extend(Change(now_s, host, True) for host in found - out)
                changes.extend(Change(now_s, host, False) for host in out - found)
                out.clear()
                out.update(found)

    thread = threading.Thread(target=look, name="admin")
    thread.start()
    try:
        yield changes
    finally:
        stop.set()
        thread.join()


class Hearing:
    """Ejections that a mesh tells of."""

    def __init__(self, backends: Backends, start: Callable[[], float]) -> None:
        self.changes: list[Change] = []
        self._known = {f"{address[0]}:{port}": address for address, port in backends.ports.items()}
        self._start = start
        self._out: dict[Address, float] = {}

    def on_event(self, event: Event) -> None:
        """A change; who comes back does so at the moment that the event tells, which may be before it is told."""
        host = self._known[event.address]
        if isinstance(event, Ejected) and event.enforced:
            self._out[host] = time.monotonic() - self._start()
            self.changes.append(Change(self._out[host], host, True))
        elif isinstance(event, Unejected):
            self.changes.append(Change(self._out[host] + event.after_s, host, False))


def by_httpx(mesh: Mesh, backends: Backends, cases: Sequence[Case]) -> list[Story]:
    """What a governed asynchronous client makes of them, all at once."""
    stage = Stage(backends, cases)
    hearing = Hearing(backends, lambda: stage.start)
    mesh.runtime.add_event_listener(hearing)
    requests = tagged(cases, "httpx")
    with governed(mesh, backends) as client:
        for case, first in zip(cases, _first(cases), strict=True):
            case.prime(partial(_asked, client, first))
    stage.begin()
    ended = asyncio.run(_send(mesh, requests, stage))
    time.sleep(QUIET_S)
    mesh.runtime.tick()
    stage.end()
    arrived: dict[str, list[Arrival]] = {}
    for arrival in backends.take():
        arrived.setdefault(arrival.header("x-request-id"), []).append(arrival)
    told = [
        _of_httpx(response, arrived.get(request.header("x-request-id") or "", []))
        for request, response in zip(requests, ended, strict=True)
    ]
    return _stories(cases, told, hearing.changes)


async def _send(mesh: Mesh, requests: Sequence[Request], stage: Stage) -> list[httpx.Response]:
    async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=TIMEOUTS) as client:

        async def one(request: Request) -> httpx.Response:
            await asyncio.sleep(stage.start + request.at_s - time.monotonic())
            return await client.send(as_httpx(request))

        return list(await asyncio.gather(*(one(request) for request in requests)))


def _stories(cases: Sequence[Case], told: Sequence[Told], changes: Sequence[Change]) -> list[Story]:
    found = []
    rest = iter(told)
    for case in cases:
        own = case.addresses()
        mine = tuple(each for each in changes if each.host in own)
        found.append(Story(tuple(next(rest) for _ in case.requests), mine))
    return found
