"""A balancing policy: rendezvous hashing (highest random weight), by what the hash policies of a route make of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from proxyless.extensions import Config, Host, LoadBalancerContext


class Rendezvous:
    """Every endpoint has a rank of its own for every key, so that only the keys of one that goes away move."""

    def __init__(self, config: Config) -> None:
        del config

    def choose_host_for(
        self, context: LoadBalancerContext, hosts: Sequence[Host], draw: Callable[[int], int]
    ) -> Host | None:
        """The first in rank; a retry goes to the next that was not tried. A request without a key goes anywhere."""
        key = context.hash
        if key is None:
            return hosts[draw(len(hosts))]
        fresh = [each for each in hosts if each.address not in context.attempted]
        return max(fresh or hosts, key=lambda each: blake2b(f"{key} {each.address}".encode()).digest())
