"""What conditions may ask about: one request, or one connection before its first byte is read."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

from ...xds.model.rbac import Which
from ...xds.model.values import FilterMetadata
from ..filters.stream import Stream
from ..peer import Peer
from ..request import RequestView, strip_query

NO_REQUEST = RequestView(b"", b"", b"", b"")
"""Connections have no request: no header is there, and no path matches."""

NOTHING: Mapping[str, Mapping[str, Any]] = {}

Address = tuple[int, int]
"""The version of an IP address, and its number."""


class Question:
    """`destination` and `port` are where the connection goes, `source` is the peer's address, `remote` the client's.

    `route` is the metadata of the route, None without a route. What is worked out of it is kept.
    """

    __slots__ = (
        "_addresses",
        "_names",
        "_path",
        "destination",
        "dynamic",
        "peer",
        "port",
        "remote",
        "request",
        "route",
        "source",
        "source_port",
    )

    def __init__(
        self,
        request: RequestView = NO_REQUEST,
        source: str = "",
        remote: str = "",
        destination: str = "",
        port: int = 0,
        peer: Peer | None = None,
        dynamic: Mapping[str, Mapping[str, Any]] = NOTHING,
        route: FilterMetadata | None = None,
        source_port: int = 0,
    ) -> None:
        self.request = request
        self.source = source
        self.remote = remote or source
        self.destination = destination
        self.port = port
        self.peer = peer
        self.dynamic = dynamic
        self.route = route
        self.source_port = source_port
        self._path: bytes | None = None
        self._names: tuple[bytes, ...] | None = None
        self._addresses: dict[str, Address | None] = {}

    @property
    def path(self) -> bytes:
        """Without query and fragment."""
        path = self._path
        if path is None:
            path = self._path = strip_query(self.request.path)
        return path

    @property
    def names(self) -> tuple[bytes, ...]:
        """The peer's names, the subject last, which may be empty; none at all without TLS.

        A certificate that was not validated says nothing.
        """
        names = self._names
        if names is None:
            names = self._names = names_of(self.peer)
        return names

    @property
    def server_name(self) -> bytes:
        """SNI; empty without TLS."""
        return b"" if self.peer is None else self.peer.server_name.encode()

    def address(self, which: Which) -> Address | None:
        """An address of the connection; None where it is none of IP."""
        known = self._addresses
        if which in known:
            return known[which]
        text = self.destination if which == "destination" else self.remote if which == "remote" else self.source
        found = known[which] = parsed(text)
        return found


def names_of(peer: Peer | None) -> tuple[bytes, ...]:
    """What a principal's name is compared with."""
    if peer is None:
        return ()
    if not peer.validated:
        return (b"",)
    return tuple(each.encode() for each in (*peer.uri_sans, *peer.dns_sans, peer.subject))


def parsed(text: str) -> Address | None:
    """An IP address; one of IPv4 that is spelled as one of IPv6 is one of IPv4, as in Envoy."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)


def question_of(stream: Stream) -> Question:
    """What a filter is asked about."""
    request, route = stream.request, stream.route
    destination, port = stream.local()
    source = request.source if stream.incoming else stream.runtime.options.workload.address
    return Question(
        request,
        source,
        request.remote,
        destination,
        port,
        stream.peer,
        stream.dynamic,
        route.route.metadata if route is not None else None,
        stream.source_port,
    )
