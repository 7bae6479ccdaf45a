"""What dials the endpoints of a TCP cluster for the library's own pool, whatever name is asked for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from time import monotonic
from typing import Any

from ..balancing.host import Host
from ..cluster import ClusterRuntime
from ..passing import Life, TcpRoute, pauses, wishes
from ..plan import Missing
from ..runtime import Runtime
from ..securing import InsecureError, plain_securing
from ..tcp import TcpConnection, choose, connect
from ._httpcore import Library
from ._steps import Step, Steps, closing, open_connection, run, run_async, secured

OVER = "the mesh has closed the connection: its time is over"

Find = Callable[[str], ClusterRuntime | Missing | None]


class _Backend:
    def __init__(self, find: Find, library: Library, route: TcpRoute, runtime: Runtime, inner: Any) -> None:
        self._find = find
        self._library = library
        self._route = route
        self._runtime = runtime
        self._wishes = wishes(route.proxy, runtime.options.workload.address)
        self._inner = inner

    def _connect(
        self, dialled: str, port: int, timeout: float | None
    ) -> tuple[TcpConnection, Host, float, dict[str, Any]]:
        """An endpoint for a new connection; as behind a sidecar, no endpoint means a connection that fails."""
        name = self._route.cluster
        found = self._find(name)
        host = None
        if isinstance(found, ClusterRuntime):
            host = self._dialled(found, dialled, port) if found.original_dst else choose(found, self._wishes)
        if not isinstance(found, ClusterRuntime) or host is None:
            raise self._refused("UH", f"cluster {name} has no healthy endpoint")
        if host.must_be_secure and (self._runtime.tls is None or host.socket.unsupported):
            raise self._refused("UF", host.why_not(name))
        found = found.of(host)
        held = connect(found, host)
        if held is None:
            raise self._refused("UO", f"cluster {name} has as many connections as it may have")
        limit = found.config.connect_timeout_s
        own = {"socket_options": found.socket_options} if found.socket_options else {}
        return held, host, limit if timeout is None else min(timeout, limit), own

    def _dialled(self, cluster: ClusterRuntime, name: str, port: int) -> Host:
        """The endpoint of an ORIGINAL_DST cluster; the system resolves a name that the mesh does not know."""
        return cluster.dialled(self._runtime.plan.resolve(name)[0] or name.strip("[]"), port)

    def _dial(
        self, name: str, port: int, timeout: float | None, options: dict[str, Any]
    ) -> Steps[tuple[Any, TcpConnection]]:
        """A connection to an endpoint, as often as the proxy says: the library's stream, and what counts it."""
        left_s, until = timeout, None if timeout is None else monotonic() + timeout
        failed: BaseException | None = None
        for pause_s in chain((0.0,), pauses(self._route.proxy, self._runtime.uniform)):
            if failed is not None and until is not None:
                left_s = until - monotonic() - pause_s
                if left_s <= 0:
                    break
            if pause_s:
                yield _sleep(pause_s)
            held, host, limit, own = self._connect(name, port, left_s)
            address, secure = host.endpoint.address, plain_securing(host)
            stream: Any = None
            try:
                began = monotonic()
                stream = yield open_connection(address, address.port, limit, {**options, **own})
                if secure is not None:
                    left = limit - (monotonic() - began)
                    stream = yield secured(stream, self._runtime, secure, host.address, left)
            except (InsecureError, self._library.core.ConnectError) as error:
                told: BaseException = error
                if stream is not None:
                    where = f"cluster {self._route.cluster}, endpoint {host.address}"
                    told = self._refused("UF", f"{where}: {error}")
                    if isinstance(error, InsecureError):
                        yield closing(stream)
                self._failed(held, told, left_s, limit)
                failed = told
                continue
            except BaseException as error:
                self._failed(held, error, left_s, limit)
                failed = error
                continue
            held.report("connected-finally")
            return stream, held
        raise failed or self._library.core.ConnectTimeout("timed out")

    def _life(self) -> Life:
        return Life(self._route.proxy, self._runtime.clock, self._runtime.uniform)

    def _failed(self, held: TcpConnection, error: BaseException, timeout: float | None, limit: float) -> None:
        """A caller that is less patient than the cluster says nothing of the endpoint. What is no failure to connect is
        raised again."""
        core = self._library.core
        held.end()
        if isinstance(error, core.ConnectTimeout):
            if timeout is None or timeout > limit:
                held.report("timeout")
        elif isinstance(error, core.ConnectError):
            held.report("connect-failed")
        else:
            raise error

    def _refused(self, flag: str, reason: str) -> Exception:
        error: Exception = self._library.core.ConnectError(f"{flag}: {reason}")
        error.flag = flag  # type: ignore[attr-defined]  # for the suite
        return error


def _sleep(seconds: float) -> Step:
    return lambda backend: backend.sleep(seconds)


class TcpBackend(_Backend):
    """httpcore's NetworkBackend for sync code."""

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        stream, held = run(self._dial(host, port, timeout, options), self._inner)
        return Stream(stream, held, self._life(), self._library.core)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class AsyncTcpBackend(_Backend):
    """The same, awaited."""

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:  # noqa: ASYNC109
        stream, held = await run_async(self._dial(host, port, timeout, options), self._inner)
        return AsyncStream(stream, held, self._life(), self._library.core)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Stream:
    __slots__ = ("_core", "_held", "_inner", "_life")

    def __init__(self, inner: Any, held: TcpConnection, life: Life, core: Any) -> None:
        self._inner = inner
        self._held = held
        self._life = life
        self._core = core

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._life.over():
            return True  # what a pool takes for one that the other side has closed
        return self._inner.get_extra_info(info)


class Stream(_Stream):
    """A connection that is counted until it is closed, with TLS on it or without; it ends when its life is over."""

    __slots__ = ()

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        bound, last = self._life.bound(timeout)
        try:
            data = self._inner.read(max_bytes, bound)
        except self._core.ReadTimeout:
            if not last:
                raise
            self.close()
            raise self._core.ReadError(OVER) from None
        self._life.touch()
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        bound, last = self._life.bound(timeout)
        try:
            self._inner.write(buffer, bound)
        except self._core.WriteTimeout:
            if not last:
                raise
            self.close()
            raise self._core.WriteError(OVER) from None
        self._life.touch()

    def close(self) -> None:
        self._held.end()
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Stream:
        try:
            inner = self._inner.start_tls(ssl_context, server_hostname, timeout)
            return Stream(inner, self._held, self._life, self._core)
        except BaseException:
            self._held.end()
            raise


class AsyncStream(_Stream):
    """The same, awaited."""

    __slots__ = ()

    async def read(self, max_bytes: int, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        bound, last = self._life.bound(timeout)
        try:
            data = await self._inner.read(max_bytes, bound)
        except self._core.ReadTimeout:
            if not last:
                raise
            await self.aclose()
            raise self._core.ReadError(OVER) from None
        self._life.touch()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        bound, last = self._life.bound(timeout)
        try:
            await self._inner.write(buffer, bound)
        except self._core.WriteTimeout:
            if not last:
                raise
            await self.aclose()
            raise self._core.WriteError(OVER) from None
        self._life.touch()

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
            inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
            return AsyncStream(inner, self._held, self._life, self._core)
        except BaseException:
            self._held.end()
            raise
