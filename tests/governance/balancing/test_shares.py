"""The share of each endpoint, by its weight and its locality's."""

from __future__ import annotations

import pytest

from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.shares import flat_shares, locality_shares
from tests.support.model import host


def pool(*weights: int) -> list[Host]:
    return [Host(host(f"10.0.0.{number}:80", weight=weight), HostState()) for number, weight in enumerate(weights)]


def test_weights_are_shares_of_their_sum() -> None:
    hosts = pool(1, 2, 5)
    assert flat_shares(hosts) == (tuple(hosts), (0.125, 0.25, 0.625))
    assert flat_shares([]) == ((), ())


def test_a_locality_has_its_own_share_first() -> None:
    near, far, none = pool(1, 1), pool(1, 3), pool(1)
    members, shares = locality_shares([(75, near), (25, far), (0, none)])
    assert members == (*near, *far)
    assert shares == pytest.approx((0.375, 0.375, 0.0625, 0.1875))


def test_localities_that_all_have_weight_zero_have_nothing() -> None:
    assert locality_shares([(0, pool(1)), (0, pool(2))]) == ((), ())
