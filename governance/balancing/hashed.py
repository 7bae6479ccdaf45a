"""Policies by hash: a table for each priority, looked up by the request's hash (envoy source: ThreadAwareLoadBalancer-
Base).

How a policy plugs in: `tables.TABLES` maps its name (`RING_HASH`, `MAGLEV`) to a `TablePolicy`, a function from the
keys of a priority's hosts and their shares to a `Table` of their numbers. All else is here: the priority is chosen by
the hash itself, or by a random number where a request has none; a priority in panic has all its hosts in its table,
else the healthy ones, never degraded ones; locality weights are multiplied into the shares; the last few tables are
kept, so that a host that comes back and an update that changes nothing cost none. As in Envoy a retry's own view of the
priorities (`PickContext.priority_load`) does not count here. A rejected host is asked for again with a higher
`attempt`, which only a table knows what to do with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, final

from ...xds.model.cluster import LbConfig
from .bounded import first_that_can
from .context import Pick, PickContext
from .digest import hash_key
from .host import Host
from .host_set import HostSet
from .loads import draw_priority, priority_loads
from .setting import Memory, Setting
from .shares import Shares, flat_shares, locality_shares

_HALF = 1 << 32


class Table(Protocol):
    """Knows hosts by their number in the order that it was given them."""

    def pick(self, hash_: int, attempt: int = 0) -> int | None: ...


TablePolicy = Callable[[Sequence[bytes], Sequence[float], LbConfig], Table]

Prepared = tuple[Shares, Table]

KEPT = 4
"""Tables of a priority."""


def hashed(sets: Sequence[HostSet], policy: TablePolicy, config: LbConfig, setting: Setting, memory: Memory) -> Pick:
    """How to pick while these are the hosts."""
    return Hashed(sets, policy, config, setting, memory).pick


@final
class Hashed:
    """The tables of one moment, each made when it is first needed."""

    __slots__ = ("_config", "_factor", "_memory", "_policy", "_sets", "_setting", "_tables", "loads")

    def __init__(
        self, sets: Sequence[HostSet], policy: TablePolicy, config: LbConfig, setting: Setting, memory: Memory
    ) -> None:
        self._sets = sets
        self._policy = policy
        self._config = config
        self._setting = setting
        self._memory = memory
        self._factor = config.hash_balance_factor
        self._tables: dict[int, Prepared] = {}
        self.loads = priority_loads(sets, config.panic_threshold)

    def pick(self, context: PickContext) -> Host | None:
        """The host of the request's hash; where that is rejected another, as often as the context says."""
        number = context.hash
        if number is None:
            draw = self._setting.draw
            number = draw(_HALF) << 32 | draw(_HALF)
        priority, _ = draw_priority(number, self.loads.loads)
        shares, table = self._tables.get(priority) or self._table(priority)
        hosts = shares[0]
        found: Host | None = None
        for attempt in range(context.attempts + 1):
            index = table.pick(number, attempt)
            if index is None:
                return None
            if self._factor is None:
                found = hosts[index]
            else:
                found = first_that_can(index, *shares, self._factor, self._memory.active(), number)
            if context.rejects is None or not context.rejects(found):
                break
        return found

    def _table(self, priority: int) -> Prepared:
        config = self._config
        shares = shares_of(self._sets[priority], self.loads.panic[priority], config.locality_weighted)
        keys = [hash_key(each, config.hash_by_hostname) for each in shares[0]]
        made_of = (keys, shares[1])
        kept = self._memory.tables.setdefault(priority, [])
        table: Table | None = next((each for known, each in kept if known == made_of), None)
        if table is None:
            table = self._policy(keys, shares[1], config)
            kept[KEPT - 1 :] = []
            kept.insert(0, (made_of, table))
        found = self._tables[priority] = (shares, table)
        return found


def shares_of(hosts: HostSet, panic: bool, locality_weighted: bool) -> Shares:
    """The hosts of a priority's table in their order, and their shares of all requests (normalizeWeights)."""
    if not locality_weighted:
        return flat_shares(hosts.hosts if panic else hosts.healthy)
    return locality_shares((each.weight, each.hosts if panic else each.healthy) for each in hosts.localities)
