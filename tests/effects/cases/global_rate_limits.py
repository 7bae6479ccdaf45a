"""The rate limit filter that asks a service, and what actions make of a request."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import Ask, Head
from proxyless.xds.model.filters import GrpcTarget
from proxyless.xds.model.rate_limit_service import DescriptorStatus, LimitedDescriptor, RateLimitAnswer, RateLimitQuery

from ..registry import effect
from ..resources import Json, extension, shop, typed
from ..scene import Scene
from ..seeing import See

HTTP = "envoy.extensions.filters.http."
KIND = HTTP + "ratelimit.v3.RateLimit"
PER_ROUTE = HTTP + "ratelimit.v3.RateLimitPerRoute"
R = "envoy.config.route.v3."
LIMIT = R + "RateLimit"
ACTION = LIMIT + ".Action"
CORE = "envoy.config.core.v3."
GRPC_SERVICE: Json = {
    "envoy_grpc": {"cluster_name": "b", "authority": "rls"},
    "initial_metadata": [{"key": "k", "value": "v"}],
}
FIXED: Json = {"actions": [{"generic_key": {"descriptor_value": "all"}}]}
GRPC = [("content-type", "application/grpc")]
STATUS = DescriptorStatus("OVER_LIMIT", 3, 60)
OVER = RateLimitAnswer("OVER_LIMIT", (STATUS,))
NOBODY = "nobody answers"


def limited(fields: Json | None = None, *, limit: Json | None = None, **more: Any) -> Any:
    """A route behind the filter."""
    own: Json = {
        "domain": "shop",
        "rate_limit_service": {"grpc_service": GRPC_SERVICE, "transport_api_version": "V3"},
        **(fields or {}),
    }
    more.setdefault("action", {"rate_limits": [limit or FIXED]})
    return shop(filters=[extension(KIND, "limit", **own)], **more)


def per_route(**fields: Any) -> Json:
    return {"typed_per_filter_config": {"limit": typed(PER_ROUTE, **fields)}}


class Steps:
    """A call whose questions are answered in one way."""

    def __init__(self, scene: Scene, answer: object, **request: Any) -> None:
        self.queries: list[tuple[RateLimitQuery, float]] = []
        self.told: list[RateLimitQuery] = []
        self.targets: list[Any] = []
        runtime = scene.world.runtime
        runtime.rate_limiter = self._target
        steps = scene.world.steps("http://shop/a", **request)
        while isinstance(steps.action, Ask):
            self.queries.append((steps.action.request, steps.action.timeout_s))
            steps.answer(answer)
        steps.until(answers=[200] if steps.action is not None else ())
        self.reply = steps.reply
        head = steps.head
        self.headers = list(head.headers if isinstance(head, Head) else self.reply.headers if self.reply else ())
        self.status, self.flags = steps.status, steps.flags

    def _target(self, target: Any) -> Any:
        self.targets.append(target)
        return self

    def ask(self, request: Any, timeout_s: float) -> Any:
        raise AssertionError

    async def ask_async(self, request: Any, timeout_s: float) -> Any:
        raise AssertionError

    def tell(self, request: Any, timeout_s: float) -> None:
        self.told.append(request)


def see(what: str, answer: object = OVER, **request: Any) -> See:
    """What became of a call: `asked`, `told`, `status`, `headers`, `grpc`, `timeout`, `target`."""

    def look(scene: Scene) -> Any:
        steps = Steps(scene, answer, **request)
        names = dict(steps.headers)
        return {
            "asked": [(query.domain, query.descriptors) for query, _ in steps.queries],
            "told": [query.descriptors for query in steps.told],
            "status": steps.status,
            "headers": sorted(name for name in names if name.startswith(b"x-")),
            "grpc": names.get(b"grpc-status"),
            "timeout": [timeout_s for _, timeout_s in steps.queries],
            "target": steps.targets,
        }[what]

    return look


def of(key: str, value: str, domain: str = "shop") -> Any:
    """What is asked of one entry."""
    return [(domain, (LimitedDescriptor(((key, value),)),))]


TARGET = GrpcTarget("b", "rls", (("k", "v"),))
ALL = ("generic_key", "all")

NEVER: Json = {"default_value": {"numerator": 0}}
ALWAYS: Json = {"default_value": {"numerator": 100}}
asked = see("asked")
status = see("status")
denied = see("status", NOBODY)

FILTER = [
    effect(KIND + ".domain", limited({"domain": "other"}), asked, of(*ALL, "other")),
    effect(KIND + ".stage", limited({"stage": 1}, limit={"stage": 1, **FIXED}), asked, of(*ALL)),
    effect(KIND + ".request_type", limited({"request_type": "internal"}), status, 200),
    effect(KIND + ".timeout", limited({"timeout": "1s"}), see("timeout"), [1.0]),
    effect(KIND + ".failure_mode_deny", limited({"failure_mode_deny": True}), denied, 500),
    effect(
        KIND + ".failure_mode_deny_percent", limited({"failure_mode_deny_percent": ALWAYS}), see("status", NOBODY), 500
    ),
    effect(
        KIND + ".rate_limited_as_resource_exhausted",
        limited({"rate_limited_as_resource_exhausted": True}),
        see("grpc", method="POST", headers=GRPC),
        b"8",
    ),
    effect(KIND + ".rate_limit_service", limited(), status, 429),
    effect(
        KIND + ".enable_x_ratelimit_headers",
        limited({"enable_x_ratelimit_headers": "DRAFT_VERSION_03"}),
        see("headers"),
    ),
    effect(
        KIND + ".disable_x_envoy_ratelimited_header",
        limited({"disable_x_envoy_ratelimited_header": True}),
        see("headers"),
        [],
    ),
    effect(KIND + ".rate_limited_status", limited({"rate_limited_status": {"code": "Forbidden"}}), status, 403),
    effect(
        KIND + ".response_headers_to_add",
        limited({"response_headers_to_add": [{"header": {"key": "x-slow", "value": "1"}}]}),
        see("headers"),
    ),
    effect(
        KIND + ".status_on_error",
        limited({"failure_mode_deny": True, "status_on_error": {"code": "BadGateway"}}),
        see("status", NOBODY),
        502,
    ),
    effect(KIND + ".filter_enabled", limited({"filter_enabled": NEVER}), status, 200),
    effect(KIND + ".filter_enforced", limited({"filter_enforced": NEVER}), status, 200),
    effect(KIND + ".rate_limits", limited({"rate_limits": [FIXED]}, action={}), status, 429),
    effect(
        PER_ROUTE + ".vh_rate_limits",
        limited(action={}, host_fields={"rate_limits": [FIXED]}, route_fields=per_route(vh_rate_limits="IGNORE")),
        status,
        200,
    ),
    effect(PER_ROUTE + ".rate_limits", limited(action={}, route_fields=per_route(rate_limits=[FIXED])), status, 429),
    effect(PER_ROUTE + ".domain", limited(route_fields=per_route(domain="other")), asked),
    effect("envoy.config.ratelimit.v3.RateLimitServiceConfig.grpc_service", limited(), status, 429),
    effect(CORE + "GrpcService.envoy_grpc", limited(), status, 429),
    effect(CORE + "GrpcService.initial_metadata", limited(), see("target"), [TARGET]),
    effect(CORE + "GrpcService.EnvoyGrpc.cluster_name", limited(), see("target"), [TARGET]),
    effect(CORE + "GrpcService.EnvoyGrpc.authority", limited(), see("target"), [TARGET]),
]


def acting(**action: Any) -> Any:
    """A limit of one action."""
    return limited(limit={"actions": [action]}, route_fields={"metadata": {"filter_metadata": {"ns": {"a": "v"}}}})


KEY: Json = {"key": "ns", "path": [{"key": "a"}]}
OF_ROUTE: Json = {"descriptor_key": "m", "metadata_key": KEY, "source": "ROUTE_ENTRY"}
ABSENT: Json = {"descriptor_key": "m", "metadata_key": {"key": "no", "path": [{"key": "a"}]}}
DEFAULT: Json = {**ABSENT, "default_value": "d"}
SKIPPED: Json = {"actions": [{"metadata": {**ABSENT, "skip_if_absent": True}}, FIXED["actions"][0]]}

ACTIONS = [
    effect(LIMIT + ".hits_addend", limited({"rate_limits": [{**FIXED, "hits_addend": {"number": 3}}]}), asked),
    effect(LIMIT + ".HitsAddend.number", limited({"rate_limits": [{**FIXED, "hits_addend": {"number": 3}}]}), asked),
    effect(
        LIMIT + ".HitsAddend.is_negative_hits",
        limited({"rate_limits": [{**FIXED, "hits_addend": {"number": 3, "is_negative_hits": True}}]}),
        asked,
    ),
    effect(LIMIT + ".apply_on_stream_done", limited(limit={**FIXED, "apply_on_stream_done": True}), see("told")),
    effect(
        LIMIT + ".x_ratelimit_option",
        limited(limit={**FIXED, "x_ratelimit_option": "DRAFT_VERSION_03"}),
        see("headers"),
    ),
    effect(ACTION + ".source_cluster", acting(source_cluster={}), asked, of("source_cluster", "app.shop")),
    effect(ACTION + ".destination_cluster", acting(destination_cluster={}), asked, of("destination_cluster", "a")),
    effect(ACTION + ".metadata", acting(metadata=OF_ROUTE), asked, of("m", "v")),
    effect(ACTION + ".dynamic_metadata", acting(dynamic_metadata=DEFAULT), asked, of("m", "d")),
    effect(ACTION + ".DynamicMetaData.descriptor_key", acting(dynamic_metadata=DEFAULT), asked, of("m", "d")),
    effect(ACTION + ".DynamicMetaData.default_value", acting(dynamic_metadata=DEFAULT), asked, of("m", "d")),
    effect(ACTION + ".MetaData.descriptor_key", acting(metadata=OF_ROUTE), asked, of("m", "v")),
    effect(ACTION + ".MetaData.metadata_key", acting(metadata=OF_ROUTE), asked, of("m", "v")),
    effect(ACTION + ".MetaData.source", acting(metadata=OF_ROUTE), asked, of("m", "v")),
    effect(ACTION + ".MetaData.default_value", acting(metadata=DEFAULT), asked, of("m", "d")),
    effect(ACTION + ".MetaData.skip_if_absent", limited(limit=SKIPPED), asked),
    effect("envoy.type.metadata.v3.MetadataKey.key", acting(metadata=OF_ROUTE), asked, of("m", "v")),
    effect("envoy.type.metadata.v3.MetadataKey.path", acting(metadata=OF_ROUTE), asked, of("m", "v")),
    effect("envoy.type.metadata.v3.MetadataKey.PathSegment.key", acting(metadata=OF_ROUTE), asked, of("m", "v")),
    effect(R + "Route.metadata", acting(metadata=OF_ROUTE), asked, of("m", "v"), what="asked"),
]

LOCAL = HTTP + "local_ratelimit.v3.LocalRateLimit"
EMPTY: Json = {
    "stat_prefix": "s",
    "token_bucket": {"max_tokens": 0, "fill_interval": "1s"},
    "filter_enabled": ALWAYS,
    "filter_enforced": ALWAYS,
    "rate_limited_as_resource_exhausted": True,
}

CASES = [
    *FILTER,
    *ACTIONS,
    effect(
        LOCAL + ".rate_limited_as_resource_exhausted",
        shop(filters=[extension(LOCAL, "local", **EMPTY)]),
        see("grpc", method="POST", headers=GRPC),
        b"8",
    ),
]
