"""The first bytes of a connection: a TLS ClientHello, or something else (Envoy: the tls_inspector listener filter).

What is no well-formed ClientHello is plaintext, whatever it looks like: the chain for plaintext then takes or refuses
it. Nothing here trusts a length that it has not checked.
"""

from __future__ import annotations

from ..xds.model.records import dataclass

MAX_HELLO = 16 * 1024
"""Bytes of a ClientHello, beyond which a connection is closed (TlsInspector.max_client_hello_size)."""

HANDSHAKE = 22
CLIENT_HELLO = 1
MAX_RECORD = 16 * 1024
SERVER_NAME = 0
ALPN = 16


@dataclass(frozen=True, slots=True)
class Hello:
    """What a ClientHello says that a filter chain may ask for."""

    server_name: str = ""
    protocols: tuple[str, ...] = ()


ISTIO = Hello(protocols=("istio-http/1.1", "istio", "http/1.1"))
"""What a sidecar says that sends a request of HTTP/1.1."""


class IncompleteError(ValueError):
    """More bytes are needed to tell."""


class TooLongError(ValueError):
    """A ClientHello that does not end."""


class Progress:
    """What has been read already of a ClientHello that comes in pieces: whole records are not read again, or a client
    that sends very small ones, byte by byte, would keep everybody else waiting."""

    __slots__ = ("message", "place")

    def __init__(self) -> None:
        self.place = 0
        self.message = bytearray()


class _BrokenError(ValueError):
    """Not what TLS looks like."""


class _Reader:
    """Takes lengths and what they announce from the front of some bytes."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def take(self, count: int) -> bytes:
        end = self._place + count
        if end > len(self._data):
            raise _BrokenError
        taken = self._data[self._place : end]
        self._place = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def block(self, size: int) -> bytes:
        """What a length of `size` bytes announces."""
        return self.take(self.number(size))


def read_hello(data: bytes, progress: Progress | None = None) -> Hello | None:
    """The ClientHello that a connection begins with; None where it begins with something else.

    `data` is all that has come; `progress` is the same object for the same connection.

    Raises:
        IncompleteError: more bytes are needed to tell.
        TooLongError: it is longer than any that a program sends.
    """
    try:
        return _parsed(_message(data, progress or Progress()))
    except _BrokenError:
        return None


def _message(data: bytes, progress: Progress) -> bytes:
    """The body of the handshake message, put together from its records."""
    while True:
        place = progress.place
        head = data[place : place + 5]
        if (head[:1] and head[0] != HANDSHAKE) or (head[1:2] and head[1] != 3):
            raise _BrokenError
        if len(head) < 5:
            raise _more(data)
        length = int.from_bytes(head[3:5], "big")
        if not 0 < length <= MAX_RECORD:
            raise _BrokenError
        piece = data[place + 5 : place + 5 + length]
        message = progress.message
        if len(piece) == length:
            message += piece
            progress.place = place + 5 + length
        else:
            message = message + piece
        if message and message[0] != CLIENT_HELLO:
            raise _BrokenError
        if len(message) >= 4:
            whole = 4 + int.from_bytes(message[1:4], "big")
            if whole > MAX_HELLO:
                raise _BrokenError
            if len(message) >= whole:
                return bytes(message[4:whole])
        if len(piece) < length:
            raise _more(data)


def _more(data: bytes) -> ValueError:
    return TooLongError() if len(data) >= MAX_HELLO else IncompleteError()


def _parsed(message: bytes) -> Hello:
    reader = _Reader(message)
    reader.take(2 + 32)  # version, random
    session, ciphers, compressions = reader.block(1), reader.block(2), reader.block(1)
    if len(session) > 32 or not ciphers or len(ciphers) % 2 or not compressions:
        raise _BrokenError
    if not reader:
        return Hello()
    extensions = _Reader(reader.block(2))
    if reader:
        raise _BrokenError
    found: dict[int, bytes] = {}
    while extensions:
        kind = extensions.number(2)
        if kind in found:
            raise _BrokenError
        found[kind] = extensions.block(2)
    return Hello(_server_name(found.get(SERVER_NAME)), _protocols(found.get(ALPN)))


def _server_name(extension: bytes | None) -> str:
    if extension is None:
        return ""
    outer = _Reader(extension)
    names = _Reader(outer.block(2))
    kind, name = names.number(1), names.block(2)
    if outer or names or kind or not 0 < len(name) <= 255 or b"\0" in name:
        raise _BrokenError
    return name.decode("latin-1")


def _protocols(extension: bytes | None) -> tuple[str, ...]:
    """Those of ALPN; a list that is broken says nothing here, and ends the handshake later."""
    if extension is None:
        return ()
    try:
        outer = _Reader(extension)
        names = _Reader(outer.block(2))
        protocols = []
        while names:
            protocols.append(names.block(1).decode("latin-1"))
    except _BrokenError:
        return ()
    return () if outer or not all(protocols) else tuple(protocols)
