"""Tables of configurations, each with requests: Envoy, `explain` and a governed httpx agree on every request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential import managers, replies, rewriting
from tests.differential.comparison import Run, told
from tests.differential.recording import Recording
from tests.support import envoy

pytestmark = pytest.mark.envoy

CONFIGURATIONS = {
    "options of connection managers": managers.configuration,
    "what the mesh says in responses": replies.configuration,
    "what the mesh answers itself, with formats and rewritten": rewriting.configuration,
}


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def run(frontend: Recording, request: pytest.FixtureRequest) -> Iterator[Run]:
    """One of them under both."""
    envoy.require()
    with Run.of(*CONFIGURATIONS[request.param](frontend)) as running:
        yield running


def test_explain_decides_as_envoy(run: Run) -> None:
    assert not run.differences, told(run.differences)


def test_a_governed_client_decides_and_sends_as_envoy(run: Run) -> None:
    differences = run.governed()
    assert not differences, told(differences)
