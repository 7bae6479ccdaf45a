"""Requests that the mesh does not route: the library's own pool, its proxies, its trust.

A TCP cluster (`https://`, databases behind HTTP, TCP ports) is governed per connection: the pool's network backend
dials an endpoint of the cluster instead of the name, and the library's own TLS stays end to end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any
from urllib.request import getproxies, proxy_bypass

from ..cluster import ClusterRuntime
from ..passing import TcpRoute
from ..plan import Missing
from ..runtime import Runtime
from ._httpcore import Library
from ._tcp import AsyncTcpBackend, TcpBackend


def proxy_for(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for a host, as the library itself would find it."""
    proxies = getproxies()
    if not proxies or proxy_bypass(host):
        return None
    proxy = proxies.get(scheme) or proxies.get("all")
    return None if not proxy else proxy if "://" in proxy else f"http://{proxy}"


class _Base(ABC):
    def __init__(self, runtime: Runtime, inner: Any, library: Library, proxied: Callable[[str], Any] | None) -> None:
        """`proxied` makes the library's pool for a proxy; None where the environment's proxies are not asked for."""
        self._runtime = runtime
        self._inner = inner
        self._library = library
        self._proxied = proxied
        self._pools: dict[object, Any] = {}

    def _pool(self, request: Any, route: TcpRoute | None) -> Any:
        if route is not None:
            return self._cached(route, self._tcp_pool, route)
        if self._proxied is None:
            return self._inner
        proxy = proxy_for(request.url.scheme.decode(), request.url.host.decode())
        return self._inner if proxy is None else self._cached(f"proxy {proxy}", self._proxied, proxy)

    def _cached(self, key: object, make: Any, argument: object) -> Any:
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

    @abstractmethod
    def _tcp_pool(self, route: TcpRoute) -> Any:
        """The library's pool, whose connections go to the cluster of a route."""

    def _find(self, cluster: str) -> ClusterRuntime | Missing | None:
        return self._runtime.plan.cluster(cluster)


class Ungoverned(_Base):
    """For sync code."""

    def handle_request(self, request: Any, route: TcpRoute | None) -> Any:
        """Send the request as it is."""
        return self._pool(request, route).handle_request(request)

    def close(self) -> None:
        """Close all pools."""
        for pool in self._pools.values():
            pool.close()
        self._inner.close()

    def _tcp_pool(self, route: TcpRoute) -> Any:
        core = self._library.core
        backend = TcpBackend(self._find, self._library, route, self._runtime, core.SyncBackend())
        return core.ConnectionPool(network_backend=backend, **self._options())


class AsyncUngoverned(_Base):
    """For asyncio."""

    async def handle_async_request(self, request: Any, route: TcpRoute | None) -> Any:
        """Send the request as it is."""
        return await self._pool(request, route).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all pools."""
        for pool in self._pools.values():
            await pool.aclose()
        await self._inner.aclose()

    def _tcp_pool(self, route: TcpRoute) -> Any:
        core = self._library.core
        backend = AsyncTcpBackend(self._find, self._library, route, self._runtime, core.AnyIOBackend())
        return core.AsyncConnectionPool(network_backend=backend, **self._options())
