"""Bodies of requests: which are waited for, and how much is kept so that it can be sent once more.

Whoever has to see a body, or only its length, has it held until it is whole (envoy source: extensions/filters/http/
buffer). What is kept for another try is the router's matter (Router::Filter::decodeData):

What a route says counts, else its virtual host, by the new field (`request_body_buffer_limit`) before the old one; else
the listener's limit for a connection. A body that is longer goes out all the same, and is not sent again.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from .actions import Collect
from .matching import decimal
from .replies import LocalReply, payload_too_large
from .request import RequestView

if TYPE_CHECKING:
    from .call import OutgoingCall

LENGTH = b"content-length"
ENCODING = b"transfer-encoding"

DEFAULT_BODY_LIMIT = 1024 * 1024
"""Bytes (Listener.per_connection_buffer_limit_bytes)."""


def most_kept(call: OutgoingCall) -> int | None:
    """The most bytes that the body of a call may have to be sent again; None for no limit."""
    route, destination = call.route, call.destination
    if route is not None and route.body_limit is not None:
        return route.body_limit
    if destination is None:
        return DEFAULT_BODY_LIMIT  # a copy
    return destination.body_limit or None


class Held(Protocol):
    """Whose body it is."""

    request: RequestView
    incoming: bool


def may_stream(stream: Held) -> bool:
    """Whether a request without a length may have a body: over HTTP/2 it need not say so. A call of gRPC does not."""
    request = stream.request
    return stream.incoming or ENCODING in request.headers or request.is_grpc


def wanted(stream: Held, most: int) -> bool | LocalReply:
    """Whether there is a body to wait for; the answer to one that says that it is too long."""
    given = stream.request.headers.get(LENGTH)
    if given is None:
        return may_stream(stream)
    length = decimal(given)
    return payload_too_large() if length is not None and length > most else length != 0


def whole(stream: Held, most: int) -> Generator[Collect, Any, bytes | LocalReply | None]:
    """The body, empty where there is none; the answer to one that is too long; None where nobody has a body (a dry
    run)."""
    found = wanted(stream, most)
    if isinstance(found, LocalReply):
        return found
    if not found:
        return b""
    collect = Collect(most)
    length: int | None = yield collect
    if length is None:
        return None
    return payload_too_large() if length > most else collect.body
