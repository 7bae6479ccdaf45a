"""External authorization beside Envoy: the same services are asked the same, and their answers do the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tests.differential.authorizing import (
    BY_GRPC,
    SERVER,
    Services,
    authorized,
    by_envoy,
    by_http,
    by_proxyless,
)
from tests.differential.governed import governed
from tests.differential.ours import mesh_on
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.differential.rig import Rig
from tests.support import envoy
from tests.support.authorizers import DENIED, OK, GrpcAuthorizer, HttpAuthorizer, answer

pytestmark = pytest.mark.envoy


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with GrpcAuthorizer() as by_grpc, HttpAuthorizer() as by_http:
        yield Services(by_grpc, by_http)


def header(key: str, value: str, **more: Any) -> Resource:
    return {"header": {"key": key, "value": value}, **more}


HEADERS = [
    header("x-plain", "1"),
    header("x-true", "1", append=True),
    header("x-false", "1", append=False),
    header("x-append", "1", append_action="APPEND_IF_EXISTS_OR_ADD"),
    header("x-absent", "1", append_action="ADD_IF_ABSENT"),
    header("x-overwrite", "1", append_action="OVERWRITE_IF_EXISTS_OR_ADD"),
    header("x-exists", "1", append_action="OVERWRITE_IF_EXISTS"),
    header("x-twice", "a"),
    header("x-twice", "b", append=True),
    header("x-twice", "c"),
    header("x-new", "1", append=True),
    header("X-Upper", "1"),
    header("x-empty", ""),
    header("x-backend-says", "1", append_action="OVERWRITE_IF_EXISTS"),
]
GIVEN = ("x-plain", "x-true", "x-false", "x-append", "x-absent", "x-overwrite", "x-exists", "x-twice", "x-gone")
SENT = tuple((name, "0") for name in GIVEN)
RICH_OK = answer(
    status={"code": 0},
    ok_response={
        "headers": HEADERS,
        "headers_to_remove": ["X-Gone", "host", ":path", "x-nowhere"],
        "response_headers_to_add": HEADERS,
        "query_parameters_to_set": [{"key": "q", "value": "2"}, {"key": "n", "value": "1"}],
        "query_parameters_to_remove": ["z", "nowhere"],
    },
    dynamic_metadata={"who": "alice"},
)
RICH_DENIED = answer(
    status={"code": 16},
    denied_response={"status": {"code": "Unauthorized"}, "headers": HEADERS, "body": "no\n"},
    dynamic_metadata={"who": "mallory"},
)
TO_B = answer(status={"code": 0}, ok_response={"headers": [header("x-to", "b")]})
TO_PATH = answer(status={"code": 0}, ok_response={"headers": [header(":path", "/moved?by=service")]})
TO_HOST = answer(status={"code": 0}, ok_response={"headers": [header(":authority", "other")]})
TO_METHOD = answer(status={"code": 0}, ok_response={"headers": [header(":method", "PUT")]})
BAD_QUERY = answer(status={"code": 0}, ok_response={"query_parameters_to_set": [{"key": "a b", "value": "c"}]})
JSON_DENIED = answer(
    status={"code": 7}, denied_response={"headers": [header("content-type", "application/json")], "body": "{}"}
)


def late(query: Any) -> Any:
    del query
    time.sleep(0.7)
    return OK


ANSWERS: dict[str, Any] = {
    "ok": OK,
    "denied": DENIED,
    "ok, rich": RICH_OK,
    "denied, rich": RICH_DENIED,
    "denied, with a type": JSON_DENIED,
    "an error": lambda query: grpc.StatusCode.UNAVAILABLE,
    "too late": late,
    "to another route by a header": TO_B,
    "to another route by path": TO_PATH,
    "to another host": TO_HOST,
    "another method": TO_METHOD,
    "denied without a status": answer(status={"code": 1}, denied_response={"body": "x"}),
    "an ok with a denial": answer(status={"code": 0}, denied_response={"body": "x"}),
    "a denial with an ok": answer(status={"code": 7}, ok_response={"headers": HEADERS}),
}

MORE = (("x-twice", "00"), ("cookie", "a=1"), ("cookie", "b=2"))
REQUESTS = {
    "plain": Request("GET", "http://catalog/p?q=1&z=3&y=%20&q=9"),
    "with headers": Request(
        "GET", "http://catalog/p", (*SENT, ("x-twice", "00"), ("cookie", "a=1"), ("cookie", "b=2"))
    ),
    "with a body": Request("POST", "http://catalog/p#f", (("x-a", ""), ("authorization", "Bearer t")), b"hello"),
    "grpc": Request("POST", "http://catalog/s/m", (("content-type", "application/grpc"), ("te", "trailers"))),
    "a redirect": Request("GET", "http://catalog/away"),
    "nowhere": Request("GET", "http://nowhere/"),
}

SHORT: Resource = {"grpc_service": {"envoy_grpc": {"cluster_name": "grpc"}, "timeout": "0.4s"}}
EXACT: Resource = {"patterns": [{"exact": "x-plain"}, {"prefix": "x-t"}, {"exact": ":authority"}]}
SETTINGS: dict[str, Resource] = {
    "plain": SHORT,
    "open": {**SHORT, "failure_mode_allow": True, "failure_mode_allow_header_add": True},
    "other statuses": {**SHORT, "status_on_error": {"code": "ServiceUnavailable"}, "max_denied_response_body_bytes": 1},
    "routed anew": {**SHORT, "clear_route_cache": True},
    "validated": {**SHORT, "validate_mutations": True},
    "some headers": {**SHORT, "allowed_headers": EXACT, "include_peer_certificate": True, "include_tls_session": True},
    "other headers": {**SHORT, "disallowed_headers": EXACT},
    "raw headers": {**SHORT, "encode_raw_headers": True},
    "body as text": {**SHORT, "with_request_body": {"max_request_bytes": 5}},
    "body as bytes": {**SHORT, "with_request_body": {"max_request_bytes": 100, "pack_as_bytes": True}},
    "body too long": {**SHORT, "with_request_body": {"max_request_bytes": 4}},
    "body in part": {**SHORT, "with_request_body": {"max_request_bytes": 4, "allow_partial_message": True}},
    "metadata of the route": {**SHORT, "route_metadata_context_namespaces": ["ns", "none"]},
    "never": {**SHORT, "filter_enabled": {"default_value": {"numerator": 0}}},
    "never, and denied": {
        **SHORT,
        "filter_enabled": {"default_value": {"numerator": 0}},
        "deny_at_disable": {"default_value": True, "runtime_key": "k"},
    },
    "by metadata that is not there": {
        **SHORT,
        "filter_enabled_metadata": {"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}},
    },
    "by metadata that is not there, inverted": {
        **SHORT,
        "filter_enabled_metadata": {
            "filter": "f",
            "path": [{"key": "k"}],
            "value": {"present_match": True},
            "invert": True,
        },
    },
    "nobody": {"grpc_service": {"envoy_grpc": {"cluster_name": "nowhere"}}},
}


def compared(
    base: Recording,
    services: Services,
    fields: Resource,
    answers: dict[str, Any],
    requests: dict[str, Request],
    **more: Any,
) -> None:
    """Each request with each answer, through Envoy and through httpx."""
    envoy.require()
    recording = authorized(base, services, fields, **more)
    if fields.get("validate_mutations"):
        answers = {**answers, "a query that is none": BAD_QUERY}
    wrong = []
    with Rig(recording) as rig, mesh_on(rig.recording) as mesh, governed(mesh, rig.backends) as client:
        for said, each in answers.items():
            services.say(each)
            for label, request in requests.items():
                ours, theirs = by_proxyless(client, services, request), by_envoy(rig, services, request)
                if ours != theirs:
                    wrong.append((said, label, ours, theirs))
    assert not wrong


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_answer_does_the_same_with_each_setting(frontend: Recording, services: Services, setting: str) -> None:
    compared(frontend, services, SETTINGS[setting], ANSWERS, REQUESTS)


HTTP_ANSWERS: dict[str, Any] = {
    "ok": (200, (), b""),
    "ok, rich": (
        200,
        (
            ("x-plain", "1"),
            ("X-True", "1"),
            ("x-true", "2"),
            ("x-new", "1"),
            ("set-cookie", "a=1"),
            ("x-envoy-auth-headers-to-remove", "x-gone, X-False"),
        ),
        b"unread",
    ),
    "denied": (403, (), b""),
    "denied, rich": (
        401,
        (("www-authenticate", "x"), ("location", "/login"), ("x-plain", "1"), ("set-cookie", "a"), ("set-cookie", "b")),
        b"who are you",
    ),
    "a redirect": (302, (("location", "/login"),), b""),
    "no content": (204, (), b""),
    "an error": (500, (), b"x"),
    "a strange status": (599, (), b"x"),
}
HTTP_SETTINGS: dict[str, Resource] = {
    "plain": by_http(),
    "prefixed": by_http(path_prefix="/pre"),
    "overridden": by_http(path_override="/always"),
    "headers": by_http(
        authorization_request={
            "allowed_headers": {"patterns": [{"prefix": "x-"}, {"exact": "CONTENT-TYPE", "ignore_case": True}]},
            "headers_to_add": [{"key": "X-Plain", "value": "added"}, {"key": "x-more", "value": "added"}],
        },
        authorization_response={
            "allowed_upstream_headers": {"patterns": [{"exact": "x-plain"}, {"exact": "x-new"}]},
            "allowed_upstream_headers_to_append": {"patterns": [{"exact": "x-true"}]},
            "allowed_client_headers": {"patterns": [{"exact": "x-plain"}]},
            "allowed_client_headers_on_success": {"patterns": [{"exact": "set-cookie"}]},
        },
    ),
    "headers of the filter": {
        **by_http(),
        "allowed_headers": EXACT,
        "disallowed_headers": {"patterns": [{"exact": "x-true"}]},
    },
    "a body": {**by_http(), "with_request_body": {"max_request_bytes": 3, "allow_partial_message": True}},
    "open": {**by_http(), "failure_mode_allow": True},
    "nobody": {"http_service": {"server_uri": {**SERVER, "cluster": "nowhere"}}},
}


@pytest.mark.parametrize("setting", HTTP_SETTINGS)
def test_services_that_speak_plain_http_do_the_same(frontend: Recording, services: Services, setting: str) -> None:
    compared(frontend, services, HTTP_SETTINGS[setting], HTTP_ANSWERS, REQUESTS)


PARTIAL: Resource = {"max_request_bytes": 2, "allow_partial_message": True}
PLACES: dict[str, dict[str, Resource]] = {
    "off": {"own": {"disabled": True}},
    "off for the host": {"of_host": {"disabled": True}},
    "on again": {"of_host": {"disabled": True}, "own": {"check_settings": {}}},
    "context": {
        "of_host": {"check_settings": {"context_extensions": {"a": "host", "b": "host"}}},
        "own": {"check_settings": {"context_extensions": {"b": "route", "c": "route"}}},
    },
    "without the body": {"own": {"check_settings": {"disable_request_body_buffering": True}}},
    "another body": {
        "own": {"check_settings": {"with_request_body": {"max_request_bytes": 2, "allow_partial_message": True}}}
    },
    "by http": {"own": {"check_settings": {"http_service": {"server_uri": SERVER, "path_prefix": "/own"}}}},
    "by http, for the host alone": {
        "of_host": {"check_settings": {"http_service": {"server_uri": SERVER, "path_prefix": "/own"}}},
        "own": {"check_settings": {}},
    },
}


@pytest.mark.parametrize("label", PLACES)
def test_routes_have_their_say(frontend: Recording, services: Services, label: str) -> None:
    fields = {**BY_GRPC, "with_request_body": {"max_request_bytes": 100}}
    services.say((401, (("x-plain", "1"),), b"who"))
    compared(frontend, services, fields, {"ok": OK, "denied": RICH_DENIED}, REQUESTS, **PLACES[label])
