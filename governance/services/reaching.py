"""The way to a service: its cluster, which may be on its way, an endpoint of it that is counted while it is asked, and
a connection to that endpoint, secured as the cluster says.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from time import monotonic
from typing import final

from ...xds.model.resource import ResourceError
from ...xds.model.values import Address
from ..actions import Failure
from ..balancing.context import ANY
from ..balancing.host import Host
from ..cluster import ClusterRuntime
from ..outliers.results import Result
from ..plan import Missing
from ..runtime import Runtime
from ..securing import InsecureError, Securing, Tls
from ..sockets import SocketOptions

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


@final
class Asking:
    """One question to one endpoint, which counts against the limits of its cluster until `end`, as a request does."""

    __slots__ = ("cluster", "host")

    def __init__(self, cluster: ClusterRuntime, host: Host) -> None:
        self.cluster = cluster
        self.host = host

    def report(self, result: Result) -> None:
        """Tell outlier detection what became of the connection, or of the wait."""
        if self.host.state.monitor is not None:
            self.host.state.monitor.result(result)

    def answered(self, status: int) -> None:
        """Tell outlier detection of an answer."""
        if self.host.state.monitor is not None:
            self.host.state.monitor.result("connected")
            self.host.state.monitor.status(status)

    def end(self) -> None:
        """It is over; called once."""
        with self.cluster.state.lock:
            self.cluster.state.normal.requests -= 1
            self.host.state.active -= 1


def asking(runtime: Runtime, cluster: ClusterRuntime) -> Asking | Failure:
    """A question to whom the balancing of the cluster chooses; it must be ended."""
    cluster.state.used_at = runtime.clock()
    for each in (cluster,) if cluster.aggregate is None else cluster.aggregate.clusters.values():
        if each.state.detector is not None:
            each.state.detector.refresh()
    host = cluster.choose(ANY)
    if host is None:
        return Failure("unreachable", f"cluster {cluster.name!r} has no healthy endpoint")
    if host.must_be_secure and (runtime.tls is None or host.socket.unsupported):
        return Failure("unreachable", host.why_not(cluster.name))
    own = cluster.of(host)
    breaker = own.state.normal
    with own.state.lock:
        if breaker.requests >= breaker.limits.max_requests:
            breaker.overflows["requests"] += 1
            return Failure("unreachable", f"cluster {own.name!r} has as many requests as it may have")
        breaker.requests += 1
        host.state.active += 1
    return Asking(own, host)


def left_s(until: float) -> float:
    """Seconds until a moment of the monotonic clock. Raises TimeoutError when there are none."""
    remaining = until - monotonic()
    if remaining <= 0:
        raise TimeoutError("no answer in time")
    return remaining


def dial(where: Address, until: float, options: SocketOptions = ()) -> socket.socket:
    """A connection to an endpoint, made before that moment."""
    if where.unix:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(left_s(until))
            made.connect(where.unix)
        except BaseException:
            made.close()
            raise
        return made
    made = socket.create_connection((where.host, where.port), timeout=left_s(until))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for level, name, value in options:
        made.setsockopt(level, name, value)
    return made


def secured(
    tls: Tls | None,
    secure: Securing | None,
    host: Host,
    where: Address,
    until: float,
    options: SocketOptions = (),
) -> socket.socket:
    """The same, and its other side is whom the cluster expects.

    Raises:
        InsecureError: there is nothing to show or to verify by, or it is somebody else.
        OSError: nobody is reached, or not in time.
    """
    context = context_for(tls, secure, host)
    plain = dial(where, until, options)
    if context is None:
        return plain
    try:
        plain.settimeout(left_s(until))
        return context.wrap_socket(plain)
    except ssl.SSLError as error:
        plain.close()
        raise InsecureError(told(error)) from error
    except BaseException:
        plain.close()
        raise


def context_for(tls: Tls | None, secure: Securing | None, host: Host) -> ssl.SSLContext | None:
    """What makes TLS to an endpoint; None for plaintext.

    Raises:
        InsecureError: there is nothing to show or to verify by.
    """
    if secure is None:
        return None
    if tls is None:
        raise InsecureError("this process has no identity to offer")
    return tls.client(secure, host.address)


def told(error: BaseException) -> str:
    """What went wrong, for people."""
    if isinstance(error, ssl.SSLError):
        said = error.args[1] if len(error.args) > 1 else error.reason
        return str(said or type(error).__name__)
    return str(error) or type(error).__name__
