"""Connections whose bytes the mesh does not look into: where they go by what was dialled (envoy source: TcpProxy)."""

from __future__ import annotations

from .cluster import ClusterRuntime
from .passing import BLACKHOLE, DIRECT, PASSTHROUGH, TcpRoute
from .plan import OPAQUE, Destination, Missing
from .replies import LocalReply, closed, no_cluster
from .runtime import Runtime

HTTP_ONLY = "listener {} takes HTTP here and answers other bytes with 400: this is for a suite of an HTTP library"


def passed_on(
    runtime: Runtime, destination: Destination
) -> tuple[TcpRoute, ClusterRuntime | None] | LocalReply | Missing:
    """What becomes of a connection without routes: where it goes, with the cluster; to no cluster by `DIRECT`."""
    if destination.kind == "refused":
        return closed(destination.reason)
    found = destination.tcp_route(runtime.uniform)
    if found.cluster == PASSTHROUGH:
        return DIRECT, None
    if found.cluster == BLACKHOLE:
        return closed("BlackHoleCluster: the mesh lets nothing out to unknown hosts")
    cluster = runtime.plan.cluster(found.cluster)
    if isinstance(cluster, Missing):
        return cluster
    return no_cluster(503) if cluster is None else (found, cluster)


def dialled(runtime: Runtime, host: str, port: int) -> TcpRoute | LocalReply | Missing:
    """Where a connection goes that a program makes for bytes of its own.

    Raises:
        ResourceError: what says it is invalid.
    """
    plan = runtime.plan
    destination = plan.destination(OPAQUE, host.encode("latin-1", "replace"), port)
    if isinstance(destination, Missing):
        open_yet = runtime.options.passthrough_until_ready and not plan.snapshot.complete
        return DIRECT if open_yet else destination
    if destination.http is not None:
        return closed(HTTP_ONLY.format(destination.listener))
    found = passed_on(runtime, destination)
    if isinstance(found, (LocalReply, Missing)):
        return found
    route, cluster = found
    if cluster is not None:
        cluster.state.used_at = runtime.clock()
    return route
