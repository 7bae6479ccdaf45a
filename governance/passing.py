"""How connections are passed on that the mesh does not look into (envoy source: TcpProxy::Config)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import final

from ..xds.model.listener import TcpProxy
from ..xds.model.records import dataclass
from .balancing.context import PickContext
from .balancing.digest import xx_hash

PASSTHROUGH = "PassthroughCluster"
BLACKHOLE = "BlackHoleCluster"
"""Where a mesh sends what is for hosts that it does not know: to them, or nowhere."""


@dataclass(frozen=True, slots=True)
class TcpRoute:
    """Where the connections of one address go: the cluster that was drawn, and what the proxy says of them."""

    cluster: str
    proxy: TcpProxy


DIRECT = TcpRoute("", TcpProxy())
"""To where the program's own library dials."""


def wishes(proxy: TcpProxy, address: str) -> PickContext:
    """What a connection from this address says about the endpoint it wants."""
    hash_ = xx_hash(address.encode()) if proxy.hash_source_ip else None
    return PickContext(hash_, proxy.metadata_match or None)


def pauses(proxy: TcpProxy, uniform: Callable[[], float]) -> Iterator[float]:
    """Seconds before each try to connect after the first; without back-off there are none in between."""
    back_off = proxy.back_off
    interval_ms = int(back_off.base_s * 1000) if back_off is not None else 0
    for _ in range(proxy.max_connect_attempts - 1):
        if back_off is None:
            yield 0.0
        else:
            yield int(uniform() * interval_ms) / 1000
            interval_ms = min(interval_ms * 2, int(back_off.max_s * 1000))


@final
class Life:
    """How long a connection may still last: until it has been idle for too long, or its duration is over."""

    __slots__ = ("_active_at", "_clock", "_ends_at", "_idle_s")

    def __init__(self, proxy: TcpProxy, clock: Callable[[], float], uniform: Callable[[], float]) -> None:
        self._clock = clock
        self._active_at = clock()
        self._idle_s = proxy.idle_timeout_s if proxy.idle_timeout_s is not None else inf
        self._ends_at = inf
        if proxy.max_duration_s is not None:
            jitter = proxy.max_duration_jitter * uniform() if proxy.max_duration_jitter else 0.0
            self._ends_at = self._active_at + proxy.max_duration_s * (1 + jitter)

    def touch(self) -> None:
        """Bytes went over it."""
        self._active_at = self._clock()

    def over(self) -> bool:
        """Whether it has to be closed."""
        return self._left_s() <= 0

    def bound(self, timeout: float | None) -> tuple[float | None, bool]:
        """Seconds that an operation may take, and whether the connection is to be closed then."""
        left_s = self._left_s()
        if left_s == inf or (timeout is not None and timeout < left_s):
            return timeout, False
        return max(left_s, 0.0), True

    def _left_s(self) -> float:
        return min(self._active_at + self._idle_s, self._ends_at) - self._clock()
