"""How the requests are shared among the priorities (envoy source: LoadBalancerBase; docs: arch_overview, "Priority").

Percents are whole numbers throughout and always rounded down, as in Envoy; what rounding leaves over goes to the first
priority that takes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from .context import Loads
from .host_set import HostSet


@final
class PriorityLoads:
    """`loads`: to the healthy and to the degraded hosts of each priority, together 100.

    `panic`: the priorities that are in panic: their requests go to all their hosts, however those are.
    `availability`: percent of all requests that the healthy and the degraded hosts of each could take.
    """

    __slots__ = ("availability", "loads", "panic")

    def __init__(self, loads: Loads, panic: Sequence[bool], availability: Loads) -> None:
        self.loads = loads
        self.panic = panic
        self.availability = availability


def priority_loads(sets: Sequence[HostSet], panic_threshold: float) -> PriorityLoads:
    """The shares of now. `panic_threshold`: percent, of which Envoy keeps the whole part."""
    threshold = whole_percent(panic_threshold)
    healthy, degraded = _availability(sets)
    total = min(100, sum(healthy) + sum(degraded))
    if total == 0 and threshold == 0:
        # Nobody is there and nobody may panic: the first priority has all the requests, and nobody to give them to.
        return PriorityLoads(
            ((100, *[0] * (len(sets) - 1)), (0,) * len(sets)), (False,) * len(sets), (healthy, degraded)
        )
    panic = tuple(total != 100 and in_panic(each, threshold) for each in sets)
    if all(panic):
        return PriorityLoads((_by_size(sets), (0,) * len(sets)), panic, (healthy, degraded))
    first, left = _share(healthy, 100, total)
    second, left = _share(degraded, left, total)
    if left:
        taken = healthy if any(healthy) else degraded
        shares = first if any(healthy) else second
        shares[next(priority for priority, each in enumerate(taken) if each)] += left
    return PriorityLoads((tuple(first), tuple(second)), panic, (healthy, degraded))


def draw_priority(number: int, loads: Loads) -> tuple[int, bool]:
    """(priority, whether its degraded hosts are meant) for a random number or a hash (choosePriority)."""
    left = number % 100
    for degraded, shares in enumerate(loads):
        for priority, share in enumerate(shares):
            left -= share
            if left < 0:
                return priority, bool(degraded)
    return 0, False


def whole_percent(percent: float) -> int:
    """The whole part, as Envoy computes it: of 29 % that is 28 (ProtobufPercentHelper::convertPercent)."""
    return int(100 * (percent / 100.0))


def in_panic(hosts: HostSet, threshold: int) -> bool:
    """Whether fewer hosts than `threshold` percent are healthy or degraded."""
    count = len(hosts.hosts) - len(hosts.excluded)
    available = 100.0 * len(hosts.healthy) / count + 100.0 * len(hosts.degraded) / count if count else 0.0
    return available < threshold


def _availability(sets: Sequence[HostSet]) -> tuple[list[int], list[int]]:
    """Percent of the requests that the healthy and the degraded hosts of each priority can take."""
    healthy, degraded = [], []
    for each in sets:
        if each.weighted:
            excluded = sum(host.weight for host in each.excluded)
            total = sum(host.weight for host in each.hosts) - excluded
            well, spare = (sum(host.weight for host in some) for some in (each.healthy, each.degraded))
        else:
            total = len(each.hosts) - len(each.excluded)
            well, spare = len(each.healthy), len(each.degraded)
        healthy.append(min(100, each.factor * well // total) if total > 0 else 0)
        degraded.append(min(100, each.factor * spare // total) if total > 0 else 0)
    return healthy, degraded


def _share(available: Sequence[int], load: int, total: int) -> tuple[list[int], int]:
    """The shares of priorities in their order, and what is left of the load."""
    shares = []
    for each in available:
        share = min(load, each * 100 // total)
        shares.append(share)
        load -= share
    return shares, load


def _by_size(sets: Sequence[HostSet]) -> tuple[int, ...]:
    """All priorities are in panic: the number of hosts counts, not their health."""
    total = sum(len(each.hosts) for each in sets)
    if not total:
        return (100, *[0] * (len(sets) - 1))
    shares = [100 * len(each.hosts) // total for each in sets]
    shares[next(priority for priority, each in enumerate(sets) if each.hosts)] += 100 - sum(shares)
    return tuple(shares)
