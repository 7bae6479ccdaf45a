"""The hosts of one priority, sorted by health, and by locality when somebody asks (envoy source: HostSetImpl).

A host set is a picture of one moment. When a host is ejected or comes back, `again` gives the picture of now: it is
the same object if nothing about this priority has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, final

from ...xds.model.endpoint import ClusterLoadAssignment
from ...xds.model.values import Locality
from .host import Host

Availability = Literal["healthy", "degraded"]
Hosts = tuple[Host, ...]


@final
class LocalityHosts:
    """The hosts of one locality of a priority; the weight is 0 where none was given."""

    __slots__ = ("degraded", "excluded", "healthy", "hosts", "locality", "weight")

    def __init__(
        self, locality: Locality, hosts: Hosts, healthy: Hosts, degraded: Hosts, excluded: int, weight: int
    ) -> None:
        self.locality = locality
        self.hosts = hosts
        self.healthy = healthy
        self.degraded = degraded
        self.excluded = excluded
        self.weight = weight


@final
class HostSet:
    """One priority. `excluded` hosts count for nothing: active health checks have yet to ask them, or they drain.

    `weights`: of localities (LocalityLbEndpoints.load_balancing_weight). `local`: where this process runs.
    """

    __slots__ = (
        "_known",
        "_localities",
        "degraded",
        "excluded",
        "factor",
        "healthy",
        "hosts",
        "local",
        "weighted",
        "weights",
    )

    def __init__(
        self,
        hosts: Sequence[Host],
        factor: int = 140,
        weighted: bool = False,
        weights: Mapping[Locality, int] | None = None,
        local: Locality | None = None,
    ) -> None:
        self.hosts: Hosts = tuple(hosts)
        self.factor = factor
        self.weighted = weighted
        self.weights: Mapping[Locality, int] = weights if weights is not None else {}
        self.local = local
        self._known: tuple[Locality, ...] = ()
        self._localities: tuple[LocalityHosts, ...] | None = None
        self.healthy: Hosts
        self.degraded: Hosts
        self.excluded: Hosts
        self.healthy, self.degraded, self.excluded = _by_health(self.hosts)

    def of(self, hosts: Sequence[Host], weights: Mapping[Locality, int]) -> HostSet:
        """Some of the hosts: what a subset is to its priority. Localities that have none in it are still there."""
        part = HostSet(hosts, self.factor, self.weighted, weights, self.local)
        part._known = tuple(each.locality for each in self.localities)
        return part

    def again(self) -> HostSet:
        """The same hosts as they are now."""
        now = HostSet(self.hosts, self.factor, self.weighted, self.weights, self.local)
        same = now.healthy == self.healthy and now.degraded == self.degraded and now.excluded == self.excluded
        return self if same else now

    @property
    def localities(self) -> tuple[LocalityHosts, ...]:
        """One for each locality that has hosts: first that of this process, then by region, zone and sub-zone."""
        if self._localities is None:
            self._localities = self._by_locality()
        return self._localities

    @property
    def has_local(self) -> bool:
        """Whether the first of `localities` is that of this process."""
        localities = self.localities
        return bool(localities) and localities[0].locality == self.local

    def _by_locality(self) -> tuple[LocalityHosts, ...]:
        hosts, healthy, degraded, excluded = (
            _grouped(each) for each in (self.hosts, self.healthy, self.degraded, self.excluded)
        )
        return tuple(
            LocalityHosts(
                each,
                tuple(hosts.get(each, ())),
                tuple(healthy.get(each, ())),
                tuple(degraded.get(each, ())),
                len(excluded.get(each, ())),
                self.weights.get(each, 0),
            )
            for each in sorted({*hosts, *self._known}, key=self._order)
        )

    def _order(self, locality: Locality) -> tuple[bool, str, str, str]:
        return locality != self.local, locality.region, locality.zone, locality.sub_zone


def _by_health(hosts: Hosts) -> tuple[Hosts, Hosts, Hosts]:
    """(healthy, degraded, excluded), each in the order of `hosts`."""
    unfit = [host for host in hosts if not host.fit]
    if not unfit:
        return hosts, (), ()
    found = {host for host in unfit if host.coarse_health != "healthy"}
    return (
        tuple(host for host in hosts if host not in found),
        tuple(host for host in unfit if host.coarse_health == "degraded"),
        tuple(host for host in unfit if host.state.pending or host.health == "DRAINING"),
    )


def _grouped(hosts: Iterable[Host]) -> dict[Locality, list[Host]]:
    found: dict[Locality, list[Host]] = {}
    for host in hosts:
        found.setdefault(host.locality, []).append(host)
    return found


def host_sets(
    hosts: Sequence[Host], assignment: ClusterLoadAssignment | None, local: Locality | None = None
) -> tuple[HostSet, ...]:
    """A set for each priority from 0 to the last that is named; at least one (envoy source: PriorityStateManager)."""
    if assignment is None:
        return (HostSet(hosts, local=local),)
    last = max((each.priority for each in assignment.localities), default=0)
    weights: list[dict[Locality, int]] = [{} for _ in range(last + 1)]
    for each in assignment.localities:
        if each.weight is not None:
            weights[each.priority][each.locality] = each.weight
    members: list[Sequence[Host]] = [hosts]
    if last:
        apart: list[list[Host]] = [[] for _ in range(last + 1)]
        for host in hosts:
            apart[host.priority].append(host)
        members = [*apart]
    factor, weighted = assignment.overprovisioning_factor, assignment.weighted_priority_health
    return tuple(HostSet(each, factor, weighted, weights[priority], local) for priority, each in enumerate(members))
