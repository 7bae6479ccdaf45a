"""Where chance decides, it decides as often as configured: Envoy's draws and ours against the same shares.

Each check has a chance of a false alarm of one in a million (tests.differential.chances): with the checks of Envoy's
draws here, about one run in 30,000 fails by chance alone. Ours are drawn by a fixed seed.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from proxyless.cli._url import parse_url
from proxyless.governance.explain import dry_call
from proxyless.mesh import Mesh
from tests.differential.bootstrap import static
from tests.differential.chances import wrong
from tests.differential.custom import custom, host, route
from tests.differential.keyed import PICKED, Asked, Pickers, cluster, endpoint
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.rig import VIP
from tests.support import envoy
from tests.support.envoy import Envoy

pytestmark = pytest.mark.envoy

DRAWS = 3000

WEIGHTED: dict[str, dict[str, int]] = {
    "one-of-many": {"c0": 1, "c1": 99},
    "three": {"c0": 70, "c1": 20, "c2": 10},
    "none-of-it": {"c0": 0, "c1": 3, "c2": 5},
    "ten-thousand": {"c0": 9_999, "c1": 1},
}
FRACTIONS: dict[str, tuple[int, str]] = {
    "percent": (40, "HUNDRED"),
    "of-ten-thousand": (1_234, "TEN_THOUSAND"),
    "of-a-million": (900_000, "MILLION"),
    "never": (0, "HUNDRED"),
    "always": (100, "HUNDRED"),
}


def _address(number: int) -> str:
    socket = endpoint(number)["endpoint"]["address"]["socket_address"]
    return f"{socket['address']}:{socket['port_value']}"


def _locality(zone: str, weight: int, *endpoints: Resource, priority: int = 0) -> Resource:
    where = {"region": "r1", "zone": zone}
    return {"locality": where, "load_balancing_weight": weight, "lb_endpoints": list(endpoints), "priority": priority}


BALANCED: dict[str, tuple[Resource, dict[str, float]]] = {
    "random": (
        cluster("random", [endpoint(n) for n in range(5)], lb_policy="RANDOM"),
        {_address(n): 1 for n in range(5)},
    ),
    "random-without-weights": (
        cluster("random-without-weights", [endpoint(n, 1 + n) for n in range(3)], lb_policy="RANDOM"),
        {_address(n): 1 for n in range(3)},
    ),
    "localities": (
        cluster(
            "localities",
            [],
            groups=[
                _locality("a", 70, endpoint(0)),
                _locality("b", 20, endpoint(1)),
                _locality("c", 10, endpoint(2), endpoint(3)),
            ],
            lb_policy="RANDOM",
            common_lb_config={"locality_weighted_lb_config": {}},
        ),
        {_address(0): 70, _address(1): 20, _address(2): 5, _address(3): 5},
    ),
    "priorities": (
        cluster(
            "priorities",
            [],
            groups=[
                _locality("a", 1, endpoint(0), endpoint(1, health_status="UNHEALTHY")),
                _locality("a", 1, endpoint(2), priority=1),
            ],
            lb_policy="RANDOM",
        ),
        {_address(0): 70, _address(2): 30},
    ),
    "round-robin-weights": (
        cluster("round-robin-weights", [endpoint(0, 1), endpoint(1, 2), endpoint(2, 5)], lb_policy="ROUND_ROBIN"),
        {_address(0): 1, _address(1): 2, _address(2): 5},
    ),
}


def shares() -> dict[str, dict[str, float]]:
    """Who should be picked how often."""
    found: dict[str, dict[str, float]] = {
        name: {_address(int(each[1:])): float(weight) for each, weight in weights.items()}
        for name, weights in WEIGHTED.items()
    }
    parts = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
    for name, (numerator, denominator) in FRACTIONS.items():
        share = numerator / parts[denominator]
        found[name] = {_address(0): share, _address(1): 1 - share}
    return {**found, **{name: each for name, (_, each) in BALANCED.items()}}


def table(base: Recording) -> Recording:
    """A route for each, behind a prefix of its name."""
    routes = []
    for name, weights in WEIGHTED.items():
        entries = [{"name": each, "weight": weight} for each, weight in weights.items()]
        routes.append(route({"prefix": f"/{name}/"}, {"weighted_clusters": {"clusters": entries}}))
    for name, (numerator, denominator) in FRACTIONS.items():
        fraction = {"default_value": {"numerator": numerator, "denominator": denominator}}
        routes.append(route({"prefix": f"/{name}/", "runtime_fraction": fraction}, "c0"))
        routes.append(route({"prefix": f"/{name}/"}, "c1"))
    routes += [route({"prefix": f"/{name}/"}, name) for name in BALANCED]
    added = {"header": {"key": PICKED, "value": "%UPSTREAM_HOST%"}}
    clusters = [cluster(f"c{n}", [endpoint(n)]) for n in range(3)] + [each for each, _ in BALANCED.values()]
    return custom(base, [host(*routes, response_headers_to_add=[added])], copy.deepcopy(clusters))


@pytest.fixture(scope="module")
def sides(frontend: Recording) -> Iterator[Pickers]:
    envoy.require()
    whole = table(frontend)
    with ExitStack() as stack:
        mesh = stack.enter_context(mesh_on(whole, rng=random.Random(20_260_805)))
        yield Pickers(stack.enter_context(Envoy(static(whole))), mesh)


@pytest.mark.parametrize("name", shares())
def test_both_draw_as_often_as_configured(sides: Pickers, name: str) -> None:
    expected = shares()[name]
    asked = [Asked()] * DRAWS
    assert not wrong(Counter(each.endpoint for each in sides.theirs(name, asked)), expected)
    assert not wrong(ours(sides.mesh, name), expected)


def ours(mesh: Mesh, name: str) -> Counter[str]:
    """Who is picked how often by us."""
    found: Counter[str] = Counter()
    url = parse_url(f"http://{VIP[0]}/{name}/")
    for _ in range(DRAWS):
        call, missing = dry_call(mesh.runtime, "GET", url, (("host", "a"),))
        assert not missing
        assert call.host is not None
        found[call.host.address] += 1
    return found
