"""Each case on a timeline goes the same way under Envoy, under a governed client, and under a clock of our own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from tests.differential.batch import together
from tests.differential.case import Case
from tests.differential.generated.running import Batch
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording
from tests.differential.timeline import QUIET_S, overload, redirects
from tests.differential.timeline.cases import ejections, later, tries
from tests.differential.timeline.machine import by_machine
from tests.differential.timeline.real import by_envoy, by_httpx
from tests.differential.timeline.story import Story, differences
from tests.support import envoy

pytestmark = [pytest.mark.envoy, pytest.mark.punctual]

APART_S = 0.06
"""Between the beginnings of two cases: not everything happens at once."""

ALL = {
    **ejections(),
    **tries(),
    **redirects.redirects(),
    **overload.bursts(),
    **overload.pools(),
    **overload.budgets(),
    **overload.hedges(),
}
CASES = {name: later(case, number * APART_S) for number, (name, case) in enumerate(ALL.items())}
MET = {"UO": 40, "UH": 10, "URX": 20, "UC": 6, "UT": 2, "UF": 2, "again": 40, "redirected": 15, "kept": 10}
"""What has to be seen at least so often: flags, requests of several tries, redirects that were followed or were not."""

RUNS = 3
"""How often a case may be run by the real clock, until a busy machine has kept nobody from his moment."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The same case three times."""

    envoy: Story
    httpx: Story
    machine: Story


@pytest.fixture(scope="module")
def ran(frontend: Recording) -> dict[str, Ran]:
    """All cases at once: each has a port, a cluster and backends of its own."""
    envoy.require()
    found: dict[str, Ran] = {}
    left = CASES
    for _ in range(RUNS):
        found.update(_run(frontend, left))
        left = {name: case for name, case in CASES.items() if _differs(found[name])}
        if not left:
            break
    return found


def _differs(ran: Ran) -> bool:
    return any(True for ours in (ran.httpx, ran.machine) for _ in differences(ran.envoy, ours))


def _run(frontend: Recording, cases: dict[str, Case]) -> dict[str, Ran]:
    listed = list(cases.values())
    ends_s = max(request.at_s for case in listed for request in case.requests) + QUIET_S
    with Batch(together(frontend, listed)) as rig, mesh_on(rig.recording) as mesh:
        snapshot = mesh.runtime.plan.snapshot
        theirs = by_envoy(rig, listed)
        ours = by_httpx(mesh, rig.backends, listed)
        played = [by_machine(snapshot, case, at, rig.backends.ports, ends_s) for at, case in enumerate(listed)]
    return {name: Ran(*each) for name, each in zip(cases, zip(theirs, ours, played, strict=True), strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_a_governed_client_goes_the_way_of_envoy(ran: dict[str, Ran], name: str) -> None:
    found = list(differences(ran[name].envoy, ran[name].httpx))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", CASES)
def test_so_does_the_machine_under_a_clock_of_its_own(ran: dict[str, Ran], name: str) -> None:
    found = list(differences(ran[name].envoy, ran[name].machine))
    assert not found, "\n".join(found)


def test_the_cases_meet_what_they_are_about(ran: dict[str, Ran]) -> None:
    met: Counter[str] = Counter()
    for told in (each for case in ran.values() for each in case.envoy.told):
        met.update(told.flags.split(","))
        met["again"] += len(told.tries) > 1
        met["redirected"] += any("x-envoy-original-url" in dict(each.headers) for each in told.tries)
        met["kept"] += told.status in range(300, 400)
    assert not {name: met[name] for name, least in MET.items() if met[name] < least}
