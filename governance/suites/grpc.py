"""The grpc suite: a channel whose calls the mesh governs, for generated stubs and interceptors as they are.

An interceptor of grpcio sees a call when it is decided where it goes. So it is the channel that is another one: each
call goes through the machine of outgoing calls (`_grpc_sync`), over grpcio's own channel to the endpoint that was
picked (`_grpc_native`). What the mesh does not govern goes over grpcio's channel to the target, as without a mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from typing import Any, Self
from weakref import WeakSet, finalize

import grpc

from ...xds.model.own_channels import OWN_CHANNEL
from ..composition.compose import Policies
from ..grpc_statuses import OK
from ..passing import TcpRoute
from ..runtime import Runtime
from ._alarms import Alarms
from ._grpc_calls import Future, Outcome, Pending, Stream, failed
from ._grpc_methods import Serialized, compressing
from ._grpc_native import Owner
from ._grpc_passage import Passages
from ._grpc_place import place_of, told
from ._grpc_requests import Requests
from ._grpc_rpc import Asked, Place, whole_unary
from ._grpc_status import Ended
from ._grpc_sync import SyncRpc

Options = Sequence[tuple[str, Any]]
CLOSED = "Cannot invoke RPC on closed channel!"

# Generic to type checkers, and not when they run.
_UnaryUnary: Any = grpc.UnaryUnaryMultiCallable
_UnaryStream: Any = grpc.UnaryStreamMultiCallable
_StreamUnary: Any = grpc.StreamUnaryMultiCallable
_StreamStream: Any = grpc.StreamStreamMultiCallable


def plain(target: str, credentials: Any, options: Options, compression: Any) -> grpc.Channel:
    """grpcio's own channel."""
    own = [*options, OWN_CHANNEL]
    if credentials is None:
        return grpc.insecure_channel(target, own, compression)
    return grpc.secure_channel(target, credentials, own, compression)


def channel_to(
    runtime: Runtime | None,
    target: str,
    credentials: Any,
    options: Options,
    compression: Any,
    policies: Policies | None = None,
    forked: Callable[[], None] | None = None,
) -> grpc.Channel:
    """A governed channel; grpcio's own where nothing is governed, or the mesh has nothing to say of such a target.

    `forked` raises where a child of a process that has made calls cannot make any.
    """
    place = place_of(target, options, secure=credentials is not None)
    if runtime is None or place is None:
        return plain(target, credentials, options, compression)

    def make(to: str) -> grpc.Channel:
        return plain(to, credentials, options if to == target else told(options, place), compression)

    return Channel(runtime, place, options, compression, make, target, policies, forked)


class Channel(grpc.Channel):
    """A channel whose calls the mesh governs."""

    def __init__(
        self,
        runtime: Runtime,
        place: Place,
        options: Options,
        compression: Any,
        make_plain: Callable[[str], grpc.Channel],
        target: str,
        policies: Policies | None = None,
        forked: Callable[[], None] | None = None,
    ) -> None:
        self.policies = policies
        self.runtime = runtime
        self.place = place
        self.owner = Owner([*options, *compressing(compression)], forked=forked)
        self.alarms = Alarms()
        self.closed = False
        self._make_plain = make_plain
        self._target = target
        self.passages = Passages(runtime, place, make_plain)
        finalize(self, self.passages.take).atexit = False
        self._plain: grpc.Channel | None = None
        self._lock = Lock()
        self._pending: WeakSet[Pending] = WeakSet()

    def bypassed(self, route: TcpRoute | None) -> grpc.Channel:
        """grpcio's own channel to the target; over connections that the mesh makes, where it has a route for them."""
        with self._lock:
            if self.closed:
                raise ValueError(CLOSED)
            if route is not None:
                made: grpc.Channel = self.passages.to(route)
                return made
            if self._plain is None:
                self._plain = self._make_plain(self._target)
            return self._plain

    def started(self, kind: type[Pending], rpc: SyncRpc, decode: Callable[[bytes], Any]) -> Any:
        """The same beside its caller."""
        pending = kind(rpc, decode, self._pending.discard)
        if not pending.done():
            self._pending.add(pending)
        return pending

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return UnaryUnary(self, "unary_unary", method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return UnaryStream(self, "unary_stream", method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return StreamUnary(self, "stream_unary", method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return StreamStream(self, "stream_stream", method, request_serializer, response_deserializer)

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool | None = False) -> None:
        """Connections are made by calls, to endpoints that calls choose: the channel is ready when the mesh is."""
        del try_to_connect
        callback(grpc.ChannelConnectivity.SHUTDOWN if self.closed else grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """Nothing changes any more."""

    def close(self) -> None:
        """Calls under way are cancelled; the connections are the mesh's."""
        with self._lock:
            self.closed = True
            plain, self._plain = self._plain, None
        for each in list(self._pending):
            each.cancel()
        for made in (*self.passages.take(), plain):
            if made is not None:
                made.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Method(Serialized):
    """A method, ready to be called."""

    _channel: Channel

    def _one(self, request: Any, asked: Asked, *, abortable: bool = False, brief: bool = False) -> SyncRpc:
        channel = self._channel
        if channel.closed:
            raise ValueError(CLOSED)
        return SyncRpc(channel, self._kind, self._path, self._encoded(request), asked, abortable, brief)

    def _many(self, requests: Iterable[Any], asked: Asked, *, abortable: bool = False, brief: bool = False) -> SyncRpc:
        channel = self._channel
        if channel.closed:
            raise ValueError(CLOSED)
        body = Requests(iter(requests), self._encoded)
        return SyncRpc(channel, self._kind, self._path, body, asked, abortable, brief)

    def _response(self, rpc: SyncRpc) -> tuple[Any, Ended]:
        message, ended = whole_unary(rpc, *rpc.run())
        if ended.code != OK or message is None:
            raise failed(ended)
        return (message if self._decode is None else self._decode(message)), ended

    def _with_call(self, rpc: SyncRpc) -> tuple[Any, Outcome]:
        response, ended = self._response(rpc)
        return response, Outcome(ended)


class UnaryUnary(Method, _UnaryUnary):  # type: ignore[misc]
    """One request, one response."""

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        asked = Asked(timeout, metadata, credentials, wait_for_ready, compression)
        return self._response(self._one(request, asked, brief=True))[0]

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> tuple[Any, Outcome]:
        asked = Asked(timeout, metadata, credentials, wait_for_ready, compression)
        return self._with_call(self._one(request, asked))

    def future(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        asked = Asked(timeout, metadata, credentials, wait_for_ready, compression)
        return self._channel.started(Future, self._one(request, asked, abortable=True), self._decoded)


class UnaryStream(Method, _UnaryStream):  # type: ignore[misc]
    """One request, a stream of responses."""

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        asked = Asked(timeout, metadata, credentials, wait_for_ready, compression)
        return self._channel.started(Stream, self._one(request, asked, abortable=True), self._decoded)


class StreamUnary(Method, _StreamUnary):  # type: ignore[misc]
    """A stream of requests, one response."""

    def __call__(
        self,
        request_iterator: Iterable[Any],
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        asked = Asked(timeout, metadata, credentials, wait_for_ready, compression)
        return self._response(self._many(request_iterator, asked, brief=True))[0]

    def with_call(
        self,
        request_iterator: Iterable[Any],
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> tuple[Any, Outcome]:
        asked = Asked(timeout, metadata, credentials, wait_for_ready, compression)
        return self._with_call(self._many(request_iterator, asked))

    def future(
        self,
        request_iterator: Iterable[Any],
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        asked = Asked(timeout, metadata, credentials, wait_for_ready, compression)
        return self._channel.started(Future, self._many(request_iterator, asked, abortable=True), self._decoded)


class StreamStream(Method, _StreamStream):  # type: ignore[misc]
    """A stream each way."""

    def __call__(
        self,
        request_iterator: Iterable[Any],
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        asked = Asked(timeout, metadata, credentials, wait_for_ready, compression)
        return self._channel.started(Stream, self._many(request_iterator, asked, abortable=True), self._decoded)
