"""How much of a body is kept to be sent again."""

from __future__ import annotations

from proxyless.governance.bodies import most_kept

from ..registry import Effect, effect
from ..resources import shop
from ..scene import Scene
from ..seeing import drive

ROUTE = "envoy.config.route.v3."
NEW, OLD = "request_body_buffer_limit", "per_request_buffer_limit_bytes"


def kept(scene: Scene) -> int | None:
    """The most bytes that a call's body may have to be sent again."""
    return most_kept(drive(scene, [200]).call)


CASES: list[Effect] = [
    effect(ROUTE + f"Route.{NEW}", shop(route_fields={NEW: "9"}, host_fields={NEW: "8"}), kept, 9),
    effect(ROUTE + f"Route.{OLD}", shop(route_fields={OLD: 9}, host_fields={OLD: 8}), kept, 9),
    effect(ROUTE + f"VirtualHost.{NEW}", shop(route_fields={OLD: 9}, host_fields={NEW: "8"}), kept, 8),
    effect(ROUTE + f"VirtualHost.{OLD}", shop(host_fields={OLD: 8}), kept, 8),
    effect(
        "envoy.config.listener.v3.Listener.per_connection_buffer_limit_bytes",
        shop(listener_fields={"per_connection_buffer_limit_bytes": 0}),
        kept,
        None,
    ),
]
