"""What a filter sees of a request, and what it may do with it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from ...xds.model.filters import FilterConfig
from ..actions import Ask, Collect, Sleep
from ..headers import HeaderList
from ..peer import Peer
from ..replies import LocalReply
from ..request import RequestView
from ..routing import CompiledRoute, Target

if TYPE_CHECKING:
    from ..runtime import Runtime

Steps = Generator[Sleep | Ask | Collect, Any, LocalReply | None]
"""A filter that has to wait, for time or for a service, says so by actions and returns what it decided."""


class Stream(Protocol):
    """What a filter sees of a request: an outgoing call (governance.call) or an incoming one (governance.inbound)."""

    runtime: Runtime
    request: RequestView
    route: CompiledRoute | None
    target: Target | None
    response_headers: HeaderList
    """Go onto any response, behind all others."""
    flags: tuple[str, ...]
    """Response flags so far (a delay's DI); what ends the stream adds its own."""
    kept: dict[Any, Any]
    """What filters remember of this stream, by filter object."""
    dynamic: dict[str, dict[str, Any]]
    """Dynamic metadata: what filters tell one another, and formats, by the filter's name."""
    peer: Peer | None
    """The other side of the TLS connection that an incoming request came by."""
    source_port: int
    """The port of that side, where it is known."""
    incoming: bool
    reply: LocalReply | None
    """What the mesh itself answered, once the stream has ended."""
    named: str | None
    """The cluster that a header named when the route was found: whoever changes headers keeps it."""
    cut: bool
    """Whether the response of somebody else has not come to its end."""
    protocol: str
    """HTTP/1.1, HTTP/2: as Envoy's %PROTOCOL% has it."""
    moved: bool
    """Whether the route was found anew, and filters that come later do not know yet."""

    def find_route(self) -> None:
        """Find the route anew: the request is another one by now."""

    def local(self) -> tuple[str, int]:
        """The address and the port that the connection was made to."""


class RequestFilter(Protocol):
    """One filter at work."""

    name: str

    def on_request(self, stream: Stream) -> LocalReply | Steps | None:
        """Answer the request, or let it pass (None); what takes time is a generator."""


class RoutedFilter(RequestFilter, Protocol):
    """One that has nothing to do for many routes; asked once for each, and then left out there."""

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Whether it has, for what goes to a place."""


class ResponseFilter(RequestFilter, Protocol):
    """One that has something to say of responses too, those of the mesh's own included; asked in reverse order."""

    def on_response(self, stream: Stream, status: int, headers: HeaderList) -> HeaderList:
        """The headers as they go on; the list given is not changed."""


class EndFilter(RequestFilter, Protocol):
    """One that holds something until the stream has ended, however it did."""

    def on_end(self, stream: Stream) -> None:
        """Called once for every stream whose request the filters have begun to see."""


def keep_named(stream: Stream) -> None:
    """Before headers change: the cluster that one of them named when the route was found stays."""
    target = stream.target
    if target is not None and target.cluster_header and stream.named is None:
        stream.named = target.name_for(stream.request)


def of_route(name: str, stream: Stream) -> FilterConfig | None:
    """The most specific configuration that the route brings for a filter: of the weighted cluster, the route, the
    virtual host, the route configuration."""
    place = stream.target if stream.target is not None else stream.route
    return place.filters.get(name) if place is not None else None
