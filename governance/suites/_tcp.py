"""What dials the endpoints of a TCP cluster for the library's own pool, whatever name is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...xds.model.values import Address
from ..cluster import ClusterRuntime
from ..plan import Missing
from ..tcp import TcpConnection, choose, connect
from ._httpcore import Library

Find = Callable[[str], ClusterRuntime | Missing | None]


class _Backend:
    def __init__(self, find: Find, library: Library, cluster: str, inner: Any) -> None:
        self._find = find
        self._library = library
        self._cluster = cluster
        self._inner = inner

    def _connect(self, timeout: float | None, options: dict[str, Any]) -> tuple[TcpConnection, Address, float]:
        """An endpoint for a new connection; as behind a sidecar, no endpoint means a connection that fails."""
        name = self._cluster
        found = self._find(name)
        host = choose(found) if isinstance(found, ClusterRuntime) else None
        if not isinstance(found, ClusterRuntime) or host is None:
            raise self._refused("UH", f"cluster {name} has no healthy endpoint")
        if host.must_be_secure:
            raise self._refused("UF", host.why_not(name))
        held = connect(found, host)
        if held is None:
            raise self._refused("UO", f"cluster {name} has as many connections as it may have")
        if found.socket_options:
            options["socket_options"] = (*(options.get("socket_options") or ()), *found.socket_options)
        limit = found.config.connect_timeout_s
        return held, host.endpoint.address, limit if timeout is None else min(timeout, limit)

    def _made(self, held: TcpConnection, stream: Any) -> Any:
        held.report("connected-finally")
        return stream

    def _failed(self, held: TcpConnection, error: BaseException, timeout: float | None, limit: float) -> None:
        """A caller that is less patient than the cluster says nothing of the endpoint."""
        core = self._library.core
        if isinstance(error, core.ConnectTimeout):
            if timeout is None or timeout > limit:
                held.report("timeout")
        elif isinstance(error, core.ConnectError):
            held.report("connect-failed")
        held.end()

    def _refused(self, flag: str, reason: str) -> Exception:
        error: Exception = self._library.core.ConnectError(f"{flag}: {reason}")
        error.flag = flag  # type: ignore[attr-defined]  # for the suite
        return error


class TcpBackend(_Backend):
    """httpcore's NetworkBackend for sync code."""

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        del host, port
        held, address, limit = self._connect(timeout, options)
        try:
            stream = (
                self._inner.connect_unix_socket(address.unix, limit)
                if address.unix
                else self._inner.connect_tcp(address.host, address.port, timeout=limit, **options)
            )
            return self._made(held, Stream(stream, held))
        except BaseException as error:
            self._failed(held, error, timeout, limit)
            raise

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class AsyncTcpBackend(_Backend):
    """The same, awaited."""

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:  # noqa: ASYNC109
        del host, port
        held, address, limit = self._connect(timeout, options)
        try:
            stream = await (
                self._inner.connect_unix_socket(address.unix, limit)
                if address.unix
                else self._inner.connect_tcp(address.host, address.port, timeout=limit, **options)
            )
            return self._made(held, AsyncStream(stream, held))
        except BaseException as error:
            self._failed(held, error, timeout, limit)
            raise

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Stream:
    __slots__ = ("_held", "_inner", "read", "write")

    def __init__(self, inner: Any, held: TcpConnection) -> None:
        self._inner = inner
        self._held = held
        self.read = inner.read
        self.write = inner.write

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class Stream(_Stream):
    """A connection that is counted until it is closed, with TLS on it or without."""

    __slots__ = ()

    def close(self) -> None:
        self._held.end()
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Stream:
        try:
            return Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._held)
        except BaseException:
            self._held.end()
            raise


class AsyncStream(_Stream):
    """The same, awaited."""

    __slots__ = ()

    async def aclose(self) -> None:
        self._held.end()
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncStream:
        try:
            return AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._held)
        except BaseException:
            self._held.end()
            raise
