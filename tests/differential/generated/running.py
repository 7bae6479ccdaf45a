"""A batch of cases under Envoy, through `explain`, and through a governed httpx client: where they differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import httpx

from proxyless.mesh import Mesh
from tests.differential.batch import requests_of, together
from tests.differential.bootstrap import static
from tests.differential.case import Case
from tests.differential.comparison import Case as Answered
from tests.differential.comparison import Difference, ask_envoy, compared
from tests.differential.decision import Decision, without_tracing
from tests.differential.generated.shapes import Table
from tests.differential.generated.shrinking import shrunk
from tests.differential.governed import Governed, governed
from tests.differential.ours import drawing, explained_once, mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

DRAWS = 300
"""How often a request is asked again until chance takes the way that it took in Envoy."""

CHANCE = ("weighted_clusters", "runtime_fraction")


class Batch(Rig):
    """Envoy on many listeners, none of which binds but the first."""

    def bootstrap(self) -> Resource:
        return static(self.recording, direct=False)


@dataclass(frozen=True, slots=True)
class Found:
    """A difference: the case and the request by number, what kind of client saw it, and what differs."""

    case: int
    request: int
    client: str
    difference: Difference


@dataclass(frozen=True, slots=True)
class Outcome:
    """What Envoy said to each request of each case, and what differs."""

    answers: list[list[Answered]]
    found: list[Found]


def run(base: Recording, cases: Sequence[Case], *, client: bool = True) -> Outcome:
    """Run a batch; `client`: through httpx too. Raises EnvoyError where Envoy refuses the configuration."""
    found: list[Found] = []
    with Batch(together(base, cases)) as rig, mesh_on(rig.recording) as mesh:
        flat = iter(ask_envoy(rig, requests_of(cases)))
        answers = [[next(flat) for _ in case.requests] for case in cases]
        draws = []
        for number, case in enumerate(cases):
            tries = DRAWS if any(word in json.dumps(case.hosts) for word in CHANCE) else 1
            for at, answered in enumerate(answers[number]):
                ours, draw = _explained(mesh, answered, tries)
                draws.append((number, at, answered, draw))
                if fields := without_tracing(answered.envoy).differences(ours):
                    found.append(Found(number, at, "explain", Difference(answered, fields)))
        if client:
            with governed(mesh, rig.backends) as sender:
                for number, at, answered, draw in draws:
                    if answered.sendable() and (difference := _sent(sender, answered, draw)):
                        found.append(Found(number, at, "httpx", difference))
    return Outcome(answers, found)


def _explained(mesh: Mesh, answered: Answered, tries: int) -> tuple[Decision, int]:
    """What `explain` says, and the seed of the draws by which it went as Envoy did, if any does."""
    first = None
    for draw in range(tries):
        with drawing(mesh, Random(draw).random):
            ours = explained_once(mesh, answered.request)
        if (ours.place, ours.cluster) == (answered.envoy.place, answered.envoy.cluster):
            return ours, draw
        first = first or ours
    assert first is not None
    return first, 0


def _sent(sender: Governed, answered: Answered, draw: int) -> Difference | None:
    try:
        ours = sender.drawn(answered.request, Random(draw).random)
    except httpx.HTTPError as error:
        return Difference(answered, {"client": ("", repr(error))})
    return next(iter(compared([(answered, ours)])), None)


def smallest(base: Recording, case: Case, found: Found) -> tuple[Case, str]:
    """The smallest case that differs in what was found, and how it differs."""
    wanted = found.difference.fields.keys()

    def differing(cases: Sequence[Case]) -> list[Found]:
        seen = run(base, cases, client=found.client != "explain").found
        return [each for each in seen if each.client == found.client and wanted & each.difference.fields.keys()]

    def differ(cases: Sequence[Case]) -> list[bool]:
        bad = {each.case for each in differing(cases)}
        return [number in bad for number in range(len(cases))]

    small = replace(case, requests=(case.requests[found.request],))
    if not differ([small])[0]:
        return small, f"not alone, or by chance: {found.difference}"
    small = shrunk(Table(), small, differ)
    return small, "\n".join(str(each.difference) for each in differing([small]))
