"""Policies by hash: a table for each priority, looked up by the request's hash (envoy source: ThreadAwareLoadBalancer-
Base).

How a policy plugs in: `tables.TABLES` maps its name (`RING_HASH`, `MAGLEV`) to a `TablePolicy`, a function from the
hosts of a priority and their shares to a `Table` of their numbers. All else is here: the priority is chosen by the hash
itself, or by a random number where a request has none; a priority in panic has all its hosts in its table, else the
healthy ones, never degraded ones; locality weights are multiplied into the shares; a table is kept while its hosts and
shares are the same, however often others change. As in Envoy a retry's own view of the priorities
(`PickContext.priority_load`) does not count here. A rejected host is asked for again with a higher `attempt`, which
only a table knows what to do with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, final

from ...xds.model.cluster import LbConfig
from .context import Pick, PickContext
from .host import Host
from .host_set import HostSet
from .loads import draw_priority, priority_loads
from .setting import Memory, Setting
from .shares import Shares, flat_shares, locality_shares

_HALF = 1 << 32


class Table(Protocol):
    """Knows hosts by their number in the order that it was given them."""

    def pick(self, hash_: int, attempt: int = 0) -> int | None: ...


TablePolicy = Callable[[Sequence[Host], Sequence[float], LbConfig], Table]


def hashed(sets: Sequence[HostSet], policy: TablePolicy, config: LbConfig, setting: Setting, memory: Memory) -> Pick:
    """How to pick while these are the hosts."""
    return Hashed(sets, policy, config, setting, memory).pick


@final
class Hashed:
    """The tables of one moment, each made when it is first needed."""

    __slots__ = ("_config", "_memory", "_policy", "_sets", "_setting", "_tables", "loads")

    def __init__(
        self, sets: Sequence[HostSet], policy: TablePolicy, config: LbConfig, setting: Setting, memory: Memory
    ) -> None:
        self._sets = sets
        self._policy = policy
        self._config = config
        self._setting = setting
        self._memory = memory
        self._tables: dict[int, tuple[Sequence[Host], Table]] = {}
        self.loads = priority_loads(sets, config.panic_threshold)

    def pick(self, context: PickContext) -> Host | None:
        """The host of the request's hash; where that is rejected another, as often as the context says."""
        number = context.hash
        if number is None:
            draw = self._setting.draw
            number = draw(_HALF) << 32 | draw(_HALF)
        priority, _ = draw_priority(number, self.loads.loads)
        hosts, table = self._tables.get(priority) or self._table(priority)
        found: Host | None = None
        for attempt in range(context.attempts + 1):
            index = table.pick(number, attempt)
            if index is None:
                return None
            found = hosts[index]
            if context.rejects is None or not context.rejects(found):
                break
        return found

    def _table(self, priority: int) -> tuple[Sequence[Host], Table]:
        shares = shares_of(self._sets[priority], self.loads.panic[priority], self._config.locality_weighted)
        kept = self._memory.tables.get(priority)
        if kept is None or kept[0] != shares:
            kept = (shares, self._policy(*shares, self._config))
            self._memory.tables[priority] = kept
        found: tuple[Sequence[Host], Table] = (shares[0], kept[1])
        self._tables[priority] = found
        return found


def shares_of(hosts: HostSet, panic: bool, locality_weighted: bool) -> Shares:
    """The hosts of a priority's table in their order, and their shares of all requests (normalizeWeights)."""
    if not locality_weighted:
        return flat_shares(hosts.hosts if panic else hosts.healthy)
    return locality_shares((each.weight, each.hosts if panic else each.healthy) for each in hosts.localities)
