"""Asking a service that speaks plain HTTP behind a cluster: an endpoint by the cluster's own balancing.

What is needed of HTTP/1.1 is little (one request, one whole answer), so it is done on bare sockets and blocking; tasks
have it done by a few threads. HTTP/2 is that of `http2`. Connections are secured as the cluster says, kept, belong to
one process, and go with the mesh.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from threading import Lock
from time import monotonic

from ...xds.model.authorization_service import HttpCheck, HttpVerdict
from ..actions import Asked, Failure
from ..cluster import ClusterRuntime
from ..headers import HeaderList
from ..runtime import Runtime
from ..securing import InsecureError, Securing, service_securing
from .http2 import exchanged
from .links import Links
from .reaching import Asking, asking, left_s, reached, reached_async, secured, told

THREADS = 32
IDLE = 8
"""Connections that are kept for each endpoint, and each name that it is asked for by TLS."""
MOST_IDLE = 256
"""Of a process: names may be as many as there are Hosts. Those that were used longest ago go first."""
OF_CONNECTIONS = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"})
MOST = 4 * 1024 * 1024
"""Bytes of an answer."""

Key = tuple[str, str, Securing | None]


class Connections:
    """Idle connections by cluster and endpoint, and the threads that ask for tasks. `links`: those of HTTP/2."""

    __slots__ = ("_count", "_idle", "_lock", "_process", "_threads", "links")

    def __init__(self, links: Links | None = None) -> None:
        self.links = links if links is not None else Links()
        self._process = os.getpid()
        self._lock = Lock()
        self._idle: OrderedDict[Key, list[socket.socket]] = OrderedDict()
        self._count = 0
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
            if not idle:
                return None
            self._count -= 1
            found = idle.pop()
            if not idle:
                del self._idle[key]
            return found

    def give(self, key: Key, connection: socket.socket) -> None:
        """It may be used again."""
        old = connection
        with self._lock:
            idle = self._idle.setdefault(key, [])
            self._idle.move_to_end(key)
            if len(idle) < IDLE:
                idle.append(connection)
                self._count += 1
                if self._count <= MOST_IDLE:
                    return
                self._count -= 1
                longest = next(iter(self._idle))
                old = self._idle[longest].pop(0)
                if not self._idle[longest]:
                    del self._idle[longest]
        old.close()

    def sweep(self, leads: Callable[[str, str], bool]) -> None:
        """Close what is idle and whose cluster is gone, or has the endpoint no more."""
        if self._process != os.getpid() or not self._idle:
            return
        gone: list[socket.socket] = []
        with self._lock:
            for key in [each for each in self._idle if not leads(each[0], each[1])]:
                gone += self._idle.pop(key)
            self._count -= len(gone)
        for each in gone:
            each.close()

    def close(self) -> None:
        """Close what is idle; questions that come later open new ones."""
        self.links.close()
        if self._process != os.getpid():  # the lock and the threads are the parent's
            self._process, self._lock, self._threads = os.getpid(), Lock(), None
        with self._lock:
            idle, self._idle, self._count = self._idle, OrderedDict(), 0
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
        asked = cluster if isinstance(cluster, Failure) else asking(self._runtime, cluster)
        if isinstance(asked, Failure):
            return asked
        where = f"cluster {asked.cluster.name}, endpoint {asked.host.address}"
        until = monotonic() + timeout_s
        found: HttpVerdict | Failure
        try:
            if asked.cluster.http2:
                found = self._by_http2(asked, request, until)
            else:
                found = self._ask(asked, written(request), request, until)
        except TimeoutError:
            found = Failure("timeout", f"{where}: no answer in time")
        except (OSError, HTTPException, InsecureError, ValueError) as error:
            found = Failure("unreachable", f"{where}: {told(error)}", error)
        finally:
            asked.end()
        if isinstance(found, HttpVerdict):
            asked.answered(found.status)
        else:
            asked.report("timeout" if found.kind == "timeout" else "connect-failed")
        return found

    def _by_http2(self, asked: Asking, request: HttpCheck, until: float) -> HttpVerdict | Failure:
        authority = request.authority.decode("latin-1")
        begin = self._connections.links.begin(self._runtime, asked, authority)
        scheme = b"https" if asked.host.must_be_secure else b"http"
        found = exchanged(begin, pseudo(request, scheme), request.body, until)
        if isinstance(found, Failure):
            return found
        headers = tuple((name, value.strip(b" \t")) for name, value in found.headers)
        return HttpVerdict(found.status, headers, found.body)

    def _ask(self, asked: Asking, data: bytes, request: HttpCheck, until: float) -> HttpVerdict:
        cluster, host, runtime = asked.cluster, asked.host, self._runtime
        secure = service_securing(cluster, host, request.authority.decode("latin-1"), http2=False)
        key = (cluster.name, host.address, secure)
        left = partial(left_s, until)
        kept = self._connections.take(key)
        if kept is not None:
            with suppress(ConnectionError, RemoteDisconnected):  # it was closed while it was idle: another one
                return self._over(kept, key, data, request, left)
        soon = min(until, monotonic() + cluster.config.connect_timeout_s)
        made = secured(runtime.tls, secure, host, host.endpoint.address, soon, cluster.socket_options)
        return self._over(made, key, data, request, left)

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


def pseudo(request: HttpCheck, scheme: bytes) -> HeaderList:
    """The headers of a request over HTTP/2.

    Raises:
        ValueError: no message may carry them.
    """
    written(request)
    own = [pair for pair in request.headers if pair[0].lower() not in OF_CONNECTIONS]
    if any(not name or b":" in name or name != name.strip() for name, _ in own):
        raise ValueError("a header without a proper name")
    return [
        (b":method", request.method),
        (b":scheme", scheme),
        (b":authority", request.authority),
        (b":path", request.path),
        *((name.lower(), value.strip(b" \t")) for name, value in own),
    ]
