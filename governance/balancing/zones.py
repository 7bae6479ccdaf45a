"""Zone-aware routing: requests stay in the zone as far as its hosts can take them (docs: arch_overview, "Zone aware
routing").

What a zone can take is its share of the upstream hosts; what it sends is its share of the hosts of the local cluster,
the one that this process belongs to. Only the first priority is routed by zones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from ...xds.model.cluster import ZoneAware
from ...xds.model.values import Locality
from .host import Host
from .host_set import HostSet
from .setting import WIDE, Draw

_WHOLE = 10000


@final
class ZoneRouting:
    """`direct`: all requests stay. Else `stay` of 10,000 do, and the rest goes by `residual`: spare capacity summed up
    over the localities in their order."""

    __slots__ = ("direct", "residual", "stay")

    def __init__(self, direct: bool, stay: int = 0, residual: Sequence[int] = ()) -> None:
        self.direct = direct
        self.stay = stay
        self.residual = residual

    def locality(self, draw: Draw) -> int:
        """The index of the locality that takes the next request."""
        if self.direct or draw(WIDE) % _WHOLE < self.stay:
            return 0
        spare = self.residual[-1]
        if not spare:
            return draw(len(self.residual))
        threshold = draw(spare)
        return next(index for index, up_to in enumerate(self.residual) if threshold < up_to)


def zone_routing(upstream: HostSet, local: HostSet, config: ZoneAware) -> ZoneRouting | None:
    """How the first priority is routed; None where zones do not count (regenerateLocalityRoutingStructures)."""
    if (
        len(upstream.localities) < 2
        or (config.force_local_zone is None and len(local.localities) < 2)
        or not local.has_local
        or len(upstream.healthy) < config.min_cluster_size
    ):
        return None
    sent = _shares([(each.locality, each.healthy) for each in local.localities], config)
    taken = _shares([(each.locality, each.healthy) for each in upstream.localities], config)
    stay = 0
    if upstream.has_local:
        own = upstream.localities[0]
        here, capacity = (sent.get(own.locality, 0) if own.healthy else 0), taken[own.locality]
        enough = config.force_local_zone is not None and len(own.healthy) >= config.force_local_zone
        if enough or 0 < capacity >= here:
            return ZoneRouting(direct=True)
        stay = capacity * _WHOLE // here if here else 0
    residual, total = [], 0
    for index, each in enumerate(upstream.localities):
        if index or not upstream.has_local:
            total += max(0, taken[each.locality] - sent.get(each.locality, 0))
        residual.append(total)
    return ZoneRouting(False, stay, residual)


def _shares(localities: Sequence[tuple[Locality, Sequence[Host]]], config: ZoneAware) -> dict[Locality, int]:
    """Of 10,000, by the number of healthy hosts or by their weights (ZoneAwareLbConfig.locality_basis)."""
    sizes = {
        locality: sum(host.weight for host in hosts) if config.by_weight else len(hosts)
        for locality, hosts in localities
    }
    total = sum(sizes.values())
    return {locality: _WHOLE * size // total if total else 0 for locality, size in sizes.items()}
