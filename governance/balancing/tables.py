"""Ring hash and maglev: the tables that say which endpoint a request's hash means."""

from collections.abc import Sequence

from ...xds.model.cluster import LbConfig
from .digest import DIGESTS, hash_key
from .hashed import Table, TablePolicy
from .host import Host
from .maglev import Maglev
from .ring import Ring


def ring_hash(hosts: Sequence[Host], shares: Sequence[float], config: LbConfig) -> Table:
    """Points of a ring."""
    return Ring(_keys(hosts, config), shares, config.ring_min, config.ring_max, DIGESTS[config.ring_hash])


def maglev(hosts: Sequence[Host], shares: Sequence[float], config: LbConfig) -> Table:
    """A table of prime size."""
    return Maglev(_keys(hosts, config), shares, config.maglev_table)


def _keys(hosts: Sequence[Host], config: LbConfig) -> list[bytes]:
    return [hash_key(each, config.hash_by_hostname) for each in hosts]


TABLES: dict[str, TablePolicy] = {"RING_HASH": ring_hash, "MAGLEV": maglev}
