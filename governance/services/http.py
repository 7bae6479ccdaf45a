"""Asking a service that speaks plain HTTP/1.1 behind a cluster: an endpoint by the cluster's own balancing.

What is needed is little (one request, one whole answer), so it is done on bare sockets and blocking; tasks have it done
by a few threads. Connections are kept, belong to one process, and go with the mesh.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from threading import Lock

from ...xds.model.authorization_service import HttpCheck, HttpVerdict
from ...xds.model.values import Address
from ..actions import Asked, Failure
from ..balancing.context import ANY
from ..cluster import ClusterRuntime
from ..runtime import Runtime
from .reaching import reached, reached_async

THREADS = 32
IDLE = 8
"""Connections that are kept for each endpoint."""
MOST = 4 * 1024 * 1024
"""Bytes of an answer."""

Key = tuple[str, str]


class Connections:
    """Idle connections by cluster and endpoint, and the threads that ask for tasks."""

    __slots__ = ("_idle", "_lock", "_threads")

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: dict[Key, list[socket.socket]] = {}
        self._threads: ThreadPoolExecutor | None = None

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Made when it is needed first."""
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, "proxyless-authorization")
            return self._threads

    def take(self, key: Key) -> socket.socket | None:
        """One that is idle."""
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    def give(self, key: Key, connection: socket.socket) -> None:
        """It may be used again."""
        with self._lock:
            idle = self._idle.setdefault(key, [])
            if len(idle) < IDLE:
                idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close what is idle; questions that come later open new ones."""
        with self._lock:
            idle, self._idle = self._idle, {}
            threads, self._threads = self._threads, None
        for connections in idle.values():
            for each in connections:
                each.close()
        if threads is not None:
            threads.shutdown(wait=False)


class HttpService:
    """A service behind a cluster; whatever goes wrong is a `Failure`."""

    __slots__ = ("_cluster", "_connections", "_runtime")

    def __init__(self, runtime: Runtime, connections: Connections, cluster: str) -> None:
        self._runtime = runtime
        self._connections = connections
        self._cluster = cluster

    def ask(self, request: HttpCheck, timeout_s: float) -> HttpVerdict | Failure:
        """Its answer; blocks for no longer than the timeout, or while its endpoints are on their way."""
        cluster = reached(self._runtime, self._cluster)
        return self._count(self._exchanged(cluster, request, timeout_s))

    async def ask_async(self, request: HttpCheck, timeout_s: float) -> HttpVerdict | Failure:
        """The same for a task."""
        cluster = await reached_async(self._runtime, self._cluster)
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._connections.threads, self._exchanged, cluster, request, timeout_s)
        return self._count(await work)

    def _count(self, outcome: HttpVerdict | Failure) -> HttpVerdict | Failure:
        self._runtime.asked.setdefault((self._cluster, "HTTP"), Asked()).count(outcome)
        return outcome

    def _exchanged(
        self, cluster: ClusterRuntime | Failure, request: HttpCheck, timeout_s: float
    ) -> HttpVerdict | Failure:
        if isinstance(cluster, Failure):
            return cluster
        cluster.state.used_at = self._runtime.clock()
        host = cluster.choose(ANY)
        if host is None:
            return Failure("unreachable", f"cluster {cluster.name!r} has no healthy endpoint")
        if host.must_be_secure:
            return Failure("unreachable", host.why_not(cluster.name))
        if cluster.http2:
            return Failure("unreachable", f"cluster {cluster.name!r} wants HTTP/2, which services are not asked by")
        try:
            return self._ask(host.endpoint.address, (cluster.name, host.address), written(request), request, timeout_s)
        except (OSError, HTTPException, ValueError) as error:
            return Failure("unreachable", f"{cluster.name} at {host.address}: {error!r}", error)

    def _ask(self, address: Address, key: Key, data: bytes, request: HttpCheck, timeout_s: float) -> HttpVerdict:
        until = self._runtime.clock() + timeout_s

        def left() -> float:
            remaining = until - self._runtime.clock()
            if remaining <= 0:
                raise TimeoutError("no answer in time")
            return remaining

        kept = self._connections.take(key)
        if kept is not None:
            with suppress(ConnectionError, RemoteDisconnected):  # it was closed while it was idle: another one
                return self._over(kept, key, data, request, left)
        return self._over(connected(address, left()), key, data, request, left)

    def _over(
        self, connection: socket.socket, key: Key, data: bytes, request: HttpCheck, left: Callable[[], float]
    ) -> HttpVerdict:
        reusable = False
        try:
            connection.settimeout(left())
            connection.sendall(data)
            response = HTTPResponse(connection, method=request.method.decode("latin-1"))
            try:
                response.begin()
                body = b""
                while chunk := response.read1(65536):
                    body += chunk
                    if len(body) > MOST:
                        raise ValueError(f"an answer of more than {MOST} bytes")
                    connection.settimeout(left())
                headers = [(name.lower().encode("latin-1"), _bytes(value)) for name, value in response.getheaders()]
                reusable = not response.will_close
            finally:
                response.close()
            return HttpVerdict(response.status, tuple(headers), body)
        finally:
            if reusable:
                self._connections.give(key, connection)
            else:
                connection.close()


def _bytes(value: str) -> bytes:
    return value.strip(" \t").encode("latin-1")


def connected(address: Address, timeout_s: float) -> socket.socket:
    """A connection to an endpoint."""
    if address.unix:
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(timeout_s)
        try:
            made.connect(address.unix)
        except OSError:
            made.close()
            raise
        return made
    made = socket.create_connection((address.host, address.port), timeout_s)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def written(request: HttpCheck) -> bytes:
    """A request as it travels.

    Raises:
        ValueError: it would be more than one.
    """
    head = [request.method + b" " + request.path + b" HTTP/1.1", b"host: " + request.authority]
    head += [name + b": " + value for name, value in request.headers]
    if any(mark in line for line in head for mark in (b"\r", b"\n", b"\0")):
        raise ValueError("a line break within a header")
    if b" " in request.path:
        raise ValueError("a space within a path")
    return b"\r\n".join(head) + b"\r\n\r\n" + request.body
