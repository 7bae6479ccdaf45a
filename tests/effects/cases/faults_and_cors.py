"""Faults that are injected, and CORS."""

from __future__ import annotations

from typing import Any

from ..registry import effect
from ..resources import Json, extension, shop, typed
from ..scene import Scene
from ..seeing import See, answered, explained

FAULT = "envoy.extensions.filters.http.fault.v3.HTTPFault"
ABORT = "envoy.extensions.filters.http.fault.v3.FaultAbort"
DELAY = "envoy.extensions.filters.common.fault.v3.FaultDelay"
CORS = "envoy.extensions.filters.http.cors.v3."
OLD = "envoy.config.route.v3.CorsPolicy"

ALWAYS: Json = {"numerator": 100}
TEAPOT: Json = {"http_status": 418, "percentage": ALWAYS}


def faulty(**fields: Any) -> Any:
    """A fault in the chain."""
    return shop(filters=[extension(FAULT, "envoy.filters.http.fault", **fields)])


def slept(**request: Any) -> See:
    """How long a call sleeps before it is sent."""

    def see(scene: Scene) -> list[float]:
        return scene.call(answers=(200,), **request).slept

    return see


status = explained("status")


def status_with(*headers: tuple[str, str]) -> See:
    return explained("status", headers=headers)


FAULTS = [
    effect(FAULT + ".abort", faulty(abort=TEAPOT), status, 418),
    effect(FAULT + ".delay", faulty(delay={"fixed_delay": "2s", "percentage": ALWAYS}), slept(), [2.0]),
    effect(FAULT + ".upstream_cluster", faulty(abort=TEAPOT, upstream_cluster="b"), status, None),
    effect(FAULT + ".headers", faulty(abort=TEAPOT, headers=[{"name": "x"}]), status, None),
    effect(FAULT + ".downstream_nodes", faulty(abort=TEAPOT, downstream_nodes=["n"]), status, None),
    effect(FAULT + ".max_active_faults", faulty(abort=TEAPOT, max_active_faults=0), status, None),
    effect(ABORT + ".http_status", faulty(abort=TEAPOT), status, 418),
    effect(
        ABORT + ".grpc_status",
        faulty(abort={"grpc_status": 5, "percentage": ALWAYS}),
        answered("grpc-status", answers=(), method="POST", headers=[("content-type", "application/grpc")]),
        [b"5"],
    ),
    effect(
        ABORT + ".header_abort",
        faulty(abort={"header_abort": {}, "percentage": ALWAYS}),
        status_with(("x-envoy-fault-abort-request", "418")),
        418,
    ),
    effect(ABORT + ".percentage", faulty(abort=TEAPOT), status, 418),
    effect(DELAY + ".fixed_delay", faulty(delay={"fixed_delay": "2s", "percentage": ALWAYS}), slept(), [2.0]),
    effect(
        DELAY + ".header_delay",
        faulty(delay={"header_delay": {}, "percentage": ALWAYS}),
        slept(headers=[("x-envoy-fault-delay-request", "1500")]),
        [1.5],
    ),
    effect(DELAY + ".percentage", faulty(delay={"fixed_delay": "2s", "percentage": ALWAYS}), slept(), [2.0]),
]

PAGE = ("origin", "http://page")
PREFLIGHT = [PAGE, ("access-control-request-method", "PUT"), ("access-control-request-private-network", "true")]
OTHER = [("origin", "http://other"), ("access-control-request-method", "PUT")]


def cors(new: bool, **fields: Any) -> Any:
    """A policy of a route, in either place."""
    policy = {"allow_origin_string_match": [{"exact": "http://page"}], **fields}
    chain = [extension(CORS + "Cors", "cors")]
    if new:
        own = {"cors": typed(CORS + "CorsPolicy", **policy)}
        return shop(filters=chain, route_fields={"typed_per_filter_config": own})
    return shop(filters=chain, action={"cors": policy})


def preflight(name: str) -> See:
    return answered("access-control-" + name, answers=(), method="OPTIONS", headers=PREFLIGHT)


def policies(message: str, *, new: bool) -> list[Any]:
    return [
        effect(
            message + ".allow_origin_string_match",
            cors(new),
            answered("access-control-allow-origin", headers=[PAGE]),
            [b"http://page"],
        ),
        effect(message + ".allow_methods", cors(new, allow_methods="PUT"), preflight("allow-methods"), [b"PUT"]),
        effect(message + ".allow_headers", cors(new, allow_headers="x-a"), preflight("allow-headers"), [b"x-a"]),
        effect(
            message + ".expose_headers",
            cors(new, expose_headers="x-b"),
            answered("access-control-expose-headers", headers=[PAGE]),
            [b"x-b"],
        ),
        effect(message + ".max_age", cors(new, max_age="60"), preflight("max-age"), [b"60"]),
        effect(
            message + ".allow_credentials", cors(new, allow_credentials=True), preflight("allow-credentials"), [b"true"]
        ),
        effect(
            message + ".filter_enabled",
            cors(new, filter_enabled={"default_value": {"numerator": 0}}),
            answered("access-control-allow-origin", headers=[PAGE]),
            [],
        ),
        effect(
            message + ".allow_private_network_access",
            cors(new, allow_private_network_access=True),
            preflight("allow-private-network"),
            [b"true"],
        ),
        effect(
            message + ".forward_not_matching_preflights",
            cors(new, forward_not_matching_preflights=False),
            explained("status", method="OPTIONS", headers=OTHER),
            200,
        ),
    ]


LEVELS = [
    effect(
        "envoy.config.route.v3.RouteAction.cors",
        cors(new=False),
        answered("access-control-allow-origin", headers=[PAGE]),
        [b"http://page"],
    ),
    effect(
        "envoy.config.route.v3.VirtualHost.cors",
        shop(
            filters=[extension(CORS + "Cors", "cors")],
            host_fields={"cors": {"allow_origin_string_match": [{"exact": "http://page"}]}},
        ),
        answered("access-control-allow-origin", headers=[PAGE]),
        [b"http://page"],
    ),
]

CASES = [*FAULTS, *policies(CORS + "CorsPolicy", new=True), *policies(OLD, new=False), *LEVELS]
