"""The same requests through Envoy and through proxyless, and where they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxyless.mesh import Mesh
from tests.differential.decision import PASSTHROUGH, TCP, Decision, from_envoy, without_tracing
from tests.differential.governed import Governed
from tests.differential.ours import explained
from tests.differential.requests import Names, Request
from tests.differential.rig import Rig

SHOWN = 12
LONGEST = 600


@dataclass(frozen=True, slots=True)
class Case:
    """A request and what Envoy decided about it."""

    request: Request
    envoy: Decision


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


def govern_all(client: Governed, cases: Iterable[tuple[Case, float]]) -> list[Difference]:
    """Where a governed httpx client differs. Which endpoint it takes is not compared: draws are not Envoy's."""
    found = []
    for case, draw in cases:
        ours = client.decision(case.request, draw)
        if fields := case.envoy.differences(ours, ignoring=frozenset({"backend"})):
            found.append(Difference(case, fields))
    return found


def sendable(case: Case) -> bool:
    """Whether httpx can send it at all, and without leaving loopback."""
    request = case.request
    padded = any(value != value.strip() for _, value in request.headers)
    return case.envoy.place != TCP and case.envoy.cluster != PASSTHROUGH and not request.fragment and not padded


def told(differences: Sequence[Difference]) -> str:
    """For people: how many, in which fields, and the first of them."""
    fields = Counter(name for each in differences for name in each.fields)
    return "\n".join([f"{len(differences)} differ: {dict(fields)}", *map(str, differences[:SHOWN])])
