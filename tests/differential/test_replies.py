"""What the mesh says in responses: Envoy, `explain` and a governed httpx agree on every request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential import replies
from tests.differential.comparison import Run, told
from tests.differential.recording import Recording
from tests.support import envoy

pytestmark = pytest.mark.envoy


@pytest.fixture(scope="module")
def run(frontend: Recording) -> Iterator[Run]:
    """The virtual hosts under both."""
    envoy.require()
    with Run.of(*replies.configuration(frontend)) as running:
        yield running


def test_explain_decides_as_envoy(run: Run) -> None:
    assert not run.differences, told(run.differences)


def test_a_governed_client_decides_and_sends_as_envoy(run: Run) -> None:
    differences = run.governed()
    assert not differences, told(differences)
