"""What the mesh answers itself, with formats and rewritten: Envoy, `explain` and a governed httpx agree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential import rewriting
from tests.differential.comparison import Run, told
from tests.differential.recording import Recording
from tests.support import envoy

pytestmark = pytest.mark.envoy


@pytest.fixture(scope="module")
def run(frontend: Recording) -> Iterator[Run]:
    """All cases under both."""
    envoy.require()
    with Run.of(*rewriting.configuration(frontend)) as running:
        yield running


def test_explain_answers_as_envoy(run: Run) -> None:
    assert not run.differences, told(run.differences)


def test_a_governed_client_is_answered_as_by_envoy(run: Run) -> None:
    differences = run.governed()
    assert not differences, told(differences)
