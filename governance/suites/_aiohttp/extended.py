"""An upgrade over HTTP/2: extended CONNECT (RFC 8441), which the server answers with 200 and not with 101."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1

from ...headers import HeaderList

CONNECT = b"CONNECT"
HOP = frozenset({b"connection", b"transfer-encoding", b"upgrade", b"keep-alive", b"proxy-connection", b"host"})
"""Headers that HTTP/2 has no place for."""

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""


def upgraded(headers: HeaderList) -> tuple[HeaderList, bytes | None]:
    """A request's headers as HTTP/2 has them; the key of the WebSocket, where it wants to become one."""
    found = {name: value for name, value in headers if name in (b"upgrade", b"sec-websocket-key")}
    kept = [pair for pair in headers if pair[0] not in HOP]
    if found.get(b"upgrade", b"").lower() != b"websocket":
        return kept, None
    asked = [(b":method", CONNECT), (b":protocol", b"websocket"), *kept[1:]]
    return [pair for pair in asked if pair[0] != b"sec-websocket-key"], found.get(b"sec-websocket-key", b"")


def accepted(key: bytes) -> HeaderList:
    """What says over HTTP/1.1 that the upgrade was taken."""
    sign = b64encode(sha1(key + GUID, usedforsecurity=False).digest())
    return [(b"upgrade", b"websocket"), (b"connection", b"upgrade"), (b"sec-websocket-accept", sign)]
