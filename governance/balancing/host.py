"""One endpoint of a cluster, and what is remembered of it from one configuration to the next."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Literal

from ...xds.model.cluster import TransportSocket
from ...xds.model.endpoint import HealthStatus, LbEndpoint
from ...xds.model.values import Locality

if TYPE_CHECKING:
    from ..outliers.monitor import HostMonitor

_PLAINTEXT = TransportSocket()

CoarseHealth = Literal["healthy", "degraded", "unhealthy"]


class Reported:
    """What an endpoint has said of its load: the weight that follows, since when it says anything, and when last."""

    __slots__ = ("at", "since", "weight")

    def __init__(self) -> None:
        self.weight = 1
        self.since = inf
        self.at = -inf


class HostState:
    """Survives configuration updates; keyed by cluster and address.

    `active` counts the requests on their way, `connections` the connections. `pools` holds the latter: one entry per
    library and event loop, owned by the suite that opened them. `ejected` and `self_degraded` are outlier detection's
    word; `failing`, `degraded` and `pending` (new, not asked yet, and to count for nothing until then:
    CommonLbConfig.ignore_new_hosts_until_first_hc) are those of active health checks. Whoever changes one calls
    `ClusterState.health_changed`. `healthy_since`: when it was first seen healthy, or passed an active health check
    after failing some (Host::lastHcPassTime), for slow start. `monitor` is where outcomes are reported, None where the
    cluster has no outlier detection. `load`: what it says of its own load, where somebody listens. `cluster`: the name
    of the cluster that it is of. `not_secured`: what was wrong with the TLS of the newest connection.
    """

    __slots__ = (
        "active",
        "cluster",
        "connections",
        "degraded",
        "ejected",
        "failing",
        "healthy_since",
        "load",
        "monitor",
        "not_secured",
        "pending",
        "pools",
        "self_degraded",
    )

    def __init__(self, cluster: str = "") -> None:
        self.active = 0
        self.cluster = cluster
        self.connections = 0
        self.pools: dict[Any, Any] = {}
        self.ejected = False
        self.failing = False
        self.degraded = False
        self.pending = False
        self.self_degraded = False
        self.monitor: HostMonitor | None = None
        self.load: Reported | None = None
        self.not_secured = ""
        self.healthy_since: float | None = None


class Host:
    """An endpoint in one version of its assignment."""

    __slots__ = (
        "address",
        "endpoint",
        "host",
        "locality",
        "must_be_secure",
        "port",
        "priority",
        "socket",
        "state",
        "weight",
        "well",
    )

    def __init__(
        self,
        endpoint: LbEndpoint,
        state: HostState,
        locality: Locality = Locality(),
        priority: int = 0,
        socket: TransportSocket = _PLAINTEXT,
    ) -> None:
        self.endpoint = endpoint
        self.address = str(endpoint.address)
        self.host = endpoint.address.host.encode()
        self.port = endpoint.address.port
        self.weight = endpoint.weight
        self.well = endpoint.health in ("UNKNOWN", "HEALTHY")
        self.locality = locality
        self.priority = priority
        self.socket = socket
        self.state = state
        self.must_be_secure = socket.tls or bool(socket.unsupported)

    def says(self, endpoint: LbEndpoint, locality: Locality, priority: int) -> bool:
        """Whether another version of the assignment has the very same host."""
        return (
            self.priority == priority
            and (self.endpoint is endpoint or self.endpoint == endpoint)
            and (self.locality is locality or self.locality == locality)
        )

    def why_not(self, cluster: str) -> str:
        """Why this endpoint cannot be spoken to."""
        if self.socket.unsupported:
            return f"cluster {cluster}: endpoint {self.address}: {self.socket.unsupported}"
        return (
            f"cluster {cluster}: endpoint {self.address} must be spoken to by mTLS, and this process has no identity "
            "to offer"
        )

    @property
    def health(self) -> HealthStatus:
        """What the control plane says of it."""
        return self.endpoint.health

    @property
    def fit(self) -> bool:
        """Whether nothing at all is known against it, which can be asked quickly."""
        state = self.state
        return self.well and not (
            state.ejected or state.failing or state.degraded or state.self_degraded or state.pending
        )

    @property
    def coarse_health(self) -> CoarseHealth:
        """All that is known of it, in one word (envoy source: HostImpl::coarseHealth)."""
        state, health = self.state, self.endpoint.health
        if state.ejected or state.failing or health in ("UNHEALTHY", "DRAINING", "TIMEOUT"):
            return "unhealthy"
        return "degraded" if state.degraded or state.self_degraded or health == "DEGRADED" else "healthy"

    def __repr__(self) -> str:
        return f"<Host {self.address}>"
