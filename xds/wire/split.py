"""Taking a message apart by its wire format, without parsing what is inside (protobuf's encoding document)."""

from .refused import RefusedError

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
