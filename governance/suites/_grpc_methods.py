"""What the methods and channels of grpcio's two APIs have in common."""

from __future__ import annotations

from typing import Any

import grpc


def compressing(compression: Any) -> list[tuple[str, Any]]:
    """A channel's own compression as an option, as grpcio makes one of it."""
    if compression is None or compression is grpc.Compression.NoCompression:
        return []
    return [("grpc.default_compression_algorithm", compression.value)]


class Serialized:
    """A method of a service: its path, and how its messages become bytes and the other way. None: they are bytes."""

    def __init__(self, channel: Any, kind: str, method: str | bytes, encode: Any, decode: Any) -> None:
        self._channel = channel
        self._kind = kind
        self._path = method if isinstance(method, bytes) else method.encode()
        self._encode = encode
        self._decode = decode

    def _decoded(self, message: bytes) -> Any:
        return message if self._decode is None else self._decode(message)

    def _encoded(self, request: Any) -> bytes:
        message: bytes = request if self._encode is None else self._encode(request)
        if not isinstance(message, bytes):
            raise TypeError(f"a request has to be bytes when it is serialized, not {type(message).__name__}")
        return message
