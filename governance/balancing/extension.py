"""Balancing policies of other packages: they choose among the hosts that priority, health and locality leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...xds.model.extension import Extension
from ...xds.model.values import Locality
from .context import PickContext
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


class LoadBalancerContext:
    """What a package is told of the request that wants an endpoint (Envoy: LoadBalancerContext)."""

    __slots__ = ("_hash", "_headers", "attempted")

    def __init__(
        self,
        hash_: Callable[[], int | None],
        headers: Callable[[], Mapping[str, str]] = dict,
        attempted: frozenset[str] = frozenset(),
    ) -> None:
        self._hash = hash_
        self._headers = headers
        self.attempted = attempted
        """The addresses that earlier tries of this request went to (`Host.address`)."""

    @property
    def hash(self) -> int | None:
        """64 bits from the hash policies of the route, as a ring goes by them; None where nothing is hashed."""
        return self._hash()

    @property
    def headers(self) -> Mapping[str, str]:
        """As the request goes out, by name in any case, with `:method`, `:authority` and `:path`; none of a TCP
        connection."""
        return self._headers()


def looks(extension: Extension | None) -> bool:
    """Whether the policy of a package wants to know about the request."""
    return extension is not None and hasattr(extension.made, "choose_host_for")


def by_extension(extension: Extension) -> HostPolicy:
    """The policy that a package brings."""
    method = "choose_host_for" if looks(extension) else "choose_host"

    def policy(group: Group) -> Chooser:
        views, draw = tuple(map(HostView, group.hosts)), group.setting.draw

        def choose(number: int, context: PickContext) -> Host | None:
            del number
            if method == "choose_host":
                found = extension.call(method, views, draw)
            else:
                told = context.told or LoadBalancerContext(lambda: context.hash)
                found = extension.call(method, told, views, draw)
            if found is None:
                return None
            if not (isinstance(found, HostView) and any(found is each for each in views)):
                raise extension.wrong(method, found, "one of the hosts it was given, or None,")
            return found.host

        return choose

    return policy
