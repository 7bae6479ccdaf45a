"""The suite of grpcio's servers on an event loop: the same as for those in threads (`grpc_server`), awaited.

Such a server may have handlers that are no coroutines; those run in threads, and are governed as there.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, NoReturn

import grpc
import grpc.aio

from ...xds.model.resource import ResourceError
from ..actions import Collect
from ..framing import PREFIX
from ..grpc_statuses import INTERNAL, UNAVAILABLE, UNIMPLEMENTED, UNKNOWN
from ..peer import SERVED
from ._current import attach
from ._grpc_codes import code_of, number_of
from ._grpc_context import Told
from ._grpc_front import Governing
from ._grpc_inbound import (
    NOT_FOUND,
    UNREADABLE,
    Incoming,
    LostError,
    Metadata,
    Refusal,
    further_in,
    unvouched,
)
from ._incoming import decided_async
from .grpc_server import KINDS, Handled, behavior_of, governed, log

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # its stubs do not know it


class GovernedAioServer(Governing, grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic for checkers only
    """The interceptor: the first in the list, so that everything else happens behind the mesh."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if self.runtime is None:
            return await continuation(handler_call_details)
        if further_in(handler_call_details.invocation_metadata):
            self.layer.inner()
            return await continuation(handler_call_details)
        method, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        inner = await continuation(type(handler_call_details)(method, unvouched(metadata)))
        if inner is not None and not _is_async(behavior_of(inner)):
            return governed(self, self.runtime, method, inner, lazily=True)
        call = Call(self, self.runtime, method, inner)
        if inner is None:
            return grpc.stream_stream_rpc_method_handler(call.nobody)
        kind = bool(inner.request_streaming), bool(inner.response_streaming)
        made = {
            (False, False): call.unary_unary,
            (False, True): call.unary_stream,
            (True, False): call.stream_unary,
            (True, True): call.stream_stream,
        }
        return KINDS[kind](made[kind], None, call.serialize)


def _is_async(behavior: Any) -> bool:
    """As grpcio decides it."""
    return inspect.iscoroutinefunction(behavior) or inspect.isasyncgenfunction(behavior)


class Call(Handled):
    """One of a server on an event loop."""

    # -- on its way in --------------------------------------------------------------------------------------------

    async def _enter(self, context: Any, requests: _Requests) -> AioServerContext:
        """Decide. Whoever is refused is told so here, by what grpcio's abort raises."""
        peer = context.peer()
        try:
            came = self._governing.came_by(peer)
        except LostError as error:
            return await _abort(context, Refusal(UNAVAILABLE, str(error)))
        incoming = self._incoming = requests.incoming = Incoming(
            self._runtime,
            self._governing.port,
            self._method,
            context.invocation_metadata(),
            peer,
            came,
            None,
            self._governing.policies,
        )
        try:
            try:
                reply = await decided_async(incoming.inbound, requests.collect)
                if reply is None:
                    metadata = incoming.let_through()
                    SERVED.set(came.served if came is not None else None)
                    attach(incoming.inbound)
                    return AioServerContext(context, incoming, metadata, requests)
                refusal = incoming.refuse(reply)
            except ResourceError as error:
                refusal = incoming.undecidable(error)
        except BaseException:
            incoming.over()
            raise
        return await _abort(context, refusal)

    async def _read(self, governed: AioServerContext, message: Any) -> Any:
        deserialize = self._inner.request_deserializer
        if deserialize is None:
            return message
        try:
            return deserialize(message)
        except Exception:
            log.exception("a request of %s could not be deserialized", self._method)
        return await governed.abort(code_of(INTERNAL), UNREADABLE)

    # -- the four kinds -------------------------------------------------------------------------------------------

    async def unary_unary(self, message: bytes, context: Any) -> Any:
        requests = _Requests(None, message)
        governed = await self._enter(context, requests)
        return await self._answer(governed, requests, one=True)

    async def stream_unary(self, _: AsyncIterator[bytes], context: Any) -> Any:
        requests = _Requests(context)
        governed = await self._enter(context, requests)
        return await self._answer(governed, requests)

    async def unary_stream(self, message: bytes, context: Any) -> Any:
        requests = _Requests(None, message)
        governed = await self._enter(context, requests)
        async with aclosing(self._answers(governed, requests, one=True)) as responses:
            async for each in responses:
                yield each

    async def stream_stream(self, _: AsyncIterator[bytes], context: Any) -> Any:
        requests = _Requests(context)
        governed = await self._enter(context, requests)
        async with aclosing(self._answers(governed, requests)) as responses:
            async for each in responses:
                yield each

    async def nobody(self, _: AsyncIterator[bytes], context: Any) -> None:
        """There is no such method; who may not call is not told so."""
        governed = await self._enter(context, _Requests(context))
        await governed.abort(code_of(UNIMPLEMENTED), NOT_FOUND)

    async def _request(self, governed: AioServerContext, requests: _Requests, *, one: bool) -> Any:
        requests.read = lambda message: self._read(governed, message)
        return await requests.__anext__() if one else requests

    async def _answer(self, governed: AioServerContext, requests: _Requests, *, one: bool = False) -> Any:
        with governed.watching():
            response = await behavior_of(self._inner)(await self._request(governed, requests, one=one), governed)
        await governed.open()
        return response

    async def _answers(self, governed: AioServerContext, requests: _Requests, *, one: bool = False) -> Any:
        behavior = behavior_of(self._inner)
        with governed.watching():
            request = await self._request(governed, requests, one=one)
            if inspect.isasyncgenfunction(behavior):
                async with aclosing(behavior(request, governed)) as responses:
                    async for each in responses:
                        await governed.open()
                        yield each
            else:
                await behavior(request, governed)
        await governed.open()


async def _abort(context: Any, refusal: Refusal) -> NoReturn:
    await context.abort(code_of(refusal.status), refusal.details, refusal.trailing)
    raise AssertionError("grpcio's abort raises")


class _Requests:
    """The messages of a request; those that a filter has read are not lost."""

    incoming: Incoming

    def __init__(self, context: Any, *messages: bytes) -> None:
        """`context` is grpcio's, which reads; None where there is no message more."""
        self._context = context
        self._messages = list(messages)
        self.read: Callable[[bytes], Awaitable[Any]] | None = None

    async def _next(self) -> Any:
        if self._messages:
            return self._messages.pop(0)
        return await self._context.read() if self._context is not None else EOF

    async def collect(self, action: Collect) -> int:
        """As much of the body as a filter wants to see."""
        held = self.incoming.held
        length = sum(len(each) + PREFIX for each in held)
        while length <= action.most:
            message = await self._next()
            if message is EOF:
                break
            held.append(message)
            length += len(message) + PREFIX
        return self.incoming.collected(action)

    async def message(self) -> Any:
        """The next one for the app, or EOF."""
        incoming = self.incoming
        message = incoming.held.pop(0) if incoming.held else await self._next()
        if message is EOF or self.read is None:
            return message
        incoming.received(message)
        return await self.read(message)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        message = await self.message()
        if message is EOF:
            raise StopAsyncIteration
        return message


class _Watching:
    """Knows whether a handler has failed."""

    __slots__ = ("_governed",)

    def __init__(self, governed: AioServerContext) -> None:
        self._governed = governed

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            self._governed.failed(tells=issubclass(kind, Exception))


class AioServerContext(Told, grpc.aio.ServicerContext[Any, Any]):
    """grpcio's context, with the metadata and the peer as the mesh tells them."""

    def __init__(self, inner: Any, incoming: Incoming, metadata: Metadata, requests: _Requests) -> None:
        super().__init__(inner, incoming, metadata)
        self._requests = requests
        inner.add_done_callback(self._done)

    def _done(self, inner: Any) -> None:
        self._incoming.complete = inner.done()
        self._incoming.over()

    def watching(self) -> _Watching:
        """Around what the app does."""
        return _Watching(self)

    def failed(self, *, tells: bool) -> None:
        """The handler has raised; `tells`: the client will hear of it."""
        incoming = self._incoming
        incoming.failed = True
        if tells and not incoming.opened:
            self._inner.set_trailing_metadata(incoming.closing(self._inner.trailing_metadata()))

    async def open(self) -> None:
        """The response begins, if it has not begun yet."""
        if not self._incoming.opened:
            initial = self._incoming.opening()
            if initial is not None:
                await self._inner.send_initial_metadata(initial)

    # -- as the mesh tells it -------------------------------------------------------------------------------------

    async def read(self) -> Any:
        return await self._requests.message()

    async def write(self, message: Any) -> None:
        await self.open()
        await self._inner.write(message)

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        if self._incoming.opened:
            await self._inner.send_initial_metadata(initial_metadata)  # which says that it is too late
        else:
            await self._inner.send_initial_metadata(self._incoming.opening(initial_metadata) or ())

    async def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        self._incoming.code = number_of(code) or UNKNOWN
        trailing = tuple(trailing_metadata)
        if not self._incoming.opened:
            trailing = self._incoming.closing(trailing or self._inner.trailing_metadata())
        await self._inner.abort(code, details, trailing)
        raise AssertionError("grpcio's abort raises")

    async def abort_with_status(self, status: Any) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())
        raise AssertionError("grpcio's abort raises")

    # -- as it is -------------------------------------------------------------------------------------------------

    def add_done_callback(self, callback: Any) -> None:
        self._inner.add_done_callback(lambda _: callback(self))

    def done(self) -> bool:
        done: bool = self._inner.done()
        return done

    def cancelled(self) -> bool:
        cancelled: bool = self._inner.cancelled()
        return cancelled
