"""The charts on nodes: `helm test` measures the shop."""

from __future__ import annotations

import pytest

from .own import OwnCluster
from .world import World

pytestmark = pytest.mark.timeout(4000)  # the first test of a machine builds Kubernetes
TRIALS = ("trial-canary", "trial-breaker", "trial-ratelimit")


def trials(own: OwnCluster, world: World, release: str) -> None:
    """The pods of `helm test` end with 0; what they say if not."""
    try:
        assert world.helm("test", release, "--timeout", "5m").count("Succeeded") == len(TRIALS)
    except AssertionError as error:
        logs = [each.log() for each in own.agent.of(world.namespace) if each.name in TRIALS]
        raise AssertionError("\n".join([str(error), *logs])) from None


def test_helm_test_measures_canary_breaker_and_rate_limit(own: OwnCluster, world: World) -> None:
    world.canary(v1=80, v2=20)
    trials(own, world, "shop")
