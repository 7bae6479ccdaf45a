"""The way to a service: its cluster, which may be on its way, and a blocking connection to an endpoint of it."""

from __future__ import annotations

import socket
from contextlib import suppress
from time import monotonic

from ...xds.model.resource import ResourceError
from ...xds.model.values import Address
from ..actions import Failure
from ..cluster import ClusterRuntime
from ..plan import Missing
from ..runtime import Runtime

CONFIG_WAIT_S = 5.0
"""How long the first question waits for the cluster's endpoints: Envoy has them before it uses the filter."""


def found(runtime: Runtime, name: str) -> ClusterRuntime | Missing | None:
    """The cluster; what it still lacks is asked for. None where there is none, or one that cannot be read."""
    with suppress(ResourceError):
        cluster = runtime.plan.cluster(name)
        if isinstance(cluster, Missing):
            runtime.require(cluster)
        return cluster
    return None


def reached(runtime: Runtime, name: str) -> ClusterRuntime | Failure:
    """The cluster, waited for."""
    changes, until = runtime.changes, runtime.clock() + CONFIG_WAIT_S
    while True:
        seen = changes.generation
        cluster = found(runtime, name)
        if not isinstance(cluster, Missing):
            return cluster if cluster is not None else none(name)
        if not changes.wait(seen, max(0.0, until - runtime.clock())):
            return _absent(cluster)


async def reached_async(runtime: Runtime, name: str) -> ClusterRuntime | Failure:
    """The same for a task."""
    changes, until = runtime.changes, runtime.clock() + CONFIG_WAIT_S
    while True:
        seen = changes.generation
        cluster = found(runtime, name)
        if not isinstance(cluster, Missing):
            return cluster if cluster is not None else none(name)
        if not await changes.wait_async(seen, max(0.0, until - runtime.clock())):
            return _absent(cluster)


def none(name: str) -> Failure:
    """What is said where there is no such cluster."""
    return Failure("unreachable", f"there is no cluster {name!r}")


def _absent(cluster: Missing) -> Failure:
    return Failure("unreachable", f"{cluster.what} did not come")


def left_s(until: float) -> float:
    """Seconds until a moment of the monotonic clock. Raises TimeoutError when there are none."""
    remaining = until - monotonic()
    if remaining <= 0:
        raise TimeoutError("no answer in time")
    return remaining


def dial(where: Address, until: float) -> socket.socket:
    """A connection to an endpoint, made before that moment."""
    if not where.unix:
        return socket.create_connection((where.host, where.port), timeout=left_s(until))
    made = socket.socket(socket.AF_UNIX)
    try:
        made.settimeout(left_s(until))
        made.connect(where.unix)
    except BaseException:
        made.close()
        raise
    return made
