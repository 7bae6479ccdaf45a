"""The grpc suite under asyncio: the channel of `grpc.aio` whose calls the mesh governs (see `grpc`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from typing import Any, Self
from weakref import finalize

import grpc
import grpc.aio

from ...xds.model.own_channels import OWN_CHANNEL
from ..composition.compose import Policies
from ..passing import TcpRoute
from ..runtime import Runtime
from ._grpc_aio_actions import AioRpc
from ._grpc_aio_calls import Driven, StreamStream, StreamUnary, UnaryStream, UnaryUnary, Writing
from ._grpc_aio_intercepted import Intercepted, checked, invoked, of_kind
from ._grpc_methods import Serialized, compressing
from ._grpc_native import Owner
from ._grpc_passage import Passages
from ._grpc_place import place_of, told
from ._grpc_requests import AsyncRequests
from ._grpc_rpc import Asked, Place

Options = Sequence[tuple[str, Any]]
_UnaryUnary: Any = grpc.aio.UnaryUnaryMultiCallable
_UnaryStream: Any = grpc.aio.UnaryStreamMultiCallable
_StreamUnary: Any = grpc.aio.StreamUnaryMultiCallable
_StreamStream: Any = grpc.aio.StreamStreamMultiCallable


def plain(target: str, credentials: Any, options: Options, compression: Any, interceptors: Any) -> grpc.aio.Channel:
    """grpcio's own channel."""
    own = [*options, OWN_CHANNEL]
    if credentials is None:
        return grpc.aio.insecure_channel(target, own, compression, interceptors)
    return grpc.aio.secure_channel(target, credentials, own, compression, interceptors)


def channel_to(
    runtime: Runtime | None,
    target: str,
    credentials: Any,
    options: Options,
    compression: Any,
    interceptors: Any,
    policies: Policies | None = None,
    forked: Callable[[], None] | None = None,
) -> grpc.aio.Channel:
    """A governed channel; grpcio's own where nothing is governed, or the mesh has nothing to say of such a target.

    `forked` raises where a child of a process that has made calls cannot make any.
    """
    place = place_of(target, options, secure=credentials is not None)
    if runtime is None or place is None:
        return plain(target, credentials, options, compression, interceptors)

    def make(to: str) -> grpc.aio.Channel:
        return plain(to, credentials, options if to == target else told(options, place), compression, None)

    return Channel(runtime, place, options, compression, checked(interceptors), make, target, policies, forked)


class Channel(grpc.aio.Channel):
    """A channel whose calls the mesh governs; it belongs to the event loop in which its calls begin."""

    def __init__(
        self,
        runtime: Runtime,
        place: Place,
        options: Options,
        compression: Any,
        interceptors: tuple[Any, ...],
        make_plain: Callable[[str], grpc.aio.Channel],
        target: str,
        policies: Policies | None = None,
        forked: Callable[[], None] | None = None,
    ) -> None:
        self.policies = policies
        self._forked = forked
        self.runtime = runtime
        self.place = place
        self._options = [*options, *compressing(compression)]
        self.interceptors = interceptors
        self._make_plain = make_plain
        self._target = target
        self.passages = Passages(runtime, place, make_plain)
        finalize(self, self.passages.take).atexit = False
        self._plain: grpc.aio.Channel | None = None
        self.owner: Owner | None = None
        self._under_way: set[Driven] = set()
        self._closed = False
        self._closing = asyncio.Event()

    def bypassed(self, route: TcpRoute | None) -> grpc.aio.Channel:
        """grpcio's own channel to the target; over connections that the mesh makes, where it has a route for them."""
        if route is not None:
            made: grpc.aio.Channel = self.passages.to(route)
            return made
        if self._plain is None:
            self._plain = self._make_plain(self._target)
        return self._plain

    def driven(self, kind: str, path: bytes, body: Any, asked: Asked, decode: Callable[[bytes], Any]) -> Driven:
        """A call that begins."""
        if self._closed:
            raise grpc.aio.UsageError("Channel is closed.")
        loop, owner = asyncio.get_running_loop(), self.owner
        if owner is None or owner.key.loop is not loop:
            process = None if owner is None else owner.process
            self.owner = Owner(self._options, loop, forked=self._forked, process=process)
        made = Driven(AioRpc(self, kind, path, body, asked), decode, self._under_way.discard, loop)
        self._under_way.add(made)
        return made

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        return UnaryUnaryMethod(self, "unary_unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        return UnaryStreamMethod(self, "unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        return StreamUnaryMethod(self, "stream_unary", method, request_serializer, response_deserializer)

    def stream_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        return StreamStreamMethod(self, "stream_stream", method, request_serializer, response_deserializer)

    def get_state(self, try_to_connect: bool = False) -> Any:
        """Connections are made by calls, to endpoints that calls choose: the channel is ready until it is closed."""
        del try_to_connect
        return grpc.ChannelConnectivity.SHUTDOWN if self._closed else grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: Any) -> None:
        if self.get_state() is last_observed_state:
            await self._closing.wait()

    async def channel_ready(self) -> None:
        """At once: see `get_state`."""

    async def close(self, grace: float | None = None) -> None:
        """Calls under way have that long to end, and are cancelled; the connections are the mesh's."""
        self._closed = True
        self._closing.set()
        if self._under_way and grace:
            waiting = [asyncio.ensure_future(each.wait()) for each in self._under_way]
            _, left = await asyncio.wait(waiting, timeout=grace)
            for waits in left:
                waits.cancel()
        for each in list(self._under_way):
            each.cancel()
        for made in (*self.passages.take(), self._plain):
            if made is not None:
                await made.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close(None)


class Method(Serialized):
    """A method, ready to be called."""

    _channel: Channel

    def __init__(self, channel: Channel, kind: str, method: Any, encode: Any, decode: Any) -> None:
        super().__init__(channel, kind, method, encode, decode)
        self._interceptors = of_kind(channel.interceptors, kind)

    def _call(self, request: Any, asked: Asked) -> Any:
        if not self._interceptors:
            return self._begin(self._path, request, asked)
        metadata = grpc.aio.Metadata(*asked.metadata) if asked.metadata is not None else grpc.aio.Metadata()
        make: Any = grpc.aio.ClientCallDetails
        details = make(self._path, asked.timeout_s, metadata, asked.credentials, asked.wait_for_ready)

        def begin(details: Any, request: Any) -> Any:
            path = details.method if isinstance(details.method, bytes) else details.method.encode()
            own = Asked(
                details.timeout, details.metadata, details.credentials, details.wait_for_ready, asked.compression
            )
            return self._begin(path, request, own)

        return Intercepted(invoked(self._interceptors, self._kind, begin, details, request))

    def _begin(self, path: bytes, request: Any, asked: Asked) -> Any:
        raise NotImplementedError

    def _one(self, path: bytes, request: Any, asked: Asked) -> Driven:
        return self._channel.driven(self._kind, path, self._encoded(request), asked, self._decoded)

    def _many(self, path: bytes, requests: Any, asked: Asked) -> tuple[Driven, Writing | None]:
        writing = Writing() if requests is None else None
        source = writing.ask if writing is not None else asker(requests)

        async def ask() -> bytes | None:
            request = await source()
            return None if request is None else self._encoded(request)

        body = AsyncRequests(ask, asyncio.Lock())
        return self._channel.driven(self._kind, path, body, asked, self._decoded), writing


def asker(requests: Iterable[Any] | AsyncIterable[Any]) -> Callable[[], Awaitable[Any]]:
    """What is awaited for the next of a program's requests; None when there are no more."""
    if isinstance(requests, AsyncIterable):
        source = aiter(requests)
        return lambda: anext(source, None)
    plain = iter(requests)

    async def ask() -> Any:
        return next(plain, None)

    return ask


class UnaryUnaryMethod(Method, _UnaryUnary):  # type: ignore[misc]
    """One request, one response."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        return self._call(request, Asked(timeout, metadata, credentials, wait_for_ready, compression))

    def _begin(self, path: bytes, request: Any, asked: Asked) -> Any:
        return UnaryUnary(self._one(path, request, asked))


class UnaryStreamMethod(Method, _UnaryStream):  # type: ignore[misc]
    """One request, a stream of responses."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        return self._call(request, Asked(timeout, metadata, credentials, wait_for_ready, compression))

    def _begin(self, path: bytes, request: Any, asked: Asked) -> Any:
        return UnaryStream(self._one(path, request, asked))


class StreamUnaryMethod(Method, _StreamUnary):  # type: ignore[misc]
    """A stream of requests, one response."""

    def __call__(
        self,
        request_iterator: Any = None,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        return self._call(request_iterator, Asked(timeout, metadata, credentials, wait_for_ready, compression))

    def _begin(self, path: bytes, request: Any, asked: Asked) -> Any:
        return StreamUnary(*self._many(path, request, asked))


class StreamStreamMethod(Method, _StreamStream):  # type: ignore[misc]
    """A stream each way."""

    def __call__(
        self,
        request_iterator: Any = None,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        return self._call(request_iterator, Asked(timeout, metadata, credentials, wait_for_ready, compression))

    def _begin(self, path: bytes, request: Any, asked: Asked) -> Any:
        return StreamStream(*self._many(path, request, asked))
