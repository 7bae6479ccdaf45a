"""Metadata of gRPC as headers, which the policies look at, and back.

Values of keys that end in `-bin` travel in base64 and are bytes to a program. What belongs to the transport (`te`,
`content-type`, `user-agent`, `grpc-timeout` ...) is said by grpcio itself: the policies see it, and it is not sent as
metadata.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from functools import lru_cache

from ..headers import HeaderList
from ..request import RawHeaders

BINARY = "-bin"
Metadata = tuple[tuple[str, str | bytes], ...]
Sent = tuple[tuple[bytes, bytes], ...]

TRANSPORT = frozenset(
    b"host te content-type content-length transfer-encoding connection user-agent grpc-timeout grpc-encoding "
    b"grpc-accept-encoding grpc-internal-encoding-request".split()
)
UNTIMED = TRANSPORT - {b"grpc-timeout"}
"""Where the program gives no time, grpcio says none, and what the mesh says of it is metadata to grpcio."""
STATUS, MESSAGE = b"grpc-status", b"grpc-message"
UNITS = ((1, b"m", 1000.0), (1000, b"S", 1.0), (60_000, b"M", 1 / 60), (3_600_000, b"H", 1 / 3600))
MOST = 99_999_999
"""Eight digits are what a grpc-timeout may have."""


def headers_of(metadata: Iterable[Sequence[str | bytes]] | None) -> HeaderList:
    """Metadata as it travels."""
    if not metadata:
        return []
    found: HeaderList = []
    for key, value in metadata:
        name = key if isinstance(key, bytes) else key.encode()
        if name.endswith(b"-bin"):
            data = value if isinstance(value, bytes) else value.encode()
            found.append((name, b64encode(data).rstrip(b"=")))
        else:
            found.append((name, value if isinstance(value, bytes) else value.encode()))
    return found


def metadata_of(headers: HeaderList, leave: frozenset[bytes] = TRANSPORT) -> Metadata:
    """Headers as a program gets them, but for those of the transport."""
    found: list[tuple[str, str | bytes]] = []
    for name, value in headers:
        key, _, binary = _key(name, leave)
        if binary:
            found += ((key, each) for each in _binary(value))
        elif key:
            found.append((key, value.decode("latin-1")))
    return tuple(found)


def sent_of(headers: HeaderList, leave: frozenset[bytes]) -> Sent:
    """The same for grpcio to send, which would make bytes of text again."""
    found: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        _, key, binary = _key(name, leave)
        if binary:
            found += ((key, each) for each in _binary(value))
        elif key:
            found.append((key, value))
    return tuple(found)


def telling(metadata: Iterable[tuple[str | bytes, str | bytes]] | None, told: RawHeaders) -> Metadata:
    """The program's own, with these headers in the place of any of the same names."""
    names = {name for name, _ in told}
    kept = (each for each in metadata or () if headers_of([each])[0][0].lower() not in names)
    return (*kept, *metadata_of(list(told)))  # type: ignore[arg-type]  # keys as grpcio takes them


@lru_cache(1024)
def _key(name: bytes, leave: frozenset[bytes]) -> tuple[str, bytes, bool]:
    """How a header is named to a program and to grpcio, nothing for one that is not told; whether its values are bytes
    to a program."""
    lower = name.lower()
    if lower in leave or lower.startswith(b":"):
        return "", b"", False
    return lower.decode("latin-1"), lower, lower.endswith(b"-bin")


def _binary(value: bytes) -> Iterable[bytes]:
    """The values of a binary header; several may have been joined."""
    for each in value.split(b","):
        data = each.strip()
        yield b64decode(padded(data))


def padded(text: bytes) -> bytes:
    """Base64 with what gRPC leaves out at its end."""
    return text + b"=" * (-len(text) % 4)


def grpc_timeout(seconds: float) -> bytes:
    """A time as `grpc-timeout` says it."""
    for step, unit, factor in UNITS:
        if seconds * 1000 / step <= MOST:
            return b"%d%b" % (max(0, round(seconds * factor)), unit)
    return b"%dH" % MOST
