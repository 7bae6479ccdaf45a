"""Priority, then locality, then host: how all policies but those by hash choose.

(envoy source: ZoneAwareLoadBalancerBase) Schedules are made when somebody is first to be chosen by them: after a change
most of them are never needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from ...xds.model.cluster import LbConfig
from .context import Pick, PickContext
from .edf import EdfScheduler
from .host import Host
from .host_set import Availability, Hosts, HostSet
from .loads import draw_priority, in_panic, priority_loads, whole_percent
from .localities import locality_schedule
from .policies import Chooser, HostPolicy, random
from .setting import WARM_UP_PICKS, WIDE, Group, Memory, Setting, Source
from .slow_start import note_arrivals
from .zones import ZoneRouting, zone_routing

ALL = "all"


def spread(sets: Sequence[HostSet], policy: HostPolicy, config: LbConfig, setting: Setting, memory: Memory) -> Pick:
    """How to pick while these are the hosts. Where all requests go to one group of them, nothing else is drawn."""
    whole = Spread(sets, policy, config, setting, memory)
    only = whole.only()
    if only is None:
        return whole.pick
    choose, draw = whole.chooser(only), setting.draw

    if policy is random:
        return lambda context: (
            choose(draw(WIDE), context)
            if context.rejects is None and context.priority_load is None
            else whole.pick(context)
        )
    return lambda context: (
        choose(0, context) if context.rejects is None and context.priority_load is None else whole.pick(context)
    )


@final
class Spread:
    """The hosts of one moment, and what is known about them so far."""

    __slots__ = (
        "_choosers",
        "_config",
        "_local",
        "_memory",
        "_policy",
        "_schedules",
        "_seeds",
        "_sets",
        "_setting",
        "_threshold",
        "_zones",
        "loads",
    )

    def __init__(
        self, sets: Sequence[HostSet], policy: HostPolicy, config: LbConfig, setting: Setting, memory: Memory
    ) -> None:
        self._sets = sets
        self._policy = policy
        self._config = config
        self._setting = setting
        self._memory = memory
        self._threshold = whole_percent(config.panic_threshold)
        self.loads = priority_loads(sets, config.panic_threshold)
        self._choosers: dict[Source, Chooser] = {}
        self._schedules: dict[tuple[int, Availability], EdfScheduler[int] | None] = {}
        self._seeds = [setting.draw(WARM_UP_PICKS) for _ in sets] if config.locality_weighted else []
        self._local: HostSet | None = None
        self._zones: ZoneRouting | None = None
        for each in sets:
            note_arrivals(each.hosts, config, setting, memory)

    def only(self) -> Source | None:
        """Whom all requests go to, if that is so."""
        healthy, degraded = self.loads.loads
        if 100 in healthy:
            source = self._only_in(healthy.index(100), "healthy")
        elif 100 in degraded:
            source = self._only_in(degraded.index(100), "degraded")
        else:
            return None
        return source if source is not None and self._hosts(source) else None

    def _only_in(self, priority: int, availability: Availability) -> Source | None:
        if self.loads.panic[priority]:
            return None if self._config.zone.fail_traffic_on_panic else (priority, ALL, -1)
        if self._config.locality_weighted:
            turns = self._turns(priority, availability)
            if turns is not None:
                index = turns.pick() if len(turns) == 1 else None
                return (priority, availability, index) if index is not None else None
        return (priority, availability, -1) if priority or self._setting.local is None else None

    def pick(self, context: PickContext) -> Host | None:
        """A host; one that the context rejects is drawn anew, then taken all the same (chooseHost)."""
        host = self._once(context)
        rejects = context.rejects
        if rejects is None:
            return host
        for _ in range(context.attempts):
            if host is None or not rejects(host):
                break
            host = self._once(context)
        return host

    def _once(self, context: PickContext) -> Host | None:
        number = self._setting.draw(WIDE)
        loads = self.loads.loads
        if context.priority_load is not None:
            loads = context.priority_load(loads, self.loads.availability)
        priority, degraded = draw_priority(number, loads)
        source = self._source(priority, "degraded" if degraded else "healthy")
        if source is None:
            return None
        choose = self._choosers.get(source)
        return (choose if choose is not None else self.chooser(source))(number, context)

    def _source(self, priority: int, availability: Availability) -> Source | None:
        """Which hosts are meant (hostSourceToUse); None fails the request."""
        if self.loads.panic[priority]:
            return None if self._config.zone.fail_traffic_on_panic else (priority, ALL, -1)
        if self._config.locality_weighted:
            turns = self._turns(priority, availability)
            index = turns.pick() if turns is not None else None
            if index is not None:
                return priority, availability, index
        plain = (priority, availability, -1)
        if priority or self._setting.local is None:
            return plain
        zones, local = self._routing(self._setting.local())
        if zones is None or local is None:
            return plain
        if self._setting.draw(100) >= whole_percent(self._config.zone.routing_enabled):
            return plain
        if in_panic(local, self._threshold):
            return None if self._config.zone.fail_traffic_on_panic else plain
        return priority, availability, zones.locality(self._setting.draw)

    def _turns(self, priority: int, availability: Availability) -> EdfScheduler[int] | None:
        key = (priority, availability)
        if key not in self._schedules:
            self._schedules[key] = locality_schedule(self._sets[priority], availability, self._seeds[priority])
        return self._schedules[key]

    def _routing(self, local: HostSet | None) -> tuple[ZoneRouting | None, HostSet | None]:
        if local is not self._local:
            self._zones = zone_routing(self._sets[0], local, self._config.zone) if local is not None else None
            self._local = local
        return self._zones, local

    def chooser(self, source: Source) -> Chooser:
        """How to choose among these hosts, made once."""
        hosts = self._hosts(source)
        only = hosts[0] if hosts else None
        choose: Chooser = (
            self._policy(Group(hosts, source, self._config, self._setting, self._memory))
            if len(hosts) > 1
            else lambda number, context: only
        )
        return self._choosers.setdefault(source, choose)

    def _hosts(self, source: Source) -> Hosts:
        priority, which, index = source
        found = self._sets[priority]
        if which == ALL:
            return found.hosts
        group = found.localities[index] if index >= 0 else found
        return group.healthy if which == "healthy" else group.degraded
