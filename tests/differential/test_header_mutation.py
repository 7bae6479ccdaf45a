"""The header mutation filter: of requests, their queries and responses, for a chain and at every level of a route."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from tests.differential.beside import both, filters, typed
from tests.differential.case import Case
from tests.differential.custom import host, route
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request

pytestmark = pytest.mark.envoy

NAME = "envoy.filters.http.header_mutation"
KIND = "header_mutation.v3."
ACTIONS = ("APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS")
ANY: Resource = {"prefix": "/"}
OWN = (("x-a", "own"), ("X-B", "1"), ("x-c", "2"), ("x-c", "3"), ("accept", "a/b"))
BACK = "status=200;x-a=back;x-gone=1;x-gone-too=2"


def add(name: str, value: str, action: str = ACTIONS[0], **fields: Any) -> Resource:
    return {"append": {"header": {"key": name, "value": value}, "append_action": action, **fields}}


def parameter(key: str, value: str, action: str = ACTIONS[0]) -> Resource:
    return {"append": {"record": {"key": key, "value": value}, "action": action}}


def at(level: str) -> Resource:
    """Mutations that tell which level was there, and in which order."""
    return {
        "request_mutations": [
            add("x-order", level),
            add("x-last", level, ACTIONS[2]),
            add("x-first", level, ACTIONS[1]),
        ],
        "response_mutations": [add("x-order", level), add("x-last", level, ACTIONS[2])],
        "query_parameter_mutations": [parameter("level", level)],
    }


def of_place(level: str) -> Resource:
    config = typed(KIND + "HeaderMutationPerRoute", mutations=at(level))
    return {"typed_per_filter_config": {NAME: config}}


def of_chain(wins: bool = False, **mutations: Any) -> Resource:
    return filters(
        (NAME, typed(KIND + "HeaderMutation", mutations=mutations, most_specific_header_mutations_wins=wins))
    )


ALL: Resource = {
    "request_mutations": [
        *(add(name, "new", action) for name, action in product(("x-a", "x-new", "accept"), ACTIONS)),
        {"remove": "x-c"},
        {"remove_on_match": {"key_matcher": {"prefix": "x-b"}}},
        add("x-seen", "%REQ(x-a)% %REQ(x-c)% %REQ(:path)% %REQ(:authority)% %PROTOCOL%"),
        add("x-empty", "%REQ(x-none)%"),
        add("x-kept", "%REQ(x-none)%", keep_empty_value=True),
    ],
    "response_mutations": [
        *(add(name, "new", action) for name, action in product(("x-a", "x-new"), ACTIONS)),
        {"remove": "x-gone"},
        {"remove_on_match": {"key_matcher": {"suffix": "too"}}},
        add("x-seen", "%RESP(x-a)% %REQ(x-seen)% %RESP(x-gone)% %RESPONSE_CODE% %REQ(:path)%"),
    ],
}
QUERY: Resource = {
    "query_parameter_mutations": [
        *(parameter(key, f"{number}", action) for key in ("a", "new") for number, action in enumerate(ACTIONS)),
        {"remove": "gone"},
        parameter("of&k", "%REQ(x-a)%&="),
        parameter("all", "".join(chr(each) for each in range(33, 127) if chr(each) != "%")),
    ]
}
TARGETS = (
    "/",
    "/?",
    "/?a=1&a=2&gone=1&Z=%41%26&b",
    "/p?b=1&&=2&a",
    "/p?x=%zz+%2B&x",
    "/p?gone",
    "/p?q=#f",
    "/?b&a&",
)


def cases() -> list[Case]:
    one = tuple(Request("GET", "http://any.test/p?q", (*OWN, ("x-backend", BACK))) for _ in range(2))
    asked = tuple(Request("GET", f"http://any.test{each}", OWN) for each in TARGETS)
    plain = host(route(ANY, "a"))
    local: Resource = {"match": {"prefix": "/d"}, "direct_response": {"status": 200, "body": {"inline_string": "d"}}}
    away: Resource = {"match": {"prefix": "/r"}, "redirect": {"path_redirect": "/to"}}
    none: Resource = {"match": {"prefix": "/n"}, "route": {"cluster": "none"}}
    weighted = {"weighted_clusters": {"clusters": [{"name": "a", "weight": 1, **of_place("cluster")}]}}
    levels = host(
        *({**each, **of_place("route")} for each in (local, away, none)),
        {"match": ANY, "route": weighted, **of_place("route")},
        **of_place("host"),
    )
    sent = tuple(Request("GET", f"http://any.test/{each}?x=1") for each in "drnp")
    header = {"cluster_header": "x-to"}
    return [
        Case((plain,), one, manager=of_chain(**ALL)),
        Case((plain,), asked, manager=of_chain(**QUERY)),
        *(
            Case((levels,), sent, table=of_place("table"), manager=of_chain(wins, **at("chain")))
            for wins in (True, False)
        ),
        Case((levels,), sent, manager=of_chain()),
        Case((host(domains=("other",)),), sent, manager=of_chain(**at("chain"))),
        Case(
            (host(route(ANY, header)),),
            tuple(Request("GET", "http://any.test/", headers) for headers in ((), (("x-to", "b"),))),
            manager=of_chain(request_mutations=[add("x-to", "a", ACTIONS[2])]),
        ),
        Case(
            (host(route(ANY, {"cluster": "a", "retry_policy": {"retry_on": "gateway-error"}})),),
            (Request("GET", "http://any.test/", (("x-backend", "status=500"),)),),
            manager=of_chain(
                request_mutations=[add("x-envoy-retry-on", "5xx"), add("x-envoy-upstream-rq-timeout-ms", "0")]
            ),
        ),
    ]


def test_everything_is_mutated_as_behind_envoy(frontend: Recording) -> None:
    both(frontend, cases())
