"""Ring hash and maglev: the tables that say which endpoint a request's hash means."""

from collections.abc import Sequence

from ...xds.model.cluster import LbConfig
from .digest import DIGESTS
from .hashed import Table, TablePolicy
from .maglev import Maglev
from .ring import Ring


def ring_hash(keys: Sequence[bytes], shares: Sequence[float], config: LbConfig) -> Table:
    """Points of a ring."""
    return Ring(keys, shares, config.ring_min, config.ring_max, DIGESTS[config.ring_hash])


def maglev(keys: Sequence[bytes], shares: Sequence[float], config: LbConfig) -> Table:
    """A table of prime size."""
    return Maglev(keys, shares, config.maglev_table)


TABLES: dict[str, TablePolicy] = {"RING_HASH": ring_hash, "MAGLEV": maglev}
