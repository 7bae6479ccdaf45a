"""The share of the traffic that each endpoint shall have, together 1 (envoy source: normalizeWeights).

The order of the operations is Envoy's: rings and tables are made of these numbers, bit for bit.
"""

from collections.abc import Iterable, Sequence

from .host import Host

Shares = tuple[tuple[Host, ...], tuple[float, ...]]
"""Endpoints, and their shares in the same order."""


def flat_shares(hosts: Sequence[Host]) -> Shares:
    """Each by its weight alone."""
    total = sum(host.weight for host in hosts)
    return tuple(hosts), tuple(host.weight * 1.0 / total for host in hosts)


def locality_shares(localities: Iterable[tuple[int, Sequence[Host]]]) -> Shares:
    """Each by its weight within its locality, and that by its own; a locality of weight 0 has none."""
    localities = tuple(localities)
    total = sum(weight for weight, _ in localities)
    found: list[Host] = []
    shares: list[float] = []
    for weight, hosts in localities:
        if weight:
            own, within = weight / total, sum(host.weight for host in hosts)
            found += hosts
            shares += [host.weight * own / within for host in hosts]
    return tuple(found), tuple(shares)
