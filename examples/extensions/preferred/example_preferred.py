"""A balancing policy: an endpoint of one network, the least busy; without one there, any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address, ip_network

from proxyless.extensions import Config, Host


class Preferred:
    """`network`: the addresses that come first, such as 10.1.0.0/16."""

    def __init__(self, config: Config) -> None:
        self.network = ip_network(config.fields["network"])

    def choose_host(self, hosts: Sequence[Host], draw: Callable[[int], int]) -> Host:
        """Of several that are as good, each is as likely."""
        near = [each for each in hosts if ip_address(each.address.rpartition(":")[0].strip("[]")) in self.network]
        among = near or hosts
        least = min(each.active_requests for each in among)
        free = [each for each in among if each.active_requests == least]
        return free[draw(len(free))]
