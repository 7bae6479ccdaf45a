"""Encoded route tables, kept for the world that follows.

Mostly one VirtualService changes, and a table of a thousand hosts changes in one of them. Where nothing that a table is
made of is another one but the routes of VirtualServices that name the same hosts as before, the virtual hosts with
those routes are made anew, and the table is put together from the others as they were.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from ..mesh import MeshConfig
from ..registry.proxy import Proxy
from ..registry.scope import Scope
from ..registry.sidecars import SidecarObject
from ..registry.virtual_services import successors
from .kept_routes import KeptRoutes
from .route_tables import Members, listener_of, members_of, no_table, rule_of
from .virtual_hosts import Host, encoded_table, member


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A table, and what it was made of. `encoded` are its virtual hosts, in the order of the members."""

    members: Members
    encoded: list[bytes]
    rules: object
    mesh: MeshConfig
    sidecar: SidecarObject | None

    def whole(self, name: str) -> bytes:
        return encoded_table(name, (*self.encoded, *map(member, self.members.rest)))


class KeptTables:
    """Two generations, as every cache here. Not for several threads."""

    def __init__(self) -> None:
        self.routes = KeptRoutes()
        self._young: dict[Hashable, _Table] = {}
        self._old: dict[Hashable, _Table] = {}

    def age(self) -> None:
        """A new world has come."""
        self._old, self._young = self._young, {}
        self.routes.age()

    def encoded(self, name: str, scope: Scope, proxy: Proxy) -> bytes:
        """The table of that name, as `route_table` makes it."""
        labels = tuple(sorted(proxy.labels.items()))
        headers = proxy.config.proxy_headers
        key = (name, proxy.namespace, labels, proxy.node.domain, proxy.reach, headers, proxy.is_grpc)
        known = self._young.get(key) or self._old.get(key)
        made = self._next(known, name, scope, proxy) if known is not None else None
        if made is None:
            made = self._made(name, scope, proxy)
        if made is None:
            return no_table(name).SerializeToString(deterministic=True)
        self._young[key] = made
        return made.whole(name)

    def _made(self, name: str, scope: Scope, proxy: Proxy) -> _Table | None:
        members = members_of(name, scope, proxy, self.routes)
        if members is None:
            return None
        encoded = [self.routes.hosts.encoded(host) for host in members.hosts]
        return _Table(members, encoded, scope.rules, scope.world.mesh, scope.sidecar)

    def _next(self, known: _Table, name: str, scope: Scope, proxy: Proxy) -> _Table | None:
        """What becomes of a table where nothing but routes is new; None where more is."""
        before, now = known.members, listener_of(name, scope)
        old, around = before.listener, before.around
        if old is None or around is None or now is None:
            return None
        if known.mesh is not scope.world.mesh or known.sidecar is not scope.sidecar or known.rules is not scope.rules:
            return None
        if old.services is not now.services or old.spec != now.spec:
            return None
        replaced = successors(old.routings, now.routings)
        if replaced is None:
            return None
        around = replace(around, rule=rule_of(scope, proxy))
        hosts, encoded, routes = list(before.hosts), list(known.encoded), dict(before.routes)
        for one, other in replaced.items():
            if one not in routes:
                continue  # none of its hosts is in this table
            gone = routes.pop(one)
            made = routes[other] = self.routes.of(other, around)
            if bool(made) != bool(gone):
                return None
            for place, host in enumerate(hosts):
                if host.routes is gone:
                    hosts[place] = Host(host.name, host.domains, made, host.attempts)
                    encoded[place] = self.routes.hosts.encoded(hosts[place])
                    self.routes.hosts.forget(host)
            self.routes.forget(one, around)
        members = replace(before, hosts=hosts, routes=routes, listener=now, around=around)
        return replace(known, members=members, encoded=encoded)
