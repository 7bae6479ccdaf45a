"""Policies that are off, and policies that decide and are not enforced."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import AwaitSlot, Bypass, Collect, Deliver, Head, Send, Start
from proxyless.governance.composition.compose import compose
from proxyless.governance.composition.items import Fallback, off, shadow
from proxyless.governance.composition.messages import Response
from proxyless.governance.composition.shadowing import InShadow, lets_in
from proxyless.governance.events import Ejected, NotEnforced
from proxyless.governance.explain import why
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.replies import LocalReply
from proxyless.governance.runtime import Options
from proxyless.governance.telemetry.events import EventLog, describe
from proxyless.xds.model.cluster import OutlierDetection, Thresholds
from proxyless.xds.model.filters import Cors, Fault, LocalRateLimit, TokenBucket
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.route import MirrorPolicy, RetryPolicy
from proxyless.xds.model.values import Fraction
from tests.support.model import chain, cluster, http_filter, listener, manager, route, table
from tests.support.world import OK, Steps, World

ALWAYS = Fraction(100)
FAULT = http_filter("envoy.filters.http.fault", Fault(delay=ALWAYS, delay_s=5.0, abort=ALWAYS, abort_status=418))
LIMITED = http_filter("limit", LocalRateLimit("limit", TokenBucket(1, 1, 3600.0), enabled=ALWAYS, enforced=ALWAYS))
RETRY = RetryPolicy(retry_on=("5xx", "reset"), num_retries=2)


def world(*policies: object, to: dict[str, Any] | None = None, **parts: Any) -> World:
    parts.setdefault("tables", [table(route("/", "a", **(to or {})))])
    parts.setdefault("clusters", [cluster("a", "10.0.0.1:80"), cluster("b", "10.0.0.2:80")])
    return World(options=Options(policies=compose(policies, "test", whole=True)), **parts)


def told(one: World) -> list[tuple[str, str]]:
    return [(each.policy, each.outcome) for each in one.heard.events if isinstance(each, NotEnforced)]


def test_a_fault_in_shadow_delays_and_aborts_nothing_and_is_told() -> None:
    one = world(shadow("fault"), filters=[FAULT])
    steps = one.call()
    assert (steps.status, steps.slept, steps.flags) == (200, [], "-")
    assert steps.call.shadowed == (("fault", "delay"), ("fault", "418"))
    assert told(one) == [("fault", "delay"), ("fault", "418")]


def test_explain_says_what_is_not_enforced() -> None:
    one = world(shadow("fault"), off("retry"), filters=[FAULT])
    said = why(one.call().call)
    assert "shadow mode: fault is not enforced (418)" in said
    assert "retry is switched off" in said
    one = world(Fallback(Response(200)))
    assert "a fallback answers in place of a failure: response" in why(one.call(answers=["reset"]).call)


def test_a_filter_that_is_off_is_not_there() -> None:
    one = world(off("fault"), filters=[FAULT, http_filter("cors", Cors())])
    steps = one.call()
    assert (steps.status, steps.slept, told(one)) == (200, [], [])
    http = next(iter(one.runtime.plan.http_runtimes()))
    assert http.filters_for(one.runtime.policies) is http.filters_for(compose([off("fault")], "other"))
    assert http.filters_for(compose([off("retry")], "other")) is http.filters


def test_a_limit_in_shadow_lets_through_what_it_would_refuse() -> None:
    one = world(shadow("ratelimit"), filters=[LIMITED])
    assert [one.call().status for _ in range(3)] == [200, 200, 200]
    assert told(one) == [("ratelimit", "429")] * 2
    assert one.heard.calls[-1].flags == ()


def test_services_are_asked_in_shadow_too() -> None:
    class Asking:
        name = "asking"

        def __init__(self, reply: LocalReply | None) -> None:
            self.reply = reply

        def on_request(self, stream: Any) -> Any:
            length = yield Collect(10)
            assert length == 3
            return self.reply

    call = world().start()
    for reply, expected in ((LocalReply(413), (("ratelimit", "413"),)), (None, ())):
        call.shadowed = ()
        steps: Any = InShadow(Asking(reply), "ratelimit").on_request(call)
        assert isinstance(next(steps), Collect)
        with pytest.raises(StopIteration) as stop:
            steps.send(3)
        assert stop.value.value is None
        assert call.shadowed == expected


@pytest.mark.parametrize(("switch", "expected"), [(off("retry"), []), (shadow("retry"), [("retry", "retry")])])
@pytest.mark.parametrize("answer", [503, "reset"])
def test_without_retries_there_is_one_try(switch: object, expected: Any, answer: Any) -> None:
    one = world(switch, to={"retry": RETRY})
    steps = one.call(answers=[answer])
    assert (steps.call.attempts, steps.status, told(one)) == (1, 503, expected)


def test_timeouts_that_are_off_end_nothing() -> None:
    times = {"timeout_s": 1.0, "retry": RetryPolicy(retry_on=("5xx",), num_retries=1, per_try_timeout_s=0.5)}
    for switch, expected in ((off("timeout"), []), (shadow("timeout"), [("timeout", "504")])):
        one = world(switch, to=times)
        steps = one.steps()
        steps.until(Send)
        action = steps.wants(Send)
        assert (action.deadline, action.idle_s) == (None, None)
        one.clock.advance(3.0)
        steps.finish()
        assert (steps.status, told(one)) == (200, expected)
        one = world(switch, to=times)
        assert (one.call().status, told(one)) == (200, []), "it was in time"


def test_hedging_takes_retries_and_timeouts() -> None:
    hedged = {"hedge_on_per_try_timeout": True, "retry": RetryPolicy(("5xx",), 1, per_try_timeout_s=0.5)}
    assert world(off("timeout"), to=hedged).call().status == 200


def test_copies_are_not_made() -> None:
    mirrors = (MirrorPolicy("b"), MirrorPolicy("", cluster_header="x-none"))
    for switch, expected in ((off("mirror"), []), (shadow("mirror"), [("mirror", "copy")])):
        one = world(switch, to={"mirrors": mirrors})
        steps = one.call()
        assert not [each for each in steps.trace if isinstance(each, Start)]
        assert told(one) == expected


def busy(one: World) -> Steps:
    steps = one.steps()
    steps.until(Deliver, answers=[200])
    return steps


@pytest.mark.parametrize("mode", ["off", "shadow"])
@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        (Thresholds(1, 10, 1, 10), 1),  # requests
        (Thresholds(1, 0, 10, 10), 2),  # pending
        (Thresholds(1, 10, 10, 10), 0),  # connections: it waits for none
        (Thresholds(10, 10, 0, 10), 2),
        (Thresholds(10, 10, 10, 10, max_connection_pools=0), 2),
    ],
)
def test_thresholds_that_are_not_enforced_stop_nobody(mode: str, limits: Thresholds, outcome: int) -> None:
    switch = off("breaker") if mode == "off" else shadow("breaker")
    one = world(switch, clusters=[cluster("a", "10.0.0.1:80", limits=limits)])
    first = busy(one)
    second = one.steps()
    second.until(AwaitSlot, answers=[200])
    assert second.action is None
    assert (second.status, second.flags) == (200, "-")
    first.finish(())
    assert one.counts()[1:] == (0, 0, 0)
    assert bool(told(one)) == (mode == "shadow" and outcome > 0)
    assert set(told(one)) <= {("breaker", "503")}
    assert one.call(answers=[200]).status == 200


@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_the_threshold_of_retries_does_not_count_either(mode: str) -> None:
    switch = off("breaker") if mode == "off" else shadow("breaker")
    none = cluster("a", "10.0.0.1:80", limits=Thresholds(10, 10, 10, 0))
    one = world(switch, to={"retry": RETRY}, clusters=[none])
    steps = one.call(answers=[503, 200])
    assert (steps.status, steps.call.attempts, one.counts()[3]) == (200, 2, 0)
    assert told(one) == ([("breaker", "503")] if mode == "shadow" else [])
    other = world(off("fault"), to={"retry": RETRY}, clusters=[none])
    assert other.call(answers=[503]).flags == "UO"


def test_routes_in_shadow_send_nothing_anywhere_else() -> None:
    one = world(shadow("routing"), tables=[table(route("/a", "a"))])
    for path, expected in (("a", "route"), ("b", "404")):
        steps = one.steps(f"http://shop/{path}")
        assert steps.wants(Bypass).tcp is None
        steps.answer(Head(200, [], None))
        steps.answer(OK)
        assert (steps.call.status, steps.call.shadowed) == (200, (("routing", expected),))
    assert told(one) == [("routing", "route"), ("routing", "404")]
    passed = listener("virtualOutbound", chain(TcpProxy("PassthroughCluster")))
    steps = world(shadow("routing"), listeners=[passed]).steps()
    assert steps.wants(Bypass).tcp is None
    assert steps.call.shadowed == (), "it goes that way in any case"
    steps.close()


def test_routes_that_are_off_are_not_asked() -> None:
    one = world(off("routing"), complete=False)
    steps = one.steps()
    assert steps.wants(Bypass).tcp is None
    steps.close()


def test_outliers_are_noticed_in_shadow_and_not_looked_for_when_off() -> None:
    detection = OutlierDetection(consecutive_5xx=1, max_ejection_percent=100)
    clusters = [cluster("a", "10.0.0.1:80", outlier_detection=detection)]
    one = world(shadow("outlier"), clusters=clusters)
    assert [one.call(answers=[503]).status for _ in range(2)] == [503, 503]
    [first, *_] = [each for each in one.heard.events if isinstance(each, Ejected)]
    assert not first.enforced
    one = world(off("outlier"), clusters=clusters)
    one.call(answers=[503])
    assert one.heard.events == []


def test_authorization_of_connections_in_shadow_lets_them_in() -> None:
    one = world()
    for policies, expected, outcome in (
        (None, False, ()),
        (compose([off("authorization")], "s"), True, ()),
        (compose([shadow("authorization")], "s"), True, (("authorization", "403"),)),
        (compose([off("jwt")], "s"), False, ()),
    ):
        request = InboundRequest(one.runtime, one.start().request, 80, policies=policies)
        assert lets_in(request, 403) == expected
        assert request.shadowed == outcome


def test_filters_of_incoming_requests_are_switched_by_the_suite() -> None:
    inbound = listener("virtualInbound", chain(manager(table(route("/", "in")), FAULT)))
    one = World(listeners=[inbound], clusters=[cluster("in")])

    def status(*policies: object) -> tuple[int, tuple[tuple[str, str], ...]]:
        made = InboundRequest(one.runtime, one.start().request, 80, policies=compose(policies, "s", incoming=True))
        made.decide()
        return made.status, made.shadowed

    assert status() == (418, ())
    assert status(off("fault")) == (0, ())
    assert status(shadow()) == (0, (("fault", "delay"), ("fault", "418")))


def test_the_log_tells_the_first_of_a_kind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "proxyless")
    log = EventLog()
    for _ in range(2):
        log.on_event(NotEnforced("fault", "418", "a"))
    log.on_event(NotEnforced("jwt", "401", ""))
    assert [each.levelname for each in caplog.records] == ["INFO", "DEBUG", "INFO"]
    assert describe(NotEnforced("fault", "418", "a")) == (
        "shadow mode: fault would have had its way with a call to a (418), which is not enforced"
    )
    assert "an incoming request" in caplog.text


def test_suites_that_are_alike_are_listed_once() -> None:
    one = world()
    for _ in range(2):
        one.runtime.made("s", None, incoming=False)
    one.runtime.made("s", compose([off("retry")], "s"), incoming=False)
    assert list(one.runtime.suites.values()) == [2, 1]
    for number in range(300):
        one.runtime.made(f"s{number}", None, incoming=True)
    assert len(one.runtime.suites) == 256
