"""Which requests are traced, what spans say, and which headers the next hop gets; what Envoy does is in the table of
tests/differential/test_tracing.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.actions import Head
from proxyless.governance.forwarding import Workload
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Options
from proxyless.governance.trace_context import Context
from proxyless.xds.model.route import BackOff, RetryPolicy
from proxyless.xds.model.tracing import RouteTracing, Sampling, Tag, Tracer, Tracing
from proxyless.xds.model.values import Fraction
from tests.support.model import chain, cluster, listener, manager, route, table, vhost
from tests.support.spans import FakeSpans
from tests.support.world import World

W3C, B3 = Tracing(tracer=Tracer(w3c=True)), Tracing(tracer=Tracer(b3=True))
NEVER = Sampling(random=Fraction(0))
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
AGAIN = RetryPolicy(retry_on=("5xx", "connect-failure", "reset"), num_retries=1, back_off=BackOff(0.1, 0.1))


def world(managed: Tracing, *, options: Options = Options(), incoming: bool = False, **fields: Any) -> World:
    """`fields` are the route's."""
    routes = table(vhost(route("/", **{"to": "a", "timeout_s": None, **fields})))
    made = World(
        tables=[routes],
        listeners=[
            listener("0.0.0.0_80", chain(manager("80", tracing=managed))),
            listener("virtualInbound", chain(manager(routes, tracing=managed))),
        ],
        clusters=[cluster("a", "10.0.0.1:80")],
        options=replace(options, workload=Workload("10.9.9.9", "me", "web.shop", zone="z")),
    )
    made.runtime.spans = FakeSpans()
    return made


def spans(made: World) -> FakeSpans:
    found = made.runtime.spans
    assert isinstance(found, FakeSpans)
    return found


def told(run: Any, *names: str) -> list[dict[str, str]]:
    """Headers of each try by name."""
    return [
        {name.decode(): value.decode() for name, value in each.headers if name.decode() in names} for each in run.sent()
    ]


def id_of(run: Any) -> str:
    return told(run, "x-request-id")[0]["x-request-id"]


def request_id(draw: int, digit: str = "4") -> tuple[str, str]:
    return "x-request-id", f"{draw:08x}-1111-{digit}222-8333-444455556666"


# -- who is traced -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sampling", "headers", "digit"),
    [
        (Sampling(random=Fraction(5000, 10_000)), [request_id(4999)], "9"),
        (Sampling(random=Fraction(5000, 10_000)), [request_id(5000)], "4"),
        (Sampling(random=Fraction(5000, 10_000)), [request_id(10_000)], "9"),
        (NEVER, [request_id(1), ("x-client-trace-id", "c")], "b"),
        (Sampling(Fraction(0), Fraction(0)), [request_id(1), ("x-client-trace-id", "c")], "4"),
        (NEVER, [request_id(1), ("x-envoy-force-trace", "1")], "4"),  # nobody outside may force it
        (NEVER, [request_id(1, "9")], "9"),
        (NEVER, [request_id(1, "a")], "a"),
        (NEVER, [request_id(1, "b")], "b"),
        (Sampling(overall=Fraction(50)), [request_id(50, "9")], "4"),
        (Sampling(overall=Fraction(50)), [request_id(49, "9")], "9"),
    ],
)
def test_the_id_of_a_request_says_whether_it_is_traced(
    sampling: Sampling, headers: list[tuple[str, str]], digit: str
) -> None:
    made = world(replace(W3C, sampling=sampling))
    run = made.call(headers=headers)
    assert id_of(run)[14] == digit
    assert len(spans(made).made) == (digit != "4")
    assert told(run, "traceparent")[0]["traceparent"].endswith("-00" if digit == "4" else "-01")


def test_an_id_that_is_none_is_never_traced_and_stays() -> None:
    for said in ("notauuid", "1", "0000001", "0000_001", "+0000001", "00x00001", "0o000001"):
        made = world(W3C)
        run = made.call(headers=[("x-request-id", said)])
        assert (id_of(run), spans(made).made) == (said, [])
    for said in ("0000000a", "0X00000a", "0b000001"):
        made = world(W3C)
        assert id_of(made.call(headers=[("x-request-id", said)])) == said
        assert len(spans(made).made) == 1


def test_an_internal_request_may_force_its_trace() -> None:
    made = world(replace(W3C, sampling=NEVER))
    view = RequestView(b"GET", b"http", b"shop", b"/", [(b"x-envoy-force-trace", b"1"), (b"x-request-id", b"0" * 36)])
    http = made.runtime.plan.destination(b"http", b"shop", 80).http  # type: ignore[union-attr]
    assert http is not None
    assert http.tracing is not None
    assert http.tracing.begin(view, None, incoming=False, again=False) is not None
    assert view.headers[b"x-request-id"][14:15] == b"a"


def test_ids_may_be_left_out_of_it() -> None:
    made = world(replace(W3C, sampling=NEVER, by_request_id=False))
    run = made.call(headers=[request_id(1)])
    assert (id_of(run), len(spans(made).made)) == (request_id(1)[1], 1)
    made = world(replace(W3C, packs_reason=False))
    run = made.call(headers=[request_id(1)])
    assert (id_of(run), len(spans(made).made)) == (request_id(1)[1], 1)


def test_a_route_has_a_sampling_and_tags_of_its_own() -> None:
    own = RouteTracing(NEVER)
    made = world(W3C, tracing=own)
    made.call()
    assert spans(made).made == []
    tags = (Tag("a", "literal", "manager's"), Tag("b", "literal", "manager's"))
    made = world(replace(W3C, tags=tags), tracing=RouteTracing(tags=(Tag("a", "literal", "route's"),), operation="op"))
    made.call()
    (span,) = spans(made).made
    assert span.said is not None
    assert (span.name, span.said["a"], span.said["b"]) == ("op", "route's", "manager's")


# -- where there are spans ---------------------------------------------------------------------------------------------


def test_without_anything_that_records_only_the_id_is_touched() -> None:
    made = world(W3C)
    made.runtime.spans = None
    run = made.call(headers=[request_id(1), PARENT])
    assert (id_of(run)[14], told(run, "traceparent")) == ("9", [dict([PARENT])])
    (note,) = (note for http in made.runtime.plan.http_runtimes() for note in http.notes)
    assert (note.field, "opentelemetry-api is not installed" in note.reason) == ("tracing", True)
    made = world(W3C)
    spans(made).trace_id = 0
    assert told(made.call(), "traceparent") == [{}]


def test_a_manager_without_a_provider_has_the_tracer_of_the_environment() -> None:
    for name, headers in (("", []), ("opentelemetry", ["traceparent", "tracestate"])):
        made = world(Tracing(), options=Options(tracer=name))
        run = made.call()
        assert [*told(run, "traceparent", "tracestate", "x-b3-traceid")[0]] == headers
    made = world(replace(Tracing(), refused=True), options=Options(tracer="zipkin"))
    made.call()
    assert spans(made).made == []


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


def test_a_silent_mesh_tells_the_next_hop_nothing() -> None:
    made = world(replace(W3C, attempts=True, silent=True))
    assert told(made.call(headers=[PARENT]), "traceparent") == [dict([PARENT])]


def test_a_redirect_that_is_followed_inside_is_a_span_of_its_own() -> None:
    made = world(W3C)
    run = made.steps()
    call = run.call
    assert call.trace is not None
    call.restart(call.request, "elsewhere")
    assert spans(made).made[0].said is not None
    run.close()
    assert len(spans(made).made) == 1
    manager_ = next(http for http in made.runtime.plan.http_runtimes() if http.tracing is not None).tracing
    assert manager_ is not None
    assert manager_.begin(call.request, None, incoming=False, again=True) is not None


# -- incoming ----------------------------------------------------------------------------------------------------------


def received(made: World, *headers: tuple[str, str]) -> InboundRequest:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    request = InboundRequest(made.runtime, RequestView(b"GET", b"http", b"app", b"/x", raw, "10.0.0.9"), 8080)
    request.decide()
    return request


def test_an_incoming_request_is_a_server_s_span_and_the_app_is_told_of_it() -> None:
    made = world(W3C, decorator="app:80/*")
    request = received(made, PARENT)
    told_of = request.request.headers[b"traceparent"]
    assert told_of == f"00-{TRACE}-{1:016x}-01".encode()
    request.response(200, [])
    request.received, request.sent = 3, 5
    made.clock.advance(1)
    request.ended(200)
    (span,) = spans(made).made
    assert span.said is not None
    assert (span.name, span.server, span.parent and span.parent.span_id) == ("app:80/*", True, int(SPAN, 16))
    assert (span.said["peer.address"], span.said["request_size"], span.said["response_size"]) == ("10.0.0.9", "3", "5")
    named = received(made, ("x-envoy-decorator-operation", "mine"))
    named.ended(404)
    assert (spans(made).made[-1].name, spans(made).made[-1].failed) == ("mine", False)
    failing = received(made)
    failing.ended(500)
    assert spans(made).made[-1].failed


def test_an_incoming_request_without_an_operation_is_ingress() -> None:
    made = world(replace(W3C, silent=True))
    request = received(made)
    assert b"traceparent" not in request.request.headers
    request.ended(200)
    assert spans(made).made[0].name == "ingress"


# -- headers -----------------------------------------------------------------------------------------------------------

IDS = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}
NAMES = ("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled")


@pytest.mark.parametrize(
    ("tracer", "sampling", "given", "traced", "expected"),
    [
        (W3C, Sampling(), {"traceparent": f"00-{TRACE}-{SPAN}-00"}, False, {"traceparent": f"00-{TRACE}-*-00"}),
        (W3C, NEVER, {"traceparent": f"00-{TRACE}-{SPAN}-01"}, False, {"traceparent": f"00-{TRACE}-*-00"}),
        (W3C, Sampling(), {"traceparent": "bad"}, None, {"traceparent": "bad"}),
        (
            W3C,
            Sampling(),
            {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
            None,
            {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        ),
        (W3C, Sampling(), {"tracestate": "a=b"}, True, {"traceparent": "00-*-01", "tracestate": ""}),
        (B3, Sampling(), {}, True, {"x-b3-traceid": "*", "x-b3-sampled": "1"}),
        (B3, NEVER, {}, False, {"x-b3-traceid": "*", "x-b3-sampled": "0"}),
        (B3, NEVER, {"x-b3-sampled": "1"}, True, {"x-b3-sampled": "1"}),
        (B3, NEVER, {"x-b3-flags": "1"}, True, {"x-b3-sampled": "1"}),
        (B3, NEVER, {**IDS, "x-b3-sampled": "true"}, True, {"x-b3-traceid": TRACE, "x-b3-parentspanid": SPAN}),
        (B3, Sampling(), {**IDS, "x-b3-sampled": "0"}, False, {"x-b3-parentspanid": SPAN, "x-b3-sampled": "0"}),
        (B3, NEVER, IDS, False, {"x-b3-traceid": TRACE, "x-b3-sampled": "0"}),
        (B3, Sampling(), {**IDS, "x-b3-traceid": TRACE[16:]}, True, {"x-b3-traceid": TRACE[16:]}),
        (B3, Sampling(), {**IDS, "x-b3-traceid": "zz"}, None, {"x-b3-traceid": "zz", "x-b3-spanid": SPAN}),
        (B3, Sampling(), {"b3": f"{TRACE}-{SPAN}-d-{SPAN}"}, True, {"b3": f"{TRACE}-*-1-{SPAN}"}),
        (B3, Sampling(), {"b3": f"{TRACE}-{SPAN}"}, True, {"b3": f"{TRACE}-*-1-{SPAN}"}),
        (B3, Sampling(), {"b3": "0"}, False, {"b3": "*-0"}),
        (B3, NEVER, {"b3": "1"}, True, {"b3": "*-1"}),
        (B3, Sampling(), {"b3": "bad"}, None, {"b3": "bad"}),
        (replace(B3, tracer=Tracer(b3=True, w3c=True)), Sampling(), dict([PARENT]), True, {"x-b3-traceid": TRACE}),
        (replace(B3, tracer=Tracer(b3=True, w3c=True)), Sampling(), {}, True, {"traceparent": "00-*-01"}),
        (replace(B3, tracer=Tracer(b3=True, wide=False)), NEVER, {}, False, {"x-b3-sampled": "0"}),
    ],
)
def test_contexts_are_read_and_written_as_envoy_does(
    tracer: Tracing, sampling: Sampling, given: dict[str, str], traced: bool | None, expected: dict[str, str]
) -> None:
    made = world(replace(tracer, sampling=sampling))
    (found,) = told(made.call(headers=[*given.items()]), *NAMES)
    assert bool(spans(made).made) == bool(traced)
    for name, value in expected.items():
        begin, _, end = value.partition("*")
        assert found[name].startswith(begin), (name, found)
        assert found[name].endswith(end), (name, found)
        assert "*" in value or found[name] == value
    if tracer.tracer is not None and not tracer.tracer.wide:
        assert len(found["x-b3-traceid"]) == 16


def test_the_program_s_own_span_is_continued() -> None:
    made = world(replace(W3C, sampling=NEVER))
    spans(made).current = Context(1, 2, True, b"k=v")
    (found,) = told(made.call(), "traceparent", "tracestate")
    assert found["traceparent"].startswith(f"00-{1:032x}-")
    assert found["tracestate"] == "k=v"


def test_a_request_that_leads_to_no_cluster_names_none() -> None:
    made = world(W3C, to="absent")
    made.call(answers=[])
    (span,) = spans(made).made
    assert span.said is not None
    assert (span.said["http.status_code"], "upstream_cluster" in span.said) == ("503", False)
