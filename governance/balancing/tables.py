"""Ring hash and maglev: the endpoint that a request's hash says (envoy source: ThreadAwareLoadBalancerBase)."""

from collections.abc import Callable, Sequence

from ...xds.model.cluster import LbConfig
from .context import PickContext
from .digest import DIGESTS, hash_key
from .host import Host
from .maglev import Maglev
from .policies import Draw, Pick
from .ring import Ring
from .shares import flat_shares

Table = Ring | Maglev


def ring_hash(hosts: Sequence[Host], config: LbConfig, draw: Draw) -> Pick:
    """At points of a ring."""
    return _by_hash(hosts, config, draw, _ring)


def maglev(hosts: Sequence[Host], config: LbConfig, draw: Draw) -> Pick:
    """In a table of prime size."""
    return _by_hash(hosts, config, draw, _maglev)


def _ring(keys: Sequence[bytes], shares: Sequence[float], config: LbConfig) -> Table:
    return Ring(keys, shares, config.ring_min, config.ring_max, DIGESTS[config.ring_hash])


def _maglev(keys: Sequence[bytes], shares: Sequence[float], config: LbConfig) -> Table:
    return Maglev(keys, shares, config.maglev_table)


def _by_hash(
    hosts: Sequence[Host],
    config: LbConfig,
    draw: Draw,
    make: Callable[[Sequence[bytes], Sequence[float], LbConfig], Table],
) -> Pick:
    members, shares = flat_shares(hosts)
    table = make([hash_key(each, config.hash_by_hostname) for each in members], shares, config)

    def pick(context: PickContext) -> Host | None:
        hash_ = context.hash
        if hash_ is None:
            hash_ = draw(1 << 64)
        found: Host | None = None
        for attempt in range(context.attempts + 1):
            number = table.pick(hash_, attempt)
            if number is None:
                return None
            found = members[number]
            if context.rejects is None or not context.rejects(found):
                break
        return found

    return pick
