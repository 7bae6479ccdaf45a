"""Interceptors of grpc.aio around a governed call: they are given to a channel, and see a call before it begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from functools import partial
from typing import Any

import grpc
import grpc.aio

KINDS: dict[str, tuple[type, str]] = {
    "unary_unary": (grpc.aio.UnaryUnaryClientInterceptor, "intercept_unary_unary"),
    "unary_stream": (grpc.aio.UnaryStreamClientInterceptor, "intercept_unary_stream"),
    "stream_unary": (grpc.aio.StreamUnaryClientInterceptor, "intercept_stream_unary"),
    "stream_stream": (grpc.aio.StreamStreamClientInterceptor, "intercept_stream_stream"),
}
_Call: Any = grpc.aio.Call

Begin = Callable[[Any, Any], Any]
"""Begins a call: its details, and its request or requests."""


def checked(interceptors: Sequence[Any] | None) -> tuple[Any, ...]:
    """Interceptors that grpcio knows.

    Raises:
        ValueError: one is none.
    """
    found = tuple(interceptors or ())
    for each in found:
        if not isinstance(each, grpc.aio.ClientInterceptor):
            raise ValueError(f"Interceptor {each} must be a grpc.aio.ClientInterceptor")  # noqa: TRY004  # as grpcio
    return found


def of_kind(interceptors: Sequence[Any], kind: str) -> tuple[Any, ...]:
    """Those that have to do with calls of a kind."""
    return tuple(each for each in interceptors if isinstance(each, KINDS[kind][0]))


async def invoked(interceptors: tuple[Any, ...], kind: str, begin: Begin, details: Any, request: Any) -> Any:
    """What the first of them makes of a call: a call, or its response."""
    if not interceptors:
        return begin(details, request)
    first, rest = interceptors[0], interceptors[1:]
    continuation: Callable[[Any, Any], Awaitable[Any]] = partial(invoked, rest, kind, begin)
    return await getattr(first, KINDS[kind][1])(continuation, details, request)


class Intercepted(_Call):  # type: ignore[misc]
    """A call that interceptors may still be busy with; of any kind."""

    def __init__(self, work: Any) -> None:
        self._task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work)
        self._told: list[Callable[[Any], None]] = []
        self._task.add_done_callback(self._made)

    def _made(self, task: asyncio.Task[Any]) -> None:
        told, self._told = self._told, []
        call = None if task.cancelled() or task.exception() is not None else task.result()
        for each in told:
            if isinstance(call, grpc.aio.Call):
                call.add_done_callback(partial(_instead, each, self))
            else:
                each(self)

    def _settled(self) -> Any:
        """The call, or what an interceptor has given for a response; None before."""
        task = self._task
        return None if not task.done() or task.cancelled() or task.exception() is not None else task.result()

    def __del__(self) -> None:
        task = getattr(self, "_task", None)
        if task is not None and not task.get_loop().is_closed():
            self.cancel()

    def cancelled(self) -> bool:
        call = self._settled()
        return call.cancelled() if isinstance(call, grpc.aio.Call) else self._task.cancelled()

    def done(self) -> bool:
        call = self._settled()
        return call.done() if isinstance(call, grpc.aio.Call) else self._task.done()

    def time_remaining(self) -> float | None:
        call = self._settled()
        return call.time_remaining() if isinstance(call, grpc.aio.Call) else None

    def cancel(self) -> bool:
        call = self._settled()
        return call.cancel() if isinstance(call, grpc.aio.Call) else self._task.cancel()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        call = self._settled()
        if isinstance(call, grpc.aio.Call):
            call.add_done_callback(partial(_instead, callback, self))
        elif self._task.done():
            callback(self)
        else:
            self._told.append(callback)

    async def _call(self) -> Any:
        return await self._task

    async def initial_metadata(self) -> Any:
        call = await self._call()
        return await call.initial_metadata() if isinstance(call, grpc.aio.Call) else grpc.aio.Metadata()

    async def trailing_metadata(self) -> Any:
        try:
            call = await self._call()
        except grpc.aio.AioRpcError as error:
            return error.trailing_metadata()
        return await call.trailing_metadata() if isinstance(call, grpc.aio.Call) else grpc.aio.Metadata()

    async def code(self) -> Any:
        try:
            call = await self._call()
        except grpc.aio.AioRpcError as error:
            return error.code()
        return await call.code() if isinstance(call, grpc.aio.Call) else grpc.StatusCode.OK

    async def details(self) -> Any:
        try:
            call = await self._call()
        except grpc.aio.AioRpcError as error:
            return error.details()
        return await call.details() if isinstance(call, grpc.aio.Call) else ""

    async def wait_for_connection(self) -> None:
        call = await self._call()
        if isinstance(call, grpc.aio.Call):
            await call.wait_for_connection()

    async def _value(self) -> Any:
        try:
            call: Any = await self._call()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if isinstance(call, grpc.aio.Call):
            waited: Any = call
            return await waited
        return call

    def __await__(self) -> Generator[Any, None, Any]:
        return self._value().__await__()

    async def _all(self) -> AsyncIterator[Any]:
        async for message in await self._call():
            yield message

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._all()

    async def read(self) -> Any:
        call: Any = await self._call()
        return await call.read()

    async def write(self, request: Any) -> None:
        call: Any = await self._call()
        await call.write(request)

    async def done_writing(self) -> None:
        call: Any = await self._call()
        await call.done_writing()


def _instead(callback: Callable[[Any], None], own: Intercepted, call: Any) -> None:
    del call
    callback(own)
