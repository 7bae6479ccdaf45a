"""What dials the endpoints of a TCP cluster for the library's own pool, whatever name is asked for."""

from __future__ import annotations

from typing import Any

from ..passing import Life, TcpRoute
from ..runtime import Runtime
from ..tcp import TcpConnection
from ._dialling import Dialling, Find
from ._steps import run, run_async

OVER = "the mesh has closed the connection: its time is over"


class _Backend(Dialling):
    def __init__(self, find: Find, library: Any, route: TcpRoute, runtime: Runtime, inner: Any) -> None:
        super().__init__(find, library, route, runtime, inner)
        self._core = library.core


class Dialler(Dialling):
    """For a suite with connections of its own: `dial` gives what its backend has made."""

    async def dial(self, host: str, port: int, timeout: float | None) -> tuple[Any, TcpConnection]:  # noqa: ASYNC109
        """A connection to an endpoint, and what counts it until `end`."""
        return await run_async(self.steps(host, port, timeout, {}), self._inner)


class TcpBackend(_Backend):
    """httpcore's NetworkBackend for sync code."""

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        stream, held = run(self.steps(host, port, timeout, options), self._inner)
        return Stream(stream, held, self.life(), self._core)

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class AsyncTcpBackend(_Backend):
    """The same, awaited."""

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:  # noqa: ASYNC109
        stream, held = await run_async(self.steps(host, port, timeout, options), self._inner)
        return AsyncStream(stream, held, self.life(), self._core)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Stream:
    __slots__ = ("_core", "_held", "_inner", "_life")

    def __init__(self, inner: Any, held: TcpConnection, life: Life, core: Any) -> None:
        self._inner = inner
        self._held = held
        self._life = life
        self._core = core

    def detach(self) -> tuple[Any, TcpConnection, Life]:
        """The socket, for whoever reads and writes it himself: he ends what counts it, and keeps to its life."""
        return self._inner.get_extra_info("socket"), self._held, self._life

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
