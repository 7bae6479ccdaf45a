"""Connections that are passed on: tries, pauses, wishes, and how long they last."""

from __future__ import annotations

from math import inf

import pytest

from proxyless.governance.balancing.digest import xx_hash
from proxyless.governance.passing import Life, pauses, wishes
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.route import BackOff
from tests.support.world import Clock


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [
        (TcpProxy("a"), []),
        (TcpProxy("a", max_connect_attempts=3), [0.0, 0.0]),
        (TcpProxy("a", max_connect_attempts=4, back_off=BackOff(0.1, 0.3)), [0.05, 0.1, 0.15]),
    ],
)
def test_tries_pause_for_a_share_of_an_interval_that_doubles(proxy: TcpProxy, expected: list[float]) -> None:
    assert list(pauses(proxy, lambda: 0.5)) == expected


def test_a_connection_wants_the_endpoint_of_its_address_and_metadata() -> None:
    assert wishes(TcpProxy("a"), "10.0.0.9").hash is None
    assert wishes(TcpProxy("a"), "10.0.0.9").metadata_match is None
    found = wishes(TcpProxy("a", hash_source_ip=True, metadata_match={"version": "v1"}), "10.0.0.9")
    assert found.hash == xx_hash(b"10.0.0.9")
    assert found.metadata_match == {"version": "v1"}


def test_a_connection_ends_when_it_is_idle_for_too_long() -> None:
    clock = Clock()
    life = Life(TcpProxy("a", idle_timeout_s=10.0), clock, lambda: 0.5)
    assert life.bound(3.0) == (3.0, False)
    assert life.bound(None) == (10.0, True)
    clock.advance(6)
    life.touch()
    clock.advance(6)
    assert life.bound(4.0) == (4.0, True)
    assert not life.over()
    clock.advance(4)
    assert life.over()
    assert life.bound(4.0) == (0.0, True)


@pytest.mark.parametrize(("jitter", "lasts_s"), [(0.0, 10.0), (0.5, 12.5)])
def test_a_connection_ends_when_its_duration_is_over(jitter: float, lasts_s: float) -> None:
    clock = Clock()
    proxy = TcpProxy("a", idle_timeout_s=None, max_duration_s=10.0, max_duration_jitter=jitter)
    life = Life(proxy, clock, lambda: 0.5)
    assert life.bound(inf) == (lasts_s, True)
    clock.advance(lasts_s - 0.1)
    life.touch()
    assert not life.over()
    clock.advance(0.2)
    assert life.over()


def test_one_that_may_last_for_ever_leaves_timeouts_alone() -> None:
    life = Life(TcpProxy("a", idle_timeout_s=None), Clock(), lambda: 0.5)
    assert life.bound(None) == (None, False)
    assert not life.over()
