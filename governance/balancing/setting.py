"""What balancers are given besides hosts: chance, time, the place of this process, and what they remember."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from ...xds.model.records import dataclass
from ...xds.model.values import Locality

if TYPE_CHECKING:
    from ...xds.model.cluster import LbConfig
    from .host import Host
    from .host_set import HostSet

Draw = Callable[[int], int]
"""An integer in [0, n), from the injected random source."""

WIDE = 1 << 53
"""As many numbers as a draw tells apart: Envoy's 64 random bits, of which each rule takes a remainder."""

WARM_UP_PICKS = 429496729
"""Envoy begins a schedule anywhere among so many picks (EdfScheduler::createWithPicks)."""

Source = tuple[int, str, int]
"""Whose turn it is among which hosts: (priority, `all` or an availability, index of the locality or -1)."""


def _standing() -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class Setting:
    """One for each process.

    `locality`: where this process runs, None where nobody said so. `local`: the endpoints of the cluster that this
    process is itself a part of (bootstrap: `cluster_manager.local_cluster_name`), for zone-aware routing.
    """

    draw: Draw
    clock: Callable[[], float] = _standing
    locality: Locality | None = None
    local: Callable[[], HostSet | None] | None = None


class Memory:
    """What a balancer keeps while its cluster's configuration stays, whatever happens to the endpoints.

    Envoy draws one seed for each balancer: every schedule begins there again when hosts change; plain turns go on
    where they were (EdfLoadBalancerBase::refresh, RoundRobinLoadBalancer::refreshHostSource). `newest` is when a host
    last began to start slowly. `tables` are those of policies by hash: by priority, what the last few were made of and
    they. `parts`: the memories of subsets. `weighed_next`: when client-side weights are due. `active`: how many
    requests are under way in the whole cluster.
    """

    __slots__ = ("_draw", "_seed", "_turns", "active", "newest", "parts", "tables", "weighed_next")

    def __init__(self, setting: Setting, active: Callable[[], int] = int) -> None:
        self._draw = setting.draw
        self._seed: int | None = None
        self._turns: dict[Source, count[int]] = {}
        self.newest = setting.clock()
        self.tables: dict[int, list[tuple[object, Any]]] = {}
        self.parts: dict[object, Memory] = {}
        self.active = active
        self.weighed_next: float | None = None

    @property
    def seed(self) -> int:
        """Where schedules begin."""
        if self._seed is None:
            self._seed = self._draw(WARM_UP_PICKS)
        return self._seed

    def turns(self, source: Source, size: int) -> count[int]:
        """The turns among these hosts, begun anywhere."""
        found = self._turns.get(source)
        return found if found is not None else self._turns.setdefault(source, count(self._draw(size)))


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts that are balanced among, at least two, and all that a policy may look at besides."""

    hosts: Sequence[Host]
    source: Source
    config: LbConfig
    setting: Setting
    memory: Memory
