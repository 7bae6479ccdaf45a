"""Whatever requests, connections and time do, the counts of a cluster are those of a simple model, and end at zero."""

from __future__ import annotations

from threading import Lock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxyless.governance.balancing.host import HostState
from proxyless.governance.pool import Breaker, Connect, ConnectFailed, Grant, NoPool, Overflow, Pool, Slot, Waiter
from proxyless.xds.model.cluster import HttpProtocol, Thresholds
from tests.support.world import FakeConnection

HOSTS = 2
IDLE_S = 5.0
small = st.integers(0, 3)
which = st.integers(0, 1_000_000)


class PoolMachine(RuleBasedStateMachine):
    """Two endpoints of one cluster. The model keeps sets of what is under way; the pools keep numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(Thresholds())
        self.pools: list[Pool] = []
        self.connecting: list[Pool] = []
        self.waiting: list[tuple[Pool, Waiter]] = []
        self.active: list[Slot] = []
        self.connections: list[tuple[Pool, FakeConnection]] = []

    @initialize(
        connections=small,
        pending=small,
        requests=st.integers(0, 5),
        http2=st.booleans(),
        served=small,
        pools=st.none() | st.integers(0, 2),
        per_host=st.none() | small,
    )
    def configure(
        self,
        connections: int,
        pending: int,
        requests: int,
        http2: bool,
        served: int,
        pools: int | None,
        per_host: int | None,
    ) -> None:
        self.breaker.limits = Thresholds(
            connections, pending, requests, max_connection_pools=pools, max_connections_per_host=per_host
        )
        lock = Lock()
        http = HttpProtocol(
            protocol="http2" if http2 else "http1",
            max_concurrent_streams=3,
            max_requests_per_connection=served or None,
            idle_timeout_s=IDLE_S,
        )
        for _ in range(HOSTS):
            pool = Pool(lock, self.breaker, HostState())
            pool.configure(http)
            self.pools.append(pool)

    def granted(self, pool: Pool, grant: Grant | NoPool) -> None:
        """A request goes on with what it was given."""
        match grant:
            case Slot():
                self.active.append(grant)
            case Connect():
                self.connecting.append(pool)
            case Overflow() | ConnectFailed() | NoPool():
                pass

    def settle(self) -> None:
        """Those who wait and have been given something take it; closed connections are gone."""
        for pool, waiter in list(self.waiting):
            if waiter.grant is not None:
                self.waiting.remove((pool, waiter))
                self.granted(pool, waiter.grant)
        self.connections = [each for each in self.connections if not each[1].closed]

    @rule(host=st.integers(0, HOSTS - 1))
    def lease(self, host: int) -> None:
        pool = self.pools[host]
        lease = pool.lease(self.now)
        if isinstance(lease, Waiter):
            self.waiting.append((pool, lease))
        else:
            self.granted(pool, lease)
        self.settle()

    @precondition(lambda self: self.connecting)
    @rule(index=which, how=st.sampled_from(["connected", "connected", "failed", "abandoned"]))
    def end_connecting(self, index: int, how: str) -> None:
        pool = self.connecting.pop(index % len(self.connecting))
        if how == "connected":
            connection = FakeConnection()
            self.connections.append((pool, connection))
            self.granted(pool, pool.connected(connection, self.now))
        elif how == "failed":
            pool.failed("connect-failure", "refused")
            assert not any(each is pool and waiter.grant is None for each, waiter in self.waiting)
        else:
            pool.abandoned()
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(index=which)
    def leave(self, index: int) -> None:
        pool, waiter = self.waiting.pop(index % len(self.waiting))
        pool.leave(waiter, self.now)
        self.settle()

    @precondition(lambda self: self.active)
    @rule(index=which)
    def release_to_one_that_has_gone(self, index: int) -> None:
        """The next in line is given a connection and leaves before it takes it."""
        slot = self.active.pop(index % len(self.active))
        slot.pool.release(slot, self.now)
        for pool, waiter in [each for each in self.waiting if each[1].grant is not None][:1]:
            self.waiting.remove((pool, waiter))
            pool.leave(waiter, self.now)
        self.settle()

    @precondition(lambda self: self.active)
    @rule(index=which, stays_open=st.booleans())
    def release(self, index: int, stays_open: bool) -> None:
        slot = self.active.pop(index % len(self.active))
        if not stays_open:
            assert isinstance(slot.connection, FakeConnection)
            slot.connection.open = False
        slot.pool.release(slot, self.now)
        self.settle()

    @precondition(lambda self: self.connections)
    @rule(index=which)
    def go_stale(self, index: int) -> None:
        self.connections[index % len(self.connections)][1].stale = True

    @rule(seconds=st.floats(0.0, 3.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(host=st.integers(0, HOSTS - 1), everything=st.booleans())
    def sweep(self, host: int, everything: bool) -> None:
        for slot in self.pools[host].drain() if everything else self.pools[host].sweep(self.now):
            assert not slot.streams
            slot.connection.close()
        self.settle()

    @invariant()
    def counts_are_those_of_the_model(self) -> None:
        breaker = self.breaker
        assert breaker.pending == len(self.connecting) + len(self.waiting)
        assert breaker.requests == len(self.active)
        assert breaker.connections == len(self.connecting) + len(self.connections)
        for pool in self.pools:
            assert pool.host.active == sum(slot.pool is pool for slot in self.active)
            assert pool.connecting == self.connecting.count(pool)
            assert pool.size == pool.connecting + sum(each is pool for each, _ in self.connections)
            assert pool.size == pool.host.connections
        assert breaker.pools == sum(pool.size > 0 for pool in self.pools)

    @invariant()
    def thresholds_hold(self) -> None:
        limits = self.breaker.limits
        assert limits.max_connection_pools is None or self.breaker.pools <= limits.max_connection_pools
        per_host = limits.max_connections_per_host
        assert per_host is None or all(pool.size <= max(1, per_host) for pool in self.pools)
        assert self.breaker.pending <= limits.max_pending_requests
        assert self.breaker.requests <= limits.max_requests
        assert self.breaker.connections <= limits.max_connections + HOSTS
        for slot in self.active:
            assert slot.streams <= slot.capacity
            assert slot.pool.max_requests is None or slot.served <= slot.pool.max_requests

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        for pool, _ in self.waiting:
            assert pool.connecting or any(slot.pool is pool for slot in self.active)

    def teardown(self) -> None:
        """Everything ends; nothing is left."""
        while self.waiting:
            self.leave(0)
        while self.connecting:
            self.end_connecting(0, "abandoned")
        while self.active:
            self.release(0, True)
        for pool in self.pools:
            for slot in pool.drain():
                slot.connection.close()
        self.settle()
        assert (self.breaker.connections, self.breaker.pending, self.breaker.requests) == (0, 0, 0)
        assert not self.connections


PoolMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPool = PoolMachine.TestCase
