"""Internal requests steer their own timeouts and retries (docs/envoy-facts.md, "Requests that steer")."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import Failure, Head, Send
from proxyless.xds.model.cluster import HttpProtocol
from proxyless.xds.model.forwarding import Forwarding
from proxyless.xds.model.route import BackOff, InternalRedirectPolicy, RetryPolicy, StreamDuration
from proxyless.xds.model.values import Cidr
from tests.governance.test_hedging import Hedged
from tests.support.model import chain, cluster, listener, manager, route, table, vhost
from tests.support.world import Steps, World

FOR = ("x-forwarded-for", "10.1.1.1")
NO_PAUSE = BackOff(0.0, 0.0)
UNAVAILABLE = Head(200, [(b"grpc-status", b"14")], None)
MARKED = Head(200, [(b"x-a", b"")], None)
MOVED = Head(302, [(b"location", b"http://shop/new")], None)
INSIDE = Forwarding(internal_cidrs=(Cidr("10.0.0.0", 8),))


def world(retry: RetryPolicy | None = None, *, of_cluster: dict[str, Any] | None = None, **action: Any) -> World:
    """One route to one cluster, asked by a sidecar that believes 10.0.0.0/8."""
    rules = vhost(route("/", "a", retry=retry, **{"timeout_s": None, **action}))
    return World(
        listeners=[listener("0.0.0.0_80", chain(manager(table(rules), forwarding=INSIDE)))],
        clusters=[cluster("a", "10.0.0.1:80", **(of_cluster or {}))],
    )


def ask(fixture: World, answers: list[Any], *lines: str, origin: tuple[str, str] = FOR) -> Steps:
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return fixture.call(answers=answers, headers=[origin, *((f"x-envoy-{name}", value) for name, value in headers)])


@pytest.mark.parametrize(
    ("policy", "lines", "answers", "attempts"),
    [
        (None, (), [503], 1),
        (None, ("retry-on: 5xx",), [503, 200], 2),
        (None, ("retry-on: 5xx, nothing", "max-retries: 3"), [503, 503, 503, 200], 4),
        (None, ("retry-on: 5xx", "max-retries: 0"), [503], 1),
        (None, ("retry-on: 5xx", "max-retries: -1"), [503, 503], 2),
        (None, ("max-retries: 3",), [503], 1),
        (None, ("retry-on: unavailable",), [UNAVAILABLE], 1),
        (None, ("retry-grpc-on: unavailable,5xx",), [UNAVAILABLE, 503], 2),
        (None, ("retry-on: retriable-status-codes", "retriable-status-codes: 500,x, 418"), [418, 200], 2),
        (None, ("retry-on: retriable-headers", "retriable-header-names: X-A,,x-b"), [MARKED, 200], 2),
        (RetryPolicy(("reset",), 2, back_off=NO_PAUSE), ("retry-on: 5xx",), [503, "reset", 200], 3),
        (RetryPolicy((), 2, back_off=NO_PAUSE), ("retry-on: 5xx",), [503, 503, 200], 3),
        (RetryPolicy(("5xx",), 2, back_off=NO_PAUSE), ("max-retries: 1",), [503, 503], 2),
    ],
)  # fmt: skip
def test_what_is_retried_by_table(
    policy: RetryPolicy | None, lines: tuple[str, ...], answers: list[Any], attempts: int
) -> None:
    steps = ask(world(policy), answers, *lines)
    assert steps.call.attempts == attempts
    assert all(not {name for name, _ in each.headers if b"retr" in name} for each in steps.sent())


def test_a_policy_of_the_cluster_is_the_one_that_is_added_to() -> None:
    policy = RetryPolicy(("reset",), 2, back_off=NO_PAUSE)
    fixture = world(RetryPolicy(("retriable-4xx",), 5), of_cluster={"http": HttpProtocol(retry=policy)})
    assert ask(fixture, [503, "reset", 200], "retry-on: 5xx").call.attempts == 3
    assert ask(fixture, ["reset", 503], "upstream-rq-timeout-ms: 9").call.attempts == 2


def test_from_outside_nothing_is_heard_or_passed_on() -> None:
    lines = ("retry-on: 5xx", "upstream-rq-timeout-ms: 9")
    steps = ask(world(), [503], *lines, origin=("x-forwarded-for", "8.8.8.8"))
    assert (steps.call.attempts, steps.call.timeout_s, steps.call.steering) == (1, None, None)


@pytest.mark.parametrize(
    ("action", "lines", "timeout_s", "until_s"),
    [
        ({}, (), None, None),
        ({"timeout_s": 5.0}, ("upstream-rq-timeout-ms: 700",), 0.7, 0.7),
        ({"timeout_s": 5.0}, ("upstream-rq-timeout-ms: 0",), None, None),
        ({"timeout_s": 5.0}, ("upstream-rq-timeout-ms: soon",), 5.0, 5.0),
        ({"timeout_s": 5.0}, ("upstream-rq-timeout-ms: -1",), 5.0, 5.0),
        ({}, ("upstream-rq-timeout-ms: 18446744073709551615",), 1e9, 1e9),
        ({"timeout_s": 5.0}, ("upstream-rq-per-try-timeout-ms: 700",), 5.0, 0.7),
        ({"timeout_s": 5.0}, ("upstream-rq-per-try-timeout-ms: 5000",), 5.0, 5.0),
        ({"timeout_s": 5.0, "retry": RetryPolicy(("5xx",), per_try_timeout_s=1.0)},
         ("upstream-rq-per-try-timeout-ms: 0",), 5.0, 5.0),
        ({"retry": RetryPolicy(("5xx",), per_try_timeout_s=1.0)}, ("upstream-rq-per-try-timeout-ms: 2000",), None, 2.0),
        ({"retry": RetryPolicy(("5xx",), per_try_timeout_s=1.0)}, ("upstream-rq-timeout-ms: 2000",), 2.0, 1.0),
        ({}, ("upstream-stream-duration-ms: 400",), None, 0.4),
        ({"stream_duration": StreamDuration(max_s=3.0)}, ("upstream-stream-duration-ms: 400",), None, 0.4),
        ({"of_cluster": {"http": HttpProtocol(max_stream_duration_s=3.0)}}, ("upstream-stream-duration-ms: 0",),
         None, None),
        ({"of_cluster": {"http": HttpProtocol(max_stream_duration_s=3.0)}}, ("upstream-stream-duration-ms: x",),
         None, 3.0),
    ],
)  # fmt: skip
def test_how_long_a_call_and_a_try_may_take(
    action: dict[str, Any], lines: tuple[str, ...], timeout_s: float | None, until_s: float | None
) -> None:
    fixture = world(**action)
    steps = ask(fixture, [200], *lines)
    (sent,) = steps.sent()
    until = None if sent.deadline is None else round(sent.deadline - fixture.clock.now, 6)
    assert (steps.call.timeout_s, until) == (timeout_s, until_s)
    assert not {name for name, _ in sent.headers if b"upstream" in name}


def late(fixture: World, *lines: str) -> Steps:
    """A call whose first try has no answer when its time is over."""

    def over(send: Send) -> Failure:
        assert send.deadline is not None
        fixture.clock.now = send.deadline
        return Failure("timeout", "late")

    return ask(fixture, [over], *lines)


@pytest.mark.parametrize("action", [{"timeout_s": 1.0}, {"retry": RetryPolicy(per_try_timeout_s=1.0)}])
def test_a_timeout_is_told_as_the_request_wants_it(action: dict[str, Any]) -> None:
    for lines, status, body in (
        ((), 504, b"upstream request timeout"),
        (("upstream-rq-timeout-alt-response: ",), 204, b""),
    ):
        steps = late(world(**action), *lines)
        assert steps.reply is not None
        assert (steps.status, steps.flags, steps.reply.body) == (status, "UT", body)


def test_other_replies_are_told_as_ever() -> None:
    for lines in (("upstream-rq-timeout-alt-response: 1",), ("upstream-rq-timeout-ms: 9",)):
        assert ask(world(), ["reset"], *lines).status == 503


def test_hedging_may_be_asked_for_and_refused() -> None:
    policy = RetryPolicy(("5xx",), 1, per_try_timeout_s=1.0, back_off=NO_PAUSE)
    for configured, asked in ((False, "true"), (True, "maybe")):
        fixture = world(policy, hedge_on_per_try_timeout=configured)
        call = fixture.start(headers=[FOR, ("x-envoy-hedge-on-per-try-timeout", asked)])
        assert Hedged(fixture, [(5, 200), (0.1, 201)], call).run().outcome == (201, "-", 2)
    steps = ask(world(policy, hedge_on_per_try_timeout=True), [503, 200], "hedge-on-per-try-timeout: false")
    assert (steps.status, steps.call.attempts, steps.call.race) == (200, 2, None)


def test_a_redirect_is_followed_without_it() -> None:
    fixture = world(timeout_s=9.0, internal_redirect=InternalRedirectPolicy())
    steps = ask(fixture, [MOVED, 503], "retry-on: 5xx", "upstream-rq-timeout-ms: 7")
    assert (steps.call.attempts, steps.call.timeout_s, steps.call.steering) == (1, 9.0, None)
