"""What is known of a call: the attributes that it may never need are the class's until it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .actions import Race
from .answering import Answering
from .balancing.host import Host
from .cluster import ClusterRuntime
from .composition.compose import Policies
from .composition.own import Passage
from .filters.chain import FilterChainRuntime
from .hashing import Cookies
from .headers import HeaderList
from .passing import TcpRoute
from .peer import Peer
from .plan import Destination
from .pool import Connection, Slot
from .replies import LocalReply
from .request import RawHeaders, RequestView
from .retry import CompiledRetry
from .routing import CompiledRoute, CompiledVirtualHost, Target
from .steering import Steering
from .timing import StreamLimits
from .tracing import Trace
from .upstream import UpstreamRequest

if TYPE_CHECKING:
    from .runtime import Runtime


class CallState:
    """What a call has decided and met so far.

    What every call writes or reads has a slot. What few calls need is the class's until it is theirs: such an attribute
    makes a dictionary, and a class with many of them would make one for every call.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "answering",
        "attempts",
        "bypass",
        "cluster",
        "cut",
        "deadline",
        "destination",
        "dynamic",
        "ended",
        "filters",
        "flags",
        "headed",
        "host",
        "kept",
        "limits",
        "owner",
        "policies",
        "port",
        "received",
        "redirects",
        "reply",
        "request",
        "response",
        "response_headers",
        "retry",
        "route",
        "runtime",
        "secured_by",
        "sent",
        "slot",
        "started",
        "status",
        "target",
        "timeout_s",
        "trace",
        "unreached",
        "uploading",
        "upstream",
        "url_host",
        "vhost",
    )

    response_headers: HeaderList
    """What filters add to the response: only with them is this there, and the two that follow."""
    kept: dict[Any, Any]
    """What they remember of the call."""
    dynamic: dict[str, dict[str, Any]]
    """What they tell one another."""

    def __init__(
        self,
        runtime: Runtime,
        owner: Any,
        request: RequestView,
        url_host: bytes,
        port: int,
        policies: Policies | None = None,
    ) -> None:
        """`owner` is whose connections may be used: a library in one event loop, or in sync code. `policies`: of the
        suite; by default the mesh's."""
        self.runtime = runtime
        self.policies: Policies | None = policies if policies is not None else runtime.policies
        """What users have added and switched, where they have."""
        self.owner = owner
        self.request = request
        if not request.source:
            request.source = runtime.options.workload.address
        self.url_host = url_host
        self.port = port
        self.started = runtime.clock()
        self.ended = 0.0
        """When the machine ended, by the runtime's clock; `started` likewise."""
        self.destination: Destination | None = None
        self.vhost: CompiledVirtualHost | None = None
        self.route: CompiledRoute | None = None
        self.target: Target | None = None
        self.cluster: ClusterRuntime | None = None
        self.host: Host | None = None
        """The endpoint of the last attempt."""
        self.upstream: UpstreamRequest | None = None
        self.filters: FilterChainRuntime | None = None
        """The filters that the request goes through, where there are any."""
        self.answering: Answering | None = None
        """What the connection manager adds to the response."""
        self.trace: Trace | None = None
        """What is traced of it."""
        self.response: HeaderList | None = None
        """The headers of an endpoint's response as the caller gets them, which came at `headed`."""
        self.headed: float | None = None
        self.slot: Slot | None = None
        """The connection in use."""
        self.secured_by: Connection | None = None
        """The connection of the last attempt, where that was TLS."""
        self.attempts = 0
        self.retry: CompiledRetry | None = None
        """What is retried: the cluster's policy, else the route's; None where nothing of this request is."""
        self.flags: tuple[str, ...] = ()
        """Envoy's response flags."""
        self.status = 0
        self.reply: LocalReply | None = None
        """What the mesh itself answered."""
        self.sent = 0
        self.received = 0
        """Bytes of the bodies."""
        self.deadline: float | None = None
        """When the route's timeout ends, by the runtime's clock; None without one, and while the request is
        uploading."""
        self.timeout_s: float | None = None
        """The route's timeout."""
        self.limits: StreamLimits | None = None
        """What else ends the call, where anything does."""
        self.redirects: tuple[tuple[str, str], ...] = ()
        """The redirects that were followed inside the mesh: names of the routes that got and that took the request."""
        self.cut = True  # until the body has ended
        self.uploading = False
        """Whether the request has a body that is still being sent. Its driver sets it, and calls `uploaded`."""
        self.bypass: TcpRoute | None = None
        """Where a connection goes that is passed on; `DIRECT` where the library dials the name itself."""
        self.unreached = ""
        """The flag of a connection that the library's own means could not make. Its driver sets it, and raises."""

    peer: Peer | None = None
    source_port: int = 0
    incoming = False
    protocol = "HTTP/1.1"
    moved = False
    named: str | None = None
    """The cluster that a header named before a filter changed the headers."""
    hash: int | None = None
    """What the balancer went by, where it goes by a hash."""
    wanted: tuple[str, ...] = ()
    """Endpoints that the request names, as far as no try has taken them."""
    cookies: Cookies | None = None
    """What hashing has made for the response."""
    tried: tuple[str, ...] = ()
    """The endpoints that the tries before the last have reached."""
    grpc_status: bytes | None = None
    """As the headers of a gRPC response say it (a response without a body)."""
    steering: Steering | None = None
    """What the request says of it itself, where it may."""
    race: Race | None = None
    """Where the tries run beside each other: what tells of them."""
    passage: Passage | None = None
    """The request on its way through the users' own policies."""
    anew = False
    """Whether it has begun anew, with a request that is not the program's or to another host."""
    told: RawHeaders = ()
    """What is added to a request that goes out by the library's own means, in the place of any of the same names."""
    shadowed: tuple[tuple[str, str], ...] = ()
    """What shadow mode has decided and not done: the policy, and the outcome."""
    fallen = 0
    """How many fallbacks have been asked."""
    fallback = ""
    """What has answered in place of a failure: response, function or host."""
    spent = False
    """Whether the request cannot be sent once more."""
    timed = True
    """Whether what limits time is enforced."""
    alone = False
    """Whether its driver makes one try after the other, never two at once."""
    would_s: float | None = None
    """The timeout that shadow mode does not enforce."""

    @property
    def may_be_sent_again(self) -> bool:
        """Whether its body is to be kept: for a retry, a redirect inside the mesh, or a fallback to another host."""
        route, policies = self.route, self.policies
        return (
            self.retry is not None
            or (route is not None and route.internal_redirect is not None)
            or (policies is not None and policies.elsewhere)
        )
