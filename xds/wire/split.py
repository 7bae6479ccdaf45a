"""Taking a message apart by its wire format, without parsing what is inside (protobuf's encoding document)."""

from .refused import RefusedError

VIRTUAL_HOSTS_FIELD = 2
"""Of a RouteConfiguration, which has thousands of them."""

VARINT, FIXED64, DELIMITED, START_GROUP, END_GROUP, FIXED32 = range(6)


def split_field(raw: bytes, number: int) -> tuple[bytes, list[bytes]]:
    """(the message without a repeated message field, the bytes of each of its elements).

    Raises:
        RefusedError: the bytes are cut off or no message.
    """
    rest = bytearray()
    found: list[bytes] = []
    position, size = 0, len(raw)
    wanted = number << 3 | DELIMITED
    while position < size:
        start = position
        # A tag of one byte and a length of two, which nearly all are, are read here.
        if position + 2 < size and raw[position] == wanted and raw[position + 1] >= 0x80 > raw[position + 2]:
            end = position + 3 + (raw[position + 1] & 0x7F | raw[position + 2] << 7)
            if end <= size:
                found.append(raw[position + 3 : end])
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
                found.append(raw[position:end])
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


def _varint(raw: bytes, position: int, size: int) -> tuple[int, int]:
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
