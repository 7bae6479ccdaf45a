"""From a routed request to a response: which endpoint, how often, how long, and what is said in the end."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import AwaitSlot, Deliver, Discard, Failure, Head, OpenConnection, Send, Sleep
from proxyless.governance.peer import Principals
from proxyless.xds.model.cluster import HttpProtocol, RetryBudget, Thresholds, TransportSocket
from proxyless.xds.model.endpoint import LocalityLbEndpoints
from proxyless.xds.model.matchers import HeaderMatcher, StringMatcher
from proxyless.xds.model.route import BackOff, RateLimitedBackOff, ResetHeader, RetryPolicy, RouteAction
from proxyless.xds.model.tls import UpstreamTls
from tests.support.model import CLUSTER, PREVIOUS_HOSTS, bad, cluster, eds, host, resource, route, table, vhost
from tests.support.world import Answer, Steps, World

ADDRESSES = [f"10.0.0.{last}:80" for last in range(1, 4)]
ANY = ("5xx", "reset", "connect-failure", "refused-stream", "retriable-4xx")
NO_PAUSE = BackOff(0.0, 0.0)


def world(
    policy: RetryPolicy | None = None, *, endpoints: int = 1, draws: list[float] | None = None, **more: Any
) -> World:
    """One route to one cluster; `draws` begin with the start of the round robin where there are several endpoints."""
    fields = {name: more.pop(name) for name in list(more) if name in RouteAction.__slots__}
    return World(
        tables=[table(route("/", "a", retry=policy, **{"timeout_s": None, **fields}))],
        clusters=[cluster("a", *ADDRESSES[:endpoints], **more)],
        draws=draws or [],
    )


def retries(count: int = 1, *conditions: str, **fields: Any) -> RetryPolicy:
    return RetryPolicy(conditions or ANY, count, **{"back_off": NO_PAUSE, **fields})


def refuse(steps: Steps) -> None:
    """The connection that the call wants cannot be made."""
    steps.wants(OpenConnection)
    steps.answer(Failure("connect-failure", "refused"))


def test_a_call_connects_sends_and_delivers() -> None:
    steps = world().call("http://shop/path?q")
    assert [type(each) for each in steps.trace] == [OpenConnection, Send, Deliver]
    (sent,) = steps.sent()
    assert (sent.method, sent.authority, sent.path, sent.host.address) == (b"GET", b"shop", b"/path?q", ADDRESSES[0])
    assert (steps.status, steps.flags, steps.call.attempts, steps.reply) == (200, "-", 1, None)


def test_the_second_call_uses_the_connection_of_the_first() -> None:
    fixture = world()
    first, second = fixture.call(), fixture.call()
    assert [type(each) for each in second.trace] == [Send, Deliver]
    assert second.sent()[0].slot is first.sent()[0].slot


def test_connections_belong_to_one_owner() -> None:
    fixture = world()
    fixture.call(owner="one")
    assert isinstance(fixture.steps(owner="other").action, OpenConnection)
    assert isinstance(fixture.steps(owner="one").action, Send)


@pytest.mark.parametrize(
    ("kind", "flag", "words", "details"),
    [
        ("connect-failure", "UF", "remote connection failure", "remote_connection_failure"),
        ("connect-timeout", "UF", "connection timeout", "connection_timeout"),
        ("reset", "UC", "connection termination", "connection_termination"),
        ("remote-reset", "UR", "remote reset", "remote_reset"),
        ("refused-stream", "UR", "remote refused stream reset", "remote_refused_stream_reset"),
    ],
)
def test_a_failure_is_answered_in_envoys_words(kind: str, flag: str, words: str, details: str) -> None:
    steps = world().call(answers=[kind])
    assert steps.reply is not None
    assert (steps.status, steps.flags) == (503, flag)
    assert (
        steps.reply.body.decode() == f"upstream connect error or disconnect/reset before headers. reset reason: {words}"
    )
    assert steps.reply.details == f"upstream_reset_before_response_started{{{details}}}"
    again = world(retries(1)).call(answers=[kind, kind])
    assert again.reply is not None
    assert again.reply.body.decode().endswith(f". retried and the latest reset reason: {words}")


@pytest.mark.parametrize(
    ("outcome", "conditions", "flag_when_used_up"),
    [
        (503, ("5xx",), "URX"),
        (502, ("gateway-error",), "URX"),
        (409, ("retriable-4xx",), "URX"),
        ("reset", ("reset",), "URX,UC"),
        ("remote-reset", ("reset",), "URX,UR"),
        ("refused-stream", ("refused-stream",), "URX,UR"),
        ("timeout", ("reset",), "URX,UT"),
        ("reset", ("5xx",), "URX,UC"),
        ("timeout", ("gateway-error",), "URX,UT"),
    ],
)
def test_a_wanted_outcome_is_tried_again_until_no_retry_is_left(
    outcome: Answer, conditions: tuple[str, ...], flag_when_used_up: str
) -> None:
    policy = retries(2, *conditions)
    recovered = world(policy).call(answers=[outcome, outcome, 200])
    assert (recovered.status, recovered.flags, recovered.call.attempts) == (200, "-", 3)
    used_up = world(policy).call(answers=[outcome] * 3)
    assert (used_up.flags, used_up.call.attempts) == (flag_when_used_up, 3)
    none_left = world(retries(0, *conditions)).call(answers=[outcome])
    assert (none_left.flags, none_left.call.attempts) == (flag_when_used_up, 1)


@pytest.mark.parametrize("outcome", [503, 500, "reset", "remote-reset", "refused-stream", "timeout"])
def test_an_outcome_that_the_policy_does_not_want_is_final_and_has_no_retry_flag(outcome: Answer) -> None:
    steps = world(retries(3, "connect-failure")).call(answers=[outcome])
    assert steps.call.attempts == 1
    assert "URX" not in steps.flags


def test_a_refused_connection_is_tried_again_without_a_place_for_the_failed_one() -> None:
    fixture = world(retries(1, "connect-failure"))
    steps = fixture.steps()
    refuse(steps)
    steps.finish()
    assert (steps.status, steps.flags, steps.call.attempts) == (200, "-", 2)
    assert fixture.counts() == (1, 0, 0, 0)


def test_a_retried_response_is_thrown_away_before_its_connection_goes_back() -> None:
    fixture = world(retries())
    steps = fixture.steps()
    steps.until(Discard, answers=[503])
    assert steps.wants(Discard).head.status == 503
    assert fixture.counts() == (1, 0, 1, 1)
    steps.answer()
    steps.wants(Sleep)
    assert fixture.counts() == (1, 0, 0, 1)


def test_the_backends_answer_passes_with_its_body_when_retries_are_used_up() -> None:
    steps = world(retries()).call(answers=[503, 503])
    assert steps.reply is None
    assert (steps.status, steps.flags) == (503, "URX")


def test_a_retry_beyond_the_threshold_is_suppressed_and_says_overflow() -> None:
    fixture = world(retries(3), limits=Thresholds(max_retries=0))
    responded = fixture.call(answers=[503])
    assert (responded.status, responded.flags, responded.call.attempts) == (503, "UO", 1)
    reset = fixture.call(answers=["reset"])
    assert (reset.status, reset.flags, reset.call.attempts) == (503, "UO,UC", 1)


def test_a_retry_under_way_counts_until_it_has_its_answer() -> None:
    fixture = world(retries(2))
    steps = fixture.steps()
    seen = []
    for answers in ([503], [503]):
        steps.until(Sleep, answers=answers)
        seen.append(fixture.counts()[3])
        steps.answer()
        seen.append(fixture.counts()[3])
    steps.until(Deliver, answers=[200])
    seen.append(fixture.counts()[3])
    assert seen == [1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    "answer", [Failure("reset", "", None, replayable=False), Head(503, [], None, replayable=False)]
)
def test_a_request_whose_body_is_gone_is_tried_once_and_has_no_retry_flag(answer: Answer) -> None:
    steps = world(retries(3)).call(answers=[answer])
    assert (steps.status, steps.call.attempts) == (503, 1)
    assert steps.flags == ("UC" if isinstance(answer, Failure) else "-")


@pytest.mark.parametrize(
    ("endpoints", "attempts", "start", "tries"),
    [
        (3, 5, 1, [2, 3, 1, 1]),
        (3, 1, 0, [1, 2, 3, 2]),
        (1, 5, 0, [1, 1, 1, 1]),
    ],
)
def test_previous_hosts_are_avoided_as_seen_under_envoy(
    endpoints: int, attempts: int, start: int, tries: list[int]
) -> None:
    policy = retries(3, host_predicates=PREVIOUS_HOSTS, host_selection_attempts=attempts)
    draws = [(start + 0.5) / endpoints] if endpoints > 1 else []
    steps = world(policy, endpoints=endpoints, draws=draws).call(answers=[503] * 4)
    assert steps.hosts == [ADDRESSES[each - 1] for each in tries]


def test_without_the_predicate_the_next_endpoint_is_a_fresh_pick() -> None:
    steps = world(retries(3), endpoints=3, draws=[0.0]).call(answers=[503] * 4)
    assert steps.hosts == [ADDRESSES[each] for each in (0, 1, 2, 0)]


def test_an_endpoint_that_refused_the_connection_is_a_previous_host_too() -> None:
    policy = retries(1, "connect-failure", host_predicates=PREVIOUS_HOSTS)
    fixture = world(policy, endpoints=2, draws=[0.0])
    steps = fixture.steps()
    refuse(steps)
    fixture.cluster().choose()  # another call advances the round robin: the next pick would be the refused one again
    steps.finish()
    assert steps.hosts == [ADDRESSES[1]]


def test_no_endpoint_is_uh_and_is_never_retried() -> None:
    steps = world(retries(3), endpoints=0).call(answers=[])
    assert steps.reply is not None
    assert (steps.status, steps.flags, steps.call.attempts) == (503, "UH", 1)
    assert steps.reply.body == b"no healthy upstream"


@pytest.mark.parametrize(
    ("socket", "reason"),
    [
        (TransportSocket("tls", UpstreamTls()), "must be spoken to by mTLS, and this process has no identity to offer"),
        (TransportSocket("alts", unsupported="transport socket alts is not supported"), "alts is not supported"),
    ],
)
def test_an_endpoint_that_must_be_secure_is_never_spoken_to_in_plaintext(socket: TransportSocket, reason: str) -> None:
    steps = world(retries(3), transport_socket=socket).call(answers=[])
    assert steps.reply is not None
    assert (steps.status, steps.flags, steps.hosts) == (503, "UF", [])
    assert reason in steps.reply.body.decode()
    assert "10.0.0.1:80" in steps.reply.body.decode()


def test_a_call_knows_who_was_at_the_ends_of_its_last_connection() -> None:
    made = world(retries(1, "5xx"), transport_socket=TransportSocket("tls", UpstreamTls()))
    made.runtime.tls = object()  # type: ignore[assignment]  # nobody opens anything here
    steps = made.steps("http://shop/")
    connection = steps.connection()
    connection.principals = Principals("spiffe://a", "spiffe://b")
    steps.wants(OpenConnection)
    steps.answer(connection)
    known: list[Any] = [steps.call.principals]
    connection.open = False  # the next try needs another one
    steps.wants(Send)
    steps.answer(Head(503, [], None))
    steps.until(OpenConnection)
    known.append(steps.call.principals)
    refuse(steps)
    assert (steps.status, [*known, steps.call.principals]) == (503, [connection.principals, None, None])


def test_an_original_dst_cluster_goes_where_the_program_dialled() -> None:
    fixture = World(
        tables=[table(route("/", "a"))],
        clusters=[cluster("a", type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED")],
        names={"shop": "10.96.0.1"},
    )
    assert fixture.call("http://shop/").hosts == ["10.96.0.1:80"]
    assert fixture.call("http://10.1.2.3:80/").hosts == ["10.1.2.3:80"]


@pytest.mark.parametrize(
    ("named", "port", "went"),
    [("10.1.2.3:81", 0, "10.1.2.3:81"), ("10.1.2.3:81", 99, "10.1.2.3:99"), ("shop:81", 0, "10.96.0.1:80")],
)
def test_a_request_may_name_the_endpoint_of_an_original_dst_cluster(named: str, port: int, went: str) -> None:
    own = {"original_dst_header": "x-to", "original_dst_port": port}
    fixture = World(
        tables=[table(route("/", "a"))],
        clusters=[cluster("a", type="ORIGINAL_DST", lb_policy="CLUSTER_PROVIDED", **own)],
        names={"shop": "10.96.0.1"},
    )
    assert fixture.call("http://shop/", headers=[("x-to", named)]).hosts == [went]


def test_the_endpoint_of_the_last_attempt_is_the_calls() -> None:
    steps = world(retries(1), endpoints=2, draws=[0.0]).call(answers=[503, 200])
    assert steps.call.host is not None
    assert steps.call.host.address == ADDRESSES[1]


def headers_of(sent: Send) -> dict[bytes, bytes]:
    return dict(sent.headers)


def test_each_try_says_which_it_is_where_the_virtual_host_counts_and_keeps_its_request_id() -> None:
    fixture = World(
        tables=[table(vhost(route(retry=retries(2), timeout_s=None), include_request_attempt_count=True))],
        clusters=[cluster("a", *ADDRESSES)],
    )
    sent = [headers_of(each) for each in fixture.call(answers=[503, 503, 200]).sent()]
    assert [each[b"x-envoy-attempt-count"] for each in sent] == [b"1", b"2", b"3"]
    assert len({each[b"x-request-id"] for each in sent}) == 1


def test_no_try_says_which_it_is_where_the_virtual_host_does_not_count() -> None:
    for sent in world(retries(1)).call(answers=[503, 200]).sent():
        assert b"x-envoy-attempt-count" not in headers_of(sent)


@pytest.mark.parametrize(
    ("timeout_s", "per_try_s", "said"),
    [
        (None, None, [None, None]),
        (10.0, None, [b"10000", b"8500"]),
        (10.0, 3.0, [b"3000", b"3000"]),
        (4.0, 3.0, [b"3000", b"2500"]),
        (None, 3.0, [b"3000", b"3000"]),
    ],
)
def test_each_try_says_how_long_it_may_take(
    timeout_s: float | None, per_try_s: float | None, said: list[bytes | None]
) -> None:
    fixture = world(retries(1, per_try_timeout_s=per_try_s), timeout_s=timeout_s)
    steps = fixture.steps()
    steps.until(Send)
    fixture.clock.advance(1.5)
    steps.finish([503, 200])
    assert [headers_of(each).get(b"x-envoy-expected-rq-timeout-ms") for each in steps.sent()] == said


@pytest.mark.parametrize(
    ("timeout_s", "per_try_s", "deadlines"),
    [
        (None, None, [None, None]),
        (10.0, None, [10.0, 10.0]),
        (10.0, 3.0, [3.0, 5.0]),
        (4.0, 3.0, [3.0, 4.0]),
        (1.0, 3.0, [1.0]),
        (None, 3.0, [3.0, 5.0]),
    ],
)
def test_a_try_ends_with_its_own_timeout_or_with_the_routes(
    timeout_s: float | None, per_try_s: float | None, deadlines: list[float | None]
) -> None:
    fixture = world(retries(1, per_try_timeout_s=per_try_s), timeout_s=timeout_s)
    begin = fixture.clock.now
    steps = fixture.steps()
    steps.until(Send)
    fixture.clock.advance(2.0)
    steps.finish([503, 200][: 1 if timeout_s == 1.0 else 2])
    assert [None if each.deadline is None else each.deadline - begin for each in steps.sent()] == deadlines


def test_the_routes_timeout_is_answered_by_504_and_is_not_retried() -> None:
    fixture = world(retries(3), timeout_s=1.0)
    steps = fixture.steps()
    steps.until(Send)
    fixture.clock.advance(1.0)
    steps.finish(["timeout"])
    assert steps.reply is not None
    assert (steps.status, steps.flags, steps.call.attempts) == (504, "UT", 1)
    assert (steps.reply.body, steps.reply.details) == (b"upstream request timeout", "response_timeout")


def test_a_try_that_times_out_is_tried_again_and_the_last_one_is_answered_by_504() -> None:
    fixture = world(retries(1, per_try_timeout_s=1.0), timeout_s=10.0)
    steps = fixture.steps()
    for _ in range(2):
        steps.until(Send)
        fixture.clock.advance(1.0)
        steps.answer(Failure("timeout", ""))
    steps.finish([])
    assert steps.reply is not None
    assert (steps.status, steps.flags, steps.call.attempts) == (504, "URX,UT", 2)
    assert (steps.reply.body, steps.reply.details) == (b"upstream request timeout", "upstream_per_try_timeout")


def test_the_body_is_bounded_by_the_routes_timeout_and_not_by_the_trys() -> None:
    fixture = world(retries(1, per_try_timeout_s=1.0), timeout_s=10.0)
    steps = fixture.steps()
    steps.until(Deliver, answers=[200])
    assert steps.wants(Deliver).deadline == fixture.clock.now + 10.0


@pytest.mark.parametrize(("pause_s", "slept", "status", "flags"), [(0.4, [0.4], 200, "-"), (2.0, [1.0], 504, "UT")])
def test_the_routes_timeout_ends_a_back_off(pause_s: float, slept: list[float], status: int, flags: str) -> None:
    fixture = world(retries(1, back_off=BackOff(pause_s, pause_s)), timeout_s=1.0)
    steps = fixture.steps()
    steps.until(Send)
    fixture.draws.give(1.0)
    steps.finish([503, 200] if status == 200 else [503])
    assert (steps.slept, steps.status, steps.flags) == (slept, status, flags)
    assert fixture.counts()[1:] == (0, 0, 0)


def test_a_back_off_that_begins_after_the_routes_timeout_does_not_sleep_backwards() -> None:
    fixture = world(retries(1, back_off=BackOff(1.0, 1.0)), timeout_s=1.0)
    steps = fixture.steps()
    steps.until(Send)
    fixture.clock.advance(5.0)
    steps.finish([503])
    assert (steps.slept, steps.status, steps.flags) == ([0.0], 504, "UT")


def test_the_pause_is_drawn_for_every_retry_anew() -> None:
    fixture = world(retries(3, back_off=BackOff(1.0, 3.0)))
    steps = fixture.steps()
    steps.until(Send)
    fixture.draws.give(0.5, 0.5, 0.5)
    steps.finish([503, 503, 503, 200])
    assert steps.slept == [0.5, 1.0, 1.5]


def test_the_routes_timeout_ends_the_making_of_a_connection() -> None:
    fixture = world(retries(3, "connect-failure"), timeout_s=1.0, connect_timeout_s=5.0)
    steps = fixture.steps()
    assert steps.wants(OpenConnection).timeout_s == 1.0
    fixture.clock.advance(1.0)
    steps.answer(Failure("connect-timeout", "timed out"))
    assert (steps.status, steps.flags, steps.call.attempts) == (504, "UT", 1)
    assert fixture.counts() == (0, 0, 0, 0)


def test_when_the_routes_timeout_ends_a_connection_under_way_those_who_wait_make_their_own() -> None:
    fixture = world(timeout_s=1.0, connect_timeout_s=5.0, limits=Thresholds(1))
    first = fixture.steps()
    fixture.clock.advance(0.5)
    second = fixture.steps()
    second.wants(AwaitSlot)
    fixture.clock.advance(0.5)
    first.answer(Failure("connect-timeout", "timed out"))
    second.answer(True)
    assert second.wants(OpenConnection).timeout_s == 0.5


def test_a_connection_has_the_clusters_connect_timeout() -> None:
    fixture = world(timeout_s=30.0, connect_timeout_s=5.0)
    steps = fixture.steps()
    assert steps.wants(OpenConnection).timeout_s == 5.0
    fixture.clock.advance(5.0)
    steps.answer(Failure("connect-timeout", "timed out"))
    assert (steps.status, steps.flags) == (503, "UF")


def test_one_that_waits_for_a_connection_goes_on_with_the_one_it_is_given() -> None:
    fixture = world(limits=Thresholds(1))
    first, second = fixture.steps(), fixture.steps()
    second.wants(AwaitSlot)
    first.finish()
    second.answer(True)
    second.wants(Send)
    second.finish()
    assert second.status == 200
    assert fixture.counts() == (1, 0, 0, 0)


@pytest.mark.parametrize(("timeout_s", "waits_s"), [(None, None), (2.0, 1.5)])
def test_one_that_waits_for_a_connection_waits_no_longer_than_the_routes_timeout(
    timeout_s: float | None, waits_s: float | None
) -> None:
    fixture = world(retries(3), timeout_s=timeout_s, limits=Thresholds(1))
    first = fixture.steps()
    waiting = fixture.start()
    fixture.clock.advance(0.5)
    steps = Steps(fixture, waiting)
    assert steps.wants(AwaitSlot).timeout_s == waits_s
    steps.answer(False)
    assert (steps.status, steps.flags, steps.call.attempts) == (504, "UT", 1)
    assert fixture.counts() == (1, 1, 0, 0)
    first.close()


def test_a_connection_given_in_the_moment_of_giving_up_is_handed_on() -> None:
    fixture = world(timeout_s=1.0, limits=Thresholds(1))
    first, second, third = (fixture.steps() for _ in range(3))
    first.finish()
    second.answer(False)
    assert (second.status, second.flags) == (504, "UT")
    third.answer(True)
    third.wants(Send)


def test_one_that_waits_may_be_told_to_connect_itself() -> None:
    fixture = world(limits=Thresholds(1))
    first, second = fixture.steps(), fixture.steps()
    first.until(Send)
    fixture.connections[0].open = False
    first.finish(["reset"])
    second.answer(True)
    second.wants(OpenConnection)


def test_one_that_is_told_to_connect_too_late_does_not() -> None:
    fixture = world(timeout_s=1.0, limits=Thresholds(1))
    first, second, third = (fixture.steps() for _ in range(3))
    first.until(Send)
    fixture.clock.advance(1.0)
    fixture.connections[0].open = False
    first.finish(["reset"])
    second.answer(True)
    assert (second.status, second.flags) == (504, "UT")
    third.answer(True)
    assert (third.status, third.flags) == (504, "UT")
    assert fixture.counts() == (0, 0, 0, 0)


@pytest.mark.parametrize("kind", ["connect-failure", "connect-timeout"])
def test_those_who_wait_for_a_connection_that_fails_fail_with_it_and_may_retry(kind: str) -> None:
    fixture = world(retries(1), limits=Thresholds(1))
    first, second = fixture.steps(), fixture.steps()
    second.wants(AwaitSlot)
    first.answer(Failure(kind, "refused"))
    second.answer(True)
    assert isinstance(second.action, Sleep)
    second.finish([200])
    assert (second.status, second.call.attempts) == (200, 2)
    assert first.call.attempts == 1
    first.finish([200])
    assert (first.status, first.call.attempts) == (200, 2)
    assert fixture.counts() == (1, 0, 0, 0)


def test_one_that_waits_overflows_when_its_turn_comes_and_the_request_threshold_is_reached() -> None:
    fixture = world(limits=Thresholds(1))
    first, second = fixture.steps(), fixture.steps()
    first.until(Deliver, answers=[200])
    fixture.breaker().limits = Thresholds(1, max_requests=0)
    first.finish([])
    second.answer(True)
    assert (second.status, second.flags) == (503, "UO")


def test_a_request_threshold_reached_while_a_connection_opens_overflows() -> None:
    fixture = world(limits=Thresholds(max_requests=0))
    steps = fixture.steps()
    steps.wants(OpenConnection)
    steps.answer(steps.connection())
    assert (steps.status, steps.flags) == (503, "UO")
    assert fixture.counts() == (1, 0, 0, 0)


def changed(fixture: World, found: Any) -> None:
    """The cluster becomes another while a call pauses."""
    clusters = dict(fixture.runtime.plan.snapshot.clusters)
    if found is None:
        del clusters["a"]
    else:
        clusters["a"] = found
    fixture.update(clusters=clusters)


def test_the_next_try_goes_to_the_endpoints_that_the_cluster_has_by_then() -> None:
    fixture = world(retries(1))
    steps = fixture.steps()
    steps.until(Sleep, answers=[503])
    changed(fixture, resource(CLUSTER, "a", cluster("a", "10.9.9.9:80")))
    steps.finish()
    assert steps.hosts == [ADDRESSES[0], "10.9.9.9:80"]
    assert fixture.counts()[1:] == (0, 0, 0)


def test_a_cluster_that_is_gone_by_the_next_try_has_no_healthy_upstream() -> None:
    fixture = world(retries(2))
    breaker = fixture.breaker()
    steps = fixture.steps()
    steps.until(Sleep, answers=[503])
    changed(fixture, None)
    steps.finish([])
    assert (steps.status, steps.flags, steps.hosts) == (503, "UH", [ADDRESSES[0]])
    assert (breaker.retries, breaker.requests) == (0, 0)


@pytest.mark.parametrize("successor", [resource(CLUSTER, "a", eds("a")), bad(CLUSTER, "a")], ids=["cold", "bad"])
def test_the_next_try_keeps_to_a_cluster_whose_successor_is_not_ready(successor: Any) -> None:
    fixture = world(retries(1))
    steps = fixture.steps()
    steps.until(Sleep, answers=[503])
    if successor.name == "a" and successor.version == "2":
        successor = bad(CLUSTER, "a", previous=fixture.runtime.plan.snapshot.clusters["a"])
    changed(fixture, successor)
    steps.finish()
    assert (steps.status, steps.hosts) == (200, [ADDRESSES[0]] * 2)


def test_a_policy_of_the_cluster_stands_in_place_of_the_routes_but_for_the_timeout_of_a_try() -> None:
    own = HttpProtocol(retry=retries(2, "5xx", per_try_timeout_s=9.0))
    fixture = world(retries(5, "retriable-4xx", per_try_timeout_s=2.0), http=own)
    begin = fixture.clock.now
    refused = fixture.call(answers=[409])
    assert (refused.status, refused.call.attempts) == (409, 1)
    retried = fixture.call(answers=[503, 503, 503])
    assert (retried.status, retried.flags, retried.call.attempts) == (503, "URX", 3)
    assert retried.sent()[0].deadline == begin + 2.0


@pytest.mark.parametrize(("path", "tries"), [("/again", 2), ("/never", 1)])
def test_only_requests_with_a_retriable_header_are_retried_as_they_go_out(path: str, tries: int) -> None:
    matcher = HeaderMatcher(":path", StringMatcher("exact", "/new/again"))
    policy = retries(1, "5xx", retriable_request_headers=(matcher,))
    fixture = world(policy, prefix_rewrite="/new/")
    steps = fixture.call(f"http://shop{path}", answers=[503] * tries)
    assert steps.call.attempts == tries


def test_without_a_condition_a_try_still_has_its_timeout() -> None:
    fixture = world(RetryPolicy(per_try_timeout_s=1.0))
    steps = fixture.steps()
    steps.until(Send)
    fixture.clock.advance(1.0)
    steps.finish(["timeout"])
    assert (steps.status, steps.flags, steps.call.attempts) == (504, "UT", 1)


def test_a_response_may_say_how_long_to_wait() -> None:
    limited = RateLimitedBackOff((ResetHeader("retry-after"),))
    fixture = world(retries(2, "5xx", back_off=BackOff(1.0, 1.0), rate_limited=limited))
    steps = fixture.steps()
    steps.until(Send)
    fixture.draws.give(0.5, 0.5)
    steps.finish([Head(503, [(b"retry-after", b"4")], None), 503, 200])
    assert steps.slept == [5.0, 0.5]


def test_too_early_is_tried_again_at_once() -> None:
    policy = retries(1, "retriable-status-codes", retriable_status_codes=(425,), back_off=BackOff(1.0, 1.0))
    assert world(policy).call(answers=[425, 200]).slept == [0.0]


def test_without_a_pool_there_is_no_healthy_upstream() -> None:
    fixture = world(endpoints=2, draws=[0.0], limits=Thresholds(max_connection_pools=1))
    fixture.steps().until(Send)
    steps = fixture.steps()
    assert (steps.status, steps.flags) == (503, "UH")


def test_a_window_of_a_budget_counts_every_try() -> None:
    limits = Thresholds(retry_budget=RetryBudget(100.0, 1, 10.0))
    fixture = world(retries(3), limits=limits)
    assert fixture.call(answers=[503, 503, 200]).status == 200
    window = fixture.breaker().window
    assert window is not None
    assert window.count(fixture.clock.now) == 3


def test_a_retry_leaves_the_priorities_that_were_tried() -> None:
    levels = [LocalityLbEndpoints((host(address),), priority=level) for level, address in enumerate(ADDRESSES)]
    fixture = World(
        tables=[table(route("/", "a", retry=retries(4, priority_update_frequency=1), timeout_s=None))],
        clusters=[cluster("a", *levels)],
    )
    steps = fixture.call(answers=[503] * 5)
    assert steps.hosts == [ADDRESSES[each] for each in (0, 1, 2, 0, 1)]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (Failure("timeout", ""), b"true"),
        (Failure("idle", ""), b"true"),
        (Failure("reset", ""), b"false"),
        (503, b"false"),
    ],
)
def test_a_try_says_whether_the_one_before_took_too_long(failure: Any, said: bytes) -> None:
    policy = RetryPolicy(("5xx",), 1, per_try_timeout_s=1.0)
    host = vhost(route("/", "a", retry=policy), include_is_timeout_retry_header=True)
    steps = World(tables=[table(host)], clusters=[cluster("a", "10.0.0.1:80")]).steps()
    steps.finish([failure, 200])
    told = [dict(each.headers).get(b"x-envoy-is-timeout-retry") for each in steps.sent()]
    assert told == [None, said]
