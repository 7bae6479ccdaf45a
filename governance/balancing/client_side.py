"""Weights from what endpoints say of their load.

(envoy source: ClientSideWeightedRoundRobinLoadBalancer, OrcaWeightManager)

The weight of an endpoint counts once it has reported for the blackout period, and until it has not for the expiration
period; one without such a weight has the median of the others', or 1. In Envoy a timer looks at them; here whoever
picks when the time has come. Before the first time the configured weights count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import final

from ...xds.model.cluster import ClientSideWeights
from .context import Pick, PickContext
from .host import Host, Reported
from .host_set import HostSet
from .setting import Memory, Setting


def note(host: Host, weight: int, now: float) -> None:
    """A report has come."""
    load = host.state.load
    if load is None:
        load = host.state.load = Reported()
    load.weight, load.at = weight, now
    if load.since == inf:
        load.since = now


def client_side(
    sets: Sequence[HostSet],
    config: ClientSideWeights,
    setting: Setting,
    memory: Memory,
    build: Callable[[], Pick],
) -> Pick:
    """`build` makes the round robin over the weights that hosts have."""
    return ClientSide(sets, config, setting, memory, build).pick


@final
class ClientSide:
    """A round robin that is made anew when weights have changed."""

    __slots__ = ("_build", "_config", "_memory", "_pick", "_sets", "_setting")

    def __init__(
        self,
        sets: Sequence[HostSet],
        config: ClientSideWeights,
        setting: Setting,
        memory: Memory,
        build: Callable[[], Pick],
    ) -> None:
        self._sets = sets
        self._config = config
        self._setting = setting
        self._memory = memory
        self._build = build
        if memory.weighed_next is None:
            memory.weighed_next = setting.clock() + config.update_s
        else:
            self._weigh(setting.clock())
        self._pick = build()

    def pick(self, context: PickContext) -> Host | None:
        """The next in turn."""
        now = self._setting.clock()
        due = self._memory.weighed_next
        if due is not None and now >= due:
            self._memory.weighed_next = now + self._config.update_s
            if self._weigh(now):
                self._pick = self._build()
        return self._pick(context)

    def _weigh(self, now: float) -> bool:
        """Give every host its weight; whether any has changed."""
        changed = False
        for each in self._sets:
            changed = _weigh(each.hosts, self._config, now) or changed
        return changed


def _weigh(hosts: Sequence[Host], config: ClientSideWeights, now: float) -> bool:
    known = [(host, _valid(host.state.load, config, now)) for host in hosts]
    usual = _median(sorted(weight for _, weight in known if weight is not None))
    changed = False
    for host, weight in known:
        new = max(1, usual if weight is None else weight)
        if new != host.weight:
            host.weight, changed = new, True
    return changed


def _valid(load: Reported | None, config: ClientSideWeights, now: float) -> int | None:
    if load is None or load.since > now - config.blackout_s:
        return None
    if load.at < now - config.expiration_s:
        load.since = inf  # it has to prove itself again
        return None
    return load.weight


def _median(weights: Sequence[int]) -> int:
    """1 where there are none."""
    if not weights:
        return 1
    middle = len(weights) // 2
    return weights[middle] if len(weights) % 2 else (weights[middle - 1] + weights[middle]) // 2
