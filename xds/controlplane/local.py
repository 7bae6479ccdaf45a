"""A stream within the process: the same bytes as over grpc, without grpc.

`LocalStream` is one stream of either variant; `LocalLink` opens them, as whatever connects to a control plane expects.
Callbacks come in the plane's thread, one at a time, so they must not block it. `InlineLink` has no thread at all.
"""

from __future__ import annotations

from collections.abc import Callable

from .discovery.delta import DeltaSession
from .discovery.session import SessionError
from .discovery.sotw import SotwSession
from .plane import Plane
from .stream import Ended, Stream


class LocalStream(Stream):
    """`on_response` gets encoded responses."""

    def __init__(
        self,
        plane: Plane,
        on_response: Callable[[bytes], None],
        *,
        delta: bool = False,
        on_end: Callable[..., object] | None = None,
        paced: bool = False,
    ) -> None:
        super().__init__(
            plane, lambda told: on_response(told.encoded()), delta=delta, on_end=on_end, peer="local", paced=paced
        )


class LocalLink:
    """Opens streams to a plane in this process. Closing it leaves the plane running."""

    def __init__(self, plane: Plane, address: str = "local") -> None:
        self._plane = plane
        self.address = address

    def open(self, *, delta: bool, on_bytes: Callable[[bytes], None], on_end: Callable[..., object]) -> LocalStream:
        return LocalStream(self._plane, on_bytes, delta=delta, on_end=on_end)

    def close(self) -> None:
        pass


class InlineStream:
    """A stream whose responses come while its requests are sent, and whose pushes come from `InlineLink.push`."""

    def __init__(
        self, plane: Plane, *, delta: bool, on_bytes: Callable[[bytes], None], on_end: Callable[..., object]
    ) -> None:
        self._session: SotwSession | DeltaSession = (DeltaSession if delta else SotwSession)(plane, "inline")
        self._on_bytes = on_bytes
        self._on_end = on_end
        self._open = True

    def send(self, raw: bytes) -> None:
        if not self._open:
            return
        try:
            responses = self._session.take(raw)
        except SessionError as error:
            self.close()
            self._on_end(Ended(str(error), error.status))
            return
        for told in responses:
            self._on_bytes(told.encoded())

    def push(self) -> None:
        """What the newest state of the plane has for this client."""
        if self._open:
            for told in self._session.moved():
                self._on_bytes(told.encoded())

    def close(self) -> None:
        self._open = False


class InlineLink:
    """Opens streams to a plane that nobody drives but its caller: `Plane.poll`, then `push`."""

    def __init__(self, plane: Plane, address: str = "inline") -> None:
        self._plane = plane
        self._streams: list[InlineStream] = []
        self.address = address

    def open(self, *, delta: bool, on_bytes: Callable[[bytes], None], on_end: Callable[..., object]) -> InlineStream:
        self._streams = [InlineStream(self._plane, delta=delta, on_bytes=on_bytes, on_end=on_end)]
        return self._streams[0]

    def push(self) -> None:
        """The plane has moved on: tell whoever is connected."""
        for each in self._streams:
            each.push()

    def close(self) -> None:
        self._streams = []
