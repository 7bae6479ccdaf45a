"""Bodies with formats, and replies that a connection manager rewrites: cases, each behind a port of its own."""

from __future__ import annotations

import copy
from collections.abc import Iterable

from tests.differential.actions import COMMANDS, METADATA
from tests.differential.batch import requests_of, together
from tests.differential.case import Case
from tests.differential.custom import host, route
from tests.differential.probes.mutations import add
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

ANY: Resource = {"prefix": "/"}
GRPC: Headers = (("content-type", "application/grpc"), ("te", "trailers"))
OWN: Headers = (("x-a", 'v"1/'), ("x-empty", ""))

SAID = (
    "<%LOCAL_REPLY_BODY%|%REQ(x-a)%|%REQ(x-none)%|%RESPONSE_CODE%|%RESPONSE_FLAGS%|%RESPONSE_CODE_DETAILS%|"
    "%RESP(x-added)%|%RESP(:status)%|%ROUTE_NAME%|%UPSTREAM_CLUSTER%|%GRPC_STATUS%|%RESPONSE_HEADERS_BYTES%|"
    "%UPSTREAM_REQUEST_ATTEMPT_COUNT%|%UPSTREAM_HOST%|%RESPONSE_DURATION%|%PATH%|%REQ(:authority)%|50%%>"
)
TEXT: Resource = {"text_format_source": {"inline_string": SAID}}
NUMBERS = [100000, 123456, 1e16, 1e30, 12345678901234567890, 0.0001, 1234.5678, 0.1, -5, 0, -0.0, 2.5e10, 1200000]
JSON: Resource = {
    "json_format": {
        "body": "%LOCAL_REPLY_BODY%",
        "a": "%REQ(x-a)%",
        "B": "%RESPONSE_CODE%",
        "b": "%RESPONSE_CODE%%RESPONSE_FLAGS%",
        "cut": "%REQ(x-a):1%",
        "none": "%REQ(x-none)%",
        "partly": "x%REQ(x-none)%",
        "empty": "%REQ(x-empty)%",
        "list": [1, 1.5, True, None, "%REQ(x-none)%", 's"é/<\t\x01\u2028\x7f\\', [], ["%REQ(x-none)%"], {"x": None}],
        "map": {"z": 1, "A": {}, "n": None},
        "gone": {"x": {"y": "%REQ(x-none)%"}},
        "half": "50%%",
        'quo"ted': "",
        "metadata": "%METADATA(ROUTE:m)%",
        "of": "%METADATA(ROUTE:m:a):2%",
        "ofs": "%METADATA(ROUTE:m:s):2%",
        "n": NUMBERS,
        "fields": "%METADATA(ROUTE:m:n)%x",
    }
}
SPARSE: Resource = {"omit_empty_values": True}
HTML: Resource = {"content_type": "text/html; charset=UTF-8"}
ADDED: Resource = {"response_headers_to_add": [add("x-added", "1"), add("x-after", "2")]}
TYPED: Resource = {"response_headers_to_add": [add("content-type", "own/type"), add("x-after", "2")]}


def _asked(*targets: str, sent: Iterable[Headers] = ((),), methods: Iterable[str] = ("GET",)) -> tuple[Request, ...]:
    return tuple(
        Request(method, f"http://x.test{target}", (*OWN, *headers))
        for target in targets
        for headers in sent
        for method in methods
    )


def _direct(status: int = 418, body: str = "tea", fields: Resource | None = None, **made: object) -> Case:
    """A route that answers itself, with a body of this format."""
    action: Resource = {"status": status, "body_format": made}
    if body:
        action["body"] = {"inline_string": body}
    rule: Resource = {"match": ANY, "direct_response": action, "metadata": copy.deepcopy(METADATA), **(fields or {})}
    return Case((host(rule, metadata=METADATA),), _asked("/a?b=1", sent=((), GRPC), methods=("GET", "HEAD")))


DIRECT: dict[str, Case] = {
    "text": _direct(**TEXT, fields={"name": "its-name", **ADDED}),
    "text without body": _direct(body="", **TEXT),
    "text with a type": _direct(**TEXT, **HTML, fields=ADDED),
    "text with a type, and one of the route": _direct(**TEXT, **HTML, fields=TYPED),
    "text with one of the route": _direct(**TEXT, fields=TYPED),
    "text, sparse": _direct(**TEXT, **SPARSE),
    "old text": _direct(text_format="%LOCAL_REPLY_BODY%"),
    "no text": _direct(text_format="", **HTML, fields=ADDED),
    "json": _direct(**JSON),
    "json, sparse": _direct(**JSON, **SPARSE),
    "json with a type": _direct(**JSON, **HTML),
    "empty json": _direct(json_format={}),
    "empty json, sparse": _direct(json_format={"a": None}, **SPARSE),
    "created": _direct(201, **TEXT, **HTML, fields=ADDED),
    "no content": _direct(204, **TEXT),
    "commands": _direct(json_format={each: f"%{each}%" for each in COMMANDS}, fields={"name": "its-name"}),
}


def compared(op: str, value: int) -> Resource:
    """A comparison."""
    return {"comparison": {"op": op, "value": {"default_value": value, "runtime_key": "k"}}}


def status(op: str, value: int) -> Resource:
    """A filter by status."""
    return {"status_code_filter": compared(op, value)}


ALL = status("GE", 200)
SEEN = [add("x-m", SAID.replace("<", "").replace(">", ""))]
RULES: list[Resource] = [
    {"match": {"prefix": "/direct"}, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}, **ADDED},
    {
        "match": {"prefix": "/typed"},
        "direct_response": {
            "status": 418,
            "body": {"inline_string": "tea"},
            "body_format": {"text_format": "[%LOCAL_REPLY_BODY%]", "content_type": "q/r"},
        },
    },
    {"match": {"prefix": "/moved"}, "redirect": {"prefix_rewrite": "/new"}, **ADDED},
    route({"prefix": "/empty"}, {"cluster": "empty", "prefix_rewrite": "/new"}, **ADDED, name="its-name"),
    route({"prefix": "/none"}, "none"),
    route({"prefix": "/a"}, "a"),
]
TARGETS = ("/direct", "/typed?q", "/moved/x", "/empty/x?y", "/none", "/nowhere", "/a?q=v")


def _managed(*mappers: Resource, manager: Resource | None = None, **config: object) -> Case:
    rules = [{**copy.deepcopy(rule), "metadata": copy.deepcopy(METADATA)} for rule in RULES]
    own: Resource = {"local_reply_config": {**({"mappers": list(mappers)} if mappers else {}), **config}}
    asked = _asked(*TARGETS, sent=((), GRPC), methods=("GET", "HEAD"))
    return Case((host(*rules, metadata=METADATA),), asked, manager={**own, **(manager or {})})


def _body(text: str) -> Resource:
    return {"body": {"inline_string": text}}


OVERWRITTEN = add("content-type", "own/type", "OVERWRITE_IF_EXISTS_OR_ADD")
MANAGED: dict[str, Case] = {
    "text": _managed(body_format=TEXT),
    "json": _managed(body_format=JSON),
    "json, sparse": _managed(body_format={**JSON, **SPARSE}),
    "typed": _managed(body_format={**TEXT, **HTML}),
    "commands": _managed(body_format={"json_format": {each: f"%{each}%" for each in COMMANDS}}),
    "the body as it is": _managed(body_format={"text_format": "%LOCAL_REPLY_BODY%", **HTML}),
    "503 is 504": _managed({"filter": status("EQ", 503), "status_code": 504, **_body("own"), "headers_to_add": SEEN}),
    "no body": _managed({"filter": ALL, **_body("")}),
    "body and type": _managed({"filter": ALL, **_body("own"), "headers_to_add": [OVERWRITTEN]}),
    "type alone": _managed({"filter": ALL, "headers_to_add": [OVERWRITTEN, add("content-length", "3")]}),
    "type added": _managed({"filter": ALL, **_body("own"), "headers_to_add": [add("content-type", "own/type")]}),
    "all is 200": _managed({"filter": ALL, "status_code": 200}),
    "all is 204": _managed({"filter": ALL, "status_code": 204}),
    "override": _managed(
        {"filter": ALL, "status_code": 299, "body_format_override": {**TEXT, "content_type": "o/v"}}, body_format=JSON
    ),
    "override for some": _managed({"filter": status("EQ", 503), "body_format_override": TEXT}, body_format=JSON),
    "the first that takes it": _managed(
        {"filter": status("EQ", 404), "status_code": 599},
        {"filter": status("EQ", 503), "status_code": 598},
        {"filter": status("EQ", 503), "status_code": 597},
        {"filter": status("EQ", 598), "status_code": 596},
    ),
    "grpc status": _managed({"filter": ALL, "status_code": 404, "headers_to_add": [add("grpc-status", "5")]}),
    "with via": _managed(
        {"filter": status("EQ", 503), "headers_to_add": [add("via", "x")]},
        manager={"via": "mesh", "always_set_request_id_in_response": True},
    ),
    "cookies": _managed({"filter": ALL, "headers_to_add": [add("set-cookie", "a"), add("set-cookie", "b")]}),
}

ID = "-0000-4000-8000-000000000000"
IDS: tuple[Headers, ...] = tuple(
    (("x-request-id", name),) for name in ("00000031" + ID, "00000032" + ID, "ffffffff" + ID, "0000137f" + ID)
)
MATCHER: Resource = {"filter": "a", "path": [{"key": "k"}], "value": {"string_match": {"exact": "v"}}}


def _share(numerator: int, denominator: str) -> Resource:
    return {
        "runtime_filter": {
            "runtime_key": "x",
            "percent_sampled": {"numerator": numerator, "denominator": denominator},
        }
    }


def _named(name: str, value: str) -> Resource:
    return {"header_filter": {"header": {"name": name, "string_match": {"prefix": value}}}}


BOTH: Resource = {"filters": [{"not_health_check_filter": {}}, status("EQ", 503)]}
EITHER: Resource = {"filters": [status("EQ", 1), status("EQ", 503)]}
UNAVAILABLE: Resource = {"statuses": ["UNAVAILABLE"]}
FILTERS: dict[str, Resource] = {
    **{f"status {op} {value}": status(op, value) for op in ("EQ", "GE", "LE", "NE") for value in (502, 503, 504)},
    **{f"duration {op}": {"duration_filter": compared(op, 10_000)} for op in ("GE", "LE")},
    "not a health check": {"not_health_check_filter": {}},
    "traced": {"traceable_filter": {}},
    "share 0": _share(0, "HUNDRED"),
    "share 50": _share(50, "HUNDRED"),
    "share 5000": _share(5000, "TEN_THOUSAND"),
    "share 100": _share(100, "HUNDRED"),
    "and": {"and_filter": BOTH},
    "or": {"or_filter": EITHER},
    "header": _named("x-b", "b"),
    "path": _named(":path", "/new"),
    "any flag": {"response_flag_filter": {}},
    "flags": {"response_flag_filter": {"flags": ["UH", "NC"]}},
    "grpc": {"grpc_status_filter": UNAVAILABLE},
    "no grpc": {"grpc_status_filter": {**UNAVAILABLE, "exclude": True}},
    "grpc ok": {"grpc_status_filter": {"statuses": ["OK"]}},
    "grpc nothing": {"grpc_status_filter": {}},
    **{
        f"type {types} {exclude}": {"log_type_filter": {"types": types, "exclude": exclude}}
        for types in ([], ["NotSet"], ["DownstreamEnd"])
        for exclude in (False, True)
    },
    "metadata": {"metadata_filter": {"matcher": MATCHER}},
    "metadata or none": {"metadata_filter": {"matcher": MATCHER, "match_if_key_not_found": True}},
    "metadata only": {"metadata_filter": {"matcher": MATCHER, "match_if_key_not_found": False}},
    "metadata, not": {"metadata_filter": {"matcher": {**MATCHER, "invert": True}}},
}


def _filtered(wanted: Resource) -> Case:
    rules = [
        route({"prefix": "/empty"}, {"cluster": "empty", "prefix_rewrite": "/new"}),
        {"match": {"prefix": "/d"}, "direct_response": {"status": 200, "body": {"inline_string": "d"}}},
    ]
    sent: tuple[Headers, ...] = ((), GRPC, (("x-b", "b"),), (("x-b", "c"),))
    sent = IDS if "runtime_filter" in wanted else sent
    asked = _asked("/empty", "/d", "/nowhere", sent=sent)
    return Case((host(*rules),), asked, manager={"local_reply_config": {"mappers": [{"filter": wanted, **TO_299}]}})


TO_299: Resource = {"status_code": 299}

REFUSED: Resource = {"text_format": "<%LOCAL_REPLY_BODY%|%REQ(:authority)%|%RESPONSE_FLAGS%|%RESPONSE_CODE_DETAILS%>"}
BAD = Case(
    (host({"match": ANY, "direct_response": {"status": 200}}),),
    (
        *_asked("/a%2fb", "/a%2f..%2f"),
        Request("GET", "http://x.test/a", (("host", "x y"),)),
        Request("GET", "http://x.test/a", tuple((f"x-{number}", "1") for number in range(120))),
        Request("POST", "http://x.test/a", (*GRPC, *((f"x-{number}", "1") for number in range(120)))),
    ),
    manager={
        "local_reply_config": {"mappers": [{"filter": ALL, **TO_299, "headers_to_add": SEEN}], "body_format": REFUSED},
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
    },
)


def cases() -> dict[str, Case]:
    """All, by what they are about."""
    return {
        **{f"direct: {name}": case for name, case in DIRECT.items()},
        **{f"managed: {name}": case for name, case in MANAGED.items()},
        **{f"filter: {name}": _filtered(wanted) for name, wanted in FILTERS.items()},
        "bad requests": BAD,
    }


def configuration(base: Recording) -> tuple[Recording, list[Request]]:
    """All cases at once."""
    made = list(cases().values())
    return together(base, made), requests_of(made)
