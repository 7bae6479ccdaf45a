"""What ends a call besides the timeout of its route: idle streams, streams and uploads that last too long."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Deliver, Send
from tests.support.world import Steps

from ..registry import Effect, effect
from ..resources import Json, Shop, shop, typed
from ..scene import Scene
from ..seeing import See

ACTION = "envoy.config.route.v3.RouteAction."
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
COMMON = "envoy.config.core.v3.HttpProtocolOptions"
URL = "http://shop/a"
GRPC = (("content-type", "application/grpc"), ("grpc-timeout", "9S"))


def patient(manager_fields: Json | None = None, cluster_fields: Json | None = None, **action: Any) -> Shop:
    """A route without a timeout, through a manager that lets streams idle if it does not say otherwise."""
    own = {"stream_idle_timeout": "0s", **(manager_fields or {})}
    return shop(action={"timeout": "0s", **action}, manager_fields=own, cluster_fields=cluster_fields)


def limits(uploading: bool = False, **request: Any) -> See:
    """Until when a try, then its body may take, and how long a byte: in seconds from the beginning of the call."""

    def see(scene: Scene) -> list[float | None]:
        call = scene.world.start(URL, **request)
        call.uploading = uploading
        steps = Steps(scene.world, call)
        begin = scene.world.clock()
        steps.until(Send)
        send = steps.wants(Send)
        steps.until(Deliver, answers=[200])
        deliver = steps.wants(Deliver)
        found = (send.deadline, send.idle_s, deliver.deadline, deliver.idle_s)
        return [each if each is None or each < begin else round(each - begin, 3) for each in found]

    return see


def lasting(**fields: Any) -> Shop:
    """A route's MaxStreamDuration."""
    return patient(max_stream_duration=fields)


SHORT: Json = {
    "typed_extension_protocol_options": {
        OPTIONS: typed(
            OPTIONS,
            explicit_http_config={"http_protocol_options": {}},
            common_http_protocol_options={"max_stream_duration": "2s"},
        )
    }
}
ASKED = lasting(max_stream_duration="2s", grpc_timeout_header_max="5s", grpc_timeout_header_offset="1s")

CASES: list[Effect] = [
    effect(ACTION + "idle_timeout", patient(idle_timeout="2s"), limits(), [2.0, None, None, 2.0]),
    effect(
        "envoy.config.route.v3.RetryPolicy.per_try_idle_timeout",
        patient(retry_policy={"per_try_idle_timeout": "2s"}),
        limits(),
        [None, 2.0, None, 2.0],
    ),
    effect(MANAGER + ".stream_idle_timeout", patient({"stream_idle_timeout": "2s"}), limits(), [2.0, None, None, 2.0]),
    effect(
        MANAGER + ".request_timeout", patient({"request_timeout": "2s"}), limits(uploading=True), [2.0] + [None] * 3
    ),
    effect(
        MANAGER + ".common_http_protocol_options",
        patient({"common_http_protocol_options": {"max_stream_duration": "2s"}}),
        limits(),
        [2.0, None, 2.0, None],
        what="durations",
    ),
    effect(
        MANAGER + ".common_http_protocol_options.max_stream_duration",
        patient({"common_http_protocol_options": {"max_stream_duration": "2s"}}),
        limits(),
        [2.0, None, 2.0, None],
    ),
    effect(COMMON + ".max_stream_duration", patient(None, SHORT), limits(), [2.0, None, 2.0, None]),
    effect(ACTION + "max_stream_duration", lasting(max_stream_duration="2s"), limits(), [2.0, None, 2.0, None]),
    effect(
        ACTION + "MaxStreamDuration.max_stream_duration",
        lasting(max_stream_duration="2s"),
        limits(),
        [2.0, None, 2.0, None],
    ),
    effect(ACTION + "MaxStreamDuration.grpc_timeout_header_max", ASKED, limits(headers=GRPC), [4.0, None, 4.0, None]),
    effect(
        ACTION + "MaxStreamDuration.grpc_timeout_header_offset", ASKED, limits(headers=GRPC), [4.0, None, 4.0, None]
    ),
]
