"""Each case on a timeline goes the same way under Envoy, under a governed client, and under a clock of our own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.differential.batch import together
from tests.differential.generated.running import Batch
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording
from tests.differential.timeline import QUIET_S, cases
from tests.differential.timeline.machine import by_machine
from tests.differential.timeline.real import by_envoy, by_httpx
from tests.differential.timeline.story import Story, differences
from tests.support import envoy

pytestmark = pytest.mark.envoy

CASES = cases.every()
RUNS = 3
"""How often what goes by the real clock may be run, until a busy machine has kept nobody from his moment."""


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
    for _ in range(RUNS):
        found = _run(frontend)
        if not any(
            list(differences(each.envoy, ours)) for each in found.values() for ours in (each.httpx, each.machine)
        ):
            break
    return found


def _run(frontend: Recording) -> dict[str, Ran]:
    listed = list(CASES.values())
    ends_s = max(request.at_s for case in listed for request in case.requests) + QUIET_S
    with Batch(together(frontend, listed)) as rig, mesh_on(rig.recording) as mesh:
        snapshot = mesh.runtime.plan.snapshot
        theirs = by_envoy(rig, listed)
        ours = by_httpx(mesh, rig.backends, listed)
        played = [by_machine(snapshot, case, at, rig.backends.ports, ends_s) for at, case in enumerate(listed)]
    return {name: Ran(*each) for name, each in zip(CASES, zip(theirs, ours, played, strict=True), strict=True)}


@pytest.mark.parametrize("name", CASES)
def test_a_governed_client_goes_the_way_of_envoy(ran: dict[str, Ran], name: str) -> None:
    found = list(differences(ran[name].envoy, ran[name].httpx))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", CASES)
def test_so_does_the_machine_under_a_clock_of_its_own(ran: dict[str, Ran], name: str) -> None:
    found = list(differences(ran[name].envoy, ran[name].machine))
    assert not found, "\n".join(found)
