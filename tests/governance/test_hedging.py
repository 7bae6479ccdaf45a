"""Tries beside each other, under a fake clock (docs/envoy-facts.md, "Hedging")."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Any

import pytest

from proxyless.governance.actions import (
    AwaitRace,
    Deliver,
    Discard,
    Failure,
    Head,
    OpenConnection,
    Run,
    Send,
    Start,
)
from proxyless.governance.call import OutgoingCall
from proxyless.xds.model.cluster import OutlierDetection, RetryBudget, Thresholds, TransportSocket
from proxyless.xds.model.route import (
    BackOff,
    InternalRedirectPolicy,
    MirrorPolicy,
    RateLimitedBackOff,
    ResetHeader,
    RetryPolicy,
    StreamDuration,
)
from proxyless.xds.model.tls import UpstreamTls
from tests.support.model import CLUSTER, cluster, eds, resource, route, table, vhost
from tests.support.world import OK, FakeConnection, World

ADDRESSES = [f"10.0.0.{last}:80" for last in range(1, 4)]
Plan = tuple[float, int | str | Head | Failure]
"""How long an endpoint takes, and what comes then; `refused` and `slow` are connections."""


class Hedged:
    """One call under way. `plans`: what becomes of each try."""

    def __init__(self, world: World, plans: Iterable[Plan], call: OutgoingCall | None = None) -> None:
        self.world = world
        self.call = call or world.start()
        self.plans = list(plans)
        self.sent: list[Send] = []
        self.abandoned = 0
        self.discarded = 0
        self.copies = 0
        self.head: Head | None = None
        self._order = count()
        self._events: list[tuple[float, int, Any]] = []
        self.machine = self.call.run()
        self.reply: Any = None

    def at(self, seconds: float, happen: Any) -> None:
        """Let something happen so many seconds from now."""
        heappush(self._events, (self.world.clock.now + seconds, next(self._order), happen))

    def run(self) -> Hedged:
        """To the end."""
        result: Any = None
        try:
            while True:
                result = self._perform(self.machine.send(result))
        except StopIteration as stop:
            self.reply = stop.value
        while self._events:  # whatever was abandoned ends
            self._next(None)
        return self

    def _perform(self, action: Any) -> Any:
        match action:
            case Run():
                return Beside(self, action)
            case AwaitRace():
                if not action.race.events:
                    self._next(action.until)
            case Deliver(head=head):
                self.head = head
                return OK
            case Discard():
                self.discarded += 1
            case Start():
                self.copies += 1
            case _:
                raise AssertionError(action)
        return None

    def _next(self, until: float | None) -> None:
        clock = self.world.clock
        if self._events and (until is None or self._events[0][0] <= until):
            clock.now, _, happen = heappop(self._events)
            happen()
        else:
            assert until is not None
            clock.now = max(clock.now, until)

    @property
    def took(self) -> float:
        return round(self.call.ended - self.call.started, 3)

    @property
    def outcome(self) -> tuple[int, str, int]:
        """Status, flags, tries."""
        return self.call.status, ",".join(self.call.flags) or "-", self.call.attempts


class Beside:
    """The machine of a try."""

    def __init__(self, hedged: Hedged, action: Run) -> None:
        self._hedged = hedged
        self._action = action
        self._machine: Generator[Any, Any, None] = action.machine
        self._alive = True
        self._connection = FakeConnection()
        self._go_on(None)

    def _go_on(self, result: Any) -> None:
        hedged = self._hedged
        if not self._alive:
            return
        try:
            action = self._machine.send(result)
        except StopIteration:
            self._alive = False
            return
        match action:
            case OpenConnection():
                if hedged.plans and hedged.plans[0][1] == "refused":
                    seconds, _ = hedged.plans.pop(0)
                    hedged.at(seconds, lambda: self._go_on(Failure("connect-failure", "")))
                else:
                    self._go_on(self._connection)
            case Send():
                hedged.sent.append(action)
                self._connection = action.slot.connection  # type: ignore[assignment]
                seconds, answer = hedged.plans.pop(0)
                if isinstance(answer, int):
                    answer = Head(answer, [], None)
                elif isinstance(answer, str):
                    answer = Failure(answer, answer)
                left = None if action.deadline is None else action.deadline - hedged.world.clock.now
                if left is not None and left < seconds:
                    seconds, answer = left, Failure("timeout", "")
                hedged.at(seconds, lambda: self._go_on(answer))
            case Discard():
                hedged.discarded += 1
                self._go_on(None)

    def abandon(self) -> None:
        self._hedged.abandoned += 1
        self._connection.open = False
        self._go_on(Failure("reset", ""))


QUICK = BackOff(0.0, 0.0)


def world(
    policy: RetryPolicy | None = None, *, limits: Thresholds = Thresholds(), endpoints: int = 3, **more: Any
) -> World:
    own = ("timeout_s", "internal_redirect", "stream_duration", "mirrors", "auto_host_rewrite")
    fields = {name: more.pop(name) for name in list(more) if name in own}
    action = {"hedge_on_per_try_timeout": True, "timeout_s": None, "retry": policy, **fields}
    return World(
        tables=[table(vhost(route("/other", "b"), route("/", "a", **action)))],
        clusters=[cluster("a", *ADDRESSES[:endpoints], limits=limits, **more), cluster("b", "10.0.1.1:80")],
        draws=[0.0] if endpoints > 1 else [],
    )


def policy(count: int = 2, *conditions: str, **fields: Any) -> RetryPolicy:
    return RetryPolicy(conditions or ("5xx",), count, **{"per_try_timeout_s": 1.0, "back_off": QUICK, **fields})


TABLE: list[tuple[str, RetryPolicy | None, list[Plan], tuple[int, str, int], float, int]] = [
    ("the second is faster", policy(), [(5, 200), (0.1, 201)], (201, "-", 2), 1.1, 1),
    ("the first is faster", policy(), [(1.5, 200), (5, 201)], (200, "-", 2), 1.5, 1),
    ("bad ones are dropped", policy(), [(5, 200), (0.1, 503), (0.1, 202)], (202, "-", 3), 1.2, 1),
    ("none is left", policy(1), [(5, 200), (5, 201)], (200, "URX", 2), 5.0, 1),
    ("the last bad one passes", policy(1), [(3, 503), (3, 502)], (502, "URX", 2), 4.0, 0),
    ("a bad one that was retried", policy(), [(1.4, 503), (0.6, 201)], (201, "-", 2), 1.6, 0),
    ("a reset of one that was retried", policy(), [(1.4, "reset"), (0.6, 201)], (201, "-", 2), 1.6, 0),
    ("all reset", policy(1), [(1.4, "reset"), (0.6, "reset")], (503, "URX,UC", 2), 1.6, 0),
    ("not hedged at all", policy(), [(0.1, 503), (0.1, 200)], (200, "-", 2), 0.2, 0),
    ("one that none would retry wins", policy(1, "connect-failure"), [(5, 200), (0.1, 503)], (503, "-", 2), 1.1, 1),
    ("nothing is started", RetryPolicy(per_try_timeout_s=1.0), [(3, 200)], (200, "-", 1), 3.0, 0),
    ("without a policy", None, [(3, 200)], (200, "-", 1), 3.0, 0),
    ("without a policy, a reset", None, [(3, "reset")], (503, "UC", 1), 3.0, 0),
    ("idle tries", policy(1, per_try_timeout_s=None, per_try_idle_timeout_s=0.5), [(5, 200), (0.1, 201)],
     (201, "-", 2), 0.6, 1),
    ("refused connections", policy(1), [(0.5, "refused"), (0.1, 200)], (200, "-", 2), 0.6, 0),
    ("a 425 at once", policy(1, "retriable-status-codes", retriable_status_codes=(425,)), [(0.1, 425), (0.1, 200)],
     (200, "-", 2), 0.2, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "rules", "plans", "outcome", "took", "abandoned"), TABLE, ids=[each[0] for each in TABLE]
)
def test_hedged_calls_by_table(
    what: str, rules: RetryPolicy | None, plans: list[Plan], outcome: tuple[int, str, int], took: float, abandoned: int
) -> None:
    fixture = world(rules)
    hedged = Hedged(fixture, plans).run()
    assert (hedged.outcome, hedged.took, hedged.abandoned) == (outcome, took, abandoned), what
    assert fixture.counts()[1:] == (0, 0, 0)


def test_the_routes_timeout_ends_all_of_them() -> None:
    fixture = world(policy(5), timeout_s=2.5)
    hedged = Hedged(fixture, [(9, 200)] * 3).run()
    assert (hedged.outcome, hedged.took) == ((504, "UT", 3), 2.5)
    assert fixture.counts()[1:] == (0, 0, 0)
    expected = [dict(each.headers)[b"x-envoy-expected-rq-timeout-ms"] for each in hedged.sent]
    assert expected == [b"2500", b"1500", b"500"]


def test_no_more_than_the_threshold_are_started() -> None:
    hedged = Hedged(world(policy(), limits=Thresholds(max_retries=0)), [(3, 200)]).run()
    assert hedged.outcome == (200, "UO", 1)


def test_a_hedge_without_an_endpoint_ends_the_call() -> None:
    fixture = world(policy())
    hedged = Hedged(fixture, [(3, 200)])
    hedged.at(0.5, lambda: fixture.update(clusters={}))
    assert hedged.run().outcome == (503, "UH", 2)
    nobody = Hedged(world(policy(), endpoints=0), []).run()
    assert nobody.outcome == (503, "UH", 1)
    secure = Hedged(world(policy(), transport_socket=TransportSocket("tls", UpstreamTls())), []).run()
    assert secure.outcome == (503, "UF", 1)


def test_a_try_over_tls_is_secured() -> None:
    fixture = world(policy(), transport_socket=TransportSocket("tls", UpstreamTls(sni="a.internal")))
    fixture.runtime.tls = object()  # type: ignore[assignment]  # whoever opens connections asks it
    assert Hedged(fixture, [(0.1, 200)]).run().outcome[0] == 200
    (pool,) = fixture.cluster().hosts[0].state.pools.values()
    assert pool.secure.sni == "a.internal"


def test_an_overflow_is_the_end() -> None:
    hedged = Hedged(world(policy(), limits=Thresholds(max_pending_requests=0)), []).run()
    assert hedged.outcome == (503, "UO", 1)


def test_the_time_of_a_try_begins_when_the_request_is_complete() -> None:
    fixture = world(policy())
    call = fixture.start(method="POST")
    call.uploading = True
    hedged = Hedged(fixture, [(5, 200), (0.5, 201)], call)
    hedged.at(2.0, call.uploaded)
    assert (hedged.run().outcome, hedged.took) == ((201, "-", 2), 3.5)


def test_a_request_that_cannot_be_sent_again_is_sent_once() -> None:
    fixture = world(policy())
    call = fixture.start(method="POST")
    call.uploading = True
    hedged = Hedged(fixture, [(5, 200)], call)
    hedged.at(2.0, lambda: call.uploaded(replayable=False))
    assert (hedged.run().outcome, hedged.took) == ((200, "-", 1), 5.0)


def test_a_caller_that_goes_away_gives_everything_back() -> None:
    fixture = world(policy())
    hedged = Hedged(fixture, [(9, 200), (9, 200)])
    result: Any = None
    for _ in range(9):
        action = hedged.machine.send(result)
        if len(hedged.sent) == 2:
            break
        result = hedged._perform(action)
    hedged.machine.close()
    assert (hedged.abandoned, fixture.counts()[1:]) == (2, (0, 0, 0))


def test_what_a_try_raises_is_the_callers() -> None:
    fixture = world(policy())
    hedged = Hedged(fixture, [])
    run = hedged.machine.send(None)
    assert isinstance(run, Run)
    run.failed(TimeoutError("mine"))
    with pytest.raises(TimeoutError, match="mine"):
        hedged.machine.send(hedged)
    run.machine.close()


def test_one_that_has_ended_already_when_it_is_abandoned_is_given_back_too() -> None:
    fixture = world(policy(1))
    hedged = Hedged(fixture, [(1.5, 200), (0.5, 503)])  # both at the same time
    assert hedged.run().outcome == (200, "-", 2)
    assert fixture.counts()[1:] == (0, 0, 0)


def test_a_redirect_is_followed_after_a_hedge() -> None:
    to = Head(302, [(b"location", b"http://shop/other")], None)
    fixture = world(policy(), internal_redirect=InternalRedirectPolicy())
    steps = fixture.steps()
    steps.close()
    hedged = Hedged(fixture, [(5, 200), (0.1, to)])
    result: Any = None
    action = hedged.machine.send(None)
    while not isinstance(action, OpenConnection):
        result = hedged._perform(action)
        action = hedged.machine.send(result)
    assert hedged.call.redirects == (("", ""),)
    hedged.machine.close()
    stays = Hedged(world(policy(), internal_redirect=InternalRedirectPolicy()), [(0.1, 302)]).run()
    assert stays.outcome == (302, "-", 1)


def test_a_window_of_a_budget_and_outlier_detection_hear_of_every_try() -> None:
    limits = Thresholds(retry_budget=RetryBudget(100.0, 1, 10.0))
    limited = RateLimitedBackOff((ResetHeader("retry-after"),))
    fixture = world(policy(rate_limited=limited), limits=limits, outlier_detection=OutlierDetection())
    busy = Head(503, [(b"retry-after", b"2")], None)
    hedged = Hedged(fixture, [(5, 200), (0.5, busy), (0.1, 201)]).run()
    assert (hedged.outcome, hedged.took >= 3.6) == ((201, "-", 3), True)
    window = fixture.breaker().window
    assert window is not None
    assert window.count(fixture.clock.now) == 3


def test_a_stream_that_lasts_too_long_ends_the_tries() -> None:
    hedged = Hedged(world(policy(), stream_duration=StreamDuration(1.5)), [(9, 200), (9, 200)]).run()
    assert (hedged.outcome, hedged.took) == ((504, "-", 2), 1.5)


def test_a_response_without_a_replayable_request_wins() -> None:
    hedged = Hedged(world(policy()), [(0.1, Head(503, [], None, replayable=False))]).run()
    assert hedged.outcome == (503, "-", 1)


def test_a_try_that_is_not_under_way_yet_needs_no_end() -> None:
    fixture = world(policy())
    hedged = Hedged(fixture, [])
    assert isinstance(hedged.machine.send(None), Run)
    hedged.machine.close()
    assert fixture.counts() == (0, 0, 0, 0)


def test_a_response_that_comes_too_late_is_thrown_away() -> None:
    fixture = world(policy())
    hedged = Hedged(fixture, [])
    run = hedged.machine.send(None)
    assert isinstance(run, Run)
    run.machine.send(None)
    run.machine.send(FakeConnection())
    hedged.machine.close()
    assert isinstance(run.machine.send(Head(200, [], None)), Discard)
    with pytest.raises(StopIteration):
        run.machine.send(None)
    assert fixture.counts()[1:] == (0, 0, 0)


def test_endpoints_that_are_not_known_yet_leave_the_cluster_as_it_was() -> None:
    fixture = world(policy())
    hedged = Hedged(fixture, [(3, 200), (0.5, 201)])
    hedged.at(0.5, lambda: fixture.update(clusters={"a": resource(CLUSTER, "a", eds("a"))}))
    assert hedged.run().outcome == (201, "-", 2)


def test_a_try_that_is_ended_gives_its_connection_back() -> None:
    fixture = world(policy())
    hedged = Hedged(fixture, [])
    run = hedged.machine.send(None)
    assert isinstance(run, Run)
    run.machine.send(None)
    assert isinstance(run.machine.send(FakeConnection()), Send)
    assert fixture.counts()[2] == 1
    run.machine.close()
    assert fixture.counts()[2] == 0
    hedged.machine.close()


def test_health_checks_and_reports_of_load_hear_of_every_response() -> None:
    fixture = world(policy())
    one = fixture.cluster()
    heard: list[Any] = []

    class Checker:
        def fail_at_once(self, host: Any) -> None:
            heard.append(host)

    one.state.checker = Checker()  # type: ignore[assignment]
    one.listens = True
    failing = Head(200, [(b"x-envoy-immediate-health-check-fail", b"")], None)
    assert Hedged(fixture, [(0.1, failing)]).run().outcome == (200, "-", 1)
    assert len(heard) == 1


def test_a_hedged_call_is_mirrored_once_and_each_try_is_told_its_host() -> None:
    fixture = world(policy(), mirrors=(MirrorPolicy("b"),), auto_host_rewrite=True)
    hedged = Hedged(fixture, [(5, 200), (0.1, 201)]).run()
    assert (hedged.outcome, hedged.copies, len(hedged.sent)) == ((201, "-", 2), 1, 2)


def test_what_the_control_plane_has_dropped_is_not_tried() -> None:
    fixture = world(policy())
    fixture.cluster().dropped = 100.0
    assert Hedged(fixture, []).run().outcome == (503, "UDO", 0)


def test_a_try_that_ran_out_of_time_ends_the_call() -> None:
    found = Hedged(world(policy()), [(0.2, "timeout")]).run()
    assert found.outcome[0] == 504
