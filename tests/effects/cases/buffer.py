"""The buffer filter (envoy.extensions.filters.http.buffer.v3)."""

from __future__ import annotations

from ..registry import Effect, effect
from ..resources import Json, Shop, extension, shop, typed
from ..seeing import See, tried

BUFFER = "envoy.extensions.filters.http.buffer.v3."


def held(place: Json | None = None, most: int = 5) -> Shop:
    """A chain that holds bodies, and what the route says of it."""
    filter_ = extension(BUFFER + "Buffer", "buffer", max_request_bytes=most)
    own: Json = {"typed_per_filter_config": {"buffer": typed(BUFFER + "BufferPerRoute", **place)}} if place else {}
    return shop(filters=[filter_], route_fields=own)


def sent(length: int) -> See:
    """What becomes of a body of this length."""
    return tried([200], method="POST", headers=[("content-length", str(length))])


CASES: list[Effect] = [
    effect(BUFFER + "Buffer.max_request_bytes", held(), sent(6), (0, 413, "-"), against=held(most=9)),
    effect(BUFFER + "BufferPerRoute.disabled", held({"disabled": True}), sent(6), (1, 200, "-"), against=held()),
    effect(
        BUFFER + "BufferPerRoute.buffer",
        held({"buffer": {"max_request_bytes": 6}}),
        sent(6),
        (1, 200, "-"),
        against=held(),
    ),
]
