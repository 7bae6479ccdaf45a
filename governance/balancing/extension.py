"""Balancing policies of other packages: they choose among the hosts that priority, health and locality leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...xds.model.extension import Extension
from ...xds.model.values import Locality
from .host import Host
from .policies import Chooser, HostPolicy
from .setting import Group


class HostView:
    """An endpoint as a package sees it."""

    __slots__ = ("host",)

    def __init__(self, host: Host) -> None:
        self.host = host

    @property
    def address(self) -> str:
        """IP address and port."""
        return self.host.address

    @property
    def hostname(self) -> str:
        """Endpoint.hostname, where it has one."""
        return self.host.endpoint.hostname

    @property
    def weight(self) -> int:
        """LbEndpoint.load_balancing_weight."""
        return self.host.weight

    @property
    def locality(self) -> Locality:
        """Where it is: region, zone, sub_zone."""
        return self.host.locality

    @property
    def metadata(self) -> Mapping[str, Mapping[str, Any]]:
        """LbEndpoint.metadata.filter_metadata, by namespace (`envoy.lb`, `istio`)."""
        return self.host.endpoint.metadata

    @property
    def active_requests(self) -> int:
        """How many requests of this process are on their way to it."""
        return self.host.state.active

    def __repr__(self) -> str:
        return f"<Host {self.host.address}>"


def by_extension(extension: Extension) -> HostPolicy:
    """The policy that a package brings."""

    def policy(group: Group) -> Chooser:
        views, draw = tuple(map(HostView, group.hosts)), group.setting.draw

        def choose(number: int) -> Host | None:
            del number
            found = extension.call("choose_host", views, draw)
            if found is None:
                return None
            if not (isinstance(found, HostView) and any(found is each for each in views)):
                raise extension.wrong("choose_host", found, "one of the hosts it was given, or None,")
            return found.host

        return choose

    return policy
