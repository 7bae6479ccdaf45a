"""Taking a message apart by its wire format, without parsing what is inside (protobuf's encoding document)."""

from array import array
from collections.abc import Iterator

from .refused import RefusedError

VIRTUAL_HOSTS_FIELD = 2
"""Of a RouteConfiguration, which has thousands of them."""

VARINT, FIXED64, DELIMITED, START_GROUP, END_GROUP, FIXED32 = range(6)


class Parts:
    """The bytes of the elements of a repeated field, each copied when it is asked for, or seen where it is.

    A thousand of them held at once, among what is made of each, leave holes that the allocator does not give back.
    """

    __slots__ = ("_raw", "_spans")

    def __init__(self, raw: bytes | memoryview) -> None:
        self._raw = memoryview(raw)
        self._spans = array("Q")

    def add(self, start: int, end: int) -> None:
        """One more element."""
        self._spans.append(start)
        self._spans.append(end)

    def __len__(self) -> int:
        return len(self._spans) // 2

    def __iter__(self) -> Iterator[bytes]:
        return map(bytes, self.views())

    def views(self) -> Iterator[memoryview]:
        """Each of them, not copied."""
        raw, spans = self._raw, iter(self._spans)
        for start, end in zip(spans, spans, strict=True):
            yield raw[start:end]


def split_field(raw: bytes | memoryview, number: int) -> tuple[bytes, Parts]:
    """(the message without a repeated message field, the bytes of each of its elements).

    Raises:
        RefusedError: the bytes are cut off or no message.
    """
    rest = bytearray()
    found = Parts(raw)
    add = found.add
    position, size = 0, len(raw)
    wanted = number << 3 | DELIMITED
    while position < size:
        start = position
        # A tag of one byte and a length of two, which nearly all are, are read here.
        if position + 2 < size and raw[position] == wanted and raw[position + 1] >= 0x80 > raw[position + 2]:
            end = position + 3 + (raw[position + 1] & 0x7F | raw[position + 2] << 7)
            if end <= size:
                add(position + 3, end)
                position = end
                continue
        tag, position = _varint(raw, position, size)
        kind = tag & 7
        if kind == DELIMITED:
            length, position = _varint(raw, position, size)
            end = position + length
            if end > size:
                raise RefusedError("truncated message")
            if tag == wanted:
                add(position, end)
                position = end
                continue
            position = end
        elif kind == VARINT:
            _, position = _varint(raw, position, size)
        elif kind == FIXED64:
            position += 8
        elif kind == FIXED32:
            position += 4
        else:
            raise RefusedError(f"wire type {kind} is not used by Envoy")
        if position > size:
            raise RefusedError("truncated message")
        rest += raw[start:position]
    return bytes(rest), found


def _varint(raw: bytes | memoryview, position: int, size: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if position >= size or shift > 63:
            raise RefusedError("truncated message")
        byte = raw[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


def first_text(raw: bytes) -> str:
    """Field 1 of a message if it comes first and is text: in whatever has a name, the name. Else empty.

    It is a hint, of what the bytes may be compared with: whoever needs the name parses them.
    """
    if len(raw) < 2 or raw[0] != 1 << 3 | DELIMITED:
        return ""
    length, start = raw[1], 2
    if length >= 0x80:
        try:
            length, start = _varint(raw, 1, len(raw))
        except RefusedError:
            return ""
    return raw[start : start + length].decode("utf-8", "replace")
