"""Requests that the mesh does not route: the library's own pool, its proxies, its trust.

A TCP cluster (`https://`, databases behind HTTP, TCP ports) is governed per connection: the pool's network backend
dials an endpoint of the cluster instead of the name, and the library's own TLS stays end to end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.request import getproxies, proxy_bypass

from ..balancing.host import Host
from ..cluster import ClusterRuntime
from ..runtime import Runtime
from ._httpcore import Library


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host, as the library itself would find it."""
    proxies = getproxies()
    if not proxies or proxy_bypass(host):
        return None
    proxy = proxies.get(scheme) or proxies.get("all")
    return None if not proxy else proxy if "://" in proxy else f"http://{proxy}"


class _Base:
    def __init__(self, runtime: Runtime, inner: Any, library: Library, proxied: Callable[[str], Any] | None) -> None:
        """`proxied` makes the library's pool for a proxy; None where the environment's proxies are not asked for."""
        self._runtime = runtime
        self._inner = inner
        self._library = library
        self._proxied = proxied
        self._pools: dict[str, Any] = {}

    def _pool(self, request: Any, cluster: str | None) -> Any:
        if cluster is not None:
            return self._cached(f"tcp {cluster}", self._tcp_pool, cluster)
        if self._proxied is None:
            return self._inner
        proxy = proxy_for(request.url.scheme.decode(), request.url.host.decode())
        return self._inner if proxy is None else self._cached(f"proxy {proxy}", self._proxied, proxy)

    def _cached(self, key: str, make: Any, argument: str) -> Any:
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools.setdefault(key, make(argument))
        return pool

    def _options(self) -> dict[str, Any]:
        inner = self._inner
        return {
            "ssl_context": inner._ssl_context,
            "max_connections": inner._max_connections,
            "max_keepalive_connections": inner._max_keepalive_connections,
            "keepalive_expiry": inner._keepalive_expiry,
            "http1": inner._http1,
            "http2": inner._http2,
        }

    def _tcp_pool(self, cluster: str) -> Any:
        raise NotImplementedError

    def pick(self, cluster: str) -> tuple[ClusterRuntime, Host]:
        """An endpoint for a new connection; as behind a sidecar, no endpoint means a connection that fails."""
        found = self._runtime.plan.cluster(cluster)
        host = found.choose((), 1) if isinstance(found, ClusterRuntime) else None
        if not isinstance(found, ClusterRuntime) or host is None:
            raise self._library.core.ConnectError(f"UH: cluster {cluster} has no healthy endpoint")
        if host.must_be_secure:
            raise self._library.core.ConnectError(f"UF: {host.why_not(cluster)}")
        return found, host


class Ungoverned(_Base):
    """For sync code."""

    def handle_request(self, request: Any, cluster: str | None) -> Any:
        """Send the request as it is."""
        return self._pool(request, cluster).handle_request(request)

    def close(self) -> None:
        """Close all pools."""
        for pool in self._pools.values():
            pool.close()
        self._inner.close()

    def _tcp_pool(self, cluster: str) -> Any:
        core = self._library.core
        return core.ConnectionPool(network_backend=_TcpBackend(self, cluster, core.SyncBackend()), **self._options())


class AsyncUngoverned(_Base):
    """For asyncio."""

    async def handle_async_request(self, request: Any, cluster: str | None) -> Any:
        """Send the request as it is."""
        return await self._pool(request, cluster).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all pools."""
        for pool in self._pools.values():
            await pool.aclose()
        await self._inner.aclose()

    def _tcp_pool(self, cluster: str) -> Any:
        core = self._library.core
        backend = _AsyncTcpBackend(self, cluster, core.AnyIOBackend())
        return core.AsyncConnectionPool(network_backend=backend, **self._options())


class _TcpBackend:
    """Dials an endpoint of a cluster, whatever name is asked for."""

    def __init__(self, owner: _Base, cluster: str, inner: Any) -> None:
        self._owner = owner
        self._cluster = cluster
        self._inner = inner

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        cluster, endpoint = self._owner.pick(self._cluster)
        del host, port
        limit = cluster.config.connect_timeout_s
        address = endpoint.endpoint.address
        return self._inner.connect_tcp(
            address.host, address.port, timeout=limit if timeout is None else min(timeout, limit), **options
        )

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _AsyncTcpBackend:
    """The same, awaited."""

    def __init__(self, owner: _Base, cluster: str, inner: Any) -> None:
        self._owner = owner
        self._cluster = cluster
        self._inner = inner

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:  # noqa: ASYNC109
        cluster, endpoint = self._owner.pick(self._cluster)
        del host, port
        limit = cluster.config.connect_timeout_s
        address = endpoint.endpoint.address
        return await self._inner.connect_tcp(
            address.host, address.port, timeout=limit if timeout is None else min(timeout, limit), **options
        )

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
