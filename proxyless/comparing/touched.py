"""What of two sights can differ at all: resources by their bytes, and the virtual hosts that these bear on.

The rule: whatever a decision rests on and is not told in the same bytes on both sides is in here, so what is left out
is decided alike. It may hold more than differs in the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..xds.model.listener import Listener
from ..xds.model.resource import Resource
from ..xds.model.route import LazyVirtualHost, RouteConfiguration
from .samples import Hosted, Sample, host_of, hosted
from .sight import Sight, decoded_or_none

WILD = ("0.0.0.0", "::")
MOST = 200
"""More clusters than these are not looked for in routes: every virtual host counts."""


@dataclass(frozen=True)
class Touched:
    """Two sights of one client."""

    old: Sight
    new: Sight

    @cached_property
    def listeners(self) -> frozenset[str]:
        """Names of listeners that are told otherwise."""
        return _otherwise(self.old.told.listeners, self.new.told.listeners)

    @cached_property
    def clusters(self) -> frozenset[str]:
        """Names of clusters that are told otherwise, or that have other endpoints."""
        old, new = self.old, self.new
        found = set(_otherwise(old.held, new.held))
        for name in old.held.keys() & new.held.keys() - found:
            assignment = self._assignment(name)
            if assignment is None or old.made_of(assignment) == new.made_of(assignment):
                continue
            if old.assignments.get(assignment) is not new.assignments.get(assignment):
                found.add(name)
        return frozenset(found)

    def _assignment(self, name: str) -> str | None:
        """The name that a cluster's endpoints go by, where it is the same on both sides."""
        if name.startswith("outbound|") and not self.old.patched and not self.new.patched:
            return name
        cluster = self.new.clusters.get(name)
        return cluster.assignment_name if cluster is not None and cluster.type == "EDS" else None

    @cached_property
    def names(self) -> frozenset[str]:
        """Host names with other addresses."""
        if self.old.told.names is self.new.told.names:
            return frozenset()
        before, after = self.old.names.table, self.new.names.table
        return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))

    @property
    def nothing(self) -> bool:
        """Whether all that is told is told alike."""
        old, new = self.old.told, self.new.told
        same = old.routes == new.routes and old.extensions == new.extensions
        return same and not (self.listeners or self.clusters or self.names)

    @cached_property
    def key(self) -> tuple[object, ...]:
        """What a comparison comes to depends on this alone, whoever the client is."""
        sides = (self.old, self.new)
        told = tuple(_ids(table) for side in sides for table in _tables(side))
        own = tuple((_id(side.held.get(name)), self._endpoints(side, name)) for side in sides for name in self.ordered)
        # A request that goes elsewhere may come to any cluster, and the same routes do not mean the same clusters.
        held = tuple(tuple(map(id, side.held.values())) for side in sides)
        return told, own, held

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """Clusters that differ, in order."""
        return tuple(sorted(self.clusters))

    @staticmethod
    def _endpoints(side: Sight, name: str) -> int:
        cluster = side.clusters.get(name)
        return _id(side.assignments.get(cluster.assignment_name)) if cluster and cluster.type == "EDS" else 0

    def samples(self, side: Sight) -> list[Sample]:
        """Requests for the routes of a side that may be decided differently."""
        return [sample for each in self.hosts(side) for sample in each.samples()]

    # -- virtual hosts ------------------------------------------------------------------------------------------------

    def hosts(self, side: Sight) -> Iterator[Hosted]:
        """The virtual hosts of a side that requests may be decided differently for."""
        if _otherwise(self.old.told.extensions, self.new.told.extensions):
            yield from hosted(side)
            return
        for each in hosted(side):
            if each.table.name in self._tables or self._bears(each):
                yield each

    def _bears(self, each: Hosted) -> bool:
        host = host_of(each.lazy.domains)
        return (
            (each.table.name, each.lazy.name) in self._hosts
            or each.port in self._ports
            or host in self.names
            or (each.port, host) in self._addressed
            or self._reached(each.lazy)
            or self._claimed(host)
        )

    @cached_property
    def _both(self) -> list[tuple[str, RouteConfiguration | None, RouteConfiguration | None]]:
        """Tables that differ."""
        old, new = self.old.told.routes, self.new.told.routes
        names = sorted(_otherwise(old, new))
        found = [(name, decoded_or_none(old.get(name)), decoded_or_none(new.get(name))) for name in names]
        for name in sorted(self.listeners):  # tables that stand in listeners
            inline = [_inline(side.listeners.get(name)) for side in (self.old, self.new)]
            found += [(each, inline[0].get(each), inline[1].get(each)) for each in inline[0].keys() | inline[1].keys()]
        return found

    @cached_property
    def _tables(self) -> set[str]:
        """Tables of which more than virtual hosts differs."""
        return {
            name
            for name, old, new in self._both
            if old is None
            or new is None
            or replace(old, virtual_hosts=(), notes=()) != replace(new, virtual_hosts=(), notes=())
        }

    @cached_property
    def _changed(self) -> list[tuple[str, LazyVirtualHost | None, LazyVirtualHost | None]]:
        found = []
        for name, old, new in self._both:
            before = {each.name: each for each in old.virtual_hosts} if old is not None else {}
            after = {each.name: each for each in new.virtual_hosts} if new is not None else {}
            for host in before.keys() | after.keys():
                one, other = before.get(host), after.get(host)
                if one is None or other is None or one.raw != other.raw:
                    found.append((name, one, other))
        return found

    @cached_property
    def _hosts(self) -> set[tuple[str, str]]:
        return {(name, each.name) for name, *both in self._changed for each in both if each is not None}

    @cached_property
    def _domains(self) -> set[str]:
        """Domains that came, went, or belong to another virtual host now."""
        found: set[str] = set()
        for _, old, new in self._changed:
            found |= set(old.domains if old is not None else ()) ^ set(new.domains if new is not None else ())
        return found

    @cached_property
    def _wild(self) -> tuple[str, ...]:
        return tuple(each for each in self._domains if "*" in each)

    def _claimed(self, host: str) -> bool:
        return host in self._domains or any(
            host.endswith(each[1:]) if each.startswith("*") else host.startswith(each[:-1]) for each in self._wild
        )

    @cached_property
    def _ports(self) -> set[int]:
        """Ports of which every host is concerned."""
        return {port for address, port in self._addresses if address in WILD}

    @cached_property
    def _addresses(self) -> set[tuple[str, int]]:
        found = set()
        for name in self.listeners:
            for side in (self.old, self.new):
                listener = side.listeners.get(name)
                if listener is not None and listener.address is not None:
                    found.add((listener.address.host, listener.address.port))
        return found

    @cached_property
    def _addressed(self) -> set[tuple[int, str]]:
        """Ports and hosts that lead to a listener of one address."""
        by_address: dict[str, set[int]] = {}
        for address, port in self._addresses:
            by_address.setdefault(address, set()).add(port)
        found = {(port, address) for address, port in self._addresses}
        for side in (self.old, self.new) if by_address else ():
            for name, addresses in side.names.table.items():
                found |= {(port, name) for each in addresses for port in by_address.get(each, ())}
        return found

    @cached_property
    def _needles(self) -> tuple[bytes, ...]:
        return tuple(each.encode() for each in self.ordered)

    def _reached(self, lazy: LazyVirtualHost) -> bool:
        if len(self._needles) > MOST:
            return True
        return any(each in lazy.raw for each in self._needles)


class Whole(Touched):
    """Everything, whether or not it is told alike."""

    @cached_property
    def listeners(self) -> frozenset[str]:
        """All of both sides."""
        return frozenset(self.old.told.listeners.keys() | self.new.told.listeners.keys())

    @cached_property
    def clusters(self) -> frozenset[str]:
        """All of both sides."""
        return frozenset(self.old.held.keys() | self.new.held.keys())

    @cached_property
    def names(self) -> frozenset[str]:
        """All of both sides."""
        return frozenset(self.old.names.table.keys() | self.new.names.table.keys())

    def hosts(self, side: Sight) -> Iterator[Hosted]:
        """All of a side."""
        return hosted(side)


def _tables(side: Sight) -> tuple[Mapping[str, Resource[Any]], ...]:
    told = side.told
    return told.listeners, told.routes, told.extensions, {} if told.names is None else {"": told.names}


def _otherwise(old: Mapping[str, Resource[Any]], new: Mapping[str, Resource[Any]]) -> frozenset[str]:
    """A pool gives equal bytes one resource."""
    return frozenset(name for name in old.keys() | new.keys() if old.get(name) is not new.get(name))


def _inline(listener: Listener | None) -> dict[str, RouteConfiguration]:
    chains = listener.all_chains() if listener is not None else ()
    return {
        chain.http.route_config.name: chain.http.route_config
        for chain in chains
        if chain.http is not None and chain.http.route_config is not None
    }


def _ids(table: Mapping[str, Resource[Any]]) -> tuple[int, ...]:
    return tuple(id(table[name]) for name in sorted(table))


def _id(item: object) -> int:
    return 0 if item is None else id(item)
