"""Networks of a mesh: which one an address is in, as `meshNetworks` says."""

from __future__ import annotations

import ipaddress

from ..hosts import is_ip
from ..mesh import MeshConfig


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
