"""The local rate limit filter, and the descriptors that routes make for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..registry import Effect, effect
from ..resources import Json, Shop, extension, inbound, route, shop
from ..scene import Scene
from ..seeing import See, statuses

LIMIT = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
DESCRIPTOR = "envoy.extensions.common.ratelimit.v3."
BUCKET = "envoy.type.v3.TokenBucket."
R = "envoy.config.route.v3."
ACTION = R + "RateLimit.Action."
ALL: Json = {"default_value": {"numerator": 100}}


def bucket(tokens: int, every: str = "100s", **fields: Any) -> Json:
    """So many requests, and one more after each interval."""
    return {"max_tokens": tokens, "fill_interval": every, **fields}


def descriptor(tokens: int, **entries: str) -> Json:
    """A limit of its own for a descriptor."""
    return {"entries": [{"key": k, "value": v} for k, v in entries.items()], "token_bucket": bucket(tokens)}


def limited(
    *actions: Json,
    action_fields: Json | None = None,
    host_fields: Json | None = None,
    rate: Json | None = None,
    **fields: Any,
) -> Shop:
    """An inbound port of two requests; `actions` make the descriptor of its route."""
    own = {"stat_prefix": "s", "token_bucket": bucket(2), "filter_enabled": ALL, "filter_enforced": ALL, **fields}
    rates = [{"actions": list(actions), **(rate or {})}] if actions else []
    to = {"cluster": "in", **({"rate_limits": rates} if rates else {}), **(action_fields or {})}
    made = inbound(extension(LIMIT, "limit", **own), routes=[route(action=to)], host_fields=host_fields)
    return shop(listeners=[made])


def one(**entries: str) -> list[Json]:
    """A limit of one request for a descriptor."""
    return [descriptor(1, **entries)]


KEY: Json = {"generic_key": {"descriptor_key": "k", "descriptor_value": "v"}}
MATCHED: Json = {"descriptor_key": "k", "descriptor_value": "v"}


def described(action: Json, key: str = "k", value: str = "v", **fields: Any) -> Shop:
    """A limit of one request for what one action says."""
    return limited(action, descriptors=one(**{key: value}), **fields)


def three(**request: Any) -> See:
    """Three requests."""
    return statuses(3, **request)


def headers(name: str, count: int = 3, **request: Any) -> See:
    """The values of a header of the last of so many answers."""

    def see(scene: Scene) -> list[bytes]:
        for _ in range(count - 1):
            scene.receive(**request)
        found = scene.receive(**request)
        told = found.reply.headers if found.reply is not None else found.response(200, [])
        return [value for key, value in told if key == name.encode()]

    return see


def as_seen(scene: Scene) -> list[tuple[int, tuple[bytes, ...]]]:
    """What the app gets of three requests that are over the limit or not."""
    found = [scene.receive() for _ in range(3)]
    return [(each.status, tuple(each.request.values(b"x-over"))) for each in found]


def mixed(*requests: Json) -> See:
    """Statuses of different requests."""
    return lambda scene: [scene.receive(**each).status for each in requests]


def cases(action: str, fields: Json, request: Json, other: Json, *, key: str = "k", value: str = "v") -> list[Effect]:
    """An action makes a descriptor of its own limit for a request, and none for another one."""
    made = described({action: fields}, key, value)
    return [effect(ACTION + action, made, mixed(request, request, other), [0, 429, 0], against=limited())]


X1: Json = {"headers": [("x", "1")]}
X2: Json = {"headers": [("x", "2")]}
Q1: Json = {"path": "/?q=1"}
Q2: Json = {"path": "/?q=2"}
HEADER: Json = {**MATCHED, "headers": [{"name": "x", "exact_match": "1"}]}
NOT: Json = {**HEADER, "expect_match": False}
QUERY: Json = {**MATCHED, "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}
NOT_QUERY: Json = {**QUERY, "expect_match": False}
BY_HEADER: Json = {"header_name": "x", "descriptor_key": "k"}
BY_QUERY: Json = {"query_parameter_name": "q", "descriptor_key": "k"}
V4: Json = {"source": "192.0.2.7"}
V4_NEAR: Json = {"source": "192.0.2.8"}
V6: Json = {"source": "2001:db8::7"}
V6_NEAR: Json = {"source": "2001:db8::8"}
MASK: Json = {"v4_prefix_mask_len": 24, "v6_prefix_mask_len": 64}
MATCHER = "envoy.type.matcher.v3.AddressMatcher."
RANGES: Json = {"ranges": [{"address_prefix": "192.0.2.0", "prefix_len": 24}]}
NEAR: Json = {"address_matcher": RANGES, "descriptor_key": "k", "descriptor_value": "v"}
FAR: Json = {**NEAR, "address_matcher": {"ranges": [{"address_prefix": "2001:db8::", "prefix_len": 32}]}}
OTHER_VALUE = {"generic_key": {"descriptor_key": "k", "descriptor_value": "w"}}
HOST_LIMITS: Json = {"rate_limits": [{"actions": [KEY]}]}
OWN: Json = {"rate_limits": [{"actions": [OTHER_VALUE]}]}


def per_field(
    message: str, action: str, fields: Json, request: Json, expected: Sequence[int], *names: str
) -> list[Effect]:
    """Several fields of one action, all needed for its descriptor."""
    made = described({action: fields})
    return [effect(f"{ACTION}{message}.{name}", made, mixed(request, request), list(expected)) for name in names]


CASES: list[Effect] = [
    # The filter.
    effect(LIMIT + ".token_bucket", limited(), three(), [0, 0, 429]),
    effect(LIMIT + ".filter_enabled", limited(), three(), [0, 0, 429]),
    effect(LIMIT + ".filter_enforced", limited(), three(), [0, 0, 429]),
    effect(LIMIT + ".status", limited(status={"code": "ServiceUnavailable"}), three(), [0, 0, 503]),
    effect(
        "envoy.type.v3.HttpStatus.code",
        limited(status={"code": "ServiceUnavailable"}),
        three(),
        [0, 0, 503],
        against=limited(),
    ),
    effect(
        LIMIT + ".request_headers_to_add_when_not_enforced",
        limited(
            filter_enforced={"default_value": {"numerator": 0}},
            request_headers_to_add_when_not_enforced=[{"header": {"key": "x-over", "value": "1"}}],
        ),
        as_seen,
        [(0, ()), (0, ()), (0, (b"1",))],
    ),
    effect(
        LIMIT + ".response_headers_to_add",
        limited(response_headers_to_add=[{"header": {"key": "x-over", "value": "1"}}]),
        headers("x-over"),
        [b"1"],
    ),
    effect(
        LIMIT + ".enable_x_ratelimit_headers",
        limited(enable_x_ratelimit_headers="DRAFT_VERSION_03"),
        headers("x-ratelimit-limit"),
        [b"2"],
    ),
    effect(LIMIT + ".descriptors", described(KEY), three(), [0, 429, 429]),
    effect(LIMIT + ".stage", described(KEY, stage=1, rate={"stage": 1}), three(), [0, 429, 429]),
    effect(
        LIMIT + ".vh_rate_limits",
        limited(OTHER_VALUE, descriptors=one(k="v"), vh_rate_limits="INCLUDE", host_fields=HOST_LIMITS),
        three(),
        [0, 429, 429],
    ),
    effect(
        LIMIT + ".always_consume_default_token_bucket",
        limited(KEY, descriptors=[descriptor(5, k="v")], always_consume_default_token_bucket=False),
        three(),
        [0, 0, 0],
    ),
    effect(
        LIMIT + ".rate_limits",
        limited(descriptors=one(k="v"), rate_limits=[{"actions": [KEY]}]),
        three(),
        [0, 429, 429],
    ),
    effect(
        LIMIT + ".max_dynamic_descriptors",
        limited(
            {"request_headers": BY_HEADER}, descriptors=one(k=""), max_dynamic_descriptors=1, token_bucket=bucket(9)
        ),
        mixed(X1, X2, X1, X1),
        [0, 0, 0, 429],
    ),
    effect(
        BUCKET + "max_tokens",
        limited(token_bucket=bucket(1)),
        three(),
        [0, 429, 429],
        against=limited(token_bucket=bucket(2)),
    ),
    effect(
        BUCKET + "tokens_per_fill",
        limited(token_bucket=bucket(2, "1s", tokens_per_fill=2)),
        statuses(6, 0.5),
        [0, 0, 0, 0, 0, 0],
    ),
    effect(
        BUCKET + "fill_interval",
        limited(token_bucket=bucket(1, "2s")),
        statuses(4, 1.0),
        [0, 429, 0, 429],
        against=limited(token_bucket=bucket(1, "1s")),
    ),
    effect(
        DESCRIPTOR + "LocalRateLimitDescriptor.entries",
        described(KEY),
        three(),
        [0, 429, 429],
        against=described(KEY, value="w"),
    ),
    effect(
        DESCRIPTOR + "LocalRateLimitDescriptor.token_bucket",
        described(KEY),
        three(),
        [0, 429, 429],
        against=limited(KEY, descriptors=[descriptor(2, k="v")]),
    ),
    effect(
        DESCRIPTOR + "RateLimitDescriptor.Entry.key",
        described(KEY),
        three(),
        [0, 429, 429],
        against=described(KEY, "other"),
    ),
    effect(
        DESCRIPTOR + "RateLimitDescriptor.Entry.value",
        limited({"request_headers": BY_HEADER}, descriptors=one(k="1"), token_bucket=bucket(9)),
        mixed(X1, X2, X1, X2),
        [0, 0, 429, 0],
    ),
    # The limits of routes.
    effect(R + "RouteAction.rate_limits", described(KEY), three(), [0, 429, 429]),
    effect(
        R + "VirtualHost.rate_limits", limited(descriptors=one(k="v"), host_fields=HOST_LIMITS), three(), [0, 429, 429]
    ),
    effect(
        R + "RouteAction.include_vh_rate_limits",
        limited(
            OTHER_VALUE, descriptors=one(k="v"), host_fields=HOST_LIMITS, action_fields={"include_vh_rate_limits": True}
        ),
        three(),
        [0, 429, 429],
    ),
    effect(R + "RateLimit.actions", described(KEY), three(), [0, 429, 429], against=described(OTHER_VALUE)),
    effect(R + "RateLimit.disable_key", described(KEY, rate={"disable_key": "off"}), three(), [0, 0, 429]),
    effect(R + "RateLimit.stage", described(KEY, rate={"stage": 1}), three(), [0, 0, 429]),
    # Actions.
    effect(ACTION + "generic_key", described(KEY), three(), [0, 429, 429], against=limited()),
    *per_field("GenericKey", "generic_key", KEY["generic_key"], {}, [0, 429], "descriptor_key"),
    effect(
        ACTION + "GenericKey.descriptor_value", described(KEY), three(), [0, 429, 429], against=described(OTHER_VALUE)
    ),
    *cases("header_value_match", HEADER, X1, X2),
    *per_field("HeaderValueMatch", "header_value_match", HEADER, X1, [0, 429], "descriptor_key"),
    effect(
        ACTION + "HeaderValueMatch.descriptor_value",
        described({"header_value_match": HEADER}),
        mixed(X1, X1),
        [0, 429],
        against=described({"header_value_match": {**HEADER, "descriptor_value": "w"}}),
    ),
    effect(
        ACTION + "HeaderValueMatch.expect_match", described({"header_value_match": NOT}), mixed(X2, X2, X1), [0, 429, 0]
    ),
    effect(
        ACTION + "HeaderValueMatch.headers", described({"header_value_match": HEADER}), mixed(X1, X1, X2), [0, 429, 0]
    ),
    *cases("query_parameter_value_match", QUERY, Q1, Q2),
    *per_field("QueryParameterValueMatch", "query_parameter_value_match", QUERY, Q1, [0, 429], "descriptor_key"),
    effect(
        ACTION + "QueryParameterValueMatch.descriptor_value",
        described({"query_parameter_value_match": QUERY}),
        mixed(Q1, Q1),
        [0, 429],
        against=described({"query_parameter_value_match": {**QUERY, "descriptor_value": "w"}}),
    ),
    effect(
        ACTION + "QueryParameterValueMatch.expect_match",
        described({"query_parameter_value_match": NOT_QUERY}),
        mixed(Q2, Q2, Q1),
        [0, 429, 0],
    ),
    effect(
        ACTION + "QueryParameterValueMatch.query_parameters",
        described({"query_parameter_value_match": QUERY}),
        mixed(Q1, Q1, Q2),
        [0, 429, 0],
    ),
    *cases("request_headers", BY_HEADER, X1, X2, value="1"),
    effect(
        ACTION + "RequestHeaders.header_name",
        described({"request_headers": BY_HEADER}, value="1"),
        mixed(X1, X1),
        [0, 429],
    ),
    effect(
        ACTION + "RequestHeaders.descriptor_key",
        described({"request_headers": BY_HEADER}, value="1"),
        mixed(X1, X1),
        [0, 429],
    ),
    effect(
        ACTION + "RequestHeaders.skip_if_absent",
        limited({"request_headers": {**BY_HEADER, "skip_if_absent": True}}, KEY, descriptors=one(k="v")),
        three(),
        [0, 429, 429],
    ),
    *cases("query_parameters", BY_QUERY, Q1, Q2, value="1"),
    effect(
        ACTION + "QueryParameters.query_parameter_name",
        described({"query_parameters": BY_QUERY}, value="1"),
        mixed(Q1, Q1),
        [0, 429],
    ),
    effect(
        ACTION + "QueryParameters.descriptor_key",
        described({"query_parameters": BY_QUERY}, value="1"),
        mixed(Q1, Q1),
        [0, 429],
    ),
    effect(
        ACTION + "QueryParameters.skip_if_absent",
        limited({"query_parameters": {**BY_QUERY, "skip_if_absent": True}}, KEY, descriptors=one(k="v")),
        three(),
        [0, 429, 429],
    ),
    *cases("remote_address", {}, V4, V4_NEAR, key="remote_address", value="192.0.2.7"),
    *cases(
        "masked_remote_address", MASK, V4, {"source": "192.0.3.7"}, key="masked_remote_address", value="192.0.2.0/24"
    ),
    effect(
        ACTION + "MaskedRemoteAddress.v4_prefix_mask_len",
        described({"masked_remote_address": MASK}, "masked_remote_address", "192.0.2.0/24"),
        mixed(V4, V4_NEAR),
        [0, 429],
    ),
    effect(
        ACTION + "MaskedRemoteAddress.v6_prefix_mask_len",
        described({"masked_remote_address": MASK}, "masked_remote_address", "2001:db8::/64"),
        mixed(V6, V6_NEAR),
        [0, 429],
    ),
    *cases("remote_address_match", NEAR, V4, V6),
    *per_field("RemoteAddressMatch", "remote_address_match", NEAR, V4, [0, 429], "address_matcher", "descriptor_key"),
    effect(
        MATCHER + "ranges",
        described({"remote_address_match": NEAR}),
        mixed(V4, V4, V6),
        [0, 429, 0],
        against=described({"remote_address_match": FAR}),
    ),
    effect(
        MATCHER + "invert_match",
        described({"remote_address_match": {**NEAR, "address_matcher": {**RANGES, "invert_match": True}}}),
        mixed(V6, V6, V4),
        [0, 429, 0],
    ),
]
