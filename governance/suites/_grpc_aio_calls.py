"""What a program holds of a gRPC call under asyncio.

A call is driven (`Driven`) until grpcio's call is over. What the program holds is only a handle of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from time import monotonic
from typing import Any

import grpc
import grpc.aio

from ..actions import Deliver
from ..grpc_statuses import CANCELLED, INTERNAL, OK
from ._grpc_aio_actions import AioRpc
from ._grpc_aio_ends import ended_of
from ._grpc_codes import code_of
from ._grpc_metadata import Metadata
from ._grpc_rpc import Answer, cut_as, initial_of, whole, whole_unary
from ._grpc_status import Ended

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs do not have it
_Call: Any = grpc.aio.Call
_UnaryUnary: Any = grpc.aio.UnaryUnaryCall
_UnaryStream: Any = grpc.aio.UnaryStreamCall
_StreamUnary: Any = grpc.aio.StreamUnaryCall
_StreamStream: Any = grpc.aio.StreamStreamCall


def failed(ended: Ended) -> grpc.aio.AioRpcError:
    """What is raised for it."""
    return grpc.aio.AioRpcError(
        code_of(ended.code),
        grpc.aio.Metadata(*ended.initial),
        grpc.aio.Metadata(*ended.trailing),
        ended.details,
        ended.debug,
    )


class Driven:
    """One call, and what drives it: a task of its own, from the next turn of the loop on; or, where the program awaits
    a call with one response as soon as it has made it, the program's own task, which saves turns of the loop.

    `begun`: whether its response has, or it is over. `forget`: is told when it is.
    """

    __slots__ = (
        "_begins",
        "_deliver",
        "_driver",
        "_forget",
        "_interrupted",
        "_over",
        "_owns",
        "_streams",
        "_waits",
        "_works",
        "begun",
        "decode",
        "ended",
        "first",
        "initial",
        "loop",
        "native",
        "received",
        "rpc",
        "told",
        "value",
        "wrong",
    )

    def __init__(
        self,
        rpc: AioRpc,
        decode: Callable[[bytes], Any],
        forget: Callable[[Driven], object],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.rpc = rpc
        self.decode = decode
        self.begun = False
        self.ended: Ended | None = None
        self.value: Any = None
        self.wrong: BaseException | None = None
        self.first: bytes | None = None
        self.native: Any = None
        self.initial: Metadata = ()
        self.received = 0
        self.told: list[Callable[[], object]] = []
        self.loop = loop
        self._forget = forget
        self._deliver: Deliver | None = None
        self._driver: asyncio.Task[Any] | None = None
        self._owns = True
        """Whether that task is the call's own."""
        self._works = False
        """Whether it has begun."""
        self._interrupted = False
        """Whether the program's task has been cancelled to end the call."""
        self._begins: asyncio.Event | None = None
        self._over: asyncio.Event | None = None
        """Who waits for it: mostly nobody."""
        self._streams = rpc.kind.endswith("_stream")
        self._waits = True
        """Whether nobody drives it yet."""
        if self._streams:
            self._begin()
        else:
            loop.call_soon(self._begin)

    def _begin(self) -> None:
        if self._waits:
            self._waits, self._driver = False, self.loop.create_task(self._work())

    async def begins(self) -> None:
        """Until its response has begun, or it is over."""
        if not self.begun:
            if self._begins is None:
                self._begins = asyncio.Event()
            await self._begins.wait()

    async def wait(self) -> Ended:
        """Until it is over."""
        if self.ended is None:
            if self._over is None:
                self._over = asyncio.Event()
            await self._over.wait()
        if self.ended is None:
            raise AssertionError("over without an end")
        return self.ended

    async def drive(self) -> Ended:
        """The same, by this very task if nobody else drives it."""
        if self._waits:
            self._waits, self._driver, self._owns = False, asyncio.current_task(), False
            await self._work()
        return self.ended or await self.wait()

    async def _work(self) -> None:
        self._works = True
        interrupted: asyncio.CancelledError | None = None
        rpc = self.rpc
        try:
            if self._streams:
                ended = await self._stream()
            else:
                message, ended = whole_unary(rpc, *await rpc.run())
                if ended.code == OK and message is not None:
                    self.value = self.decode(message)
        except asyncio.CancelledError as error:
            rpc.machine.close()
            ended = rpc.withdrawn().ended
            interrupted = error
            if self._interrupted and self._driver is not None:
                self._driver.uncancel()
        except Exception as error:  # a serializer, or a defect of ours: the program is told what it was
            rpc.machine.close()
            self.wrong = error
            ended = Ended(INTERNAL, repr(error))
        self._finish(ended)
        if interrupted is not None and not self._owns:
            raise interrupted

    def _finish(self, ended: Ended) -> None:
        self.ended = ended
        self._has_begun()
        if self._over is not None:
            self._over.set()
        self._forget(self)
        for each in self.told:
            each()

    def _has_begun(self) -> None:
        self.begun = True
        if self._begins is not None:
            self._begins.set()

    async def _stream(self) -> Ended:
        rpc = self.rpc
        deliver, ended = await rpc.run()
        if deliver is None:
            return ended if ended is not None else Ended(INTERNAL, "a call without an end")
        answer: Answer = deliver.head.handle
        self._deliver = deliver
        if answer.ended is not None:
            rpc.said(answer.ended.code)
            rpc.end(complete=True, sent=rpc.sent(), received=0)
            return whole(deliver, answer)
        native = rpc.native = answer.native
        own = () if rpc.call.bypass is not None else tuple(await native.initial_metadata() or ())
        self.initial = initial_of(deliver, answer.headers, own)
        self.first = answer.message
        self.native = native
        rpc.until_then(rpc.sooner(rpc.end_of(deliver), deliver.idle_s))
        self._has_begun()
        complete = False
        try:
            ended = await ended_of(native)
            if answer.ends is not None:
                ended = await answer.ends.last(ended)
            complete = True
        finally:
            rpc.call_off()
            if not complete:  # this task is cancelled, or its loop ends
                native.cancel()
                rpc.end(complete=False, sent=rpc.sent(), received=self.received, kind="caller")
        ended, kind = cut_as(rpc, deliver, ended, self.initial, late=rpc.late)
        rpc.said(ended.code)
        rpc.end(complete=not kind, sent=rpc.sent(), received=self.received, kind=kind)
        return ended

    def heard(self, message: bytes) -> Any:
        """A message of the response."""
        self.received += len(message)
        deliver = self._deliver
        if deliver is not None and deliver.idle_s is not None and self.ended is None:
            self.rpc.until_then(self.rpc.sooner(self.rpc.end_of(deliver), deliver.idle_s))
        return self.decode(message)

    def cancel(self) -> bool:
        """Nobody waits for it any more."""
        if self.ended is not None or self.rpc.cancelled:
            return False
        self.rpc.cancelled = True
        native = self.native if self._owns else self.rpc.native
        if not self._works:
            self._waits = False
            if self._driver is not None:
                self._driver.cancel()
            self.rpc.machine.close()
            self._finish(self.rpc.withdrawn().ended)
        elif native is not None:
            native.cancel()
        elif self._driver is not None:
            self._interrupted = not self._owns
            self._driver.cancel()
        return True

    def raised(self, ended: Ended) -> BaseException:
        """What the program is told of a failure."""
        if self.wrong is not None:
            return self.wrong
        return asyncio.CancelledError() if self.rpc.cancelled and ended.code == CANCELLED else failed(ended)


class Handle(_Call):  # type: ignore[misc]
    """What all kinds have in common."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven

    def cancelled(self) -> bool:
        ended = self._driven.ended
        return ended is not None and ended.code == CANCELLED

    def done(self) -> bool:
        return self._driven.ended is not None

    def time_remaining(self) -> float | None:
        until = self._driven.rpc.until
        return None if until is None else max(0.0, until - monotonic())

    def cancel(self) -> bool:
        return self._driven.cancel()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if self.done():
            callback(self)
        else:
            self._driven.told.append(lambda: callback(self))

    async def initial_metadata(self) -> grpc.aio.Metadata:
        driven = self._driven
        await driven.begins()
        ended = driven.ended
        return grpc.aio.Metadata(*(driven.initial if ended is None or driven.native is not None else ended.initial))

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        ended = await self._driven.wait()
        if ended.rest is not None:
            trailing: grpc.aio.Metadata = await ended.rest.trailing_metadata()
            return trailing
        return grpc.aio.Metadata(*ended.trailing)

    async def code(self) -> Any:
        return code_of((await self._driven.wait()).code)

    async def details(self) -> str:
        ended = await self._driven.wait()
        return ended.details if ended.rest is None else await ended.rest.details() or ""

    def debug_error_string(self) -> str:
        """What grpcio knows beside, or the mesh: its flag and details."""
        ended = self._driven.ended
        return "" if ended is None else ended.debug

    async def wait_for_connection(self) -> None:
        """Until the response has begun: the mesh chooses the connection with the call."""
        driven = self._driven
        await driven.begins()
        if driven.ended is not None and driven.ended.code != OK:
            raise driven.raised(driven.ended)


class _OneResponse(Handle):
    async def _value(self) -> Any:
        driven = self._driven
        try:
            ended = await driven.drive()
        except asyncio.CancelledError:
            driven.cancel()
            raise
        if ended.code != OK:
            raise driven.raised(ended)
        return driven.value

    def __await__(self) -> Generator[Any, None, Any]:
        return self._value().__await__()


class _ManyResponses(Handle):
    """Dropped, it ends the call; one with a single response goes on, as grpcio's does."""

    def __del__(self) -> None:
        driven = getattr(self, "_driven", None)
        if driven is not None and driven.ended is None and not driven.loop.is_closed():
            driven.cancel()

    async def read(self) -> Any:
        driven = self._driven
        try:
            await driven.begins()
            first, driven.first = driven.first, None
            if first is not None:
                return driven.heard(first)
            if driven.native is not None:
                try:
                    message = await driven.native.read()
                except grpc.aio.AioRpcError:
                    message = EOF
                except asyncio.CancelledError:
                    if not (driven.rpc.cancelled or driven.rpc.late):
                        raise
                    message = EOF
                if message is not EOF:
                    return driven.heard(message)
            ended = await driven.wait()
        except asyncio.CancelledError:
            driven.cancel()
            raise
        if ended.code != OK:
            raise driven.raised(ended)
        return EOF

    async def _all(self) -> AsyncIterator[Any]:
        while (message := await self.read()) is not EOF:
            yield message

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._all()


class _ManyRequests(Handle):
    """`writing`: where the program writes its requests, unless it has given an iterator of them."""

    def __init__(self, driven: Driven, writing: Writing | None) -> None:
        super().__init__(driven)
        self._writing = writing

    async def write(self, request: Any) -> None:
        if self._writing is None:
            raise grpc.aio.UsageError("Message-based API is used with an iterator of requests")
        if self.done():
            raise asyncio.InvalidStateError("RPC already finished.")
        await self._writing.put(request, self._driven)

    async def done_writing(self) -> None:
        if self._writing is None:
            raise grpc.aio.UsageError("Message-based API is used with an iterator of requests")
        await self._writing.end(self._driven)


class Writing:
    """Requests that the program writes one by one."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue(1)
        self._ended = False

    async def ask(self) -> Any:
        """The next one; None when there are no more."""
        found = await self._queue.get()
        return None if found is None else found[0]

    async def put(self, request: Any, driven: Driven) -> None:
        """Hand one over; when the call ends meanwhile, nobody will take it."""
        if self._ended:
            raise asyncio.InvalidStateError("RPC is half closed after calling `done_writing`.")
        await self._handed((request,), driven)

    async def end(self, driven: Driven) -> None:
        """There are no more."""
        if not self._ended:
            self._ended = True
            await self._handed(None, driven)

    async def _handed(self, item: Any, driven: Driven) -> None:
        loop = asyncio.get_running_loop()
        putting, over = loop.create_task(self._queue.put(item)), loop.create_task(driven.wait())
        try:
            await asyncio.wait((putting, over), return_when=asyncio.FIRST_COMPLETED)
        finally:
            over.cancel()
            if not putting.done():
                putting.cancel()
        if not putting.done() or putting.cancelled():
            raise asyncio.InvalidStateError("RPC already finished.")


class UnaryUnary(_OneResponse, _UnaryUnary):  # type: ignore[misc]
    """One request, one response."""


class UnaryStream(_ManyResponses, _UnaryStream):  # type: ignore[misc]
    """One request, a stream of responses."""


class StreamUnary(_ManyRequests, _OneResponse, _StreamUnary):  # type: ignore[misc]
    """A stream of requests, one response."""


class StreamStream(_ManyRequests, _ManyResponses, _StreamStream):  # type: ignore[misc]
    """A stream each way."""
