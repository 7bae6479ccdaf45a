"""The mesh of 1,000 services: each route of the virtual hosts that are looked at, ten times."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.differential import scale
from tests.differential.comparison import Run, told
from tests.differential.steering import places, steer
from tests.support import envoy

pytestmark = pytest.mark.envoy

SEED = 20_260_803
EACH = 10


@pytest.mark.timeout(900)
def test_each_route_of_a_large_mesh_is_decided_as_by_envoy() -> None:
    envoy.require()
    recording = scale.load()
    with Run.of(recording, steer(recording, SEED, EACH)) as run:
        hits = Counter(case.envoy.place for case in run.cases)
        assert not run.differences, told(run.differences)
    routes = [str(place) for place, _, _ in places(recording)]
    assert len(routes) > 150
    assert not [each for each in routes if hits[each] < EACH]
