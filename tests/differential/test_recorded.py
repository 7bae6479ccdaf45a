"""What istiod sent to every recorded sidecar: thousands of requests through Envoy, `explain` and a governed httpx."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.differential.comparison import Run, share_differences, told
from tests.differential.conftest import SHOP
from tests.differential.generator import generate
from tests.differential.recording import Recording
from tests.differential.senders import SENDERS
from tests.differential.steering import places, steer
from tests.support import envoy

pytestmark = pytest.mark.envoy

SEED = 20_260_801
RANDOM, FEWER = 1000, 250
"""Requests to each recording, and to those that differ from others by a few responses."""
STEERED = 12
LEAST = 10
ASYNC = 150
OTHERS = 60

NODES: dict[str, tuple[str, int | None]] = {
    "frontend": ("frontend", None),
    "payment": ("payment", None),
    "ledger": ("ledger", None),
    **{f"frontend-changes-{until}": ("frontend-changes", until) for until in (8, 12, 18)},
}
"""Folder, and the response after which the stream is looked at."""


@pytest.fixture(scope="module", params=NODES)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Envoy and proxyless side by side on one recording."""
    envoy.require()
    folder, until = NODES[request.param]
    recording = Recording.load(SHOP / folder, until=until)
    count = FEWER if until else RANDOM
    with Run.of(recording, [*generate(SEED, count), *steer(recording, SEED, STEERED)]) as running:
        yield running


def test_explain_decides_as_envoy(run: Run) -> None:
    assert not run.differences, told(run.differences)


def test_a_governed_client_decides_and_sends_as_envoy(run: Run) -> None:
    assert len(run.sendable()) >= len(run.cases) / 3
    differences = run.governed()
    assert not differences, told(differences)


def test_a_governed_asynchronous_client_does_the_same(run: Run) -> None:
    differences = run.governed_async(ASYNC)
    assert not differences, told(differences)


@pytest.mark.parametrize("suite", SENDERS)
def test_a_governed_client_of_another_library_does_the_same(run: Run, suite: str) -> None:
    differences = run.governed_by(SENDERS[suite], OTHERS)
    assert not differences, told(differences)


def test_weighted_clusters_are_drawn_as_often_as_by_envoy(run: Run) -> None:
    differences = share_differences(run.mesh, run.cases)
    assert not differences, "\n".join(differences)


def test_every_route_of_the_recording_is_hit_ten_times(run: Run) -> None:
    hits = Counter(case.envoy.place for case in run.cases)
    seldom = {str(place): hits[str(place)] for place, _, _ in places(run.rig.recording) if hits[str(place)] < LEAST}
    assert not seldom


def test_every_cluster_that_a_weighted_route_names_is_drawn(run: Run) -> None:
    drawn = {(case.envoy.place, case.envoy.cluster) for case in run.cases}
    for place, _, route in places(run.rig.recording):
        for entry in route.get("route", {}).get("weighted_clusters", {}).get("clusters", ()):
            reached = (str(place), entry["name"]) in drawn
            assert reached == (entry["weight"] > 0), (str(place), entry)
