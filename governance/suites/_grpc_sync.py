"""The actions of a call's machine for gRPC in sync code."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Any, Protocol

import grpc

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
from ..driver import drive
from ..grpc_statuses import OK
from ._alarms import Alarms
from ._background import in_thread
from ._blocking import ask, await_slot, beside, pause
from ._blocking import await_race as wait_for_race
from ._grpc_metadata import headers_of
from ._grpc_native import Heard, HeardHere, opened
from ._grpc_rpc import Answer, Calling, RefusedError, Rpc
from ._grpc_status import WELL, Ended, failure_of, head_of, local, read

ENCODING = "grpc-internal-encoding-request"
"""How grpcio is told of a call's compression by metadata, which it keeps to itself."""


class SyncCalling(Calling, Protocol):
    """A channel of sync code."""

    alarms: Alarms


class SyncRpc(Rpc):
    """One call of a thread's."""

    __slots__ = ()

    channel: SyncCalling

    def abandon(self) -> None:
        """End what is under way, from any thread."""
        self.cancelled = True
        native = self.native
        if native is not None:
            native.cancel()

    def cancel(self) -> None:
        """Nobody waits for it any more; from any thread."""
        self.abandon()
        race = self.call.race
        if race is not None:
            race.put("cancelled")

    def until_then(self, until: float | None) -> None:
        """The mesh ends it at that moment, and at no other."""
        self.call_off()
        self.late = False
        if until is not None:
            self.alarm = self.channel.alarms.at(until, self._ring)

    def call_off(self) -> None:
        """The mesh does not end it any more."""
        alarm, self.alarm = self.alarm, None
        if alarm is not None:
            alarm.off()

    def _ring(self) -> None:
        self.late = True
        native = self.native
        if native is not None:
            native.cancel()

    def given(self) -> Any:
        """The request as grpcio takes it."""
        body = self.body
        if isinstance(body, bytes):
            return body
        body.on_end = self._uploaded
        body.keep(self.kept())
        return iter(body)

    def _uploaded(self) -> None:
        until = self.call.uploaded(replayable=self.replayable)
        self.until_then(self.sooner(until, self.call.idle_s()))

    def run(self) -> tuple[Deliver | None, Ended | None]:
        """Until there is a response, or an end without one."""
        tries = 0
        while True:
            try:
                outcome = drive(self.machine, PERFORM, self)
                if isinstance(outcome, Deliver):
                    if not isinstance(self.body, bytes):
                        self.body.settle()
                        self.body.on_end = self._uploaded  # it may have been a try's that ran beside others
                    return outcome, None
                wait_s = self.waits_again(outcome, tries)
            except RefusedError as refused:
                return None, refused.ended
            if wait_s is None:
                return None, local(outcome)
            pause(wait_s)
            tries += 1
            self.begin()


def await_config(rpc: SyncRpc, action: AwaitConfig) -> None:
    """Wait for the next snapshot."""
    if not rpc.channel.runtime.changes.wait(action.seen, rpc.patience(action.missing)):
        raise rpc.unconfigured(action.missing)


def open_connection(rpc: SyncRpc, action: OpenConnection) -> Any:
    """A channel to the endpoint."""
    limit, own = rpc.connect_limit(action)
    made = opened(rpc.channel.runtime, rpc.owner, action, rpc.authority, limit)
    if own and isinstance(made, Failure) and made.kind == "connect-timeout":
        raise rpc.expired(f"connecting to {action.host.address}")
    return made


def send(rpc: SyncRpc, action: Send) -> Head | Failure:
    """One try."""
    function, more, until = rpc.prepared(action)
    if rpc.kind.endswith("_stream"):
        return _streamed(rpc, function(rpc.given(), **more), action, until)
    body, held = rpc.body, rpc.connection
    native: Any = None
    heard: Heard | HeardHere = held.heard
    try:
        if until is None and not rpc.abortable and isinstance(body, bytes):
            heard.it = False
            message, native = function.with_call(body, **more)
        else:
            heard = Heard()
            function = held.hearing(rpc.kind, action.path, action.authority, heard)
            native = rpc.native = begun(rpc.kind, function, rpc.given(), more)
            rpc.until_then(until)
            if rpc.cancelled:
                native.cancel()
            try:
                message = native.result()
            except grpc.FutureCancelledError:
                if rpc.late:
                    return rpc.too_late(action)
                return rpc.judged(read(native), None, begun=heard.it)  # by the caller, or by the server's reset
            finally:
                rpc.call_off()
                rpc.native = None
    except grpc.RpcError as error:
        if rpc.late:
            return rpc.too_late(action)
        return rpc.judged(read(error), error, begun=heard.it)
    initial = native.initial_metadata()
    headers = headers_of(initial) if initial else []
    if rpc.brief:
        return Head(200, headers, Answer(None, message, WELL, headers))
    ended = Ended(OK, native.details() or "", initial or (), native.trailing_metadata() or ())
    return Head(200, headers, Answer(None, message, ended, headers))


def begun(kind: str, function: Any, given: Any, more: dict[str, Any]) -> Any:
    """grpcio's future of a call. That of a stream of requests forgets the call's compression, unless it is metadata."""
    compression = more.get("compression")
    if compression and kind == "stream_unary":
        said = (ENCODING, compression.name.lower())
        more = {**more, "compression": None, "metadata": (*(more["metadata"] or ()), said)}
    return function.future(given, **more)


def _streamed(rpc: SyncRpc, native: Any, action: Send, until: float | None) -> Head | Failure:
    rpc.native = native
    rpc.until_then(until)
    if rpc.cancelled:
        native.cancel()
    try:
        initial = native.initial_metadata()
        if initial:
            headers = headers_of(initial)
            return Head(200, headers, Answer(native, None, None, headers), rpc.replayable)
        message = next(native)
        none = headers_of(None)
        return Head(200, none, Answer(native, message, None, none), rpc.replayable)
    except StopIteration:
        return rpc.judged(read(native), None)
    except (grpc.RpcError, grpc.FutureCancelledError) as error:
        if rpc.late:
            return rpc.too_late(action)
        return rpc.judged(read(native), error)
    finally:
        rpc.call_off()


def discard(rpc: SyncRpc, action: Discard) -> None:
    """Throw a response away."""
    del rpc
    native = action.head.handle.native
    if native is not None:
        native.cancel()


def sleep(rpc: SyncRpc, action: Sleep) -> None:
    """The pause before another try; no longer than the caller waits."""
    left = rpc.left()
    pause(action.seconds if left is None else min(left, action.seconds))
    rpc.left()


def bypass(rpc: SyncRpc, action: Bypass) -> Head:
    """grpcio's own channel to what the program named."""
    if action.tcp is not None:
        rpc.owner.connects()
    path, more = rpc.unrouted(action)
    function = getattr(rpc.channel.bypassed(action.tcp), rpc.kind)(path)
    given = rpc.given()
    native: Any = None
    ended: Ended | None = None
    message: bytes | None = None
    headers = headers_of(None)
    if rpc.kind.endswith("_stream"):
        native = rpc.native = function(given, **more)
        return Head(200, headers, Answer(native, None, None, headers))
    try:
        native = rpc.native = begun(rpc.kind, function, given, more)
        if rpc.cancelled:
            native.cancel()
        message = native.result()
        ended = read(native)
    except grpc.FutureCancelledError:
        ended = read(native)
    except grpc.RpcError as error:
        ended = read(error)
        failure = failure_of(ended, error)
        if failure is not None and failure.kind.startswith("connect"):
            raise rpc.unpassed(action, ended) from error
    if message is None:
        return head_of(ended, Answer(ended=ended))
    headers = headers_of(ended.initial)
    return Head(200, headers, Answer(None, message, ended, headers))


def collect(rpc: SyncRpc, action: Collect) -> int:
    """Have the messages at hand, framed as they travel."""
    length = rpc.collected(action)
    if length is None:
        action.body = rpc.body.collect(action.most)
        length = len(action.body)
    return length


def start(rpc: SyncRpc, action: Start) -> None:
    """A copy in the background; a stream of requests is not copied."""
    background = rpc.channel.runtime.background
    if not isinstance(rpc.body, bytes):
        background.drop()
    elif background.begin():
        made = SyncRpc.of_copy(rpc, action.copy, rpc.body)
        in_thread(background, lambda: run_copy(made))


def run_copy(rpc: SyncRpc) -> None:
    """A copy to its end."""
    try:
        deliver, _ = rpc.run()
        if deliver is not None:
            consume(rpc, deliver)
    except Exception:  # nobody is there to hear of it; the machine has counted it
        rpc.machine.close()


def consume(rpc: SyncRpc, deliver: Deliver) -> None:
    """Read a response that nobody wants."""
    native = deliver.head.handle.native
    if native is not None:
        with suppress(grpc.RpcError, grpc.FutureCancelledError):
            for _ in native:
                pass
    rpc.end(complete=True, sent=0, received=0)


def run(rpc: SyncRpc, action: Run) -> SyncRpc:
    """A try beside others, in a thread of its own."""
    rpc.call.spent = rpc.call.spent or not rpc.replayable
    branch = copy(rpc)
    branch.abortable = True
    branch.native = branch.alarm = None
    beside(action, PERFORM, branch)
    return branch


def await_race(rpc: SyncRpc, action: AwaitRace) -> None:
    """Wait for tries beside each other; no longer than the caller waits."""
    wait_for_race(rpc, rpc.bounded(action))


PERFORM: tuple[Callable[[Any, Any], Any], ...] = (
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
