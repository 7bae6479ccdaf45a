"""Which requests are traced, those that come in too; what Envoy does is in the table of
tests/differential/test_telemetry.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxyless.governance.inbound import InboundRequest
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Options
from proxyless.governance.trace_context import Context
from proxyless.xds.model.tracing import RouteTracing, Sampling, Tag, Tracing
from proxyless.xds.model.values import Fraction
from tests.support.traced import NEVER, PARENT, SPAN, TRACE, W3C, id_of, request_id, spans, told, world
from tests.support.world import World


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


def test_the_program_s_own_span_is_continued() -> None:
    made = world(replace(W3C, sampling=NEVER))
    spans(made).current = Context(1, 2, True, b"k=v")
    (found,) = told(made.call(), "traceparent", "tracestate")
    assert found["traceparent"].startswith(f"00-{1:032x}-")
    assert found["tracestate"] == "k=v"


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
