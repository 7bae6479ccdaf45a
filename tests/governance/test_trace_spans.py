"""What the spans of calls and of their tries say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.actions import Head
from proxyless.governance.runtime import Options
from proxyless.governance.trace_context import Context
from proxyless.xds.model.tracing import Tag
from tests.support.traced import AGAIN, PARENT, SPAN, TRACE, W3C, id_of, request_id, spans, told, world


def test_a_span_says_what_envoy_s_says() -> None:
    made = world(W3C, decorator="catalog.shop:80/*")
    headers = [request_id(1), ("user-agent", "ua"), ("x-client-trace-id", "c"), PARENT, ("tracestate", "k=v")]
    run = made.call("http://shop/a/b?c=d", headers=headers)
    (span,) = spans(made).made
    assert (span.name, span.server, span.failed) == ("catalog.shop:80/*", False, False)
    assert span.parent == Context(int(TRACE, 16), int(SPAN, 16), True, b"k=v")
    assert span.said == {
        "node_id": "me",
        "zone": "z",
        "guid:x-request-id": id_of(run),
        "http.url": "http://shop/a/b?c=d",
        "http.method": "GET",
        "downstream_cluster": "-",
        "user_agent": "ua",
        "http.protocol": "HTTP/1.1",
        "peer.address": "10.9.9.9",
        "guid:x-client-trace-id": "c",
        "upstream_cluster": "a",
        "upstream_cluster.name": "a",
        "request_size": "0",
        "response_size": "0",
        "component": "proxy",
        "http.status_code": "200",
        "response_flags": "-",
    }
    assert told(run, "traceparent", "tracestate") == [
        {"traceparent": f"00-{TRACE}-{1:016x}-01", "tracestate": "k=v"},
    ]


@pytest.mark.parametrize(
    ("answers", "status", "error", "failed", "flags"),
    [
        ([503], "503", "true", True, "-"),
        ([404], "404", None, True, "-"),
        (["reset"], "503", "true", True, "UC"),
    ],
)
def test_a_span_fails_with_its_request(
    answers: list[Any], status: str, error: str | None, failed: bool, flags: str
) -> None:
    made = world(W3C)
    made.call(answers=answers)
    (span,) = spans(made).made
    assert span.said is not None
    said = span.said
    assert (said["http.status_code"], said.get("error"), span.failed) == (status, error, failed)
    assert said["response_flags"] == flags
    assert span.name == "egress shop"


def test_a_span_of_grpc_says_how_that_went() -> None:
    made = world(W3C)
    headers = [("content-type", "application/grpc"), ("grpc-timeout", "1S")]
    head = Head(200, [(b"grpc-status", b"14"), (b"grpc-message", b"away")], None)
    made.call("http://shop/S/m", answers=[head], method="POST", headers=headers)
    made.call(answers=[Head(200, [(b"grpc-status", b"5")], None)], headers=headers[:1])
    first, second = (span.said for span in spans(made).made)
    assert first is not None
    assert second is not None
    assert {name: value for name, value in first.items() if "grpc" in name or name == "error"} == {
        "grpc.path": "/S/m",
        "grpc.authority": "shop",
        "grpc.content_type": "application/grpc",
        "grpc.timeout": "1S",
        "grpc.status_code": "14",
        "grpc.message": "away",
        "error": "true",
    }
    assert ("error" in second, "grpc.timeout" in second) == (False, False)
    assert [each.failed for each in spans(made).made] == [True, True]  # a client's fails by any status but 0


@pytest.mark.parametrize(("status", "failed"), [(b"0", (False, False)), (b"5", (False, True)), (b"14", (True, True))])
def test_a_try_of_grpc_says_so_too_and_servers_fail_by_fewer_statuses(status: bytes, failed: tuple[bool, bool]) -> None:
    made = world(replace(W3C, attempts=True))
    made.call(answers=[Head(200, [(b"grpc-status", status)], None)], headers=[("content-type", "application/grpc")])
    request, attempt = spans(made).made
    assert (request.failed, attempt.failed) == failed
    assert attempt.said is not None
    assert attempt.said["grpc.status_code"] == status.decode()


def test_a_span_that_nobody_records_costs_no_attributes() -> None:
    made = world(replace(W3C, attempts=True))
    spans(made).recording = False
    made.call()
    call, attempt = spans(made).made
    assert (call.said, attempt.said) == ({}, None)


def test_tags_are_literals_variables_headers_metadata_and_formats() -> None:
    tags = (
        Tag("lit", "literal", "L"),
        Tag("env", "environment", "POD"),
        Tag("noenv", "environment", "SECRET"),
        Tag("noenvd", "environment", "SECRET", "d"),
        Tag("hdr", "header", "x-h", "d"),
        Tag("hdrd", "header", "x-none", "d"),
        Tag("nohdr", "header", "x-none"),
        Tag("meta", "metadata", "ROUTE:ns:k", "d"),
        Tag("metad", "metadata", "ROUTE:ns:none", "d"),
        Tag("fmt", "format", "%REQ(:METHOD)%-%RESPONSE_CODE%-%REQ(x-none)%"),
        Tag("nofmt", "format", "%REQ(x-none)%"),
        Tag("fixed", "format", "text"),
        Tag("cel", "format", "%CEL(request.path)%"),
        Tag("zone", "literal", "mine"),
    )
    made = world(replace(W3C, tags=tags, operation="%CEL(a)%"), metadata={"ns": {"k": "v"}})
    workload = replace(made.runtime.options.workload, environment={"POD": "p"})
    object.__setattr__(made.runtime, "options", replace(made.runtime.options, workload=workload))
    made.call(headers=[("x-h", "h")])
    (span,) = spans(made).made
    assert span.said is not None
    own = {name: value for name, value in span.said.items() if name in {each.name for each in tags}}
    assert own == {
        "lit": "L",
        "env": "p",
        "noenvd": "d",
        "hdr": "h",
        "hdrd": "d",
        "meta": "v",
        "metad": "d",
        "fmt": "GET-200-",
        "fixed": "text",
        "zone": "mine",
    }
    fields = {each.field: each.reason for http in made.runtime.plan.http_runtimes() for each in http.notes}
    assert [*fields] == ["tracing.custom_tags[cel]", "tracing.operation"]
    assert "%CEL%" in fields["tracing.operation"]


def test_formats_name_spans_and_then_no_operation_is_told() -> None:
    config = replace(W3C, operation="op-%REQ(:METHOD)%", upstream_operation="up-%REQ(:METHOD)%", attempts=True)
    made = world(config, decorator="catalog:80/*")
    run = made.call()
    assert [each.name for each in spans(made).made] == ["op-GET", "up-GET"]
    assert told(run, "x-envoy-decorator-operation") == [{}]


def test_a_request_that_leads_to_no_cluster_names_none() -> None:
    made = world(W3C, to="absent")
    made.call(answers=[])
    (span,) = spans(made).made
    assert span.said is not None
    assert (span.said["http.status_code"], "upstream_cluster" in span.said) == ("503", False)


# -- tries -------------------------------------------------------------------------------------------------------------


def test_each_try_has_a_span_where_the_mesh_wants_it() -> None:
    made = world(replace(W3C, attempts=True), retry=AGAIN)
    bodiless = Head(503, [(b"content-length", b"0")], None)
    run = made.call(answers=[bodiless, 200], headers=[PARENT])
    call, first, second = spans(made).made
    assert (call.server, first.server, first.name) == (True, False, "router a egress")
    assert [each.parent and each.parent.span_id for each in (first, second)] == [call.number, call.number]
    assert [each["traceparent"][36:52] for each in told(run, "traceparent")] == [f"{2:016x}", f"{3:016x}"]
    assert first.said == {
        "component": "proxy",
        "http.protocol": "HTTP/1.1",
        "response_flags": "-",
        "upstream_address": "10.0.0.1:80",
        "peer.address": "10.0.0.1:80",
        "error": "true",
        "upstream_cluster": "a",
        "upstream_cluster.name": "a",
        "http.status_code": "503",
    }
    assert second.said is not None
    assert (first.failed, second.failed, second.said["retry.count"]) == (True, False, "1")
    assert "error" not in second.said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (503, {"http.status_code": "503", "canceled": "true", "error": "true", "response_flags": "-"}),
        (
            "reset",
            {
                "http.status_code": "0",
                "error": "true",
                "response_flags": "UC",
                "error.reason": "connection termination",
            },
        ),
        ("timeout", {"http.status_code": "0", "canceled": "true", "error": "true", "response_flags": "-"}),
    ],
)
def test_a_try_says_why_another_follows(answer: Any, said: dict[str, str]) -> None:
    made = world(replace(W3C, attempts=True), retry=AGAIN)
    made.call(answers=[answer, 200])
    first = spans(made).made[1].said
    assert first is not None
    assert {name: value for name, value in first.items() if name in {*said, "canceled", "error.reason"}} == said


def test_a_try_without_a_connection_has_no_protocol() -> None:
    made = world(replace(W3C, attempts=True))
    made.call(answers=["connect-failure"])
    said = spans(made).made[1].said
    assert said is not None
    assert (said["http.protocol"], said["response_flags"], said["error.reason"]) == (
        "-",
        "UF",
        "remote connection failure",
    )


def test_what_is_answered_in_place_of_a_try_is_not_told_of_it() -> None:
    made = world(replace(W3C, attempts=True, tags=(Tag("format", "format", "%RESPONSE_CODE% %RESP(:status)%"),)))
    made.call(answers=["reset"])
    assert [(each.said or {})["format"] for each in spans(made).made] == ["503 503", "0 "]


def test_the_environment_may_ask_for_spans_of_tries() -> None:
    made = world(W3C, options=Options(trace_attempts=True))
    made.call()
    assert len(spans(made).made) == 2
