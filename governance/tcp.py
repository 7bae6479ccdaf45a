"""Connections that the mesh passes on without looking into them (envoy source: TcpProxy::establishUpstreamConnection).

They count against their cluster's `max_connections`. Above it a new one is refused at once and does not queue: nobody
knows when one of those that run will end.
"""

from typing import final
from weakref import finalize

from .balancing.context import ANY, PickContext
from .balancing.host import Host, HostState
from .cluster import ClusterRuntime, ClusterState
from .outliers.results import Result


@final
class TcpConnection:
    """One connection to one endpoint, counted until `end`, or until nobody has it any more."""

    __slots__ = ("__weakref__", "_abandon", "_host", "_state")

    def __init__(self, state: ClusterState, host: HostState) -> None:
        self._state = state
        self._host = host
        # Collected at any moment, perhaps under this very lock: then it is only noted.
        self._abandon = finalize(self, state.abandoned.append, host)
        self._abandon.atexit = False

    def report(self, result: Result) -> None:
        """Tell outlier detection whether it could be made."""
        if self._host.monitor is not None:
            self._host.monitor.result(result)

    def end(self) -> None:
        """It is closed; once is enough."""
        if self._abandon.detach() is not None:
            with self._state.lock:
                _forget(self._state, self._host)


def choose(cluster: ClusterRuntime, context: PickContext = ANY) -> Host | None:
    """The endpoint of the next connection."""
    for each in (cluster,) if cluster.aggregate is None else cluster.aggregate.clusters.values():
        detector = each.state.detector
        if detector is not None:
            detector.refresh()
    return cluster.choose(context)


def connect(cluster: ClusterRuntime, host: Host, *, limited: bool = True) -> TcpConnection | None:
    """Count a connection that is about to be made; None where the cluster has as many as it may have (UO), unless they
    are not limited."""
    state = cluster.state
    breaker = state.normal
    with state.lock:
        while state.abandoned:
            _forget(state, state.abandoned.popleft())
        if limited and breaker.connections >= breaker.limits.max_connections:
            breaker.overflows["connections"] += 1
            return None
        breaker.connections += 1
        host.state.active += 1
    return TcpConnection(state, host.state)


def _forget(state: ClusterState, host: HostState) -> None:
    state.normal.connections -= 1
    host.active -= 1
