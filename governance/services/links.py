"""The HTTP/2 connections of one process to services, by cluster and endpoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from threading import Lock
from time import monotonic

from ...xds.model.values import Address
from ..balancing.host import Host
from ..cluster import ClusterRuntime
from ..runtime import Runtime
from ..securing import Securing, Tls, service_securing
from ..sockets import SocketOptions
from .http2 import Begin, Dial, Exchange, Link
from .reaching import Asking, context_for, dial
from .wire import Wire


class Links:
    """They are made when they are needed, and retired when a cluster no longer has their endpoint, or secures it in
    another way. They belong to one process: a forked child starts anew."""

    __slots__ = ("_links", "_lock", "_process")

    def __init__(self) -> None:
        self._process = os.getpid()
        self._lock = Lock()
        self._links: dict[tuple[str, str], tuple[Link, Securing | None]] = {}

    def begin(self, runtime: Runtime, asked: Asking, authority: str) -> Begin:
        """How an exchange with that endpoint begins."""
        secure = service_securing(asked.cluster, asked.host, authority, http2=True)
        return partial(self._begin, runtime.tls, asked, secure)

    def _begin(self, tls: Tls | None, asked: Asking, secure: Securing | None, exchange: Exchange) -> Link:
        key = (asked.cluster.name, asked.host.address)
        kept = self._links.get(key)
        if kept is not None and kept[1] == secure and kept[0].begin(exchange):
            return kept[0]
        with self._lock:
            old = self._links.get(key)
            if old is not kept and old is not None and old[1] == secure and old[0].begin(exchange):
                return old[0]  # another thread was first
            self._sweep(asked)
            host = asked.host
            dial = dialling(tls, secure, host, host.endpoint.address, asked.cluster)
            link = Link(dial, f"cluster {asked.cluster.name}, endpoint {host.address}", exchange)
            self._links[key] = (link, secure)
        if old is not None:
            old[0].retire()
        return link

    def _sweep(self, asked: Asking) -> None:
        alive = {host.address for host in asked.cluster.hosts}
        for key in [each for each in self._links if each[0] == asked.cluster.name and each[1] not in alive]:
            self._links.pop(key)[0].retire()

    def sweep(self, leads: Callable[[str, str], bool]) -> None:
        """Retire those whose cluster is gone, or has their endpoint no more."""
        if self._process != os.getpid() or not self._links:
            return
        with self._lock:
            gone = [self._links.pop(key) for key in list(self._links) if not leads(*key)]
        for link, _ in gone:
            link.retire()

    def close(self) -> None:
        """Close them all; questions that come later open new ones."""
        if self._process != os.getpid():  # the lock is the parent's
            self._process, self._lock = os.getpid(), Lock()
        with self._lock:
            links, self._links = self._links, {}
        for link, _ in links.values():
            link.close()


def dialling(tls: Tls | None, secure: Securing | None, host: Host, where: Address, cluster: ClusterRuntime) -> Dial:
    """Makes a connection to an endpoint of a cluster, as `connect` says it."""
    limit_s, options = cluster.config.connect_timeout_s, cluster.socket_options
    return lambda: connect(tls, secure, host, where, limit_s, options)


def connect(
    tls: Tls | None, secure: Securing | None, host: Host, where: Address, limit_s: float, options: SocketOptions = ()
) -> Wire:
    """A connection whose other side is whom the cluster expects.

    Raises:
        InsecureError: there is nothing to show or to verify by.
        OSError: nobody is reached, not in time, or it is somebody else (ssl.SSLError).
    """
    until = monotonic() + limit_s
    context = context_for(tls, secure, host)
    sock = dial(where, until, options)
    try:
        return Wire(sock, context, until)
    except BaseException:
        sock.close()
        raise
