"""Managers that set every honoured field of local_reply_config, and a route with a body's format."""

from __future__ import annotations

from tests.xds.wire.decode.configurations import Json
from tests.xds.wire.decode.configurations.build import managed


def _compared(op: str) -> Json:
    return {"comparison": {"op": op, "value": {"default_value": 9, "runtime_key": "k"}}}


ANY: Json = {"not_health_check_filter": {}}
HALF: Json = {"runtime_key": "k", "percent_sampled": {"numerator": 5}}
FILTERS: list[Json] = [
    ANY,
    {"status_code_filter": _compared("GE")},
    {"duration_filter": _compared("LE")},
    {"runtime_filter": HALF},
    {"runtime_filter": {**HALF, "use_independent_randomness": True}},
    {"and_filter": {"filters": [ANY, {"duration_filter": _compared("NE")}]}},
    {"or_filter": {"filters": [ANY, {"duration_filter": _compared("NE")}]}},
    {"header_filter": {"header": {"name": "x-a", "present_match": True}}},
    {"response_flag_filter": {"flags": ["UH"]}},
    {"grpc_status_filter": {"statuses": ["NOT_FOUND"], "exclude": True}},
    {"metadata_filter": {"match_if_key_not_found": False}},
    {"metadata_filter": {}},
    {"log_type_filter": {"types": ["NotSet"]}},
    {"log_type_filter": {"types": ["NotSet"], "exclude": True}},
]
TEXT: Json = {"text_format": "<%LOCAL_REPLY_BODY%>", "omit_empty_values": True, "content_type": "x/y"}
MAPPER: Json = {
    "filter": ANY,
    "status_code": 299,
    "body": {"inline_string": "b"},
    "body_format_override": {"text_format_source": {"inline_string": "[]"}},
    "headers_to_add": [{"header": {"key": "x-a", "value": "b"}}],
}
ROUTE: Json = {
    "match": {"prefix": "/"},
    "direct_response": {"status": 418, "body_format": {"json_format": {"a": ["%RESPONSE_CODE%", {"b": None}]}}},
}
REPLIES = [
    managed(local_reply_config={"mappers": [MAPPER, *({"filter": each} for each in FILTERS)], "body_format": TEXT}),
    managed(route_config={"name": "r", "virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [ROUTE]}]}),
]
