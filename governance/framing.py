"""Messages of gRPC as they travel: five bytes, whether it is compressed and how long it is, then the message."""

PREFIX = 5
"""Bytes before each message."""


def framed(message: bytes) -> bytes:
    """A message that is not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message
