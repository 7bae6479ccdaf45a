"""What is told of its trace by a request that goes out to a host which the mesh does not know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.actions import Bypass
from proxyless.governance.composition.compose import compose
from proxyless.governance.composition.items import MESH, shadow
from proxyless.governance.composition.messages import Request
from proxyless.governance.passing import PASSTHROUGH
from proxyless.governance.runtime import Options
from proxyless.governance.trace_context import Context
from proxyless.xds.model.tracing import Sampling, Tracing
from tests.support.traced import B3, NEVER, PARENT, SPAN, TRACE, W3C, request_id, spans, world
from tests.support.world import Steps

ID, DRAWN = request_id(1)[1], request_id(1, "9")[1]


def outside(managed: Tracing, *policies: object, headers: Any = (), recorded: bool = True) -> Steps:
    made = world(managed, options=Options(policies=compose(policies, "test", whole=True)), to=PASSTHROUGH)
    if not recorded:
        made.runtime.spans = None
    return made.steps("http://shop/a/../b", headers=[request_id(1), ("x-own", "1"), *headers])


def said(steps: Steps) -> dict[str, str]:
    """What goes out beside what the program has said, or in the place of it."""
    action = steps.wants(Bypass)
    pairs = action.told if action.changed is None else action.changed.raw_headers
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names)
    return {name.decode(): value.decode() for name, value in pairs}


class Own:
    def __init__(self, work: Any) -> None:
        self.name, self._work = "own", work

    def on_request(self, request: Request) -> None:
        self._work(request)


def test_it_continues_the_call_s_span_and_has_its_id() -> None:
    steps = outside(W3C, headers=[PARENT, ("tracestate", "k=v")])
    assert steps.wants(Bypass).changed is None
    assert said(steps) == {"x-request-id": DRAWN, "traceparent": f"00-{TRACE}-{1:016x}-01", "tracestate": "k=v"}
    assert steps.call.sent_header("traceparent") == f"00-{TRACE}-{1:016x}-01".encode()
    steps.finish([204])
    (span,) = spans(steps.world).made
    assert span.said is not None
    assert (span.server, span.parent and span.parent.span_id) == (False, int(SPAN, 16))
    told = {name: span.said[name] for name in ("guid:x-request-id", "http.status_code", "upstream_cluster.name")}
    assert told == {
        "guid:x-request-id": DRAWN,
        "http.status_code": "204",
        "upstream_cluster.name": PASSTHROUGH,
    }
    assert steps.call.as_sent().header(b"x-own") == b"1"


@pytest.mark.parametrize(
    ("managed", "headers", "expected"),
    [
        (B3, [], {"x-b3-traceid": f"{0xABC:032x}", "x-b3-spanid": f"{1:016x}", "x-b3-sampled": "1"}),
        (replace(W3C, silent=True), [PARENT], {}),
        (W3C, [("traceparent", "bad")], None),
        (Tracing(), [], None),
    ],
)
def test_it_says_what_the_mesh_wants_it_to_say(
    managed: Tracing, headers: list[tuple[str, str]], expected: dict[str, str] | None
) -> None:
    steps = outside(managed, headers=headers)
    assert said(steps) == ({} if expected is None else {"x-request-id": DRAWN, **expected})


def test_one_that_is_not_traced_says_so() -> None:
    steps = outside(replace(W3C, sampling=NEVER), headers=[PARENT])
    found = said(steps)
    assert (found["x-request-id"], found["traceparent"][:36], found["traceparent"][-3:]) == (ID, f"00-{TRACE}-", "-00")
    assert spans(steps.world).made == []


def test_where_nothing_records_it_is_the_program_s_own() -> None:
    action = outside(W3C, recorded=False).wants(Bypass)
    assert (action.changed, action.told) == (None, ())


# -- tries -------------------------------------------------------------------------------------------------------------


def test_where_tries_have_spans_it_continues_that_of_the_only_one() -> None:
    steps = outside(replace(W3C, attempts=True))
    assert said(steps)["traceparent"] == f"00-{0xABC:032x}-{2:016x}-01"
    steps.finish([503])
    call, attempt = spans(steps.world).made
    assert (call.server, attempt.server, attempt.name) == (True, False, f"router {PASSTHROUGH} egress")
    assert attempt.parent == call.context
    assert attempt.said == {
        "component": "proxy",
        "http.protocol": "HTTP/1.1",
        "response_flags": "-",
        "upstream_address": "shop:80",
        "peer.address": "shop:80",
        "error": "true",
        "upstream_cluster": PASSTHROUGH,
        "upstream_cluster.name": PASSTHROUGH,
        "http.status_code": "503",
    }


def test_a_host_that_cannot_be_reached_is_a_try_that_fails() -> None:
    steps = outside(replace(W3C, attempts=True))
    steps.call.unreached = "UF"
    steps.close()
    call, attempt = (each.said or {} for each in spans(steps.world).made)
    assert (call["response_flags"], call["http.status_code"]) == ("UF", "503")
    assert (attempt["response_flags"], attempt["error.reason"]) == ("UF", "remote connection failure")
    untraced = outside(W3C, recorded=False)
    untraced.call.unreached = "UF"
    untraced.close()
    assert (untraced.call.status, untraced.flags) == (503, "UF")


def test_one_that_nobody_waits_for_any_more_is_cancelled() -> None:
    steps = outside(replace(W3C, attempts=True))
    steps.close()
    call, attempt = (each.said or {} for each in spans(steps.world).made)
    assert (call["response_flags"], attempt["canceled"]) == ("DC", "true")


# -- policies of the user's --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [False, True])
def test_what_policies_change_is_told_of_the_span_too(behind: bool) -> None:
    own = Own(lambda request: request.headers.update({"x-tenant": "t"}))
    steps = outside(replace(W3C, attempts=True), *([MESH, own] if behind else [own]), headers=[PARENT])
    found = said(steps)
    assert (found["x-own"], found["x-tenant"], found["x-request-id"]) == ("1", "t", DRAWN)
    assert found["traceparent"] == f"00-{TRACE}-{2:016x}-01"


def test_a_policy_that_changes_nothing_leaves_the_request_the_program_s_own() -> None:
    steps = outside(W3C, Own(lambda request: None))
    assert steps.wants(Bypass).changed is None
    assert "traceparent" in said(steps)


def test_a_policy_behind_the_mesh_s_may_take_it_out() -> None:
    def leave_out(request: Request) -> None:
        assert request.headers["x-request-id"] == DRAWN
        for name in ("traceparent", "tracestate", "x-request-id"):
            del request.headers[name]

    assert said(outside(W3C, MESH, Own(leave_out))) == {"x-own": "1"}


def test_routing_that_is_only_tried_tells_nothing() -> None:
    action = outside(replace(W3C, attempts=True), shadow("routing")).wants(Bypass)
    assert (action.changed, action.told) == (None, ())


def test_a_call_that_begins_anew_is_told_of_anew() -> None:
    steps = outside(replace(W3C, sampling=Sampling()))
    steps.call.begin(steps.call.request)
    assert steps.call.told == ()
    steps.close()


def test_the_program_s_own_span_is_continued() -> None:
    made = world(W3C, to=PASSTHROUGH)
    spans(made).current = Context(1, 2, True)
    assert said(made.steps())["traceparent"] == f"00-{1:032x}-{1:016x}-01"
