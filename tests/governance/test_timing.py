"""What ends a call besides the timeout of its route (docs/envoy-facts.md, "Timeouts")."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import AwaitConfig, BodyEnd, Deliver, Failure, OpenConnection, Send
from proxyless.xds.model.cluster import HttpProtocol, Thresholds
from proxyless.xds.model.route import BackOff, RetryPolicy, StreamDuration
from tests.support.model import (
    ENDPOINT,
    assignment,
    chain,
    cluster,
    eds,
    listener,
    manager,
    resource,
    route,
    table,
)
from tests.support.world import Steps, World

GRPC = (("content-type", "application/grpc"),)
UPGRADE = (("connection", "upgrade"), ("upgrade", "websocket"))


def world(*, http: dict[str, Any] | None = None, cluster_http: HttpProtocol = HttpProtocol(), **action: Any) -> World:
    """One route without a timeout, if it does not say otherwise, through a manager with these fields."""
    own = manager(table(route("/", "a", **{"timeout_s": None, **action})), **(http or {}))
    return World(
        listeners=[listener("0.0.0.0_80", chain(own))],
        clusters=[cluster("a", "10.0.0.1:80", "10.0.0.2:80", http=cluster_http)],
        draws=[0.0],
    )


def until_over(steps: Steps) -> Steps:
    """The backend never answers: the try's own deadline passes, again and again."""
    while steps.until(Send) is not None:
        deadline = steps.wants(Send).deadline
        assert deadline is not None
        steps.world.clock.now = max(steps.world.clock.now, deadline)
        steps.answer(Failure("timeout", ""))
    return steps


def told(steps: Steps) -> tuple[int, str, str, str]:
    assert steps.reply is not None
    return steps.status, steps.flags, steps.reply.details, steps.reply.body.decode()


IDLE = (504, "SI", "stream_idle_timeout", "stream timeout")
LASTS = (504, "-", "max_duration_timeout", "downstream duration timeout")
UPSTREAM = (504, "UMSDR", "upstream_max_stream_duration_reached", "upstream max stream duration reached")
ROUTE = (504, "UT", "response_timeout", "upstream request timeout")


@pytest.mark.parametrize(
    ("configured", "after_s", "outcome"),
    [
        ({"idle_timeout_s": 2.0}, 2.0, IDLE),
        ({"http": {"stream_idle_timeout_s": 3.0}}, 3.0, IDLE),
        ({"http": {"stream_idle_timeout_s": 3.0}, "idle_timeout_s": 2.0}, 2.0, IDLE),
        ({"http": {"stream_idle_timeout_s": 3.0}, "idle_timeout_s": 0.0, "timeout_s": 4.0}, 4.0, ROUTE),
        ({"idle_timeout_s": 2.0, "timeout_s": 1.0}, 1.0, ROUTE),
        ({"stream_duration": StreamDuration(2.0), "timeout_s": 1.0}, 2.0, LASTS),
        ({"http": {"max_stream_duration_s": 2.0}, "timeout_s": 4.0}, 2.0, LASTS),
        ({"http": {"max_stream_duration_s": 2.0}, "stream_duration": StreamDuration()}, 2.0, LASTS),
        (
            {"http": {"max_stream_duration_s": 2.0}, "stream_duration": StreamDuration(0.0), "idle_timeout_s": 9.0},
            9.0,
            IDLE,
        ),
        ({"cluster_http": HttpProtocol(max_stream_duration_s=2.0)}, 2.0, UPSTREAM),
        ({"cluster_http": HttpProtocol(max_stream_duration_s=2.0), "timeout_s": 1.0}, 1.0, ROUTE),
    ],
)
def test_the_earliest_limit_ends_a_call_that_has_no_response(
    configured: dict[str, Any], after_s: float, outcome: tuple[int, str, str, str]
) -> None:
    fixture = world(**configured)
    begin = fixture.clock.now
    steps = until_over(fixture.steps())
    assert told(steps) == outcome
    assert fixture.clock.now - begin == after_s
    assert fixture.counts()[1:] == (0, 0, 0)


@pytest.mark.parametrize(
    ("duration", "asked", "told_so", "lasts_s"),
    [
        (StreamDuration(2.0), None, "2000m", 2.0),
        (StreamDuration(2.0, 9.0), "5S", "5000m", 5.0),
        (StreamDuration(2.0, 3.0), "5S", "3000m", 3.0),
        (StreamDuration(2.0, 0.0), "5S", "5000m", 5.0),
        (StreamDuration(2.0, 0.0, 0.5), "5S", "4500m", 4.5),
        (StreamDuration(2.0, 0.0), "bad", "2000m", 2.0),
    ],
)
def test_a_grpc_request_may_say_how_long_it_lasts_and_the_endpoint_is_told(
    duration: StreamDuration, asked: str | None, told_so: str, lasts_s: float
) -> None:
    headers = (*GRPC, *((("grpc-timeout", asked),) if asked else ()))
    fixture = world(stream_duration=duration, max_grpc_timeout_s=1.0)
    begin = fixture.clock.now
    steps = fixture.steps(method="POST", headers=headers)
    steps.until(Send)
    sent = [value for name, value in steps.wants(Send).headers if name == b"grpc-timeout"]
    assert sent == [told_so.encode()]
    until_over(steps)
    assert fixture.clock.now - begin == lasts_s
    assert steps.reply is not None
    assert dict(steps.reply.headers)[b"grpc-status"] == b"4"


def test_an_offset_that_leaves_nothing_ends_the_call_at_once() -> None:
    fixture = world(stream_duration=StreamDuration(2.0, 0.0, 9.0))
    assert told(fixture.steps(headers=[("grpc-timeout", "5S")])) == LASTS


def test_another_request_is_told_nothing() -> None:
    steps = world(stream_duration=StreamDuration(2.0)).call()
    assert b"grpc-timeout" not in dict(steps.sent()[0].headers)


def test_the_idle_timeout_covers_connecting_and_the_pauses_between_tries() -> None:
    fixture = world(idle_timeout_s=1.0, retry=RetryPolicy(("5xx",), 5, back_off=BackOff(0.6, 0.6)))
    steps = fixture.steps()
    assert steps.wants(OpenConnection).timeout_s == 1.0
    steps.until(Send)
    fixture.clock.advance(0.5)
    fixture.draws.give(0.999)
    steps.finish([503])
    assert (told(steps), steps.slept) == (IDLE, [0.5])


def test_the_idle_timeout_ends_the_wait_for_a_connection() -> None:
    fixture = World(
        tables=[table(route("/", "a", idle_timeout_s=1.0, timeout_s=None))],
        clusters=[cluster("a", "10.0.0.1:80", limits=Thresholds(1))],
    )
    first, steps = fixture.steps(), fixture.steps()
    steps.answer(False)
    assert told(steps) == IDLE
    first.close()


QUICK = BackOff(0.001, 0.001)


def test_a_try_that_lasts_too_long_is_tried_again_where_resets_are() -> None:
    lasting = HttpProtocol(max_stream_duration_s=2.0)
    retry = RetryPolicy(("reset",), 1, back_off=QUICK)
    fixture = world(cluster_http=lasting, retry=retry)
    begin = fixture.clock.now
    steps = until_over(fixture.steps())
    assert told(steps) == (504, "URX,UMSDR", *UPSTREAM[2:])
    assert fixture.clock.now - begin == 4.0
    other = until_over(world(cluster_http=lasting, retry=RetryPolicy(("connect-failure",), 1)).steps())
    assert (told(other), other.call.attempts) == (UPSTREAM, 1)


def test_a_try_without_a_byte_for_too_long_is_tried_again_where_resets_are() -> None:
    fixture = world(retry=RetryPolicy(("5xx",), 1, per_try_idle_timeout_s=1.0, back_off=QUICK))
    steps = fixture.steps()
    for _ in range(2):
        steps.until(Send)
        assert steps.wants(Send).idle_s == 1.0
        steps.answer(Failure("idle", ""))
    assert told(steps) == (504, "URX,UT", "upstream_per_try_idle_timeout", "upstream request timeout")


def test_a_try_may_be_idle_no_longer_without_any_condition_too() -> None:
    steps = world(retry=RetryPolicy(per_try_idle_timeout_s=1.0)).steps()
    steps.until(Send)
    steps.answer(Failure("idle", ""))
    assert (steps.status, steps.flags, steps.call.attempts) == (504, "UT", 1)


def cut(steps: Steps, kind: str, after_s: float) -> Steps:
    steps.until(Deliver, answers=[200])
    steps.world.clock.advance(after_s)
    steps.answer(BodyEnd(complete=False, kind=kind))
    return steps


@pytest.mark.parametrize(
    ("configured", "deadline_s", "idle_s", "kind", "flags"),
    [
        ({"idle_timeout_s": 2.0}, None, 2.0, "idle", "SI"),
        ({"idle_timeout_s": 2.0, "timeout_s": 9.0}, 9.0, 2.0, "timeout", "UT"),
        ({"retry": RetryPolicy(per_try_idle_timeout_s=1.0)}, None, 1.0, "idle", "UT"),
        ({"retry": RetryPolicy(per_try_idle_timeout_s=1.0), "idle_timeout_s": 2.0}, None, 1.0, "idle", "UT"),
        ({"retry": RetryPolicy(per_try_idle_timeout_s=3.0), "idle_timeout_s": 2.0}, None, 2.0, "idle", "SI"),
        ({"stream_duration": StreamDuration(3.0)}, 3.0, None, "timeout", "-"),
        ({"cluster_http": HttpProtocol(max_stream_duration_s=3.0)}, 3.0, None, "timeout", "UMSDR"),
        ({"stream_duration": StreamDuration(3.0)}, 3.0, None, "caller", "DC"),
        ({"stream_duration": StreamDuration(3.0)}, 3.0, None, "reset", "UPE"),
    ],
)
def test_a_body_that_is_cut_says_by_what(
    configured: dict[str, Any], deadline_s: float | None, idle_s: float | None, kind: str, flags: str
) -> None:
    fixture = world(**configured)
    steps = fixture.steps()
    begin = fixture.clock.now
    steps.until(Deliver, answers=[200])
    deliver = steps.wants(Deliver)
    assert (deliver.deadline, deliver.idle_s) == (None if deadline_s is None else begin + deadline_s, idle_s)
    fixture.clock.advance(deadline_s or 0.0)
    steps.answer(BodyEnd(complete=False, kind=kind))
    assert steps.flags == flags


def uploading(fixture: World) -> Steps:
    call = fixture.start(method="POST")
    call.uploading = True
    steps = Steps(fixture, call)
    steps.until(Send)
    return steps


@pytest.mark.parametrize(
    ("configured", "deadline_s", "idle_s", "failure", "outcome"),
    [
        ({"idle_timeout_s": 2.0}, None, 2.0, "idle", (408, *IDLE[1:])),
        ({"stream_duration": StreamDuration(3.0)}, 3.0, None, "timeout", (408, *LASTS[1:])),
        ({"cluster_http": HttpProtocol(max_stream_duration_s=3.0)}, 3.0, None, "timeout", (408, *UPSTREAM[1:])),
        (
            {"http": {"request_timeout_s": 3.0}},
            3.0,
            None,
            "timeout",
            (408, "-", "request_overall_timeout", "request timeout"),
        ),
    ],
)
def test_an_upload_that_takes_too_long_is_408(
    configured: dict[str, Any],
    deadline_s: float | None,
    idle_s: float | None,
    failure: str,
    outcome: tuple[int, str, str, str],
) -> None:
    fixture = world(**configured, timeout_s=1.0) if "stream_duration" not in configured else world(**configured)
    begin = fixture.clock.now
    steps = uploading(fixture)
    send = steps.wants(Send)
    assert (send.deadline, send.idle_s) == (None if deadline_s is None else begin + deadline_s, idle_s)
    fixture.clock.advance(deadline_s or 5.0)
    steps.answer(Failure(failure, ""))
    assert told(steps) == outcome


@pytest.mark.parametrize(
    ("configured", "deadline_s", "outcome"),
    [
        ({"timeout_s": 3.0}, 3.0, ROUTE),
        ({"idle_timeout_s": 3.0}, 3.0, (408, *IDLE[1:])),
        ({"stream_duration": StreamDuration(3.0)}, 3.0, (408, *LASTS[1:])),
        ({"cluster_http": HttpProtocol(max_stream_duration_s=3.0)}, 3.0, (408, *UPSTREAM[1:])),
    ],
)
def test_a_handshake_has_the_routes_timeout_and_is_a_request_that_is_not_complete(
    configured: dict[str, Any], deadline_s: float, outcome: tuple[int, str, str, str]
) -> None:
    fixture = world(**configured)
    steps = fixture.steps(headers=UPGRADE)
    steps.until(Send)
    assert steps.wants(Send).deadline == fixture.clock.now + deadline_s
    fixture.clock.advance(deadline_s)
    steps.answer(Failure("timeout", ""))
    assert told(steps) == outcome


@pytest.mark.parametrize(
    ("configured", "deadline_s", "idle_s"),
    [
        ({"timeout_s": 3.0}, None, None),
        ({"timeout_s": 3.0, "idle_timeout_s": 5.0}, None, 5.0),
        ({"stream_duration": StreamDuration(3.0)}, 3.0, None),
    ],
)
def test_when_it_has_become_a_web_socket_the_routes_timeout_is_over(
    configured: dict[str, Any], deadline_s: float | None, idle_s: float | None
) -> None:
    fixture = world(**configured)
    steps = fixture.steps(headers=UPGRADE)
    begin = fixture.clock.now
    steps.until(Deliver, answers=[101])
    deliver = steps.wants(Deliver)
    assert (deliver.deadline, deliver.idle_s) == (None if deadline_s is None else begin + deadline_s, idle_s)


def test_when_the_request_is_complete_its_own_limit_is_over_and_the_idle_time_begins() -> None:
    fixture = world(idle_timeout_s=2.0, http={"request_timeout_s": 3.0})
    steps = uploading(fixture)
    fixture.clock.advance(2.5)
    assert steps.call.uploaded() == fixture.clock.now + 2.0
    assert steps.call.idle_s() is None
    fixture.clock.advance(2.0)
    steps.answer(Failure("timeout", ""))
    assert told(steps) == IDLE
    other = uploading(world(http={"request_timeout_s": 3.0}))
    assert other.call.uploaded() is None


def test_an_upload_without_limits_has_none() -> None:
    send = uploading(world(retry=RetryPolicy(per_try_idle_timeout_s=1.0))).wants(Send)
    assert (send.deadline, send.idle_s) == (None, None)


@pytest.mark.parametrize("limit", ["idle_timeout_s", "stream_duration"])
def test_the_wait_for_configuration_does_not_count(limit: str) -> None:
    fields: dict[str, Any] = {limit: 2.0 if limit == "idle_timeout_s" else StreamDuration(2.0)}
    fixture = World(tables=[table(route("/", "a", timeout_s=None, **fields))], clusters=[eds("a")])
    steps = fixture.steps()
    steps.wants(AwaitConfig)
    fixture.clock.advance(30.0)
    fixture.update(assignments={"a": resource(ENDPOINT, "a", assignment("a", "10.0.0.1:80"))})
    steps.answer()
    steps.until(Send)
    assert steps.wants(Send).deadline == fixture.clock.now + 2.0
