"""How a call ended where things go wrong: what the caller gets, and what the backends saw."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx

import proxyless.httpx
from proxyless.mesh import Mesh
from tests.differential.decision import own_arrivals
from tests.differential.governed import TIMEOUTS, as_httpx, call_of
from tests.differential.requests import Names, Request
from tests.differential.rig import Observation, Rig
from tests.support.backends import Backends
from tests.support.behaviour import Arrival


@dataclass(frozen=True, slots=True)
class Outcome:
    """Status, flags, whether the body was whole, the body where no backend gave it, and the tries that arrived.

    `tries` are their `x-envoy-attempt-count`s in order; `again` whether an endpoint saw more than one of them.
    """

    status: int
    flags: str
    whole: bool
    body: bytes | None
    tries: tuple[str, ...]
    again: bool


def of_envoy(seen: Observation) -> Outcome:
    """What Envoy made of a request."""
    response = seen.response
    local = seen.details not in ("via_upstream", "") and not response.cut
    flags = "" if seen.flags == "-" else seen.flags
    arrivals = own_arrivals(seen.arrivals)
    return Outcome(response.status, flags, not response.cut, response.body if local else None, *_tries(arrivals))


def ask_envoy(rig: Rig, requests: Sequence[Request], *, parallel: int = 1) -> list[Outcome]:
    """What Envoy makes of requests, at most `parallel` at a time."""
    names = Names(rig.recording)
    sent = [names.sent(request) for request in _tagged(requests, "envoy")]
    return [of_envoy(each) for each in rig.run(sent, parallel=parallel)]


def ask_sync(mesh: Mesh, backends: Backends, requests: Sequence[Request]) -> list[Outcome]:
    """What a governed httpx.Client makes of them, one after the other; bodies are streamed."""
    found = []
    with httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=TIMEOUTS) as client:
        for request in _tagged(requests, "sync"):
            backends.take()
            response = client.send(as_httpx(request, streamed=True), stream=True)
            whole = True
            body = b""
            try:
                body = response.read()
            except httpx.HTTPError:
                whole = False
            response.close()
            found.append(_ours(response, body, backends.take(), whole=whole))
    return found


def ask_async(mesh: Mesh, backends: Backends, requests: Sequence[Request]) -> list[Outcome]:
    """What a governed httpx.AsyncClient makes of them, all at once; each needs an `x-request-id` of its own."""
    requests = _tagged(requests, "async")

    async def one(client: httpx.AsyncClient, request: Request) -> tuple[httpx.Response, bytes, bool]:
        response = await client.send(as_httpx(request), stream=True)
        whole = True
        body = b""
        try:
            body = await response.aread()
        except httpx.HTTPError:
            whole = False
        await response.aclose()
        return response, body, whole

    async def run() -> list[tuple[httpx.Response, bytes, bool]]:
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=TIMEOUTS) as client:
            return list(await asyncio.gather(*(one(client, request) for request in requests)))

    backends.take()
    ended = asyncio.run(run())
    arrived: dict[str, list[Arrival]] = {}
    for arrival in backends.take():
        arrived.setdefault(arrival.header("x-request-id"), []).append(arrival)
    return [
        _ours(response, body, arrived.get(request.header("x-request-id") or "", []), whole=whole)
        for request, (response, body, whole) in zip(requests, ended, strict=True)
    ]


def _tagged(requests: Sequence[Request], tag: str) -> list[Request]:
    """The backends follow their plans by request id: each asker has its own."""
    return [
        replace(each, headers=tuple((n, f"{tag} {v}" if n == "x-request-id" else v) for n, v in each.headers))
        for each in requests
    ]


def _ours(response: httpx.Response, body: bytes, arrivals: Sequence[Arrival], *, whole: bool) -> Outcome:
    call = call_of(response)
    local = body if call.reply is not None else None
    flags = ",".join(call.flags)
    return Outcome(response.status_code, flags, whole, local, *_tries(own_arrivals(tuple(arrivals))))


def _tries(arrivals: Sequence[Arrival]) -> tuple[tuple[str, ...], bool]:
    hosts = [arrival.backend for arrival in arrivals]
    return tuple(arrival.header("x-envoy-attempt-count") for arrival in arrivals), len(set(hosts)) < len(hosts)
