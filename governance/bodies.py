"""How much of a request's body is kept, so that it can be sent once more (envoy source: Router::Filter::decodeData).

What a route says counts, else its virtual host, by the new field (`request_body_buffer_limit`) before the old one; else
the listener's limit for a connection. A body that is longer goes out all the same, and is not sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .call import OutgoingCall

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
