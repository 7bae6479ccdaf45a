"""Pieces of protobuf's encoding, for what is written so often that a message object each would be most of the work.

A field is a tag and its content, a message one field after the other, a repeated field one piece after the other. So
what was encoded before, or can be written down at once, is put together without making messages of it. Written in the
order of their numbers, as protobuf does, and maps in the order of their keys, the bytes are those that protobuf gives.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import Message

_SMALL = tuple(bytes((number,)) for number in range(0x80))
_UINT32 = 2**32
_DELIMITED = frozenset({9, 11, 12})  # string, message, bytes


def tag(message: type[Message], name: str) -> bytes:
    """What a field of a message begins with."""
    field = message.DESCRIPTOR.fields_by_name[name]
    return varint(field.number << 3 | (2 if field.type in _DELIMITED else 0))


def varint(number: int) -> bytes:
    """Raises ValueError for a number below zero."""
    if number < 0x80:
        if number < 0:
            raise ValueError(f"{number} is below zero")
        return _SMALL[number]
    out = bytearray()
    while number > 0x7F:
        out.append(0x80 | (number & 0x7F))
        number >>= 7
    out.append(number)
    return bytes(out)


def uint32(number: int) -> bytes:
    """Raises ValueError for what is none, as protobuf does."""
    if number >= _UINT32:
        raise ValueError(f"{number} is more than 32 bits")
    return varint(number)


def delimited(start: bytes, content: bytes) -> bytes:
    """A field that is text, bytes or a message."""
    size = len(content)
    return start + (_SMALL[size] if size < 0x80 else varint(size)) + content


def nested(content: bytes, levels: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A field within fields, from the innermost out: of each its tag, and what stands before it in the one around."""
    for start, before in levels:
        size = len(content)
        content = before + start + (_SMALL[size] if size < 0x80 else varint(size)) + content
    return content


def text(start: bytes, content: str) -> bytes:
    """A text; nothing for an empty one, which is what a missing one means."""
    return delimited(start, content.encode()) if content else b""


def number(start: bytes, content: int) -> bytes:
    """A number; nothing for zero, which is what a missing one means."""
    return start + uint32(content) if content else b""


_VALUE = b"\x08"


def wrapped(content: int) -> bytes:
    """The content of a UInt32Value."""
    return number(_VALUE, content)
