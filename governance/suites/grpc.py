"""The grpc suite: a channel whose calls the mesh governs, for generated stubs and interceptors as they are.

An interceptor of grpcio sees a call when it is decided where it goes. So it is the channel that is another one: each
call goes through the machine of outgoing calls (`_grpc_sync`), over grpcio's own channel to the endpoint that was
picked (`_grpc_native`). What the mesh does not govern goes over grpcio's channel to the target, as without a mesh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Lock
from time import monotonic
from typing import Any, Self
from weakref import WeakSet

import grpc

from ...xds.model.own_channels import OWN_CHANNEL
from ..composition.compose import Policies
from ..grpc_statuses import OK
from ..runtime import Runtime
from ._grpc_alarms import Alarms
from ._grpc_calls import Future, Outcome, Pending, Stream, failed
from ._grpc_methods import Serialized, compressing
from ._grpc_native import Owner
from ._grpc_place import place_of
from ._grpc_requests import Requests
from ._grpc_rpc import Asked, Place
from ._grpc_status import Ended
from ._grpc_sync import SyncRpc

Options = Sequence[tuple[str, Any]]

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

    def make() -> grpc.Channel:
        return plain(target, credentials, options, compression)

    return Channel(runtime, place, options, compression, make, policies, forked)


class Channel(grpc.Channel):
    """A channel whose calls the mesh governs."""

    def __init__(
        self,
        runtime: Runtime,
        place: Place,
        options: Options,
        compression: Any,
        make_plain: Callable[[], grpc.Channel],
        policies: Policies | None = None,
        forked: Callable[[], None] | None = None,
    ) -> None:
        self._policies = policies
        self._runtime = runtime
        self._place = place
        self._owner = Owner([*options, *compressing(compression)], forked=forked)
        self._make_plain = make_plain
        self._plain: grpc.Channel | None = None
        self._lock = Lock()
        self._alarms = Alarms()
        self._pending: WeakSet[Pending] = WeakSet()
        self._closed = False

    def bypassed(self) -> grpc.Channel:
        """grpcio's own channel to the target."""
        with self._lock:
            if self._closed:
                raise ValueError("Cannot invoke RPC on closed channel!")
            if self._plain is None:
                self._plain = self._make_plain()
            return self._plain

    def rpc(
        self, kind: str, path: bytes, body: Any, asked: Asked, *, abortable: bool = False, brief: bool = False
    ) -> SyncRpc:
        """A call that begins."""
        if self._closed:
            raise ValueError("Cannot invoke RPC on closed channel!")
        until = None if asked.timeout_s is None else monotonic() + asked.timeout_s
        return SyncRpc(
            self._runtime,
            self._owner,
            self._place,
            kind,
            path,
            body,
            asked,
            until,
            self._policies,
            alarms=self._alarms,
            bypass=self.bypassed,
            abortable=abortable,
            brief=brief,
        )

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
        callback(grpc.ChannelConnectivity.SHUTDOWN if self._closed else grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        """Nothing changes any more."""

    def close(self) -> None:
        """Calls under way are cancelled; the connections are the mesh's."""
        with self._lock:
            self._closed = True
            plain, self._plain = self._plain, None
        for each in list(self._pending):
            each.cancel()
        if plain is not None:
            plain.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Method(Serialized):
    """A method, ready to be called."""

    _channel: Channel

    def _one(self, request: Any, asked: Asked, **how: bool) -> SyncRpc:
        return self._channel.rpc(self._kind, self._path, self._encoded(request), asked, **how)

    def _many(self, requests: Iterable[Any], asked: Asked, **how: bool) -> SyncRpc:
        return self._channel.rpc(self._kind, self._path, Requests(iter(requests), self._encoded), asked, **how)

    def _response(self, rpc: SyncRpc) -> tuple[Any, Ended]:
        message, ended = rpc.unary()
        if ended.code != OK or message is None:
            raise failed(ended)
        return self._decoded(message), ended

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
