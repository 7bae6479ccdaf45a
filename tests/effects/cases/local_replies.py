"""Bodies with formats, and how replies of the mesh's own are rewritten (local_reply_config; accesslog.v3)."""

from __future__ import annotations

from typing import Any

from ..registry import Effect, effect
from ..resources import Json, Shop, shop
from ..scene import Headers, Scene
from ..seeing import See

M = "envoy.extensions.filters.network.http_connection_manager.v3."
MAPPER = M + "ResponseMapper."
LOG = "envoy.config.accesslog.v3."
FILTER = LOG + "AccessLogFilter."
FORMAT = "envoy.config.core.v3.SubstitutionFormatString."


def replied(what: str, headers: Headers = ()) -> See:
    """The status or the body of what the mesh answers, or one of its headers."""

    def see(scene: Scene) -> Any:
        reply = scene.call("http://shop/a", (), headers=list(headers)).reply
        if reply is None:
            return None
        return getattr(reply, what) if hasattr(reply, what) else dict(reply.headers).get(what.encode())

    return see


def direct(**body_format: object) -> Shop:
    """A route that answers `tea` in this format."""
    answer = {"status": 418, "body": {"inline_string": "tea"}, "body_format": body_format}
    return shop(route_fields={"direct_response": answer})


def rewritten(*mappers: Json, to: str = "none", **config: object) -> Shop:
    """A manager that rewrites its replies, of which a route to a cluster that is not there has 503 NC."""
    return shop(
        action={"cluster": to},
        manager_fields={"local_reply_config": {**({"mappers": list(mappers)} if mappers else {}), **config}},
    )


def filtered(wanted: Json) -> Shop:
    """What a filter takes is 299."""
    return rewritten({"filter": wanted, "status_code": 299})


def compared(op: str, value: int) -> Json:
    """A comparison."""
    return {"comparison": {"op": op, "value": {"default_value": value, "runtime_key": "k"}}}


ANY: Json = {"not_health_check_filter": {}}
NOT: Json = {"status_code_filter": compared("EQ", 1)}
MISSING: Json = {"metadata_filter": {"match_if_key_not_found": False}}
HALF: Json = {"runtime_key": "k", "percent_sampled": {"numerator": 50}}
UNAVAILABLE: Json = {"statuses": ["UNAVAILABLE"]}
TEXT: Json = {"text_format": "<%LOCAL_REPLY_BODY%>"}
SPARSE: Json = {"text_format": "<%REQ(x-none)%>", "omit_empty_values": True}
INSIDE = "00000031-0000-4000-8000-000000000000"

CEL = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"


def true(text: str) -> Json:
    """A filter that takes what an expression is true of."""
    config = {"@type": f"type.googleapis.com/{CEL}", "expression": text}
    return {"extension_filter": {"name": "cel", "typed_config": config}}


CASES: list[Effect] = [
    effect(
        FILTER + "extension_filter",
        filtered(true("response.code_details == 'cluster_not_found'")),
        replied("status"),
        299,
    ),
    effect(LOG + "ExtensionFilter.typed_config", filtered(true("request.path == '/a'")), replied("status"), 299),
    effect(
        CEL + ".expression",
        filtered(true("request.path == '/a'")),
        replied("status"),
        299,
        against=filtered(true("request.path == '/b'")),
    ),
    effect("envoy.config.route.v3.DirectResponseAction.body_format", direct(**TEXT), replied("body"), b"<tea>"),
    effect(
        FORMAT + "text_format", direct(**TEXT), replied("body"), b"<tea>", against=direct(text_format="%RESPONSE_CODE%")
    ),
    effect(
        FORMAT + "text_format_source",
        direct(text_format_source={"inline_string": "[%LOCAL_REPLY_BODY%]"}),
        replied("body"),
        b"[tea]",
    ),
    effect(
        FORMAT + "json_format",
        direct(json_format={"b": "%RESPONSE_CODE%", "a": "%LOCAL_REPLY_BODY%"}),
        replied("body"),
        b'{"a":"tea","b":0}\n',
    ),
    effect(FORMAT + "omit_empty_values", direct(**SPARSE), replied("body"), b"<>"),
    effect(FORMAT + "content_type", direct(**TEXT, content_type="x/y"), replied("content-type"), b"x/y"),
    effect(M + "HttpConnectionManager.local_reply_config", rewritten(body_format=TEXT), replied("body"), b"<>"),
    effect(M + "LocalReplyConfig.body_format", rewritten(body_format=TEXT), replied("body"), b"<>"),
    effect(M + "LocalReplyConfig.mappers", rewritten({"filter": ANY, "status_code": 299}), replied("status"), 299),
    effect(
        MAPPER + "filter",
        rewritten({"filter": NOT, "status_code": 299}, {"filter": ANY, "status_code": 298}),
        replied("status"),
        298,
    ),
    effect(MAPPER + "status_code", rewritten({"filter": ANY, "status_code": 299}), replied("status"), 299),
    effect(MAPPER + "body", rewritten({"filter": ANY, "body": {"inline_string": "own"}}), replied("body"), b"own"),
    effect(
        MAPPER + "body_format_override",
        rewritten({"filter": ANY, "body_format_override": {"text_format": "[]"}}, body_format=TEXT),
        replied("body"),
        b"[]",
    ),
    effect(
        MAPPER + "headers_to_add",
        rewritten({"filter": ANY, "headers_to_add": [{"header": {"key": "x-flag", "value": "%RESPONSE_FLAGS%"}}]}),
        replied("x-flag"),
        b"NC",
    ),
    effect(FILTER + "not_health_check_filter", filtered(ANY), replied("status"), 299),
    *(
        effect(field, filtered({"status_code_filter": compared("EQ", 503)}), replied("status"), 299)
        for field in (
            FILTER + "status_code_filter",
            LOG + "StatusCodeFilter.comparison",
            LOG + "ComparisonFilter.value",
        )
    ),
    effect(LOG + "ComparisonFilter.op", filtered({"status_code_filter": compared("LE", 999)}), replied("status"), 299),
    *(
        effect(field, filtered({"duration_filter": compared("LE", 9999)}), replied("status"), 299)
        for field in (FILTER + "duration_filter", LOG + "DurationFilter.comparison")
    ),
    *(
        effect(field, filtered({"runtime_filter": HALF}), replied("status", [("x-request-id", INSIDE)]), 299)
        for field in (FILTER + "runtime_filter", LOG + "RuntimeFilter.percent_sampled")
    ),
    effect(
        LOG + "RuntimeFilter.use_independent_randomness",
        filtered({"runtime_filter": {**HALF, "use_independent_randomness": True}}),
        replied("status", [("x-request-id", "ffffffff-0000-4000-8000-000000000000")]),
        299,
    ),
    *(
        effect(field, filtered({"and_filter": {"filters": [ANY, ANY]}}), replied("status"), 299)
        for field in (FILTER + "and_filter", LOG + "AndFilter.filters")
    ),
    *(
        effect(field, filtered({"or_filter": {"filters": [NOT, ANY]}}), replied("status"), 299)
        for field in (FILTER + "or_filter", LOG + "OrFilter.filters")
    ),
    *(
        effect(field, filtered({"header_filter": {"header": {"name": "x-a"}}}), replied("status", [("x-a", "1")]), 299)
        for field in (FILTER + "header_filter", LOG + "HeaderFilter.header")
    ),
    effect(
        FILTER + "response_flag_filter", filtered({"response_flag_filter": {"flags": ["NC"]}}), replied("status"), 299
    ),
    effect(
        LOG + "ResponseFlagFilter.flags", filtered({"response_flag_filter": {"flags": ["UH"]}}), replied("status"), 503
    ),
    *(
        effect(field, filtered({"grpc_status_filter": UNAVAILABLE}), replied("status"), 299)
        for field in (FILTER + "grpc_status_filter", LOG + "GrpcStatusFilter.statuses")
    ),
    effect(
        LOG + "GrpcStatusFilter.exclude",
        filtered({"grpc_status_filter": {**UNAVAILABLE, "exclude": True}}),
        replied("status"),
        503,
    ),
    effect(FILTER + "metadata_filter", filtered({"metadata_filter": {}}), replied("status"), 299),
    effect(LOG + "MetadataFilter.match_if_key_not_found", filtered(MISSING), replied("status"), 503),
    effect(FILTER + "log_type_filter", filtered({"log_type_filter": {"types": ["NotSet"]}}), replied("status"), 299),
    effect(LOG + "LogTypeFilter.types", filtered({"log_type_filter": {"types": ["NotSet"]}}), replied("status"), 299),
    effect(LOG + "LogTypeFilter.exclude", filtered({"log_type_filter": {"exclude": True}}), replied("status"), 299),
]
