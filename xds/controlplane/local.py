"""A stream within the process: the same bytes as over grpc, without grpc.

`LocalStream` is one stream of either variant; `LocalLink` opens them, as whatever connects to a control plane expects.
Callbacks come in the plane's thread, one at a time, so they must not block it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from .authority.callers import Caller
from .discovery.delta import DeltaSession
from .discovery.session import SessionError
from .discovery.sotw import SotwSession
from .plane import Driven, Plane


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream is over, because the client cannot be served. `status` is grpc's status name."""

    reason: str
    status: str = ""
    planned: bool = False


class LocalStream(Driven):
    """`send` takes an encoded request and returns at once, from any thread; `on_response` gets encoded responses.

    After `close` no further response is begun; one that is just being handed over may still arrive. `paced`: changes
    wait until `written` was called for each response, and are then one push. `caller`: who the client has proved to be;
    its node must say the same.
    """

    def __init__(
        self,
        plane: Plane,
        on_response: Callable[[bytes], None],
        *,
        delta: bool = False,
        on_end: Callable[..., object] | None = None,
        peer: str = "local",
        paced: bool = False,
        caller: Caller | None = None,
    ) -> None:
        kind = DeltaSession if delta else SotwSession
        self.session: SotwSession | DeltaSession = kind(plane, peer, caller)
        self._plane = plane
        self._on_response = on_response
        self._on_end = on_end
        self._paced = paced
        self._open = True
        self._unwritten = 0
        self._behind = False
        self._given = 0  # requests, counted in the caller's thread
        self._taken = 0  # and in the plane's
        plane.submit(lambda: plane.attach(self))
        plane.follow()

    def send(self, raw: bytes) -> None:
        self._given += 1
        self._plane.submit(lambda: self._receive(raw))

    def close(self) -> None:
        self._open = False
        self._plane.submit(lambda: self._plane.detach(self))

    @property
    def waiting(self) -> int:
        """Requests that the plane has not looked at yet. For the thread that calls `send`."""
        return self._given - self._taken

    def answered(self) -> Future[None]:
        """Done when the plane has looked at every request that was sent before."""
        future: Future[None] = Future()
        self._plane.submit(lambda: future.set_result(None))
        return future

    def written(self) -> None:
        """A response has left. From any thread."""
        self._plane.submit(self._written)

    def _written(self) -> None:
        self._unwritten -= 1
        if self._behind and self._unwritten == 0:
            self.push()

    def push(self) -> None:
        self._behind = self._paced and self._unwritten > 0
        if self._behind:
            return
        for response in self.session.changed() if self._open else ():
            self._deliver(response.SerializeToString())

    def _receive(self, raw: bytes) -> None:
        self._taken += 1
        if not self._open:
            return
        try:
            responses = self.session.receive(raw)
        except (SessionError, DecodeError) as error:
            if isinstance(error, SessionError):
                self._end(Ended(str(error), error.status))
            else:
                self._end(Ended(f"a request that is none: {error}", "INVALID_ARGUMENT"))
            return
        for response in responses:
            self._deliver(response.SerializeToString())

    def _deliver(self, raw: bytes) -> None:
        if self._open:
            self._unwritten += 1
            self._on_response(raw)

    def _end(self, ended: Ended) -> None:
        self._open = False
        self._plane.detach(self)
        if self._on_end is not None:
            self._on_end(ended)


class LocalLink:
    """Opens streams to a plane in this process. Closing it leaves the plane running."""

    def __init__(self, plane: Plane, address: str = "local") -> None:
        self._plane = plane
        self.address = address

    def open(self, *, delta: bool, on_bytes: Callable[[bytes], None], on_end: Callable[..., object]) -> LocalStream:
        return LocalStream(self._plane, on_bytes, delta=delta, on_end=on_end)

    def close(self) -> None:
        pass
