"""Networks of a mesh: which one an address is in, and through which gateways the others are reached."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..hosts import is_ip
from ..mesh import MeshConfig
from .services import IPMode

Addresses = Mapping[str, tuple[str, ...]]
"""The addresses of host names."""

NO_ADDRESSES: Addresses = {}


class Ranges:
    """The networks of a mesh's own cluster and of ranges of addresses."""

    def __init__(self, mesh: MeshConfig) -> None:
        self._ranges: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str]] = []
        self._own = ""
        for name, network in sorted(mesh.networks.networks.items()):
            for endpoint in network.endpoints:
                if endpoint.from_registry == mesh.cluster_id:
                    self._own = self._own or name
                if endpoint.from_cidr:
                    try:
                        self._ranges.append((ipaddress.ip_network(endpoint.from_cidr, strict=False), name))
                    except ValueError:
                        continue

    def of(self, address: str) -> str:
        """Empty where no network has it; the widest of several ranges counts."""
        if self._own or not self._ranges or not is_ip(address):
            return self._own
        found = ipaddress.ip_address(address)
        within = [(range_.prefixlen, name) for range_, name in self._ranges if found in range_]
        return min(within)[1] if within else ""


@dataclass(frozen=True, slots=True)
class Standpoint:
    """Where a proxy is in the mesh's networks."""

    network: str = ""
    sees: frozenset[str] = frozenset()  # the networks that it asked for; none for all
    mode: IPMode = "IPv4"

    def sees_network(self, network: str) -> bool:
        return not self.sees or not network or network in self.sees


@dataclass(frozen=True, slots=True, order=True)
class Gateway:
    """Where mTLS for a network goes in. No cluster: that of every endpoint there; no port: it takes no mTLS.

    `account` and `hbone` tell apart what istiod counts as several gateways though they are at one address.
    """

    address: str
    port: int
    network: str
    cluster: str = ""
    account: str = ""
    hbone: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Gateways:
    """All gateways of a mesh by network and cluster, and by network, each list in istiod's order."""

    by_network: Mapping[str, tuple[Gateway, ...]] = field(default_factory=dict)
    by_cluster: Mapping[tuple[str, str], tuple[Gateway, ...]] = field(default_factory=dict)
    names: frozenset[str] = frozenset()  # of addresses that have to be resolved

    @classmethod
    def of(cls, gateways: Iterable[Gateway], names: frozenset[str] = frozenset()) -> Gateways:
        by_network: dict[str, tuple[Gateway, ...]] = {}
        by_cluster: dict[tuple[str, str], tuple[Gateway, ...]] = {}
        for each in sorted(set(gateways)):
            by_network[each.network] = (*by_network.get(each.network, ()), each)
            key = each.network, each.cluster
            by_cluster[key] = (*by_cluster.get(key, ()), each)
        return cls(by_network, by_cluster, names)

    @property
    def scale(self) -> int:
        """What weights are multiplied with, so that they can be divided among the gateways of each network."""
        return math.lcm(*map(len, self.by_network.values()), *map(len, self.by_cluster.values()))

    def to(self, network: str, cluster: str) -> tuple[Gateway, ...]:
        """Those of the endpoint's cluster, if its network has any."""
        found = self.by_cluster.get((network, cluster)) or self.by_network.get(network, ())
        return tuple(each for each in found if each.port)
