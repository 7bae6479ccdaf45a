"""What a program holds of a gRPC call in sync code: how it ended, a future, or a stream of responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextvars import copy_context
from threading import Event, Lock, Thread
from time import monotonic
from types import TracebackType
from typing import Any
from weakref import ref

import grpc

from ..actions import Deliver
from ..grpc_statuses import CANCELLED, INTERNAL, OK
from ._grpc_codes import code_of
from ._grpc_metadata import Metadata
from ._grpc_rpc import Answer, RefusedError, cut_as, initial_of, whole, whole_unary
from ._grpc_status import Ended, read
from ._grpc_sync import SyncRpc

# What the stubs say of them is not what grpcio has: a time that remains may be None, an exception may be waited for.
_Call: Any = grpc.Call
_Future: Any = grpc.Future


class Outcome(_Call):  # type: ignore[misc]
    """How a call ended."""

    def __init__(self, ended: Ended) -> None:
        self._ended = ended

    def code(self) -> Any:
        return code_of(self._ended.code)

    def details(self) -> str:
        return self._ended.details

    def initial_metadata(self) -> Metadata:
        return self._ended.initial

    def trailing_metadata(self) -> Metadata:
        return self._ended.trailing

    def debug_error_string(self) -> str:
        """What grpcio knows beside, or the mesh: its flag and details."""
        return self._ended.debug

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float | None:
        return None

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        del callback
        return False


class RpcFailure(grpc.RpcError, Outcome, _Future):  # type: ignore[misc]
    """A call that failed: raised, and a future that is over, as grpcio's own error of a call is."""

    def __init__(self, ended: Ended) -> None:
        Outcome.__init__(self, ended)
        grpc.RpcError.__init__(self, ended.details)

    def __repr__(self) -> str:
        ended = self._ended
        return (
            f"<{type(self).__name__} of RPC that terminated with: status = {self.code()} "
            f"details = {ended.details!r} debug_error_string = {ended.debug!r}>"
        )

    __str__ = __repr__

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> Any:
        del timeout
        raise self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        del timeout
        return self

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        del timeout
        return self.__traceback__

    def add_done_callback(self, fn: Callable[[Any], Any]) -> None:
        fn(self)


def failed(ended: Ended) -> RpcFailure:
    """What is raised for it."""
    return RpcFailure(ended)


class Pending(_Call, _Future):  # type: ignore[misc]
    """A call that goes on beside its caller: what futures and streams have in common."""

    def __init__(self, rpc: SyncRpc, decode: Callable[[bytes], Any], forget: Callable[[Any], object]) -> None:
        self._rpc = rpc
        self._decode = decode
        self._forget = forget
        self._over = Event()
        self._lock = Lock()
        self._callbacks: list[Callable[[], Any]] = []
        self._ended: Ended | None = None
        context = copy_context()
        Thread(target=lambda: context.run(self._work), name="proxyless-grpc-call", daemon=True).start()

    def _work(self) -> None:
        """Drive the machine, in a thread of its own."""
        raise NotImplementedError

    def _finish(self, ended: Ended) -> None:
        """The first word is the last."""
        with self._lock:
            if self._ended is not None:
                return
            self._ended = ended
            callbacks, self._callbacks = self._callbacks, []
        self._over.set()
        self._forget(self)
        for each in callbacks:
            each()

    def _wait(self, timeout: float | None = None) -> Ended:
        if not self._over.wait(timeout):
            raise grpc.FutureTimeoutError
        if self._ended is None:
            raise AssertionError("over without an end")
        return self._ended

    def code(self) -> Any:
        return code_of(self._wait().code)

    def details(self) -> str:
        return self._wait().details

    def debug_error_string(self) -> str:
        """What grpcio knows beside, or the mesh: its flag and details."""
        return self._wait().debug

    def initial_metadata(self) -> Metadata:
        return self._wait().initial

    def trailing_metadata(self) -> Metadata:
        return self._wait().trailing

    def is_active(self) -> bool:
        return not self._over.is_set()

    def time_remaining(self) -> float | None:
        until = self._rpc.until
        return None if until is None else max(0.0, until - monotonic())

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        with self._lock:
            if self._ended is None:
                self._callbacks.append(callback)
                return True
        return False

    def cancel(self) -> bool:
        if self._over.is_set():
            return False
        self._rpc.cancel()
        self._finish(self._rpc.withdrawn().ended)
        return True

    def cancelled(self) -> bool:
        return self._rpc.cancelled and (self._ended is None or self._ended.code == CANCELLED)

    def running(self) -> bool:
        return not self._over.is_set()

    def done(self) -> bool:
        return self._over.is_set()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        ended = self._wait(timeout)
        if self.cancelled():
            raise grpc.FutureCancelledError
        return None if ended.code == OK else failed(ended)

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        error = self.exception(timeout)
        return None if error is None else error.__traceback__

    def add_done_callback(self, fn: Callable[[Any], Any]) -> None:
        if not self.add_callback(lambda: fn(self)):
            fn(self)

    def __del__(self) -> None:
        over = getattr(self, "_over", None)
        if over is not None and not over.is_set():
            self._rpc.cancel()


class Future(Pending):
    """A call with one response."""

    def __init__(self, *arguments: Any) -> None:
        self._value: Any = None
        super().__init__(*arguments)

    def _work(self) -> None:
        try:
            message, ended = whole_unary(self._rpc, *self._rpc.run())
            if ended.code == OK and message is not None:
                self._value = self._decode(message)
        except RefusedError as refused:
            ended = refused.ended
        except BaseException as error:
            ended = undecoded(error)
        self._finish(ended)

    def result(self, timeout: float | None = None) -> Any:
        ended = self._wait(timeout)
        if self.cancelled():
            raise grpc.FutureCancelledError
        if ended.code != OK:
            raise failed(ended)
        return self._value


def undecoded(error: BaseException) -> Ended:
    """Something in the process has failed: a serializer, or a defect of ours."""
    text = f"Exception deserializing response! {error}" if isinstance(error, ValueError) else repr(error)
    return Ended(INTERNAL, text)


def ending(
    rpc: SyncRpc, deliver: Deliver, native: Any, initial: Metadata, held: Callable[[], Stream | None]
) -> Callable[[], None]:
    """What is done when grpcio's call is over, whoever has ended it. It does not keep what the program holds alive: a
    stream that is dropped is cancelled."""

    def over() -> None:
        rpc.call_off()
        ended, kind = cut_as(rpc, deliver, read(native), initial, late=rpc.late)
        rpc.said(ended.code)
        rpc.end(complete=not kind, sent=rpc.sent(), received=rpc.received, kind=kind)
        stream = held()
        if stream is not None:
            stream._finish(ended)

    return over


class Stream(Pending, grpc.RpcError):  # type: ignore[misc]
    """A call with a stream of responses: an iterator, whose end says how it ended."""

    def __init__(self, *arguments: Any) -> None:
        self._begun = Event()
        self._first: bytes | None = None
        self._native: Any = None
        self._initial: Metadata = ()
        self._deliver: Deliver | None = None
        super().__init__(*arguments)

    def _work(self) -> None:
        rpc = self._rpc
        try:
            deliver, ended = rpc.run()
            if deliver is None:
                self._finish(ended or undecoded(AssertionError("a call without an end")))
                return
            answer: Answer = deliver.head.handle
            self._deliver = deliver
            if answer.ended is not None:
                rpc.said(answer.ended.code)
                rpc.end(complete=True, sent=rpc.sent(), received=0)
                self._finish(whole(deliver, answer))
                return
            self._initial = initial_of(deliver, answer.headers, tuple(answer.native.initial_metadata() or ()))
            self._first = answer.message
            rpc.native = self._native = answer.native
            rpc.until_then(self._limit())
            over = ending(rpc, deliver, answer.native, self._initial, ref(self))
            if not answer.native.add_callback(over):
                over()
        except BaseException as error:
            rpc.machine.close()
            self._finish(undecoded(error))
        finally:
            self._begun.set()

    def _limit(self) -> float | None:
        """When the mesh ends it, unless something comes before."""
        deliver = self._deliver
        return None if deliver is None else self._rpc.sooner(self._rpc.end_of(deliver), deliver.idle_s)

    def cancel(self) -> bool:
        if self._over.is_set():
            return False
        self._rpc.cancel()
        if self._native is None:
            self._finish(self._rpc.withdrawn().ended)
        self._begun.set()
        return True

    def initial_metadata(self) -> Metadata:
        self._begun.wait()
        return self._initial if self._native is not None else self._wait().initial

    def result(self, timeout: float | None = None) -> Any:
        ended = self._wait(timeout)
        if self.cancelled():
            raise grpc.FutureCancelledError
        if ended.code != OK:
            raise failed(ended)
        return self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._begun.wait()
        first, self._first = self._first, None
        if first is None:
            first = self._following()
        self._rpc.received += len(first)
        return self._decode(first)

    def next(self) -> Any:
        """As grpcio has it."""
        return self.__next__()

    def _following(self) -> bytes:
        native = self._native
        if native is not None:
            try:
                found: bytes = next(native)
            except StopIteration:
                pass
            except (grpc.RpcError, grpc.FutureCancelledError, CancelledError):
                pass
            else:
                if self._deliver is not None and self._deliver.idle_s is not None and not self._over.is_set():
                    self._rpc.until_then(self._limit())
                return found
        ended = self._wait()
        if ended.code == OK:
            raise StopIteration
        raise failed(ended)
