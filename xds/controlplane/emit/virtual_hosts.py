"""Virtual hosts before they are messages: what a table has of a host, and how the whole table is encoded.

A table of a thousand hosts is two megabytes of which a change touches one host. So virtual hosts are kept encoded, by
what they are made of, and an encoded table is put together from theirs: in protobuf's encoding a repeated field is one
piece of bytes after the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from ...wire.schema.join import delimited, tag
from ...wire.schema.types import route_v3
from ..registry.proxy import Proxy
from ..registry.services import Service
from .messages import flag, u32
from .routes import Route

_DIRECT_RESPONSE_LIMIT = 1024 * 1024
_VIRTUAL_HOSTS = tag(route_v3.RouteConfiguration, "virtual_hosts")
Domains = tuple[list[str], list[str]]


@dataclass(slots=True, eq=False)
class Host:
    """One virtual host. `routes` may be those of others too: they are copied, not changed."""

    name: str
    domains: list[str]
    routes: list[Route]
    attempts: bool = False

    def message(self) -> route_v3.VirtualHost:
        made = route_v3.VirtualHost(name=self.name, domains=self.domains, routes=self.routes)
        made.include_request_attempt_count = self.attempts
        return made


class KeptHosts:
    """Two generations, as every cache here. Not for several threads."""

    def __init__(self) -> None:
        self._encoded: dict[Hashable, tuple[list[Route], bytes]] = {}
        self._old_encoded: dict[Hashable, tuple[list[Route], bytes]] = {}
        self._defaults: dict[Hashable, tuple[object, object, list[Route]]] = {}
        self._old_defaults: dict[Hashable, tuple[object, object, list[Route]]] = {}
        self._domains: dict[Hashable, Domains] = {}
        self._old_domains: dict[Hashable, Domains] = {}

    def age(self) -> None:
        """A new world has come."""
        self._old_encoded, self._encoded = self._encoded, {}
        self._old_defaults, self._defaults = self._defaults, {}
        self._old_domains, self._domains = self._domains, {}

    def encoded(self, host: Host) -> bytes:
        """A virtual host as a member of its table."""
        key = _key(host)
        found = self._encoded.get(key) or self._old_encoded.get(key)
        if found is None or found[0] is not host.routes:  # another list may stand where one was that is gone
            found = host.routes, member(host.message())
        self._encoded[key] = found
        return found[1]

    def forget(self, host: Host) -> None:
        """There will be no such virtual host any more."""
        key = _key(host)
        self._encoded.pop(key, None)
        self._old_encoded.pop(key, None)

    def default(self, key: Hashable, rule: object, mesh: object) -> list[Route] | None:
        """The routes that were kept of a service without a VirtualService, if they were made of the same."""
        found = self._defaults.get(key) or self._old_defaults.get(key)
        if found is None or found[0] is not rule or found[1] is not mesh:
            return None
        self._defaults[key] = found
        return found[2]

    def keep_default(self, key: Hashable, rule: object, mesh: object, routes: list[Route]) -> None:
        self._defaults[key] = rule, mesh, routes

    def domains(self, service: Service, port: int, proxy: Proxy) -> Domains | None:
        """The domains that were kept of a service."""
        key = service, port, proxy.node.domain, proxy.reach
        found = self._domains.get(key) or self._old_domains.get(key)
        if found is not None:
            self._domains[key] = found
        return found

    def keep_domains(self, service: Service, port: int, proxy: Proxy, domains: Domains) -> None:
        self._domains[service, port, proxy.node.domain, proxy.reach] = domains


def _key(host: Host) -> Hashable:
    return (host.name, host.attempts, id(host.routes), *host.domains)


def table(name: str, hosts: Iterable[route_v3.VirtualHost]) -> route_v3.RouteConfiguration:
    return route_v3.RouteConfiguration(
        name=name,
        virtual_hosts=hosts,
        validate_clusters=flag(False),
        max_direct_response_body_size_bytes=u32(_DIRECT_RESPONSE_LIMIT),
        ignore_port_in_host_matching=True,
    )


def encoded_table(name: str, hosts: Iterable[bytes]) -> bytes:
    """A table of encoded members, as protobuf would encode it."""
    empty = table("", ()).SerializeToString(deterministic=True)
    named = route_v3.RouteConfiguration(name=name).SerializeToString(deterministic=True)
    return b"".join((named, *hosts, empty))


def member(host: route_v3.VirtualHost) -> bytes:
    """One member of a table's virtual hosts."""
    return delimited(_VIRTUAL_HOSTS, host.SerializeToString(deterministic=True))
