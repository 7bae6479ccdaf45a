"""Frames of HTTP/2 as they come over a connection, one by one.

h2 takes no frame after a GOAWAY, though the streams before it go on (RFC 9113, 6.8). So it never sees one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from h2.exceptions import FrameTooLargeError

GOAWAY = 7
HEAD, PAYLOAD = 9, 16384
"""Of a frame: what stands before its payload, and the most of one that we let others send."""

LAST = 0x7FFFFFFF
"""The highest number of a stream."""


class Frames:
    """Of one connection. `goes` hears of each GOAWAY: the last stream that the other side still answers."""

    __slots__ = ("_buffer", "_goes")

    def __init__(self, goes: Callable[[int], object]) -> None:
        self._buffer = b""
        self._goes = goes

    def split(self, data: bytes) -> Iterator[bytes]:
        """What is for h2. Raises FrameTooLargeError."""
        buffer, at = self._buffer + data, 0
        while len(buffer) - at >= HEAD:
            size = int.from_bytes(buffer[at : at + 3], "big")
            if size > PAYLOAD:  # h2 would wait for all of it first
                raise FrameTooLargeError(f"a frame of {size} bytes")
            if len(buffer) - at < HEAD + size:
                break
            frame = buffer[at : at + HEAD + size]
            at += HEAD + size
            if frame[3] == GOAWAY and size >= 8:
                self._goes(int.from_bytes(frame[HEAD : HEAD + 4], "big") & LAST)
            else:
                yield frame
        self._buffer = buffer[at:]
