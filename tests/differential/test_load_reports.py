"""Load reports out of band: the endpoints that two servers' reports make of the same cluster, by Envoy and by us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from time import sleep

import pytest

from tests.differential.chances import wrong
from tests.differential.keyed import Asked, Case, Pickers, cluster, pickers
from tests.differential.recording import Recording, Resource
from tests.differential.test_hashing import typed
from tests.support.reporter import Reporter

pytestmark = pytest.mark.envoy

DRAWS = 600
REPORTING: Resource = {
    "enable_oob_load_report": True,
    "oob_reporting_period": "0.2s",
    "blackout_period": "0s",
    "weight_update_period": "0.2s",
}


@pytest.fixture(scope="module")
def reporters() -> Iterator[tuple[Reporter, Reporter]]:
    made = Reporter(0.1), Reporter(0.4)
    yield made
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def sides(frontend: Recording, reporters: tuple[Reporter, Reporter]) -> Iterator[Pickers]:
    members: list[Resource] = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": each.port}}}}
        for each in reporters
    ]
    policy = typed("client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin", **REPORTING)
    with pickers(frontend, [Case(cluster("loaded", members, **policy))]) as started:
        yield started


def test_who_reports_less_load_gets_more(sides: Pickers, reporters: tuple[Reporter, Reporter]) -> None:
    expected = {f"127.0.0.1:{each.port}": weight for each, weight in zip(reporters, (100, 25), strict=True)}
    asked = [Asked()] * DRAWS
    sides.ours("loaded", asked[:1])  # from now on they are listened to
    sleep(2.0)
    assert all(len(each.streams) >= 2 for each in reporters)
    assert not wrong(Counter(each.endpoint for each in sides.ours("loaded", asked)), expected)
    assert not wrong(Counter(each.endpoint for each in sides.theirs("loaded", asked)), expected)
