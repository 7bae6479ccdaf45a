"""A caller that goes away, at whatever moment: everything is given back, and the call says DC."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from proxyless.governance.actions import (
    Action,
    AwaitConfig,
    AwaitSlot,
    Bypass,
    Deliver,
    Discard,
    Failure,
    OpenConnection,
    Send,
    Sleep,
)
from proxyless.governance.passing import PASSTHROUGH
from proxyless.xds.model.cluster import Thresholds
from proxyless.xds.model.route import BackOff, RetryPolicy
from tests.support.model import cluster, eds, route, snapshot, table
from tests.support.world import Steps, World

ADDRESSES = ("10.0.0.1:80", "10.0.0.2:80")


def world(limits: Thresholds = Thresholds()) -> World:
    policy = RetryPolicy(("5xx", "connect-failure"), 2, per_try_timeout_s=1.0, back_off=BackOff(0.1, 0.1))
    return World(
        tables=[
            table(
                route("/waits", "cold"),
                route("/away", PASSTHROUGH),
                route("/", "a", retry=policy, timeout_s=30.0),
            )
        ],
        clusters=[cluster("a", *ADDRESSES[:1], limits=limits), eds("cold")],
    )


def first(kind: type[Action], *answers: int | str) -> Callable[[World], Steps]:
    def go(fixture: World) -> Steps:
        steps = fixture.steps()
        steps.until(kind, answers=answers)
        return steps

    return go


def second_try(kind: type[Action]) -> Callable[[World], Steps]:
    def go(fixture: World) -> Steps:
        steps = fixture.steps()
        steps.until(Sleep, answers=[503])
        fixture.connections[0].open = False
        for slot in next(iter(fixture.cluster().hosts[0].state.pools.values())).drain():
            slot.connection.close()
        steps.answer()
        steps.until(kind, answers=[503, 503])
        return steps

    return go


def waiting_for_a_connection(fixture: World) -> Steps:
    fixture.breaker().limits = Thresholds(1)
    busy = fixture.steps()
    busy.until(Send)
    steps = fixture.steps()
    steps.wants(AwaitSlot)
    busy.finish()
    assert steps.wants(AwaitSlot).waiter.grant is not None
    return steps


def waiting_in_vain(fixture: World) -> Steps:
    fixture.breaker().limits = Thresholds(1)
    busy = fixture.steps()
    steps = fixture.steps()
    steps.wants(AwaitSlot)
    busy.close()
    fixture.heard.calls.clear()
    return steps


def on(url: str, kind: type[Action]) -> Callable[[World], Steps]:
    def go(fixture: World) -> Steps:
        steps = fixture.steps(url)
        steps.until(kind)
        return steps

    return go


MOMENTS: dict[str, tuple[type[Action], Callable[[World], Steps]]] = {
    "waiting for configuration": (AwaitConfig, on("http://shop/waits", AwaitConfig)),
    "connecting": (OpenConnection, first(OpenConnection)),
    "waiting for a connection that has been given": (AwaitSlot, waiting_for_a_connection),
    "waiting for a connection, told to connect": (AwaitSlot, waiting_in_vain),
    "sending": (Send, first(Send)),
    "discarding": (Discard, first(Discard, 503)),
    "pausing": (Sleep, first(Sleep, 503)),
    "connecting again": (OpenConnection, second_try(OpenConnection)),
    "sending again": (Send, second_try(Send)),
    "discarding again": (Discard, second_try(Discard)),
    "reading the body": (Deliver, first(Deliver, 200)),
    "reading the body of a retry": (Deliver, first(Deliver, 503, 200)),
    "passing by the mesh": (Bypass, on("http://shop/away", Bypass)),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", ["closed", "collected"])
def test_a_call_that_is_given_up_gives_everything_back_and_is_told_once(moment: str, how: str) -> None:
    fixture = world()
    kind, go = MOMENTS[moment]
    steps = go(fixture)
    steps.wants(kind)
    told = len(fixture.heard.calls)
    call = steps.call
    if how == "closed":
        steps.close()
    else:
        steps.trace.clear()
        del steps
        gc.collect()
    assert fixture.counts()[1:] == (0, 0, 0)
    assert fixture.cluster().hosts[0].state.active == 0
    assert call.flags[-1] == "DC"
    assert call.ended == fixture.clock.now
    assert fixture.heard.calls[told:] == [call]


def test_a_place_given_up_while_connecting_goes_to_the_next_that_waits() -> None:
    fixture = world(Thresholds(1))
    busy, waits = fixture.steps(), fixture.steps()
    busy.close()
    waits.answer(True)
    waits.wants(OpenConnection)


def test_what_the_endpoint_was_sent_before_does_not_count_against_it() -> None:
    """A caller that goes away is no failure of the endpoint: nothing but DC is said."""
    steps = world().steps()
    steps.until(Send)
    steps.close()
    assert (steps.flags, steps.call.status, steps.reply) == ("DC", 0, None)


def test_closing_a_call_that_has_not_begun_tells_nobody() -> None:
    fixture = world()
    machine = fixture.start().run()
    machine.close()
    assert fixture.heard.calls == []


def test_an_error_of_the_driver_gives_everything_back_too() -> None:
    fixture = world()
    steps = fixture.steps()
    steps.until(Send)
    with pytest.raises(ZeroDivisionError):
        steps.machine.throw(ZeroDivisionError())
    assert fixture.counts()[1:] == (0, 0, 0)
    assert fixture.heard.calls == [steps.call]


def test_whatever_ends_a_call_its_listeners_are_told_exactly_once() -> None:
    fixture = world()
    fixture.call()
    fixture.call(answers=[404])
    fixture.call(answers=[503, 503, 503])
    refused = fixture.steps()
    fixture.clock.advance(31.0)
    refused.finish(["reset"])
    fixture.call("http://shop/away")
    fixture.runtime.publish(snapshot(tables=[table(route("/", "gone"))]))
    fixture.call(answers=[])
    assert [call.status for call in fixture.heard.calls] == [200, 404, 503, 504, 200, 503]


def test_a_second_listener_hears_too() -> None:
    fixture = world()
    fixture.runtime.add_listener(fixture.heard)
    fixture.call()
    assert len(fixture.heard.calls) == 2


def test_failing_connections_leave_no_count() -> None:
    fixture = world()
    for _ in range(3):
        steps = fixture.steps()
        while isinstance(steps.action, OpenConnection | Sleep):
            steps.answer(Failure("connect-failure", "") if isinstance(steps.action, OpenConnection) else None)
        assert (steps.status, steps.flags, steps.call.attempts) == (503, "URX,UF", 3)
    assert fixture.counts() == (0, 0, 0, 0)
