"""Aggregate clusters: the priorities of several clusters, one after the other (envoy.extensions.clusters.aggregate.v3).

(envoy source: AggregateClusterLoadBalancer.) The priorities that have hosts are put in a row; the health of all of them
says which one a request goes to, and the cluster that it belongs to picks there by its own policy. What follows
(connections, thresholds, outlier detection, health) is that cluster's; retries, and what a route asks of its cluster,
are the aggregate's. A cluster that does not exist is left out, and so is one without hosts of its own: another
aggregate, or one whose endpoints are what is dialled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from .balancing.context import Loads, PickContext, PriorityLoad
from .balancing.host import Host
from .balancing.host_set import HostSet
from .balancing.loads import PriorityLoads, draw_priority, priority_loads
from .balancing.setting import WIDE, Draw

if TYPE_CHECKING:
    from .cluster import ClusterRuntime


@final
class Part:
    """One priority of one of the clusters, and what its balancer is told when it is drawn."""

    __slots__ = ("_loads", "cluster", "priority")

    def __init__(self, cluster: ClusterRuntime, priority: int) -> None:
        self.cluster = cluster
        self.priority = priority
        count = len(cluster.host_sets)
        here = tuple(100 if each == priority else 0 for each in range(count))
        nowhere = (0,) * count
        self._loads: tuple[Loads, Loads] = ((here, nowhere), (nowhere, here))

    def context(self, context: PickContext, degraded: bool) -> PickContext:
        """The wishes of a request that shall have a host of this priority."""
        loads = self._loads[degraded]
        return context.again(context.rejects, context.attempts, lambda usual, availability: loads)


@final
class Aggregate:
    """The clusters that one is made of, as they are in one snapshot."""

    __slots__ = ("_draw", "_numbers", "_parts", "_seen", "_threshold", "clusters")

    def __init__(self, clusters: Sequence[ClusterRuntime], panic_threshold: float, draw: Draw) -> None:
        self.clusters = {each.name: each for each in clusters}
        self._draw = draw
        self._threshold = panic_threshold
        self._parts: list[Part] = []
        self._numbers: dict[tuple[str, int], int] = {}
        for each in clusters:
            for priority, hosts in enumerate(each.host_sets):
                if hosts.hosts:
                    self._numbers[each.name, priority] = len(self._parts)
                    self._parts.append(Part(each, priority))
        self._seen: tuple[list[HostSet], PriorityLoads] | None = None

    def _now(self) -> PriorityLoads:
        """The shares of the priorities as they are now."""
        sets = [each.cluster.look_again()[each.priority] for each in self._parts]
        seen = self._seen
        if seen is None or any(now is not before for now, before in zip(sets, seen[0], strict=True)):
            seen = self._seen = (sets, priority_loads(sets, self._threshold))
        return seen[1]

    def draw(self, priority_load: PriorityLoad | None = None) -> tuple[Part, bool] | None:
        """Where the next request goes, and whether to its degraded hosts; `priority_load` is a retry's own view."""
        if not self._parts:
            return None
        shares = self._now()
        loads = shares.loads if priority_load is None else priority_load(shares.loads, shares.availability)
        number, degraded = draw_priority(self._draw(WIDE), loads)
        return self._parts[number], degraded

    def pick(self, context: PickContext) -> Host | None:
        """A host, for whoever wants nothing that a cluster's own policy would have to look at first."""
        found = self.draw(context.priority_load)
        if found is None:
            return None
        part, degraded = found
        return part.cluster.choose(part.context(context, degraded))

    def of(self, host: Host) -> ClusterRuntime:
        """The cluster that a host belongs to."""
        return self.clusters[host.state.cluster]

    def priority(self, host: Host) -> int:
        """The place of a host's priority among all; -1 where it is gone."""
        return self._numbers.get((host.state.cluster, host.priority), -1)
