"""Endpoints that a request names by a header (`override_host`): the same endpoint by Envoy and by us.

What does not name any goes by the fallback, a ring hash, so that each answer is one endpoint.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.differential.keyed import Asked, Case, Pickers, cluster, endpoint, pickers
from tests.differential.recording import Recording, Resource
from tests.differential.test_hashing import typed

pytestmark = pytest.mark.envoy

POOL = [
    endpoint(
        number, health_status=("HEALTHY", "UNHEALTHY", "DEGRADED", "DRAINING")[number % 9 if number % 9 < 4 else 0]
    )
    for number in range(20)
]
BY_KEY: Resource = {"hash_policy": [{"header": {"header_name": "x-key"}}]}


def overriding(*sources: Resource) -> Resource:
    fallback = typed("ring_hash.v3.RingHash")["load_balancing_policy"]
    return typed("override_host.v3.OverrideHost", override_host_sources=list(sources), fallback_policy=fallback)


CASES = [
    Case(cluster("one", POOL, **overriding({"header": "x-host"})), BY_KEY),
    Case(cluster("two", POOL, **overriding({"header": "x-host"}, {"header": "x-other"})), BY_KEY),
]


@pytest.fixture(scope="module")
def both(frontend: Recording) -> Iterator[Pickers]:
    with pickers(frontend, CASES) as running:
        yield running


def value(draw: random.Random) -> str:
    """Addresses that are there and some that are not, in all forms."""
    number = draw.randrange(20)
    known = f"127.7.0.{number + 1}:1"
    unknown = draw.choice(["127.7.0.99:1", f"127.7.0.{number + 1}:2", f"127.7.0.{number + 1}", "x", "", "[::1]:1"])
    return draw.choice(
        [known, known, known, unknown, f"{unknown},{known}", f" {known}", f"{known} ,x", f"{known},{known}"]
    )


def asked(count: int, seed: int = 5) -> list[Asked]:
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        headers = [("x-key", f"{draw.getrandbits(64)}")]
        headers += [("x-host", value(draw)) for _ in range(draw.choice((0, 1, 1, 1, 2)))]
        headers += [("x-other", value(draw)) for _ in range(draw.choice((0, 1)))]
        draw.shuffle(headers)
        found.append(Asked(tuple(headers)))
    return found


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_request_gets_the_endpoint_that_it_names(both: Pickers, name: str) -> None:
    requests = asked(1500)
    theirs, ours = both.theirs(name, requests), both.ours(name, requests)
    different = [(each, a, b) for each, a, b in zip(requests, theirs, ours, strict=True) if a != b]
    assert not different, (len(different), different[:5])
    named = [each for each, picked in zip(requests, ours, strict=True) if ("x-host", picked.endpoint) in each.headers]
    assert len(named) > 300
