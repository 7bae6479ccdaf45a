"""Connections of a cluster, and how many of what it may have at once (envoy source: ConnPoolImplBase, ResourceManager).

A request takes a ready connection; else it is *pending* until one is made for it or becomes free. Pending and active
requests above their thresholds overflow at once. Connections above theirs do not: the request waits for one that
exists, and an endpoint that has none may always have one, so that nobody waits in vain.

Nothing here blocks or does I/O. A request that has to wait gets a `Waiter`; whoever frees a connection wakes it with
the result. One lock per cluster guards all of it and is held for a few assignments.
"""

from collections import deque
from collections.abc import Callable
from math import inf
from threading import Lock
from typing import Protocol, cast, final

from ..xds.model.cluster import HttpProtocol, Thresholds
from .balancing.host import HostState
from .budget import RequestWindow, allowed
from .peer import Peer, Principals
from .securing import Securing

OPEN = ("auto", "downstream")
"""Protocols of clusters where each connection shows what is spoken."""

MAX_STREAMS = 100
"""Of one HTTP/2 connection: what servers allow unless they say otherwise (RFC 9113 recommends no less)."""


class Connection(Protocol):
    """What a suite puts into a pool. `principals`: who is at its ends, None where nobody has shown a certificate."""

    @property
    def principals(self) -> Principals | None: ...

    def peer(self) -> Peer | None:
        """All that is known of the other end, where it has shown a certificate; for formats, which may ask for it."""

    def usable(self) -> bool:
        """Whether another request may go over it: open, no GOAWAY. Cheap."""

    def fresh(self) -> bool:
        """Usable, and the other side has not closed it while it was idle. May cost a system call."""

    def close(self) -> None:
        """Close it soon; from any thread, never blocking, as often as one likes."""


class Breaker:
    """The counts of one cluster at one routing priority, and their limits (CircuitBreakers.Thresholds)."""

    __slots__ = ("connections", "limits", "overflows", "pending", "pools", "requests", "retries", "window")

    def __init__(self, limits: Thresholds) -> None:
        self.window: RequestWindow | None = None
        """What a retry budget counts, where it has an interval."""
        self.configure(limits)
        self.connections = 0
        self.pools = 0
        """How many pools have a connection, or are about to."""
        self.pending = 0
        self.requests = 0
        self.retries = 0
        self.overflows = dict.fromkeys(("connections", "pending", "requests", "retries", "pools"), 0)

    def configure(self, limits: Thresholds) -> None:
        """Keep to these limits from now on."""
        self.limits = limits
        interval_s = limits.retry_budget.interval_s if limits.retry_budget is not None else 0.0
        if not interval_s:
            self.window = None
        elif self.window is None or self.window.interval_s != interval_s:
            self.window = RequestWindow(interval_s)

    def max_retries(self, now: float) -> int:
        """How many retries may be under way."""
        budget = self.limits.retry_budget
        if budget is None:
            return self.limits.max_retries
        return allowed(budget, self.requests + self.pending, self.window, now)

    def try_retry(self, lock: Lock, now: float) -> bool:
        """Take one of the cluster's retries, if there is one left."""
        with lock:
            if self.retries >= self.max_retries(now):
                self.overflows["retries"] += 1
                return False
            self.retries += 1
            return True

    def begin_retry(self, lock: Lock) -> bool:
        """Take one more than there are, where nobody keeps to the limits."""
        with lock:
            self.retries += 1
            return True

    def end_retry(self, lock: Lock) -> None:
        """Give it back."""
        with lock:
            self.retries -= 1


@final
class Slot:
    """One connection of a pool, with the streams it carries."""

    __slots__ = ("capacity", "connection", "ends_at", "idle_since", "listed", "pool", "served", "streams")

    def __init__(self, pool: "Pool", connection: Connection, now: float) -> None:
        self.pool = pool
        self.connection = connection
        self.capacity = pool.streams  # what it was made for, whatever the cluster says later
        self.streams = 0
        self.served = 0
        self.idle_since = now
        self.ends_at = inf if pool.max_duration_s is None else now + pool.max_duration_s
        self.listed = False


class Connect:
    """The request shall make a connection itself; `Pool.connected` or `Pool.failed` must follow."""

    __slots__ = ()


class Overflow:
    """A threshold is reached."""

    __slots__ = ()


class NoPool:
    """The cluster may not have connections to this many endpoints at once (max_connection_pools)."""

    __slots__ = ()


class ConnectFailed:
    """The connection that the request waited for could not be made; `kind` is that of the failure."""

    __slots__ = ("kind", "reason", "transport")

    def __init__(self, kind: str, reason: str, transport: str = "") -> None:
        self.kind = kind
        self.reason = reason
        self.transport = transport


CONNECT = Connect()
OVERFLOW = Overflow()
NO_POOL = NoPool()

Grant = Slot | Connect | Overflow | ConnectFailed


class Waiter:
    """A request that waits for a connection. `wake` is set by the driver that waits; `grant` is the result."""

    __slots__ = ("grant", "wake")

    def __init__(self) -> None:
        self.grant: Grant | None = None
        self.wake: Callable[[], None] | None = None

    def give(self, grant: Grant) -> None:
        """Called once, under the cluster's lock."""
        self.grant = grant
        if self.wake is not None:
            self.wake()


class Pool:
    """The connections of one library in one event loop (or of sync code) to one endpoint at one routing priority."""

    __slots__ = (
        "breaker",
        "connecting",
        "host",
        "idle_timeout_s",
        "lock",
        "max_duration_s",
        "max_requests",
        "ready",
        "retired",
        "secure",
        "settings",
        "size",
        "streams",
        "waiters",
    )

    def __init__(self, lock: Lock, breaker: Breaker, host: HostState, secure: Securing | None = None) -> None:
        self.lock = lock
        self.secure = secure
        """By what its connections are secured; None where they are plaintext."""
        self.breaker = breaker
        self.host = host
        self.ready: list[Slot] = []
        self.size = 0
        self.connecting = 0
        self.waiters: deque[Waiter] = deque()
        self.streams = 1
        self.max_requests: int | None = None
        self.max_duration_s: float | None = None
        self.idle_timeout_s: float | None = None
        self.settings: HttpProtocol | None = None
        self.retired = False

    def configure(self, settings: HttpProtocol) -> None:
        """Take over what the cluster says of its connections; under the lock."""
        self.settings = settings
        self.retired = False
        self.max_requests = settings.max_requests_per_connection
        self.max_duration_s = settings.max_connection_duration_s
        self.idle_timeout_s = settings.idle_timeout_s
        self.streams = 1
        if settings.protocol == "http2":
            self.streams = min(settings.max_concurrent_streams or MAX_STREAMS, MAX_STREAMS)

    def lease_unlimited(self, now: float) -> Slot | Connect:
        """The same where nobody keeps to the thresholds of the cluster."""
        found = self.lease(now, limited=False)
        return cast("Slot | Connect", found)

    def lease(self, now: float, *, limited: bool = True) -> Slot | Connect | Overflow | NoPool | Waiter:
        """A connection for one request, or what to do to get one."""
        while True:
            with self.lock:
                breaker = self.breaker
                if not self.ready:
                    return self._queue() if limited else self._queue_unlimited()
                if limited and breaker.requests >= breaker.limits.max_requests:
                    breaker.overflows["requests"] += 1
                    return OVERFLOW
                slot = self.ready[-1]
                in_time = now < slot.ends_at
                if slot.streams and in_time and slot.connection.usable():
                    return self._attach(slot)
                self.ready.pop()
                slot.listed = False
                if slot.streams:
                    continue  # a connection that takes no more streams; its last one closes it
                idle_s = self.idle_timeout_s
                if in_time and (idle_s is None or now - slot.idle_since < idle_s):
                    self._attach(slot)
                    fresh = True
                else:
                    self._forget()
                    fresh = False
            # Looking at the socket is a system call: not under the lock.
            if fresh:
                if slot.connection.fresh():
                    if slot.capacity > 1:
                        with self.lock:
                            self._offer(slot)
                    return slot
                with self.lock:
                    self._detach(slot)
                    self._forget()
                    self._replace()  # somebody may have begun to wait for it meanwhile
            slot.connection.close()

    def _queue(self) -> Connect | Overflow | NoPool | Waiter:
        breaker = self.breaker
        limits = breaker.limits
        if not self.size and limits.max_connection_pools is not None and breaker.pools >= limits.max_connection_pools:
            breaker.overflows["pools"] += 1
            return NO_POOL
        if breaker.pending >= limits.max_pending_requests:
            breaker.overflows["pending"] += 1
            return OVERFLOW
        breaker.pending += 1
        # Every connection under way will carry `streams` requests: its maker's and so many waiting ones.
        if len(self.waiters) < self.connecting * (self.streams - 1):
            return self._wait()
        if self._full():
            breaker.overflows["connections"] += 1
            if self.size:
                return self._wait()
        self._count_connection()
        return CONNECT

    def _queue_unlimited(self) -> Connect:
        self.breaker.pending += 1
        self._count_connection()
        return CONNECT

    def _full(self) -> bool:
        """Whether the cluster, or the endpoint, has as many connections as it may."""
        limits = self.breaker.limits
        most = limits.max_connections_per_host
        return self.breaker.connections >= limits.max_connections or (
            most is not None and self.host.connections >= most
        )

    def _wait(self) -> Waiter:
        waiter = Waiter()
        self.waiters.append(waiter)
        return waiter

    def _count_connection(self) -> None:
        if not self.size:
            self.breaker.pools += 1
        self.breaker.connections += 1
        self.host.connections += 1
        self.size += 1
        self.connecting += 1

    def count_request(self, now: float) -> None:
        """A request begins over a connection of this pool, where a retry budget has an interval."""
        with self.lock:
            if self.breaker.window is not None:
                self.breaker.window.add(now)

    def connected(self, connection: Connection, now: float, *, limited: bool = True) -> Slot | Overflow:
        """The connection of a `Connect` is there: it carries that request first, then those that wait."""
        with self.lock:
            self.connecting -= 1
            breaker = self.breaker
            breaker.pending -= 1
            slot = Slot(self, connection, now)
            settings = self.settings
            if settings is not None and settings.protocol in OPEN and getattr(connection, "http2", False):
                slot.capacity = min(settings.max_concurrent_streams or MAX_STREAMS, MAX_STREAMS)
            granted: Slot | Overflow = slot
            if limited and breaker.requests >= breaker.limits.max_requests:
                breaker.overflows["requests"] += 1
                granted = OVERFLOW
            else:
                self._attach(slot)
            self._offer(slot)
            return granted

    def failed(self, kind: str, reason: str, transport: str = "") -> None:
        """The connection of a `Connect` could not be made: all that wait for this endpoint fail with it."""
        with self.lock:
            self.connecting -= 1
            self._forget()
            breaker = self.breaker
            breaker.pending -= 1
            waiters, self.waiters = self.waiters, deque()
            breaker.pending -= len(waiters)
            for waiter in waiters:
                waiter.give(ConnectFailed(kind, reason, transport))

    def abandoned(self) -> None:
        """The request of a `Connect` gave up before there was a connection; another that waits takes its place."""
        with self.lock:
            self.connecting -= 1
            self._forget()
            self.breaker.pending -= 1
            self._replace()

    def leave(self, waiter: Waiter, now: float) -> None:
        """A request gives up waiting; what it was given meanwhile goes to the next."""
        with self.lock:
            grant = waiter.grant
            if grant is None:
                self.waiters.remove(waiter)
                self.breaker.pending -= 1
                return
        if isinstance(grant, Slot):
            self.release(grant, now)
        elif isinstance(grant, Connect):
            self.abandoned()

    def release(self, slot: Slot, now: float) -> None:
        """A request is done with its connection."""
        usable = slot.connection.usable()
        with self.lock:
            self._detach(slot)
            spent = now >= slot.ends_at or (self.max_requests is not None and slot.served >= self.max_requests)
            if usable and not spent and not self.retired:
                slot.idle_since = now
                if self.waiters or slot.listed:
                    self._offer(slot)
                else:  # what has just been detached has room
                    self.ready.append(slot)
                    slot.listed = True
                return
            if slot.listed:
                self.ready.remove(slot)
                slot.listed = False
            if slot.streams:
                return  # others still run over it; the last one closes it
            self._forget()
            self._replace()
        slot.connection.close()

    def _attach(self, slot: Slot) -> Slot:
        slot.streams += 1
        slot.served += 1
        self.breaker.requests += 1
        self.host.active += 1
        if slot.listed and not self._has_room(slot):
            self.ready.remove(slot)
            slot.listed = False
        return slot

    def _detach(self, slot: Slot) -> None:
        slot.streams -= 1
        self.breaker.requests -= 1
        self.host.active -= 1

    def _has_room(self, slot: Slot) -> bool:
        return slot.streams < slot.capacity and (self.max_requests is None or slot.served < self.max_requests)

    def _offer(self, slot: Slot) -> None:
        """Give the room of a connection to those that wait, then list it."""
        breaker = self.breaker
        while self.waiters and self._has_room(slot):
            waiter = self.waiters.popleft()
            breaker.pending -= 1
            if breaker.requests >= breaker.limits.max_requests:
                breaker.overflows["requests"] += 1
                waiter.give(OVERFLOW)
            else:
                waiter.give(self._attach(slot))
        if not slot.listed and self._has_room(slot):
            self.ready.append(slot)
            slot.listed = True

    def _forget(self) -> None:
        self.breaker.connections -= 1
        self.host.connections -= 1
        self.size -= 1
        if not self.size:
            self.breaker.pools -= 1

    def _replace(self) -> None:
        """A connection is gone: let one that waits make a new one, if nothing else will serve it."""
        if self.waiters and not self.connecting and (not self.size or not self._full()):
            self._count_connection()
            self.waiters.popleft().give(CONNECT)

    def sweep(self, now: float) -> list[Slot]:
        """Take out the connections that have been idle for too long, or there; the caller closes them."""
        if not self.ready:
            return []
        return self.drain(-inf if self.idle_timeout_s is None else now - self.idle_timeout_s, now)

    def drain(self, since: float = inf, now: float = -inf) -> list[Slot]:
        """Take out the connections that have been idle since then, or longer, or whose time is over; the caller closes
        them."""
        with self.lock:
            idle = [
                slot for slot in self.ready if not slot.streams and (slot.idle_since <= since or slot.ends_at <= now)
            ]
            for slot in idle:
                self.ready.remove(slot)
                slot.listed = False
                self._forget()
        return idle

    def retire(self) -> list[Slot]:
        """Like `drain`; until `configure` ends it nobody is sent here any more, and what comes back is closed."""
        with self.lock:
            self.retired = True
            self.settings = None
        return self.drain()

    def idle(self) -> list[float]:
        """Since when each connection without a request has had none."""
        with self.lock:
            return [slot.idle_since for slot in self.ready if not slot.streams]
