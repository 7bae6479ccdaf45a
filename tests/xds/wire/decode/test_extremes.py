"""Numbers changed to extremes, and what only comes by EDS: the real Envoy on a stream judges, and we say the same.

A few hundred changes of a fixed seed; `PROXYLESS_EXTREMES=N` tries N of a fresh seed, and prints it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, Phase, assume, given, reject, seed, settings
from hypothesis import strategies as st

from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire.schema import pool
from proxyless.xds.wire.schema import types as pb
from tests.support import envoy
from tests.support.judge import EDS, ENDPOINT, GoneError, Judge
from tests.xds.wire.coverage.test_table import decoded

from .configurations import Json, plain
from .configurations.build import endpoint, locality
from .configurations.extremes import also_at
from .extremes import Change, changes

pytestmark = pytest.mark.envoy

ASKED = os.environ.get("PROXYLESS_EXTREMES", "")
SEED = random.SystemRandom().randrange(2**32) if ASKED else 4
EXAMPLES = int(ASKED or 300)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    envoy.require()
    with Judge() as found:
        yield found


def ours(type_: ResourceType, message: Any) -> str | None:
    """Why we refuse a resource; None where we do not."""
    found = decoded(type_, message)
    return plain(found) if isinstance(found, str) else None


def core(reason: str) -> str:
    """A reason without the way to it: where a rule of the schema is broken, the rule."""
    return reason.rpartition("caused by ")[2].rpartition("failed (")[2].rstrip(")") or reason


# -- one number ----------------------------------------------------------------------------------------------------

CHANGES = changes()


def test_there_are_numbers_of_every_area_to_change() -> None:
    rooms = {each.message.split(".")[2] for each in CHANGES if each.message.startswith("envoy.config.")}
    assert {"cluster", "core", "endpoint", "listener", "route"} <= rooms
    assert len({(each.message, each.field) for each in CHANGES}) > 400


@seed(SEED)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(change=st.sampled_from(CHANGES))
def test_an_extreme_number_is_judged_as_envoy_judges_it(judge: Judge, change: Change) -> None:
    assume(judge.takes(change.type, change.sample()))
    try:
        said = judge.says(change.type, change.applied())
    except GoneError:
        reject()
    own = ours(change.type, change.applied())
    assert (said is None) == (own is None), f"seed {SEED}: {change}: Envoy: {said}; we: {own}"
    if said is not None and own is not None:
        assert core(own).rpartition(": ")[2] in plain(said), f"seed {SEED}: {change}: Envoy: {said}; we: {own}"


# -- endpoints by EDS ----------------------------------------------------------------------------------------------

BIG = 4294967295
LEDS: Json = {"leds_config": {"ads": {}}, "leds_collection_name": "a"}
MALFORMED = "Consider setting resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'"
ASSIGNMENTS: dict[str, tuple[Json, str | None]] = {
    "weights of localities that do not fit": (
        {
            "endpoints": [
                locality(endpoint(), load_balancing_weight=BIG),
                locality(endpoint(port=2), locality={"zone": "b"}, load_balancing_weight=2),
            ]
        },
        None,
    ),
    "weights of endpoints that do not fit": (
        {"endpoints": [locality(endpoint(load_balancing_weight=BIG), endpoint(port=2, load_balancing_weight=2))]},
        None,
    ),
    "a weight of zero": (
        {"endpoints": [locality(endpoint(load_balancing_weight=0))]},
        "LbEndpointValidationError.LoadBalancingWeight: value must be greater than or equal to 1",
    ),
    "priorities with a gap": ({"endpoints": [locality(endpoint()), locality(endpoint(port=2), priority=2)]}, None),
    "the last priority": ({"endpoints": [locality(endpoint(), priority=128)]}, None),
    "a priority more": (
        {"endpoints": [locality(endpoint(), priority=129)]},
        "LocalityLbEndpointsValidationError.Priority: value must be less than or equal to 128",
    ),
    "an endpoint twice": ({"endpoints": [locality(endpoint(), endpoint())]}, None),
    "a locality twice": ({"endpoints": [locality(endpoint()), locality(endpoint(port=2))]}, None),
    "a name": ({"endpoints": [locality(endpoint("example.com"))]}, f"malformed IP address: example.com. {MALFORMED}"),
    "another address that is none": (
        {"endpoints": [locality(also_at("x"))]},
        f"malformed IP address: x. {MALFORMED}",
    ),
    "endpoints and LEDS": (
        {"endpoints": [{**locality(endpoint()), "leds_cluster_locality_config": LEDS}]},
        "A ClusterLoadAssignment for cluster e cannot include both LEDS (resource: a) and a list of endpoints.",
    ),
    "an unknown health": ({"endpoints": [locality(endpoint(health_status=9))]}, None),
    "more dropped than there are": (
        {"policy": {"drop_overloads": [{"category": "a", "drop_percentage": {"numerator": 101}}]}},
        "Cluster drop_overloads config is invalid. drop_ratio=1.01(Numerator 101 / Denominator 100).",
    ),
    "an overprovisioning factor of one percent": ({"policy": {"overprovisioning_factor": 1}}, None),
    "the largest overprovisioning factor": ({"policy": {"overprovisioning_factor": BIG}}, None),
    "no overprovisioning factor": (
        {"policy": {"overprovisioning_factor": 0}},
        "PolicyValidationError.OverprovisioningFactor: value must be greater than 0",
    ),
    "stale before it came": (
        {"policy": {"endpoint_stale_after": "-1s"}},
        "Invalid duration: Expected positive duration: seconds: -1",
    ),
    "stale after all of time": (
        {"policy": {"endpoint_stale_after": "315576000000s"}},
        "Invalid duration: Duration out-of-range: seconds: 315576000000",
    ),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_an_assignment_is_judged_as_envoy_judges_it(judge: Judge, name: str) -> None:
    fields, says = ASSIGNMENTS[name]
    spelled = {"cluster_name": EDS, **fields}
    message = json_format.ParseDict(spelled, pb.endpoint_v3.ClusterLoadAssignment(), descriptor_pool=pool())
    said, own = judge.says(ENDPOINT, message), ours(ENDPOINT, message)
    if says is None:
        assert said is None
        assert own is None
    else:
        assert says in plain(said or "")
        assert says in (own or "")
