"""The actions of a call's machine for gRPC under asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from copy import copy
from time import monotonic
from typing import Any

import grpc.aio

from ..actions import (
    AwaitConfig,
    AwaitRace,
    Bypass,
    Collect,
    Deliver,
    Discard,
    Failure,
    Head,
    OpenConnection,
    Run,
    Send,
    Sleep,
    Start,
)
from ..driver import drive_async
from ..grpc_statuses import OK
from ._awaiting import Task, ask, await_slot, beside
from ._awaiting import await_race as wait_for_race
from ._background import as_task
from ._grpc_aio_ends import Ends, ended_of
from ._grpc_metadata import Sent, headers_of
from ._grpc_native import opened_async
from ._grpc_rpc import Answer, RefusedError, Rpc
from ._grpc_status import Ended, failure_of, head_of, local, read

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # the stubs do not have it


class Ready(grpc.aio.Metadata):
    """What a call says, as grpcio asks for it: one pair after the other. Its own class would sort them by key first."""

    def __init__(self, pairs: Sent) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Any:
        return iter(self._pairs)


class AioRpc(Rpc):
    """One call of a task's."""

    __slots__ = ()

    def until_then(self, until: float | None) -> None:
        """The mesh ends it at that moment, and at no other."""
        self.call_off()
        self.late = False
        if until is not None:
            self.alarm = asyncio.get_running_loop().call_later(max(0.0, until - monotonic()), self._ring)

    def call_off(self) -> None:
        """The mesh does not end it any more."""
        alarm, self.alarm = self.alarm, None
        if alarm is not None:
            alarm.cancel()

    def _ring(self) -> None:
        self.late = True
        if self.native is not None:
            self.native.cancel()

    def given(self) -> Any:
        """The request as grpcio takes it."""
        body = self.body
        if isinstance(body, bytes):
            return body
        body.on_end = self._uploaded
        body.keep(self.kept())
        return aiter(body)

    def _uploaded(self) -> None:
        until = self.call.uploaded(replayable=self.replayable)
        self.until_then(self.sooner(until, self.call.idle_s()))

    async def run(self) -> tuple[Deliver | None, Ended | None]:
        """Until there is a response, or an end without one."""
        tries = 0
        while True:
            try:
                outcome = await drive_async(self.machine, PERFORM, self)
                if isinstance(outcome, Deliver):
                    if not isinstance(self.body, bytes):
                        self.body.settle()
                        self.body.on_end = self._uploaded  # it may have been a try's that ran beside others
                    return outcome, None
                pause = self.waits_again(outcome, tries)
            except RefusedError as refused:
                return None, refused.ended
            if pause is None:
                return None, local(outcome)
            await asyncio.sleep(pause)
            tries += 1
            self.begin()


async def await_config(rpc: AioRpc, action: AwaitConfig) -> None:
    """Wait for the next snapshot."""
    if not await rpc.channel.runtime.changes.wait_async(action.seen, rpc.patience(action.missing)):
        raise rpc.unconfigured(action.missing)


async def open_connection(rpc: AioRpc, action: OpenConnection) -> Any:
    """A channel to the endpoint."""
    limit, own = rpc.connect_limit(action)
    made = await opened_async(rpc.channel.runtime, rpc.owner, action, rpc.authority, limit)
    if own and isinstance(made, Failure) and made.kind == "connect-timeout":
        raise rpc.expired(f"connecting to {action.host.address}")
    return made


async def send(rpc: AioRpc, action: Send) -> Head | Failure:
    """One try."""
    function, more, until = rpc.prepared(action)
    metadata, body = more["metadata"], rpc.body
    if metadata:
        more["metadata"] = Ready(metadata)
    ends: Ends | None = None
    if isinstance(body, bytes):
        rpc.native = native = function(body, **more)
    else:
        rpc.native = native = function(rpc.given(), **more)
        ends = Ends(native)
    before = 0
    if until is not None:
        before = _cancelled()
        rpc.until_then(until)
    try:
        if rpc.kind.endswith("_stream"):
            return await _streamed(rpc, native, ends)
        return await _answered(native)
    except grpc.aio.AioRpcError as error:
        if rpc.late:
            return rpc.too_late(action)
        ended = read(error)
        return rpc.judged(ended if ends is None else await ends.last(ended), error)
    except asyncio.CancelledError:
        if rpc.late and _cancelled() == before:
            return rpc.too_late(action)
        native.cancel()
        raise
    finally:
        if rpc.alarm is not None:
            rpc.call_off()
        rpc.native = None


def _cancelled() -> int:
    """How often this task was cancelled: it may be only the call of grpcio's that it waits for."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


async def _answered(native: Any) -> Head:
    message = await native
    initial = await native.initial_metadata()
    headers = headers_of(initial)
    ended = Ended(OK, "", tuple(initial) if headers else (), rest=native)
    return Head(200, headers, Answer(None, message, ended, headers))


async def _streamed(rpc: AioRpc, native: Any, ends: Ends | None) -> Head | Failure:
    initial = await native.initial_metadata()
    headers = headers_of(initial)
    if headers:
        return Head(200, headers, Answer(native, None, None, headers, ends), rpc.replayable)
    message = await native.read()
    if message is EOF:
        return rpc.judged(await ended_of(native), None)
    return Head(200, headers, Answer(native, message, None, headers, ends), rpc.replayable)


async def discard(rpc: AioRpc, action: Discard) -> None:
    """Throw a response away."""
    del rpc
    native = action.head.handle.native
    if native is not None:
        native.cancel()


async def sleep(rpc: AioRpc, action: Sleep) -> None:
    """The pause before another try; no longer than the caller waits."""
    left = rpc.left()
    await asyncio.sleep(action.seconds if left is None else min(left, action.seconds))
    rpc.left()


async def bypass(rpc: AioRpc, action: Bypass) -> Head:
    """grpcio's own channel to what the program named."""
    if action.tcp is not None:
        rpc.owner.connects()
    path, more = rpc.unrouted(action)
    function = getattr(rpc.channel.bypassed(action.tcp), rpc.kind)(path)
    rpc.native = native = function(rpc.given(), **more)
    none = headers_of(None)
    if rpc.kind.endswith("_stream"):
        return Head(200, none, Answer(native, None, None, none))
    try:
        return await _answered(native)
    except grpc.aio.AioRpcError as error:
        ended = read(error)
        failure = failure_of(ended, error)
        if failure is not None and failure.kind.startswith("connect"):
            raise rpc.unpassed(action, ended) from error
        return head_of(ended, Answer(ended=ended))


async def collect(rpc: AioRpc, action: Collect) -> int:
    """Have the messages at hand, framed as they travel."""
    length = rpc.collected(action)
    if length is None:
        action.body = await rpc.body.collect(action.most)
        length = len(action.body)
    return length


async def start(rpc: AioRpc, action: Start) -> None:
    """A copy in the background; a stream of requests is not copied."""
    background = rpc.channel.runtime.background
    if not isinstance(rpc.body, bytes):
        background.drop()
    elif background.begin():
        as_task(background, _run_copy(AioRpc.of_copy(rpc, action.copy, rpc.body)))


async def _run_copy(rpc: AioRpc) -> None:
    """A copy to its end."""
    try:
        deliver, _ = await rpc.run()
        if deliver is not None:
            await consume(rpc, deliver)
    except Exception:  # nobody is there to hear of it; the machine has counted it
        rpc.machine.close()


async def consume(rpc: AioRpc, deliver: Deliver) -> None:
    """Read a response that nobody wants."""
    native = deliver.head.handle.native
    if native is not None:
        with suppress(grpc.aio.AioRpcError):
            while await native.read() is not EOF:
                pass
    rpc.end(complete=True, sent=0, received=0)


async def run(rpc: AioRpc, action: Run) -> Task:
    """A try beside others, in a task of its own."""
    rpc.call.spent = rpc.call.spent or not rpc.replayable
    branch = copy(rpc)
    branch.native = branch.alarm = None
    return beside(action, PERFORM, branch)


async def await_race(rpc: AioRpc, action: AwaitRace) -> None:
    """Wait for tries beside each other; no longer than the caller waits."""
    await wait_for_race(rpc, rpc.bounded(action))


PERFORM: tuple[Callable[[Any, Any], Awaitable[Any]], ...] = (
    await_config,
    open_connection,
    await_slot,
    send,
    discard,
    sleep,
    bypass,
    ask,
    start,
    run,
    await_race,
    collect,
)
