"""One stream as the plane's thread drives it: requests in, responses out, one push at a time.

A push is made response by response, the next when the one before has left, so a client that reads slowly holds one
response and no more. What changes meanwhile is one push afterwards. A push is told as it was begun, since what points
at something must not come before it; but a client for which more than a few states have come meanwhile is taken out of
it, so that nobody holds old states for long: it is told all that it lacks of the newest one, as soon as it reads again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from .authority.callers import Caller
from .discovery.answers import Told
from .discovery.delta import DeltaSession
from .discovery.session import SessionError
from .discovery.sotw import SotwSession
from .plane import Driven, Plane

_STATES = 8
"""States that may come while a push is under way."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A stream is over, because the client cannot be served. `status` is grpc's status name."""

    reason: str
    status: str = ""
    planned: bool = False


class Stream(Driven):
    """`send` takes an encoded request and returns at once, from any thread; `on_told` gets responses.

    After `close` no further response is begun; one that is just being handed over may still arrive. `paced`: changes
    wait until `written` was called for each response. `caller`: who the client has proved to be; its node must say the
    same.
    """

    def __init__(
        self,
        plane: Plane,
        on_told: Callable[[Told], None],
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
        self._on_told = on_told
        self._on_end = on_end
        self._paced = paced
        self._open = True
        self._unwritten: deque[tuple[str, float, int]] = deque()  # type, when it was begun, size
        self._round: Iterator[Told] | None = None
        self._round_of = 0  # the state that the client had seen
        self._told_any = False
        self._missed = 0  # states that came during the round
        self._given = 0  # requests, counted in the caller's thread
        self._taken = 0  # and in the plane's
        plane.submit(lambda: plane.attach(self))
        plane.follow()

    def send(self, raw: bytes) -> None:
        self._given += 1
        self._plane.submit(lambda: self._receive(raw))

    def close(self) -> None:
        self._plane.submit(self._close)

    def _close(self) -> None:
        self._open = False
        self._round = None
        self._unwritten.clear()
        self._plane.detach(self)

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

    # -- in the plane's thread --------------------------------------------------------------------------------------

    @property
    def pushing(self) -> bool:
        return self._round is not None

    def push(self) -> None:
        if not self._open:
            return
        if self._round is not None or self._unwritten:
            self._missed += 1
            if self._missed > _STATES:
                self._round = None
                self.session.fall_behind()
            return
        if self._missed <= _STATES:  # else it has gone on without being told
            self._round_of = self.session.seen
        self._missed, self._told_any = 0, False
        self._round = self.session.moved()
        self._go_on()

    def _go_on(self) -> None:
        """The next response of the push that is under way; without pacing all of them."""
        while self._round is not None and not (self._paced and self._unwritten):
            started = time.monotonic()
            try:
                told = next(self._round, None)
            except Exception:
                self._round = None
                raise
            if told is None:
                self._round = None
                if self._told_any:
                    self._plane.told(self._round_of)
            else:
                self._told_any = True
                self._deliver(told, started)

    def _written(self) -> None:
        if not self._unwritten:  # closed meanwhile
            return
        type_, started, size = self._unwritten.popleft()
        self._plane.meter.pushed(type_, time.monotonic() - started, size)
        if self._unwritten:
            return
        try:
            self._go_on()
        finally:
            if self._round is None and not self._unwritten:
                self._plane.done(self, again=self._missed > 0)

    def _receive(self, raw: bytes) -> None:
        self._taken += 1
        if not self._open:
            return
        started = time.monotonic()
        try:
            responses = self.session.take(raw)
        except (SessionError, DecodeError) as error:
            if isinstance(error, SessionError):
                self._end(Ended(str(error), error.status))
            else:
                self._end(Ended(f"a request that is none: {error}", "INVALID_ARGUMENT"))
            return
        for told in responses:
            self._deliver(told, started)

    def _deliver(self, told: Told, started: float) -> None:
        type_, size = told.of.label.lower(), len(told)
        if self._paced:
            self._unwritten.append((type_, started, size))
        self._on_told(told)
        if not self._paced:
            self._plane.meter.pushed(type_, time.monotonic() - started, size)

    def _end(self, ended: Ended) -> None:
        self._close()
        if self._on_end is not None:
            self._on_end(ended)
