"""Endpoints, and clients that balance over them with the product's pickers.

A thousand clients over ten thousand endpoints would be ten million hosts. The endpoints are therefore the same objects
for all, and what a client alone knows, its active requests, is put into them while it picks and taken out again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from proxyless.governance.balancing.build import build_picker
from proxyless.governance.balancing.context import ANY, Pick, PickContext
from proxyless.governance.balancing.host import Host, HostState
from proxyless.governance.balancing.host_set import HostSet
from proxyless.governance.balancing.setting import Memory, Setting
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.endpoint import LbEndpoint
from proxyless.xds.model.values import Address, Locality


def endpoints(count: int, *zones: str) -> list[Host]:
    """So many endpoints, in turn in each zone."""
    found = []
    for number in range(count):
        address = Address(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 80)
        locality = Locality("r", zones[number % len(zones)]) if zones else Locality()
        found.append(Host(LbEndpoint(address), HostState(), locality))
    return found


class Client:
    """One process: its own chance, turns and active requests."""

    def __init__(self, cluster: Cluster, sets: Sequence[HostSet], seed: int, clock: Callable[[], float]) -> None:
        source = random.Random(seed)
        self.uniform = source.random
        self._cluster = cluster
        self._setting = Setting(lambda n: int(source.random() * n), clock)
        self._memory = Memory(self._setting)
        self._active: dict[Host, int] = {}
        self._pick: Pick
        self.look(sets)

    def look(self, sets: Sequence[HostSet]) -> None:
        """The endpoints, or their health, have changed."""
        self._pick = build_picker(self._cluster, sets, self._setting, self._memory)

    def begin(self, context: PickContext = ANY) -> Host | None:
        """Pick an endpoint for a request."""
        active = self._active
        for host, number in active.items():
            host.state.active = number
        try:
            picked = self._pick(context)
        finally:
            for host in active:
                host.state.active = 0
        if picked is not None:
            active[picked] = active.get(picked, 0) + 1
        return picked

    def end(self, host: Host) -> None:
        """The request is over."""
        self._active[host] -= 1
        if not self._active[host]:
            del self._active[host]
