"""Everything that a route can do: Envoy, `explain` and a governed httpx agree on every request."""

from __future__ import annotations

import pytest

from tests.differential import actions
from tests.differential.comparison import Run, share_differences, told
from tests.differential.recording import Recording
from tests.differential.steering import places
from tests.support import envoy

pytestmark = pytest.mark.envoy


def test_every_table_of_actions_is_decided_as_by_envoy(frontend: Recording) -> None:
    envoy.require()
    for label, recording, requests in actions.tables(frontend):
        with Run.of(recording, requests) as run:
            differences = [*run.differences, *run.governed()]
            hit = {case.envoy.place for case in run.cases}
            shares = share_differences(run.mesh, run.cases)
            never = [str(place) for place, _, _ in places(recording) if str(place) not in hit]
        assert not differences, f"{label}: {told(differences)}"
        assert not shares, f"{label}: {shares}"
        assert not never, label
