"""How header names are spelled over HTTP/1.1 (envoy source: StreamEncoderImpl::encodeHeadersBase).

In lower case. Where the connection manager keeps what came, a name is spelled as the program spelled it first; else a
cluster may want proper words, `Content-Type`. HTTP/2 knows lower case only.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from .headers import HeaderList

if TYPE_CHECKING:
    from .actions import Send
    from .call import OutgoingCall

_BEGINNING = re.compile(rb"(?<![a-z0-9])[a-z]")


@lru_cache(1024)
def proper(name: bytes) -> bytes:
    """A lower-case name with the first letter of each word in upper case: `foo-b1r` is `Foo-B1r`."""
    return _BEGINNING.sub(lambda found: found[0].upper(), name)


def lower(headers: HeaderList) -> HeaderList:
    """All names in lower case."""
    return [(name.lower(), value) for name, value in headers]


def spell(call: OutgoingCall, send: Send, headers: HeaderList, given: HeaderList) -> HeaderList | None:
    """The headers as they are written over HTTP/1.1; None: in lower case. `given` came from the program."""
    settings = send.slot.pool.settings
    http = call.destination.http if call.destination is not None else None
    spelling = http.config.spelling if http is not None else "lower"
    if spelling == "lower":
        if settings is None or not settings.proper_case:
            return None
        return [(proper(name.lower()), value) for name, value in headers]
    came: dict[bytes, bytes] = {}
    for name, _ in given:
        came.setdefault(name.lower(), name)
    own = proper if spelling == "as it came, own proper" else bytes
    return [(came.get(name.lower()) or own(name.lower()), value) for name, value in headers]
