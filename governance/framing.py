"""Messages of gRPC as they travel: five bytes, whether it is compressed and how long it is, then the message; and
numbers inside of it."""

PREFIX = 5
"""Bytes before each message."""


def framed(message: bytes) -> bytes:
    """A message that is not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def varint(number: int) -> bytes:
    """A number that is not negative, as protobuf writes it."""
    found = b""
    while number > 0x7F:
        found += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return found + bytes((number,))
