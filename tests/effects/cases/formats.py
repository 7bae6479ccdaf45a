"""What formats of headers may say of a request (governance.commands)."""

from __future__ import annotations

from ..registry import effect
from ..resources import Json, shop
from ..seeing import sent

R = "envoy.config.route.v3."


def saying(value: str) -> Json:
    """Fields of a route that say it in a header."""
    return {"request_headers_to_add": [{"header": {"key": "x-said", "value": value}}]}


METADATA: Json = {"filter_metadata": {"m": {"a": "word"}}}

CASES = [
    effect(
        R + "Route.metadata",
        shop(route_fields={**saying("%METADATA(ROUTE:m:a)%"), "metadata": METADATA}),
        sent("x-said"),
        ["word"],
    ),
    effect(
        R + "VirtualHost.metadata",
        shop(route_fields=saying("%METADATA(VIRTUAL_HOST:m:a)%"), host_fields={"metadata": METADATA}),
        sent("x-said"),
        ["word"],
    ),
]
