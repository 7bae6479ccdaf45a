"""The suite of grpcio's servers in threads: an interceptor, and a port that terminates the mesh's mTLS.

grpcio tells who has called only when a handler runs, and by then it has read the message of a unary request. So the
handler that is returned takes bytes, decides, and only what is let through is deserialized, as the sidecar would do it:
a message of somebody who may not call is never looked into.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeAlias

import grpc

from ...xds.model.resource import ResourceError
from ..actions import Collect
from ..framing import PREFIX
from ..grpc_statuses import INTERNAL, UNAVAILABLE, UNIMPLEMENTED, UNKNOWN
from ..peer import SERVED
from ..runtime import Runtime
from ._current import context_of, run_in
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
from ._incoming import decided

log = logging.getLogger("proxyless")

Handler: TypeAlias = Any
"""A grpc.RpcMethodHandler, whose attributes its stubs do not tell, or None."""


class GovernedServer(Governing, grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic for checkers only
    """The interceptor: the first in the list, so that everything else happens behind the mesh."""

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if self.runtime is None:
            return continuation(handler_call_details)
        if further_in(handler_call_details.invocation_metadata):
            self.layer.inner()
            return continuation(handler_call_details)
        method, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        inner = continuation(Details(method, unvouched(metadata)))
        return governed(self, self.runtime, method, inner)


class Details(grpc.HandlerCallDetails):
    """What is told of a call before it is decided."""

    def __init__(self, method: str, metadata: Metadata) -> None:
        self.method = method
        self.invocation_metadata = metadata


def governed(governing: Governing, runtime: Runtime, method: str, inner: Handler, *, lazily: bool = False) -> Handler:
    """The handler of one call, of the same kind; one for calls that nobody handles, which a policy may refuse first.

    `lazily`: a handler that streams is called where nothing may wait, and iterated where it may.
    """
    call = Call(governing, runtime, method, inner)
    if inner is None:
        return grpc.stream_stream_rpc_method_handler(call.nobody)
    behavior = behavior_of(inner)
    if inner.response_streaming:
        made: Any = call.stream_stream if inner.request_streaming else call.unary_stream
        if lazily:
            made = _generator(made)
        if getattr(behavior, "experimental_non_blocking", False):
            made = call.non_blocking(behavior)
    else:
        made = call.stream_unary if inner.request_streaming else call.unary_unary
    pool = getattr(behavior, "experimental_thread_pool", None)
    if pool is not None:
        made = _in_pool(made, pool)
    return KINDS[bool(inner.request_streaming), bool(inner.response_streaming)](made, None, call.serialize)


KINDS: Mapping[tuple[bool, bool], Callable[..., Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
NAMES = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
    (True, True): "stream_stream",
}


def behavior_of(handler: Handler) -> Any:
    """The function of a handler."""
    return getattr(handler, NAMES[bool(handler.request_streaming), bool(handler.response_streaming)])


def _generator(made: Any) -> Any:
    def generator(*args: Any) -> Any:
        yield from made(*args)

    return generator


def _in_pool(made: Any, pool: Any) -> Any:
    def in_pool(*args: Any) -> Any:
        return made(*args)

    in_pool.experimental_thread_pool = pool  # type: ignore[attr-defined]
    if getattr(made, "experimental_non_blocking", False):
        in_pool.experimental_non_blocking = True  # type: ignore[attr-defined]
    return in_pool


class Handled:
    """One call, from the handler that is looked for to its end, by either API."""

    def __init__(self, governing: Governing, runtime: Runtime, method: str, inner: Handler) -> None:
        self._governing = governing
        self._runtime = runtime
        self._method = method
        self._inner = inner
        self._incoming: Incoming | None = None

    def serialize(self, message: Any) -> bytes:
        """A message of the response, counted."""
        serializer = self._inner.response_serializer if self._inner is not None else None
        data: bytes = serializer(message) if serializer is not None else message
        if self._incoming is not None:
            self._incoming.sent(data)
        return data


class Call(Handled):
    """One of a server in threads."""

    # -- on its way in --------------------------------------------------------------------------------------------

    def _enter(self, context: Any, requests: _Requests) -> ServerContext:
        """Decide. Whoever is refused is told so here, by what grpcio's abort raises."""
        peer = context.peer()
        try:
            came = self._governing.came_by(peer)
        except LostError as error:
            return _abort(context, Refusal(UNAVAILABLE, str(error)))
        incoming = self._incoming = requests.incoming = Incoming(
            self._runtime,
            self._governing.port,
            self._method,
            context.invocation_metadata(),
            peer,
            came,
            _authority(context),
            self._governing.policies,
        )
        try:
            try:
                reply = decided(incoming.inbound, requests.collect)
                if reply is None:
                    metadata = incoming.let_through()
                    SERVED.set(came.served if came is not None else None)
                    return ServerContext(context, incoming, metadata)
                refusal = incoming.refuse(reply)
            except ResourceError as error:
                refusal = incoming.undecidable(error)
        except BaseException:
            incoming.over()
            raise
        return _abort(context, refusal)

    def _read(self, governed: ServerContext, message: Any) -> Any:
        deserialize = self._inner.request_deserializer
        if deserialize is None:
            return message
        try:
            return deserialize(message)
        except Exception:
            log.exception("a request of %s could not be deserialized", self._method)
        return governed.abort(code_of(INTERNAL), UNREADABLE)

    # -- the four kinds -------------------------------------------------------------------------------------------

    def unary_unary(self, message: bytes, context: Any) -> Any:
        requests = _Requests(iter((message,)))
        governed = self._enter(context, requests)
        return self._answer(governed, lambda: self._one(governed, requests))

    def stream_unary(self, messages: Iterator[bytes], context: Any) -> Any:
        requests = _Requests(messages)
        governed = self._enter(context, requests)
        requests.read = lambda message: self._read(governed, message)
        return self._answer(governed, lambda: requests)

    def unary_stream(self, message: bytes, context: Any) -> Any:
        requests = _Requests(iter((message,)))
        governed = self._enter(context, requests)
        return self._answers(governed, lambda: self._one(governed, requests))

    def stream_stream(self, messages: Iterator[bytes], context: Any) -> Any:
        requests = _Requests(messages)
        governed = self._enter(context, requests)
        requests.read = lambda message: self._read(governed, message)
        return self._answers(governed, lambda: requests)

    def non_blocking(self, behavior: Any) -> Any:
        """For handlers that answer by a callback (grpcio's health service has one)."""

        def callback_style(message: Any, context: Any, send: Callable[[Any], None]) -> Any:
            streaming = self._inner.request_streaming
            requests = _Requests(message if streaming else iter((message,)))
            governed = self._enter(context, requests)
            requests.read = lambda each: self._read(governed, each)

            def sending(response: Any) -> None:
                governed.open()
                if response is None:
                    governed.finished()
                send(response)

            with governed.watching(last=False):
                request = requests if streaming else next(requests)
                return run_in(governed.context, behavior, request, governed, sending)

        callback_style.experimental_non_blocking = True  # type: ignore[attr-defined]
        return callback_style

    def nobody(self, messages: Iterator[bytes], context: Any) -> NoReturn:
        """There is no such method; who may not call is not told so."""
        governed = self._enter(context, _Requests(messages))
        with governed.watching():
            governed.abort(code_of(UNIMPLEMENTED), NOT_FOUND)
        raise AssertionError("grpcio's abort raises")

    def _one(self, governed: ServerContext, requests: _Requests) -> Any:
        return self._read(governed, requests.next_raw())

    def _answer(self, governed: ServerContext, request: Callable[[], Any]) -> Any:
        with governed.watching():
            response = run_in(governed.context, behavior_of(self._inner), request(), governed)
            governed.open()
            return response

    def _answers(self, governed: ServerContext, request: Callable[[], Any]) -> _Responses:
        with governed.watching(last=False):
            messages = run_in(governed.context, behavior_of(self._inner), request(), governed)
            return _Responses(run_in(governed.context, iter, messages), governed)


def _authority(context: Any) -> bytes | None:
    """grpcio's own context holds it in a place of its own."""
    details = getattr(getattr(context, "_rpc_event", None), "call_details", None)
    host = getattr(details, "host", None)
    return host if isinstance(host, bytes) else None


def _abort(context: Any, refusal: Refusal) -> NoReturn:
    if refusal.trailing:
        context.set_trailing_metadata(refusal.trailing)
    context.abort(code_of(refusal.status), refusal.details)
    raise AssertionError("grpcio's abort raises")


class _Requests:
    """The messages of a request; those that a filter has read are not lost."""

    incoming: Incoming

    def __init__(self, messages: Iterator[bytes]) -> None:
        self._messages = messages
        self.read: Callable[[bytes], Any] = bytes

    def collect(self, action: Collect) -> int:
        """As much of the body as a filter wants to see."""
        held = self.incoming.held
        length = sum(len(each) + PREFIX for each in held)
        while length <= action.most:
            message = next(self._messages, None)
            if message is None:
                break
            held.append(message)
            length += len(message) + PREFIX
        return self.incoming.collected(action)

    def next_raw(self) -> bytes:
        incoming = self.incoming
        message = incoming.held.pop(0) if incoming.held else next(self._messages)
        incoming.received(message)
        return message

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self.read(self.next_raw())

    def next(self) -> Any:
        """As grpcio's."""
        return self.__next__()


class _Responses:
    """The messages of a response; before the first one, its headers."""

    def __init__(self, messages: Iterator[Any], governed: ServerContext) -> None:
        self._messages = messages
        self._governed = governed

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        governed = self._governed
        with governed.watching(last=False):
            message = run_in(governed.context, next, self._messages, self)
            governed.open()
            if message is self:
                governed.finished()
                raise StopIteration
            return message

    def __del__(self) -> None:
        context, close = self._governed.context, getattr(self._messages, "close", None)
        if context is not None and close is not None:
            context.run(close)  # what the handler has entered in there is left in there


class _Watching:
    """Knows how a handler has ended, where it has."""

    __slots__ = ("_governed", "_last")

    def __init__(self, governed: ServerContext, last: bool) -> None:
        self._governed = governed
        self._last = last

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            if self._last:
                self._governed.finished()
        elif kind is not StopIteration or self._last:
            self._governed.finished(failed=True)


class ServerContext(Told, grpc.ServicerContext):
    """grpcio's context, with the metadata and the peer as the mesh tells them."""

    def __init__(self, inner: Any, incoming: Incoming, metadata: Metadata) -> None:
        super().__init__(inner, incoming, metadata)
        self._trailing: Any = None
        self.context = context_of(incoming.inbound)
        """Where the handler's code runs; None: where it is called."""
        self._late = not (hasattr(inner, "is_active") and inner.add_callback(incoming.over))
        """Nobody tells when the call is over: the handler's end has to do."""

    def watching(self, *, last: bool = True) -> _Watching:
        """Around what the app does. `last`: the handler is done with it."""
        return _Watching(self, last)

    def open(self) -> None:
        """The response begins, if it has not begun yet."""
        if not self._incoming.opened:
            initial = self._incoming.opening()
            if initial is not None:
                self._inner.send_initial_metadata(initial)

    def finished(self, *, failed: bool = False) -> None:
        """The handler has come to its end."""
        incoming = self._incoming
        incoming.failed |= failed
        incoming.complete = self._inner.is_active() if hasattr(self._inner, "is_active") else True
        if failed and not incoming.opened and incoming.complete:
            self._inner.set_trailing_metadata(incoming.closing(self._trailing))
        if self._late:
            incoming.over()

    # -- as the mesh tells it -------------------------------------------------------------------------------------

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        if self._incoming.opened:
            self._inner.send_initial_metadata(initial_metadata)  # which says that it is too late
        else:
            self._inner.send_initial_metadata(self._incoming.opening(initial_metadata) or ())

    def abort(self, code: Any, details: str) -> NoReturn:
        self._incoming.code = number_of(code) or UNKNOWN
        self._inner.abort(code, details)
        raise AssertionError("grpcio's abort raises")

    def abort_with_status(self, status: Any) -> NoReturn:
        self._incoming.code = number_of(status.code) or UNKNOWN
        self._trailing = status.trailing_metadata
        self._inner.abort_with_status(status)
        raise AssertionError("grpcio's abort raises")

    # -- as it is -------------------------------------------------------------------------------------------------

    def is_active(self) -> bool:
        active: bool = self._inner.is_active()
        return active

    def cancel(self) -> None:
        self._inner.cancel()

    def add_callback(self, callback: Any) -> Any:
        return self._inner.add_callback(callback)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing = trailing_metadata
        self._inner.set_trailing_metadata(trailing_metadata)
