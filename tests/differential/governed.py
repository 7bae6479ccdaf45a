"""A real httpx client, governed by proxyless, on the backends that Envoy has too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

import proxyless.httpx
from proxyless.governance.call import OutgoingCall
from proxyless.governance.explain import cluster_name
from proxyless.mesh import Mesh
from tests.differential.decision import PASSTHROUGH, TCP, Decision, answered, arrived_as, own_arrivals
from tests.differential.ours import drawing
from tests.differential.requests import Request
from tests.support.backends import Backends
from tests.support.behaviour import Arrival, Headers

TIMEOUTS = httpx.Timeout(10.0)


@dataclass(frozen=True, slots=True)
class Said:
    """What a client of any library was told."""

    call: OutgoingCall
    status: int
    headers: Headers
    body: str


class Governed:
    """`send` makes one call and tells what became of it."""

    def __init__(self, mesh: Mesh, backends: Backends) -> None:
        self.mesh = mesh
        self.backends = backends
        self._client = httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=TIMEOUTS)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def send(self, request: Request) -> tuple[httpx.Response, tuple[Arrival, ...]]:
        """The response, and every arrival at a backend."""
        self.backends.take()
        response = self._client.send(as_httpx(request))
        return response, own_arrivals(tuple(self.backends.take()))

    def decision(self, request: Request, draw: float) -> Decision:
        """What became of a request whose weighted cluster is drawn by `draw`."""
        return self.drawn(request, partial(float, draw))

    def drawn(self, request: Request, uniform: Callable[[], float]) -> Decision:
        """What became of a request where a function makes the draws."""
        with drawing(self.mesh, uniform):
            response, arrivals = self.send(request)
        return from_response(request, response, arrivals)


@contextmanager
def governed(mesh: Mesh, backends: Backends) -> Iterator[Governed]:
    """A client that is closed at the end."""
    client = Governed(mesh, backends)
    try:
        yield client
    finally:
        client.close()


def send_async(mesh: Mesh, backends: Backends, requests: list[tuple[Request, float]]) -> list[Decision]:
    """The same with an AsyncClient, one request after the other."""

    async def run() -> list[Decision]:
        made = []
        async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=TIMEOUTS) as client:
            for request, draw in requests:
                backends.take()
                with drawing(mesh, partial(float, draw)):
                    response = await client.send(as_httpx(request))
                made.append(from_response(request, response, own_arrivals(tuple(backends.take()))))
        return made

    return asyncio.run(run())


def as_httpx(request: Request, *, streamed: bool = False) -> httpx.Request:
    """The request with exactly these headers and this target; Host stands where the program wrote it.

    `streamed`: the body comes in pieces that are read only once.
    """
    headers = [(name.encode(), value.encode()) for name, value in request.all_headers()]
    made = httpx.Request(
        request.method,
        f"http://{request.host}:{request.port}/",
        headers=headers,
        content=iter(pieces(request.body)) if streamed and request.body else request.body or None,
        extensions={"target": request.target.encode()},
    )
    made.method = request.method  # httpx writes it in capitals
    if not request.body and request.header("content-length") is None:
        made.headers.pop("content-length", None)
    return made


def pieces(body: bytes, size: int = 10_000) -> list[bytes]:
    """A body in parts."""
    return [body[start : start + size] for start in range(0, len(body), size)]


def from_response(request: Request, response: httpx.Response, arrivals: tuple[Arrival, ...]) -> Decision:
    """A response of httpx in the common words."""
    headers = tuple((name.decode(), value.decode()) for name, value in response.headers.raw)
    return from_said(request, Said(call_of(response), response.status_code, headers, response.text), arrivals)


def from_said(request: Request, said: Said, arrivals: tuple[Arrival, ...]) -> Decision:
    """A response of any library in the common words."""
    call = said.call
    place, cluster = "", None
    if call.destination is not None and call.destination.http is None:
        return Decision(place=TCP, cluster=call.destination.cluster)
    if call.route is not None and call.route.index >= 0:
        place = f"{_table(call)}/{call.route.vhost.name}/{call.route.index}"
    if call.target is not None:
        name = cluster_name(call)
        known = name == PASSTHROUGH or (name is not None and call.runtime.plan.configured(name) is not None)
        cluster = name if known else None
    came_back = answered(said.headers)
    if call.reply is not None:
        return Decision(
            place=place,
            cluster=cluster,
            status=said.status,
            flags=",".join(call.flags) or None,
            body=said.body,
            location=next((value for name, value in said.headers if name.lower() == "location"), None),
            answer=came_back,
        )
    if cluster == PASSTHROUGH:
        return Decision(place=place, cluster=cluster)
    return arrived_as(Decision(place=place, cluster=cluster, answer=came_back), request, arrivals[-1])


def call_of(response: httpx.Response) -> OutgoingCall:
    """What proxyless notes of a call."""
    call: Any = response.extensions["proxyless"]
    assert isinstance(call, OutgoingCall)
    return call


def _table(call: OutgoingCall) -> str:
    assert call.destination is not None
    assert call.destination.http is not None
    table: Any = call.destination.http.table(call.runtime.plan)
    return str(table.config.name)
