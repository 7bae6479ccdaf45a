"""HTTP/2 for threads: httpcore's sync connection opens streams without a lock, and its h2 state has none either.

Two threads that open a stream at once get the same number, and their headers garble each other's compression. Here one
operation runs at a time, and nobody else gets in between the choice of a stream's number and its headers.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any


class SerialState:
    """An h2 connection state whose operations are serialized."""

    __slots__ = ("_inner", "_lock", "_opening")

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._lock = RLock()
        self._opening = 0

    def get_next_available_stream_id(self) -> int:
        """The number of a stream; until its headers are sent, or `opened`, all other threads wait."""
        self._lock.acquire()
        self._opening += 1
        number: int = self._inner.get_next_available_stream_id()
        return number

    def send_headers(self, *arguments: Any, **more: Any) -> None:
        """Of the stream whose number was given."""
        try:
            with self._lock:
                self._inner.send_headers(*arguments, **more)
        finally:
            self.opened()

    def send_what_fits(self, stream_id: int, data: bytes) -> int:
        """Send as much as the windows and a frame hold; returns how many bytes that is."""
        with self._lock:
            inner = self._inner
            size: int = min(inner.local_flow_control_window(stream_id), inner.max_outbound_frame_size, len(data))
            if size > 0:
                inner.send_data(stream_id, data[:size])
            return max(0, size)

    def opened(self) -> None:
        """This thread opens no stream any more, whatever came of it."""
        with self._lock:
            if self._opening:
                self._opening -= 1
                self._lock.release()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return self._serialized(value) if callable(value) else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SerialState.__slots__:
            object.__setattr__(self, name, value)
        else:
            setattr(self._inner, name, value)

    def _serialized(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            with self._lock:
                return method(*arguments, **more)

        return call


def for_threads(connection: type) -> type:
    """httpcore's (or httpcore2's) sync HTTP2Connection, made safe for threads."""

    class HTTP2Connection(connection):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self._h2_state: Any = SerialState(self._h2_state)

        def handle_request(self, request: Any) -> Any:
            try:
                return super().handle_request(request)
            finally:
                self._h2_state.opened()

        def _send_stream_data(self, request: Any, stream_id: int, data: bytes) -> None:
            while data:
                self._wait_for_outgoing_flow(request, stream_id)
                data = data[self._h2_state.send_what_fits(stream_id, data) :]
                self._write_outgoing_data(request)

    return HTTP2Connection
