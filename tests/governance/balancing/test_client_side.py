"""Weights that follow from what endpoints report: when they begin to count, when they end, and who has none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from proxyless.governance.actions import Head
from proxyless.xds.model.cluster import ClientSideWeights, LbConfig
from tests.support.model import cluster, host, route, table
from tests.support.world import World

CONFIG = ClientSideWeights(blackout_s=10.0, expiration_s=60.0, update_s=1.0)
ENDPOINTS = [host(f"10.0.0.{number}:80", weight=7) for number in (1, 2, 3)]


def world(config: ClientSideWeights = CONFIG, endpoints: Any = ENDPOINTS) -> World:
    made = cluster("a", *endpoints, lb=LbConfig(client_side=config))
    return World(tables=[table(route("/", "a"))], clusters=[made])


def reporting(**rates: int) -> Any:
    """Answers whose endpoints, by their last number, say so many requests a second at full use."""

    def answer(action: Any) -> Head:
        rate = rates.get("of_" + action.host.address.split(".")[3][0])
        said = f"TEXT rps_fractional:{rate},cpu_utilization:1".encode()
        return Head(200, [(b"endpoint-load-metrics", said)] if rate is not None else [], None)

    return answer


def weights(fixture: World) -> list[int]:
    return [each.weight for each in fixture.cluster().hosts]


def run(fixture: World, seconds: int, answer: Any) -> None:
    """Three calls in each second."""
    for _ in range(seconds):
        for _ in range(3):
            fixture.call(answers=[answer])
        fixture.clock.advance(1.0)


def test_weights_count_after_the_blackout_and_shape_the_turns() -> None:
    fixture = world()
    answer = reporting(of_1=10, of_2=20, of_3=30)
    fixture.call(answers=[answer])
    assert weights(fixture) == [7, 7, 7]
    run(fixture, 5, answer)
    assert weights(fixture) == [1, 1, 1]
    run(fixture, 12, answer)
    assert weights(fixture) == [10, 20, 30]
    seen = Counter(fixture.call(answers=[answer]).hosts[0] for _ in range(600))
    assert [seen[f"10.0.0.{number}:80"] for number in (1, 2, 3)] == [100, 200, 300]


def test_an_endpoint_that_says_nothing_has_the_median_of_the_others() -> None:
    fixture = world()
    run(fixture, 15, reporting(of_1=10, of_2=21))
    assert weights(fixture) == [10, 21, 15]
    other = world()
    run(other, 15, reporting(of_2=21))
    assert weights(other) == [21, 21, 21]


def test_a_weight_expires_and_has_to_prove_itself_again() -> None:
    fixture = world()
    answer = reporting(of_1=10, of_2=20, of_3=30)
    run(fixture, 15, answer)
    fixture.clock.advance(61.0)
    fixture.call(answers=[answer])
    assert weights(fixture) == [1, 1, 1]
    run(fixture, 8, answer)
    assert weights(fixture) == [1, 1, 1]
    run(fixture, 10, answer)
    assert weights(fixture) == [10, 20, 30]


def test_weights_are_looked_at_once_in_a_period() -> None:
    fixture = world(replace(CONFIG, blackout_s=0.0, update_s=100.0))
    run(fixture, 50, reporting(of_1=10, of_2=20, of_3=30))
    assert weights(fixture) == [7, 7, 7]
    run(fixture, 60, reporting(of_1=10, of_2=20, of_3=30))
    assert weights(fixture) == [10, 20, 30]


def test_hosts_that_come_again_have_their_weights_at_once() -> None:
    fixture = world()
    run(fixture, 15, reporting(of_1=10, of_2=20, of_3=30))
    found = fixture.cluster()
    found.hosts[0].weight = 7
    found.state.health_changed()
    found.choose()
    assert weights(fixture) == [10, 20, 30]


def test_a_report_that_says_too_little_is_passed_over() -> None:
    fixture = world()
    run(fixture, 15, reporting(of_1=0, of_2=0, of_3=0))
    assert weights(fixture) == [1, 1, 1]
    assert all(each.state.load is None for each in fixture.cluster().hosts)
