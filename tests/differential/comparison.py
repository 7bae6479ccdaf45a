"""The same requests through Envoy and through proxyless, and where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Self

import httpx

from proxyless.mesh import Mesh
from tests.differential.chances import unlikely
from tests.differential.decision import PASSTHROUGH, TCP, Decision, from_envoy, own_arrivals, without_tracing
from tests.differential.governed import from_said, governed, send_async
from tests.differential.ours import drawing, drawn, explained, mesh_on
from tests.differential.recording import Recording
from tests.differential.requests import Names, Request
from tests.differential.rig import Rig
from tests.differential.senders import Sender

SHOWN = 12
LONGEST = 600

DRAW_HEADER = "x-draw"
"""Header that holds the draw where a route of tests/differential/actions.py says so."""

ENOUGH = 80
STRATA = 100

DRAWN = frozenset({"backend"})
"""What is not compared of a request that arrived: the endpoint, because our draws are not Envoy's."""


@dataclass(frozen=True, slots=True)
class Case:
    """A request and what Envoy decided about it."""

    request: Request
    envoy: Decision

    def sendable(self) -> bool:
        """Whether httpx can send it at all, and without leaving loopback."""
        request = self.request
        padded = any(value != value.strip() for _, value in request.headers)
        if self.envoy.place == TCP or self.envoy.cluster == PASSTHROUGH or request.fragment or padded:
            return False
        try:
            httpx.URL(self.envoy.location or "")  # it prepares to follow a redirect even where it does not
        except httpx.InvalidURL:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Difference:
    """Where proxyless decides otherwise: field to (Envoy's, ours)."""

    case: Case
    fields: dict[str, tuple[object, object]]

    def __str__(self) -> str:
        request = self.case.request
        lines = [f"{request.method} {request.url} {request.headers}"[:LONGEST], f"  place: {self.case.envoy.place}"]
        for name, (its, ours) in self.fields.items():
            lines += [f"  {name}: Envoy     {its!r}"[:LONGEST], f"  {name}: proxyless {ours!r}"[:LONGEST]]
        return "\n".join(lines)


class Run:
    """One configuration under both, and what Envoy said to every request."""

    def __init__(self, rig: Rig, mesh: Mesh, requests: Sequence[Request]) -> None:
        self.rig = rig
        self.mesh = mesh
        self.cases = ask_envoy(rig, requests)
        self.differences, self._draws = explain_all(mesh, self.cases)

    @classmethod
    @contextmanager
    def of(cls, recording: Recording, requests: Sequence[Request]) -> Iterator[Self]:
        """Start both on a recording, ask Envoy, and see where `explain` differs (`differences`)."""
        with Rig(recording) as rig, mesh_on(rig.recording) as mesh:
            yield cls(rig, mesh, requests)

    def sendable(self) -> list[tuple[Case, float]]:
        """The cases that httpx can send, each with the draw that takes the cluster that Envoy took."""
        return [(case, draw) for case, draw in zip(self.cases, self._draws, strict=True) if case.sendable()]

    def governed(self) -> list[Difference]:
        """Where a governed httpx client differs."""
        with governed(self.mesh, self.rig.backends) as client:
            return compared((case, client.decision(case.request, draw)) for case, draw in self.sendable())

    def governed_async(self, most: int) -> list[Difference]:
        """Where the asynchronous client differs, on the first `most`."""
        chosen = self.sendable()[:most]
        ours = send_async(self.mesh, self.rig.backends, [(case.request, draw) for case, draw in chosen])
        return compared((case, made) for (case, _), made in zip(chosen, ours, strict=True))

    def governed_by(self, suite: type[Sender], most: int) -> list[Difference]:
        """Where a client of another library differs, on the first `most` that it can send."""
        chosen = [(case, draw) for case, draw in self.sendable() if suite.sends(case.request)][:most]
        with suite(self.mesh) as client:
            return compared((case, self._sent(client, case.request, draw)) for case, draw in chosen)

    def _sent(self, client: Sender, request: Request, draw: float) -> Decision:
        self.rig.backends.take()
        with drawing(self.mesh, partial(float, draw)):
            said = client.send(request)
        return from_said(request, said, own_arrivals(tuple(self.rig.backends.take())))


def ask_envoy(rig: Rig, requests: Sequence[Request]) -> list[Case]:
    """What Envoy decides, one request after the other."""
    names = Names(rig.recording)
    seen = rig.run([names.sent(request) for request in requests])
    return [Case(request, from_envoy(request, each)) for request, each in zip(requests, seen, strict=True)]


def explain_all(mesh: Mesh, cases: Iterable[Case]) -> tuple[list[Difference], list[float]]:
    """Where `explain` differs, and the draws by which it chose the same of several weighted clusters."""
    found, draws = [], []
    for case in cases:
        ours, draw = explained(mesh, case.request, case.envoy.cluster)
        draws.append(draw)
        if fields := without_tracing(case.envoy).differences(ours):
            found.append(Difference(case, fields))
    return found, draws


def share_differences(mesh: Mesh, cases: Iterable[Case]) -> list[str]:
    """Weighted clusters that proxyless does not draw as often as Envoy did, by route (and header that holds the draw).

    Ours are exact: draws evenly spread. Envoy's are counted; a count that is next to impossible with our share differs.
    """
    drawn_by: dict[tuple[str, str | None], list[Case]] = {}
    for case in cases:
        drawn_by.setdefault((case.envoy.place, case.request.header(DRAW_HEADER)), []).append(case)
    found = []
    for key, group in drawn_by.items():
        request = group[0].request
        if len(group) < ENOUGH or not drawn(mesh, request, 0.5)[1]:
            continue
        theirs = Counter(case.envoy.cluster for case in group)
        ours = Counter(drawn(mesh, request, (at + 0.5) / STRATA)[0].cluster for at in range(STRATA))
        found += [
            f"{key}: {cluster} drawn by Envoy {theirs[cluster]} times of {len(group)}, our share is {ours[cluster]} %"
            for cluster in theirs.keys() | ours.keys()
            if unlikely(theirs[cluster], len(group), ours[cluster] / STRATA)
        ]
    return found


def compared(pairs: Iterable[tuple[Case, Decision]]) -> list[Difference]:
    """Where decisions of a governed client are not Envoy's."""
    found = []
    for case, ours in pairs:
        ignoring = DRAWN if case.envoy.answer is not None else DRAWN | {"answer"}
        if fields := case.envoy.differences(ours, ignoring=ignoring):
            found.append(Difference(case, fields))
    return found


def told(differences: Sequence[Difference]) -> str:
    """For people: how many, in which fields, and the first of them."""
    fields = Counter(name for each in differences for name in each.fields)
    return "\n".join([f"{len(differences)} differ: {dict(fields)}", *map(str, differences[:SHOWN])])
