"""What Envoy's `%...%` formats may ask about: one request, as far as it has come when a value is formatted.

Made only where a value has a format. What is not known yet, or never inside a process, is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..xds.model.values import FilterMetadata
from .forwarding import Workload
from .peer import Peer
from .request import HeaderList, RequestView

if TYPE_CHECKING:
    from ..xds.model.cluster import Cluster
    from ..xds.model.route import VirtualHost
    from .balancing.host import Host
    from .routing import CompiledRoute

_NO_METADATA: Mapping[str, Mapping[str, None]] = {}


def _no_id() -> bytes:
    return b""


@dataclass(slots=True)
class Subject:
    """`status` is 0 until a response of an endpoint has come, `response` None while there is none at all. `now` is the
    time of day in seconds, `started` that of the request. `local` is the address that was dialled, with its port.
    """

    request: RequestView
    response: HeaderList | None = None
    status: int = 0
    local_status: int = 0
    """Of a reply of the mesh's own: what `:status` of the response says. In its headers `status` stays 0."""
    flags: tuple[str, ...] = ()
    details: str = ""
    body: bytes = b""
    """Of a reply of the mesh's own."""
    vhost: VirtualHost | None = None
    route: CompiledRoute | None = None
    cluster: Cluster | None = None
    host: Host | None = None
    connected: bool = True
    """Whether a connection to it came about."""
    http2: bool = False
    """Whether HTTP/2 is spoken to the endpoint."""
    tried: tuple[str, ...] = ()
    attempts: int = 0
    started: float = 0.0
    now: float = 0.0
    headed_ms: int | None = None
    """Whole milliseconds until the headers of the endpoint's response came, once all is over."""
    protocol: str = "HTTP/1.1"
    received: int = 0
    """Bytes of the request's body, as far as it is over; `sent` those of the response's."""
    sent: int = 0
    log_type: str = ""
    """What a line or a span is made of: no secret gets there. Empty where headers or bodies are formatted."""
    source_port: int = 0
    trace_id: str = ""
    span_id: str = ""
    local: str = ""
    listener: str = ""
    chain: str = ""
    workload: Workload = Workload()
    dynamic: FilterMetadata = field(default_factory=lambda: _NO_METADATA)
    """What filters have written for one another."""
    peer: Peer | None = None
    """Who the request came from, where it came by TLS."""
    upstream: Callable[[], Peer | None] | None = None
    """Who is at the other end of the connection to the endpoint."""
    transport: str = ""
    """What was wrong with the TLS of a connection to the endpoint."""
    new_id: Callable[[], bytes] = _no_id

    @property
    def elapsed_ms(self) -> int:
        """Whole milliseconds since the request came."""
        return max(0, int((self.now - self.started) * 1000))
