"""Connections of a cluster: who gets one, who waits, who is refused, and that every count comes back."""

from __future__ import annotations

from threading import Lock
from typing import Any

import pytest

from proxyless.governance.balancing.host import HostState
from proxyless.governance.pool import Breaker, Connect, ConnectFailed, NoPool, Overflow, Pool, Slot, Waiter
from proxyless.xds.model.cluster import HttpProtocol, RetryBudget, Thresholds
from tests.support.world import FakeConnection

LOTS = 1000


class Cluster:
    """Pools to several endpoints that share one breaker."""

    def __init__(
        self,
        *,
        connections: int = LOTS,
        pending: int = LOTS,
        requests: int = LOTS,
        retries: int = 3,
        pools: int | None = None,
        per_host: int | None = None,
        hosts: int = 1,
        **http: Any,
    ) -> None:
        lock = Lock()
        self.breaker = Breaker(Thresholds(connections, pending, requests, retries, pools, None, per_host))
        self.pools = [Pool(lock, self.breaker, HostState()) for _ in range(hosts)]
        for pool in self.pools:
            pool.configure(HttpProtocol(**http))

    @property
    def pool(self) -> Pool:
        return self.pools[0]

    def counts(self) -> tuple[int, int, int]:
        return self.breaker.connections, self.breaker.pending, self.breaker.requests


def slot_of(lease: object) -> Slot:
    assert isinstance(lease, Slot)
    return lease


def waiter_of(lease: object) -> Waiter:
    assert isinstance(lease, Waiter)
    return lease


def connect(pool: Pool, now: float = 0.0) -> Slot:
    """A new connection that carries a request."""
    assert isinstance(pool.lease(now), Connect)
    return slot_of(pool.connected(FakeConnection(), now))


def fake(slot: Slot) -> FakeConnection:
    assert isinstance(slot.connection, FakeConnection)
    return slot.connection


def test_the_first_request_makes_a_connection_and_is_pending_until_it_is_open() -> None:
    cluster = Cluster()
    assert isinstance(cluster.pool.lease(0.0), Connect)
    assert cluster.counts() == (1, 1, 0)
    slot = slot_of(cluster.pool.connected(FakeConnection(), 0.0))
    assert cluster.counts() == (1, 0, 1)
    assert (slot.streams, slot.served, cluster.pool.host.active) == (1, 1, 1)


def test_a_connection_given_back_carries_the_next_request() -> None:
    cluster = Cluster()
    slot = connect(cluster.pool)
    cluster.pool.release(slot, 1.0)
    assert cluster.counts() == (1, 0, 0)
    assert cluster.pool.lease(2.0) is slot
    assert cluster.counts() == (1, 0, 1)


def test_the_connection_used_last_is_used_first() -> None:
    pool = Cluster().pool
    first, second = connect(pool), connect(pool)
    pool.release(second, 1.0)
    pool.release(first, 2.0)
    assert [pool.lease(3.0), pool.lease(3.0)] == [first, second]


def test_a_busy_http1_connection_takes_no_second_request() -> None:
    cluster = Cluster()
    connect(cluster.pool)
    assert isinstance(cluster.pool.lease(0.0), Connect)
    assert cluster.counts() == (2, 1, 1)


def test_a_connection_that_ended_with_its_request_is_closed_and_forgotten() -> None:
    cluster = Cluster()
    slot = connect(cluster.pool)
    fake(slot).open = False
    cluster.pool.release(slot, 1.0)
    assert cluster.counts() == (0, 0, 0)
    assert fake(slot).closed == 1
    assert not cluster.pool.ready


def test_a_connection_that_the_other_side_closed_while_idle_is_not_used() -> None:
    cluster = Cluster()
    slot = connect(cluster.pool)
    cluster.pool.release(slot, 1.0)
    fake(slot).stale = True
    assert isinstance(cluster.pool.lease(2.0), Connect)
    assert fake(slot).closed == 1
    assert cluster.counts() == (1, 1, 0)


@pytest.mark.parametrize(("idle_s", "taken"), [(9.9, True), (10.0, False), (11.0, False)])
def test_a_connection_idle_for_the_idle_timeout_is_closed_instead_of_used(idle_s: float, taken: bool) -> None:
    cluster = Cluster(idle_timeout_s=10.0)
    slot = connect(cluster.pool)
    cluster.pool.release(slot, 100.0)
    lease = cluster.pool.lease(100.0 + idle_s)
    assert (lease is slot) == taken
    assert fake(slot).closed == (not taken)
    assert cluster.counts() == ((1, 0, 1) if taken else (1, 1, 0))


def test_without_an_idle_timeout_a_connection_stays() -> None:
    pool = Cluster(idle_timeout_s=None).pool
    slot = connect(pool)
    pool.release(slot, 0.0)
    assert pool.sweep(1e9) == []
    assert pool.lease(1e9) is slot


def test_a_sweep_takes_out_what_has_been_idle_too_long_and_nothing_else() -> None:
    cluster = Cluster(idle_timeout_s=10.0)
    pool = cluster.pool
    assert pool.sweep(0.0) == []
    old, young, busy = connect(pool), connect(pool), connect(pool)
    pool.release(old, 0.0)
    pool.release(young, 5.0)
    assert pool.sweep(12.0) == [old]
    assert cluster.counts() == (2, 0, 1)
    assert pool.ready == [young]
    assert pool.sweep(12.0) == []
    pool.release(busy, 13.0)
    assert pool.sweep(100.0) == [young, busy]
    assert cluster.counts() == (0, 0, 0)


@pytest.mark.parametrize(("age_s", "taken"), [(9.9, True), (10.0, False)])
def test_a_connection_past_its_duration_takes_no_request(age_s: float, taken: bool) -> None:
    cluster = Cluster(max_connection_duration_s=10.0, idle_timeout_s=None)
    slot = connect(cluster.pool, 100.0)
    cluster.pool.release(slot, 100.0)
    assert (cluster.pool.lease(100.0 + age_s) is slot) == taken
    assert fake(slot).closed == (not taken)
    assert cluster.counts() == ((1, 0, 1) if taken else (1, 1, 0))


def test_a_connection_past_its_duration_is_closed_when_it_is_idle() -> None:
    cluster = Cluster(max_connection_duration_s=10.0)
    pool = cluster.pool
    slot = connect(pool)
    pool.release(slot, 10.0)
    assert fake(slot).closed == 1
    assert cluster.counts() == (0, 0, 0)
    slot = connect(pool)
    pool.release(slot, 5.0)
    assert pool.sweep(9.9) == []
    assert pool.sweep(10.0) == [slot]


def test_streams_of_a_connection_past_its_duration_go_on_and_no_more_come() -> None:
    cluster = Cluster(max_connection_duration_s=10.0, protocol="http2")
    pool = cluster.pool
    slot = connect(pool)
    assert pool.lease(9.0) is slot
    assert isinstance(pool.lease(10.0), Connect)
    pool.abandoned()
    pool.release(slot, 11.0)
    assert fake(slot).closed == 0
    pool.release(slot, 12.0)
    assert fake(slot).closed == 1
    assert cluster.counts() == (0, 0, 0)


def test_draining_takes_out_what_is_idle_and_leaves_what_is_busy() -> None:
    cluster = Cluster(protocol="http2")
    pool = cluster.pool
    busy = connect(pool)
    assert pool.drain() == []
    pool.release(busy, 0.0)
    assert pool.drain() == [busy]
    assert cluster.counts() == (0, 0, 0)
    assert pool.drain() == []


def test_a_connection_serves_no_more_than_its_requests_and_is_closed_after_them() -> None:
    cluster = Cluster(max_requests_per_connection=2)
    slot = connect(cluster.pool)
    cluster.pool.release(slot, 0.0)
    assert cluster.pool.lease(0.0) is slot
    cluster.pool.release(slot, 0.0)
    assert fake(slot).closed == 1
    assert cluster.counts() == (0, 0, 0)


def test_the_place_of_a_spent_connection_goes_to_one_that_waits() -> None:
    cluster = Cluster(connections=1, max_requests_per_connection=1)
    slot = connect(cluster.pool)
    waiter = waiter_of(cluster.pool.lease(0.0))
    cluster.pool.release(slot, 0.0)
    assert isinstance(waiter.grant, Connect)
    assert cluster.counts() == (1, 1, 0)


def test_above_the_connection_threshold_a_request_waits_for_a_connection() -> None:
    cluster = Cluster(connections=1)
    slot = connect(cluster.pool)
    waiter = waiter_of(cluster.pool.lease(0.0))
    assert cluster.counts() == (1, 1, 1)
    assert cluster.breaker.overflows["connections"] == 1
    cluster.pool.release(slot, 0.0)
    assert waiter.grant is slot
    assert cluster.counts() == (1, 0, 1)


def test_every_endpoint_may_have_one_connection_whatever_the_threshold() -> None:
    cluster = Cluster(connections=0, hosts=3)
    for pool in cluster.pools:
        connect(pool)
        assert isinstance(pool.lease(0.0), Waiter)
    assert cluster.counts() == (3, 3, 3)
    assert cluster.breaker.overflows["connections"] == 6


def test_a_connection_still_being_made_counts_as_the_one_of_its_endpoint() -> None:
    pool = Cluster(connections=1).pool
    assert isinstance(pool.lease(0.0), Connect)
    assert isinstance(pool.lease(0.0), Waiter)


def test_above_the_pending_threshold_a_request_overflows_at_once() -> None:
    cluster = Cluster(pending=1)
    assert isinstance(cluster.pool.lease(0.0), Connect)
    assert isinstance(cluster.pool.lease(0.0), Overflow)
    assert cluster.counts() == (1, 1, 0)
    assert cluster.breaker.overflows["pending"] == 1


def test_a_ready_connection_needs_no_pending_place() -> None:
    cluster = Cluster()
    slot = connect(cluster.pool)
    cluster.pool.release(slot, 0.0)
    cluster.breaker.limits = Thresholds(max_pending_requests=0)
    assert cluster.pool.lease(0.0) is slot
    assert isinstance(cluster.pool.lease(0.0), Overflow)


def test_above_the_request_threshold_a_ready_connection_is_not_given() -> None:
    cluster = Cluster()
    slots = [connect(cluster.pool), connect(cluster.pool)]
    cluster.pool.release(slots[0], 0.0)
    cluster.breaker.limits = Thresholds(max_requests=1)
    assert isinstance(cluster.pool.lease(0.0), Overflow)
    assert cluster.breaker.overflows["requests"] == 1
    cluster.pool.release(slots[1], 0.0)
    assert isinstance(cluster.pool.lease(0.0), Slot)


def test_a_request_that_overflows_when_its_connection_opens_leaves_the_connection_to_others() -> None:
    cluster = Cluster(requests=0, idle_timeout_s=10.0)
    assert isinstance(cluster.pool.lease(90.0), Connect)
    connection = FakeConnection()
    assert isinstance(cluster.pool.connected(connection, 100.0), Overflow)
    assert cluster.counts() == (1, 0, 0)
    cluster.breaker.limits = Thresholds()
    assert slot_of(cluster.pool.lease(109.0)).connection is connection


def test_one_that_waits_overflows_when_its_turn_comes_and_the_request_threshold_is_reached() -> None:
    cluster = Cluster(connections=1, hosts=2)
    slot, other = connect(cluster.pools[0]), connect(cluster.pools[1])
    waiter = waiter_of(cluster.pools[0].lease(0.0))
    cluster.breaker.limits = Thresholds(1, max_requests=1)
    cluster.pools[0].release(slot, 0.0)
    assert isinstance(waiter.grant, Overflow)
    assert cluster.counts() == (2, 0, 1)
    cluster.pools[1].release(other, 0.0)


def test_retries_are_counted_and_limited() -> None:
    cluster = Cluster(retries=2)
    lock = cluster.pool.lock
    assert [cluster.breaker.try_retry(lock, 0.0) for _ in range(3)] == [True, True, False]
    assert cluster.breaker.overflows["retries"] == 1
    cluster.breaker.end_retry(lock)
    assert cluster.breaker.try_retry(lock, 0.0)
    assert cluster.breaker.retries == 2


def test_those_who_wait_are_served_in_the_order_in_which_they_came() -> None:
    pool = Cluster(connections=1).pool
    slot = connect(pool)
    waiters = [waiter_of(pool.lease(0.0)) for _ in range(3)]
    for turn in range(3):
        pool.release(slot, 0.0)
        assert [waiter.grant is slot for waiter in waiters] == [index <= turn for index in range(3)]
    pool.release(slot, 0.0)
    assert pool.ready == [slot]


def test_a_grant_wakes_whoever_waits_once() -> None:
    pool = Cluster(connections=1).pool
    slot = connect(pool)
    waiter = waiter_of(pool.lease(0.0))
    woken: list[object] = []
    waiter.wake = lambda: woken.append(waiter.grant)
    pool.release(slot, 0.0)
    assert woken == [slot]


def test_one_that_goes_away_loses_its_place_and_nobody_elses() -> None:
    cluster = Cluster(connections=1)
    pool = cluster.pool
    slot = connect(pool)
    first, second = waiter_of(pool.lease(0.0)), waiter_of(pool.lease(0.0))
    pool.leave(first, 0.0)
    assert cluster.counts() == (1, 1, 1)
    pool.release(slot, 0.0)
    assert (first.grant, second.grant) == (None, slot)


def test_a_connection_given_to_one_that_has_gone_is_handed_on_with_its_idle_time_beginning_now() -> None:
    cluster = Cluster(connections=1, idle_timeout_s=10.0)
    pool = cluster.pool
    slot = connect(pool)
    first, second = waiter_of(pool.lease(0.0)), waiter_of(pool.lease(0.0))
    pool.release(slot, 100.0)
    pool.leave(first, 100.0)
    assert second.grant is slot
    assert cluster.counts() == (1, 0, 1)
    pool.leave(second, 100.0)
    assert pool.lease(105.0) is slot


def test_a_turn_to_connect_given_to_one_that_has_gone_is_handed_on() -> None:
    cluster = Cluster(connections=1)
    pool = cluster.pool
    slot = connect(pool)
    first, second = waiter_of(pool.lease(0.0)), waiter_of(pool.lease(0.0))
    fake(slot).open = False
    pool.release(slot, 0.0)
    assert [type(each.grant) for each in (first, second)] == [Connect, type(None)]
    pool.leave(first, 0.0)
    assert isinstance(second.grant, Connect)
    assert cluster.counts() == (1, 1, 0)


def test_an_overflow_or_a_failure_given_to_one_that_has_gone_needs_nothing_back() -> None:
    cluster = Cluster(connections=1)
    assert isinstance(cluster.pool.lease(0.0), Connect)
    waiter = waiter_of(cluster.pool.lease(0.0))
    cluster.pool.failed("connect-failure", "refused")
    cluster.pool.leave(waiter, 0.0)
    assert cluster.counts() == (0, 0, 0)


def test_all_that_wait_for_an_endpoint_fail_with_its_connection() -> None:
    cluster = Cluster(connections=1, hosts=2)
    assert isinstance(cluster.pool.lease(0.0), Connect)
    other = connect(cluster.pools[1])
    waiters = [waiter_of(cluster.pool.lease(0.0)) for _ in range(2)]
    elsewhere = waiter_of(cluster.pools[1].lease(0.0))
    cluster.pool.failed("connect-timeout", "timed out")
    for waiter in waiters:
        assert isinstance(waiter.grant, ConnectFailed)
        assert (waiter.grant.kind, waiter.grant.reason) == ("connect-timeout", "timed out")
    assert elsewhere.grant is None
    assert cluster.counts() == (1, 1, 1)
    cluster.pools[1].release(other, 0.0)
    assert elsewhere.grant is other


def test_when_a_request_gives_up_connecting_another_that_waits_takes_its_place() -> None:
    cluster = Cluster(connections=1)
    assert isinstance(cluster.pool.lease(0.0), Connect)
    waiter = waiter_of(cluster.pool.lease(0.0))
    cluster.pool.abandoned()
    assert isinstance(waiter.grant, Connect)
    assert cluster.counts() == (1, 1, 0)
    cluster.pool.abandoned()
    assert cluster.counts() == (0, 0, 0)


def test_nobody_connects_for_those_who_wait_while_a_connection_is_on_its_way() -> None:
    cluster = Cluster(connections=2)
    pool = cluster.pool
    slot = connect(pool)
    assert isinstance(pool.lease(0.0), Connect)
    waiter = waiter_of(pool.lease(0.0))
    fake(slot).open = False
    pool.release(slot, 0.0)
    assert waiter.grant is None
    made = slot_of(pool.connected(FakeConnection(), 0.0))
    pool.release(made, 0.0)
    assert waiter.grant is made


def test_at_the_threshold_a_lost_connection_is_replaced_only_where_nothing_else_serves_those_who_wait() -> None:
    cluster = Cluster(connections=2, hosts=2)
    pool = cluster.pool
    first, second = connect(pool), connect(pool)
    connect(cluster.pools[1])
    waiter = waiter_of(pool.lease(0.0))
    fake(first).open = False
    pool.release(first, 0.0)
    assert cluster.breaker.connections == 2
    assert waiter.grant is None
    pool.release(second, 0.0)
    assert waiter.grant is second


class Racing(FakeConnection):
    """While it is being looked at, another request arrives."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool
        self.met: object = None

    def fresh(self) -> bool:
        self.met = self.pool.lease(0.0)
        return super().fresh()


def test_one_that_began_to_wait_while_a_dead_connection_was_looked_at_is_not_forgotten() -> None:
    cluster = Cluster(connections=1, pending=1)
    pool = cluster.pool
    assert isinstance(pool.lease(0.0), Connect)
    connection = Racing(pool)
    slot = slot_of(pool.connected(connection, 0.0))
    pool.release(slot, 0.0)
    connection.stale = True
    # The pending place is taken by the one that waits: this request overflows and can make no connection for it.
    assert isinstance(pool.lease(1.0), Overflow)
    assert isinstance(waiter_of(connection.met).grant, Connect)
    assert cluster.counts() == (1, 1, 0)


def test_an_http2_connection_carries_many_requests_at_once() -> None:
    cluster = Cluster(protocol="http2")
    slot = connect(cluster.pool)
    assert all(cluster.pool.lease(0.0) is slot for _ in range(9))
    assert (slot.streams, cluster.counts()) == (10, (1, 0, 10))


def test_an_http2_connection_that_was_idle_carries_many_requests_again() -> None:
    cluster = Cluster(protocol="http2")
    slot = connect(cluster.pool)
    cluster.pool.release(slot, 0.0)
    assert [cluster.pool.lease(1.0) for _ in range(3)] == [slot] * 3
    assert cluster.counts() == (1, 0, 3)


def test_those_who_came_while_an_idle_http2_connection_was_looked_at_get_it_too() -> None:
    cluster = Cluster(connections=1, protocol="http2")
    pool = cluster.pool
    assert isinstance(pool.lease(0.0), Connect)
    connection = Racing(pool)
    slot = slot_of(pool.connected(connection, 0.0))
    pool.release(slot, 0.0)
    assert pool.lease(1.0) is slot
    assert waiter_of(connection.met).grant is slot
    assert cluster.counts() == (1, 0, 2)


def test_requests_that_an_http2_connection_under_way_will_carry_wait_for_it() -> None:
    cluster = Cluster(protocol="http2", max_concurrent_streams=3)
    pool = cluster.pool
    assert isinstance(pool.lease(0.0), Connect)
    waiters = [waiter_of(pool.lease(0.0)) for _ in range(2)]
    assert isinstance(pool.lease(0.0), Connect)
    slot = slot_of(pool.connected(FakeConnection(), 0.0))
    assert [waiter.grant for waiter in waiters] == [slot, slot]
    assert cluster.counts() == (2, 1, 3)


@pytest.mark.parametrize(("configured", "streams"), [(None, 100), (7, 7), (2147483647, 100)])
def test_the_streams_of_a_connection_are_limited(configured: int | None, streams: int) -> None:
    pool = Cluster(protocol="http2", max_concurrent_streams=configured).pool
    slot = connect(pool)
    for _ in range(streams - 1):
        assert pool.lease(0.0) is slot
    assert isinstance(pool.lease(0.0), Connect)


def test_a_full_http2_connection_takes_requests_again_when_one_ends() -> None:
    pool = Cluster(protocol="http2", max_concurrent_streams=2).pool
    slot = connect(pool)
    assert pool.lease(0.0) is slot
    assert pool.ready == []
    pool.release(slot, 0.0)
    assert pool.lease(0.0) is slot


def test_a_goaway_lets_the_requests_under_way_finish_and_the_last_one_closes() -> None:
    cluster = Cluster(protocol="http2")
    pool = cluster.pool
    slot = connect(pool)
    assert pool.lease(0.0) is slot
    fake(slot).open = False
    assert isinstance(pool.lease(0.0), Connect)
    pool.release(slot, 0.0)
    assert fake(slot).closed == 0
    pool.release(slot, 0.0)
    assert fake(slot).closed == 1
    assert cluster.counts() == (1, 1, 0)


def test_a_goaway_noticed_when_a_request_ends_takes_the_connection_out() -> None:
    cluster = Cluster(protocol="http2")
    pool = cluster.pool
    slot = connect(pool)
    assert pool.lease(0.0) is slot
    fake(slot).open = False
    pool.release(slot, 0.0)
    assert pool.ready == []
    assert isinstance(pool.lease(0.0), Connect)
    pool.release(slot, 0.0)
    assert cluster.counts() == (1, 1, 0)


def test_an_http2_connection_serves_no_more_than_its_requests() -> None:
    cluster = Cluster(protocol="http2", max_requests_per_connection=2)
    pool = cluster.pool
    slot = connect(pool)
    assert pool.lease(0.0) is slot
    assert isinstance(pool.lease(0.0), Connect)
    pool.release(slot, 0.0)
    assert fake(slot).closed == 0
    pool.release(slot, 0.0)
    assert fake(slot).closed == 1


def test_a_connection_made_for_http1_carries_one_request_after_the_cluster_has_turned_to_http2() -> None:
    cluster = Cluster(connections=1)
    pool = cluster.pool
    slot = connect(pool)
    waiters = [waiter_of(pool.lease(0.0)) for _ in range(2)]
    pool.configure(HttpProtocol(protocol="http2"))
    pool.release(slot, 0.0)
    assert [waiter.grant for waiter in waiters] == [slot, None]


def test_an_endpoint_at_its_own_limit_lets_requests_wait_while_others_connect() -> None:
    cluster = Cluster(per_host=1, hosts=2)
    slot = connect(cluster.pools[0])
    waiter = waiter_of(cluster.pools[0].lease(0.0))
    assert cluster.breaker.overflows["connections"] == 1
    connect(cluster.pools[1])
    cluster.pools[0].release(slot, 0.0)
    assert waiter.grant is slot


def test_an_endpoint_without_a_connection_may_have_one_whatever_its_limit_says() -> None:
    assert isinstance(Cluster(per_host=0).pool.lease(0.0), Connect)


def test_a_cluster_has_connections_to_so_many_endpoints_and_no_more() -> None:
    cluster = Cluster(pools=1, hosts=2)
    slot = connect(cluster.pools[0])
    assert isinstance(cluster.pools[1].lease(0.0), NoPool)
    assert cluster.breaker.overflows["pools"] == 1
    assert isinstance(cluster.pools[0].lease(0.0), Connect)
    cluster.pools[0].abandoned()
    fake(slot).open = False
    cluster.pools[0].release(slot, 0.0)
    assert isinstance(cluster.pools[1].lease(0.0), Connect)


def test_a_budget_stands_in_place_of_the_number_of_retries() -> None:
    cluster = Cluster()
    lock, breaker = cluster.pool.lock, cluster.breaker
    breaker.configure(Thresholds(max_retries=0, retry_budget=RetryBudget(50.0, 1)))
    for _ in range(4):
        connect(cluster.pool)
    assert isinstance(cluster.pool.lease(0.0), Connect)  # pending counts too
    assert [breaker.try_retry(lock, 0.0) for _ in range(3)] == [True, True, False]
    breaker.configure(Thresholds(max_retries=3))
    assert breaker.try_retry(lock, 0.0)


def test_a_budget_with_an_interval_counts_the_requests_that_have_begun_in_it() -> None:
    cluster = Cluster()
    lock, breaker = cluster.pool.lock, cluster.breaker
    cluster.pool.count_request(0.0)  # nobody wants to know
    limits = Thresholds(retry_budget=RetryBudget(20.0, 0, 10.0))
    breaker.configure(limits)
    for _ in range(10):
        cluster.pool.count_request(100.0)
    window = breaker.window
    breaker.configure(limits)
    assert breaker.window is window
    assert [breaker.try_retry(lock, 105.0) for _ in range(3)] == [True, True, False]
    assert breaker.max_retries(112.0) == 0
    breaker.configure(Thresholds(retry_budget=RetryBudget(20.0, 0, 5.0)))
    assert breaker.window is not window
    breaker.configure(Thresholds())
    assert breaker.window is None
