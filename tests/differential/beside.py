"""Cases whose every request goes through Envoy and through a governed client, and what is seen of it from both ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace

import httpx

import proxyless.httpx
from proxyless.mesh import Mesh
from tests.differential.batch import requests_of, together
from tests.differential.case import Case
from tests.differential.decision import answered, comparable, own_arrivals
from tests.differential.generated.running import Batch
from tests.differential.governed import TIMEOUTS, as_httpx, call_of
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Names, Request
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.backends import Backends
from tests.support.behaviour import Arrival, Headers

FRAMING = ("transfer-encoding", "content-length")
DESCRIBING = ("content-type", "content-length")
ID = "x-request-id"
MOST_LINES = 12

Tried = tuple[str, str, str, int, Headers]
"""Method, authority, target, length of the body and headers of what arrived at a backend."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the caller gets (the body where no backend gave it), and what arrived."""

    status: int
    flags: str
    details: str
    body: bytes
    headers: Headers
    tries: tuple[Tried, ...]
    took_s: float = field(default=0.0, compare=False)


@contextmanager
def running(base: Recording, cases: Sequence[Case], **listener: object) -> Iterator[tuple[Rig, Mesh]]:
    """Envoy and a mesh on the same cases; `listener`: fields of all listeners."""
    envoy.require()
    recording = together(base, cases)
    for each in recording.listeners.values():
        each.update(listener)
    with Batch(recording) as rig, mesh_on(rig.recording) as mesh:
        yield rig, mesh


def both(base: Recording, cases: Sequence[Case], *, streamed: bool = False, **listener: object) -> None:
    """Fails with the requests of which something else is seen. `streamed`: bodies are read only once."""
    with running(base, cases, **listener) as (rig, mesh):
        compare(rig, mesh, requests_of(cases), streamed=streamed)


def compare(rig: Rig, mesh: Mesh, requests: Sequence[Request], *, streamed: bool = False) -> list[Seen]:
    """What Envoy makes of requests, which is what is made of them here."""
    lines, found = [], []
    for request in requests:
        theirs, ours = by_envoy(rig, request), by_httpx(mesh, rig.backends, request, streamed=streamed)
        if streamed:
            theirs, ours = _framed_alike(theirs), _framed_alike(ours)
        found.append(theirs)
        if theirs != ours:
            lines.append(f"{request.method} {request.url} {request.headers} ({len(request.body)} bytes)")
            for each in fields(Seen):
                one, other = getattr(theirs, each.name), getattr(ours, each.name)
                if each.compare and one != other:
                    lines.append(f"  {each.name}\n    Envoy     {one}\n    proxyless {other}")
    assert not lines, "\n".join([f"of {len(requests)} requests:", *lines[:MOST_LINES]])
    return found


def by_envoy(rig: Rig, request: Request) -> Seen:
    """What is seen of a request through Envoy."""
    started = time.monotonic()
    seen = rig.run([Names(rig.recording).sent(request)])[0]
    took_s = time.monotonic() - started
    flags = "" if seen.flags == "-" else seen.flags
    local = seen.details != "via_upstream"
    response = seen.response
    tries = _tries(request, own_arrivals(seen.arrivals))
    own = _headers(response.headers, local=local)
    return Seen(response.status, flags, seen.details, response.body if local else b"", own, tries, took_s)


def by_httpx(mesh: Mesh, backends: Backends, request: Request, *, streamed: bool = False) -> Seen:
    """What is seen of it through a governed client."""
    backends.take()
    started = time.monotonic()
    own = tuple((n, f"{v} again" if n == ID else v) for n, v in request.headers)  # backends go by it
    request = replace(request, headers=own)
    with httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=TIMEOUTS) as client:
        response = client.send(as_httpx(request, streamed=streamed))
    took_s = time.monotonic() - started
    call = call_of(response)
    local = call.reply is not None
    details = call.reply.details if call.reply is not None else "via_upstream"
    raw = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw)
    tries = _tries(request, own_arrivals(tuple(backends.take())))
    body = response.content if local else b""
    own = _headers(raw, local=local)
    return Seen(response.status_code, ",".join(call.flags), details, body, own, tries, took_s)


def _headers(headers: Headers, *, local: bool) -> Headers:
    """What describes the body of a local reply stands at the end here, and before what filters add in Envoy."""
    found = answered(headers)
    rest = tuple(pair for pair in found if pair[0] not in DESCRIBING)
    return (*rest, *(pair for pair in found if pair[0] in DESCRIBING and (local or pair[0] == DESCRIBING[0])))


def _tries(request: Request, arrivals: Sequence[Arrival]) -> tuple[Tried, ...]:
    return tuple(
        (each.method, each.authority, each.target, len(each.body), _without_id(comparable(each.headers, request)))
        for each in arrivals
    )


def _without_id(headers: Headers) -> Headers:
    return tuple((name, "*" if name == ID else value) for name, value in headers)


def _framed_alike(seen: Seen) -> Seen:
    """Without what says how long a body is: the rig's requests say it, and a streamed body of httpx comes in chunks."""
    tries = tuple((*one[:4], tuple(pair for pair in one[4] if pair[0] not in FRAMING)) for one in seen.tries)
    return replace(seen, tries=tries)


def typed(kind: str, **fields: object) -> Resource:
    """An Any of an HTTP filter."""
    return {"@type": f"type.googleapis.com/envoy.extensions.filters.http.{kind}", **fields}


def filters(*made: tuple[str, Resource]) -> Resource:
    """`http_filters` of a connection manager."""
    router = ("envoy.filters.http.router", typed("router.v3.Router"))
    return {"http_filters": [{"name": name, "typed_config": config} for name, config in (*made, router)]}
