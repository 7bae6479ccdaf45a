"""A route configuration ready for look-ups by host (envoy source: RouteMatcher::findVirtualHost).

A host name finds its virtual host in a dictionary; a virtual host is compiled when it is first hit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..xds.model.route import LazyVirtualHost, RouteConfiguration
from .request import RequestView
from .routing import CompiledVirtualHost

MOST_REMEMBERED = 1024
"""Authorities whose virtual host is remembered; beyond it they are looked up anew."""


class RouteTable:
    """A route configuration ready for look-ups by host (envoy source: RouteMatcher::findVirtualHost)."""

    __slots__ = (
        "_compiled",
        "_default",
        "_exact",
        "_found",
        "_prefixes",
        "_suffixes",
        "config",
        "internal_only",
        "vhost_header",
    )

    def __init__(self, config: RouteConfiguration, previous: RouteTable | None = None) -> None:
        self.config = config
        self.vhost_header = config.vhost_header.lower().encode()
        self.internal_only = frozenset(each.lower().encode() for each in config.internal_only_headers)
        self._exact: dict[bytes, LazyVirtualHost] = {}
        self._suffixes: dict[int, dict[bytes, LazyVirtualHost]] = {}
        self._prefixes: dict[int, dict[bytes, LazyVirtualHost]] = {}
        self._default: LazyVirtualHost | None = None
        self._compiled: dict[LazyVirtualHost, CompiledVirtualHost] = {}
        self._found: dict[bytes, CompiledVirtualHost | None] = {}
        new: Iterable[LazyVirtualHost] = config.virtual_hosts
        if previous is not None:
            now, old = set(config.virtual_hosts), set(previous.config.virtual_hosts)
            # What is compiled depends on the table's own settings too: keep it only while those stay the same.
            if _settings(previous.config) == _settings(config):
                self._compiled = {lazy: done for lazy, done in previous._compiled.items() if lazy in now}
            # A domain belongs to one virtual host of a table, so their order says nothing.
            if len(now & old) * 2 > len(now):
                self._take_over(previous)
                for gone in old - now:
                    self._remove(gone)
                new = [each for each in config.virtual_hosts if each not in old]
        for vhost in new:
            for domain in vhost.domains:
                self._add(domain.lower().encode(), vhost)
        self._suffixes = dict(sorted(self._suffixes.items(), reverse=True))
        self._prefixes = dict(sorted(self._prefixes.items(), reverse=True))

    def _take_over(self, previous: RouteTable) -> None:
        self._exact = previous._exact.copy()
        self._suffixes = {length: table.copy() for length, table in previous._suffixes.items()}
        self._prefixes = {length: table.copy() for length, table in previous._prefixes.items()}
        self._default = previous._default

    def _remove(self, vhost: LazyVirtualHost) -> None:
        for each in vhost.domains:
            domain = each.lower().encode()
            if domain == b"*":
                self._default = None
            elif domain.startswith(b"*"):
                _take_out(self._suffixes, domain[1:])
            elif domain.endswith(b"*"):
                _take_out(self._prefixes, domain[:-1])
            else:
                self._exact.pop(domain, None)

    def _add(self, domain: bytes, vhost: LazyVirtualHost) -> None:
        if domain == b"*":
            self._default = self._default or vhost
        elif domain.startswith(b"*"):
            self._suffixes.setdefault(len(domain) - 1, {}).setdefault(domain[1:], vhost)
        elif domain.endswith(b"*"):
            self._prefixes.setdefault(len(domain) - 1, {}).setdefault(domain[:-1], vhost)
        else:
            self._exact.setdefault(domain, vhost)

    def find(self, authority: bytes) -> CompiledVirtualHost | None:
        """The virtual host of an authority: exact, then the longest suffix, then the longest prefix, then `*`.

        Raises:
            ResourceError: the virtual host is one that Envoy would refuse.
        """
        try:
            return self._found[authority]
        except KeyError:
            pass
        lazy = self._find(authority)
        compiled = None if lazy is None else self._compiled.get(lazy)
        if lazy is not None and compiled is None:
            compiled = self._compiled[lazy] = CompiledVirtualHost(lazy, self.config)
        if len(self._found) >= MOST_REMEMBERED:
            self._found.clear()
        self._found[authority] = compiled
        return compiled

    def of(self, request: RequestView) -> CompiledVirtualHost | None:
        """The virtual host of a request: of its Host, or of what `vhost_header` says in its place."""
        if not self.vhost_header:
            return self.find(request.authority)
        name = request.header(self.vhost_header)
        return self.find(name) if name is not None else None

    def _find(self, authority: bytes) -> LazyVirtualHost | None:
        if self.config.ignore_port_in_host_matching:
            authority = strip_port(authority)
        host = authority.lower()
        found = self._exact.get(host)
        if found is not None:
            return found
        size = len(host)
        for length, table in self._suffixes.items():
            if length < size and (found := table.get(host[size - length :])):
                return found
        for length, table in self._prefixes.items():
            if length < size and (found := table.get(host[:length])):
                return found
        return self._default

    def used(self) -> Sequence[CompiledVirtualHost]:
        """The virtual hosts that have been compiled, because something asked for them."""
        return tuple(self._compiled.values())


def _take_out(tables: dict[int, dict[bytes, LazyVirtualHost]], part: bytes) -> None:
    table = tables[len(part)]
    table.pop(part, None)
    if not table:
        del tables[len(part)]


def strip_port(authority: bytes) -> bytes:
    """The host of an authority (envoy source: HeaderUtility::getPortStart)."""
    colon = authority.rfind(b":")
    # Whatever stands behind the last colon, digits or not; a bracketed IPv6 address keeps its own colons.
    return authority if colon < 0 or colon < authority.rfind(b"]") else authority[:colon]


def _settings(config: RouteConfiguration) -> tuple[object, ...]:
    return (config.headers, config.most_specific_header_mutations_wins, config.mirrors, config.filters)
