"""Clusters that configure health checks: calls wait for the first round, keep away from who fails, and tell of who
wants to be left out."""

from __future__ import annotations

from typing import Any

from proxyless.governance.actions import AwaitConfig, Deliver, Head
from proxyless.governance.checking.answers import Answer, Failed, Passed
from proxyless.governance.checking.checker import Checker
from proxyless.governance.plan import Missing
from proxyless.xds.model.health_check import HealthCheck, TcpCheck
from tests.support.model import CLUSTER, cluster, resource, route, table
from tests.support.world import World

CHECK = HealthCheck(TcpCheck())


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def world(check: HealthCheck | None = CHECK, **fields: Any) -> tuple[World, Wakes]:
    made = cluster("a", "10.0.0.1:80", "10.0.0.2:80", health_check=check, **fields)
    one, wakes = World(tables=[table(route("/", "a"))], clusters=[made]), Wakes()
    one.runtime.on_checks = wakes
    return one, wakes


def checker(one: World) -> Checker:
    found = one.runtime.states["a"].checker
    assert found is not None
    return found


def report(one: World, **answers: Answer) -> None:
    """What the first host (`a`) and the second (`b`) answer."""
    for session in checker(one).take_due(one.clock.now):
        checker(one).report(session, answers["a" if session.host.address == "10.0.0.1:80" else "b"])


def test_a_call_waits_until_everybody_was_asked_and_goes_to_who_passed() -> None:
    one, wakes = world()
    steps = one.steps()
    assert isinstance(steps.action, AwaitConfig)
    assert "health" in steps.action.missing
    assert wakes.count
    report(one, a=Failed("network"), b=Passed())
    steps.answer()
    steps.finish()
    assert steps.hosts == ["10.0.0.2:80"]
    assert one.call().hosts == ["10.0.0.2:80"]


def test_where_nobody_asks_nobody_is_asked() -> None:
    one, _ = world()
    one.runtime.on_checks = None
    assert len(one.call().hosts) == 1
    assert one.runtime.states["a"].checker is None


def test_a_cluster_without_checks_costs_nothing() -> None:
    one, wakes = world(None)
    one.call()
    assert one.runtime.states["a"].checker is None
    assert not wakes.count


def test_an_update_of_the_cluster_does_not_make_calls_wait_again() -> None:
    one, _ = world()
    assert isinstance(one.runtime.plan.cluster("a"), Missing)
    report(one, a=Passed(), b=Passed())
    made = cluster("a", "10.0.0.1:80", "10.0.0.3:80", health_check=CHECK)
    one.update(clusters={"a": resource(CLUSTER, "a", made)})
    assert {one.call().hosts[0] for _ in range(4)} == {"10.0.0.1:80"}


def test_a_cluster_that_loses_its_checks_has_all_its_hosts() -> None:
    one, _ = world()
    one.runtime.plan.cluster("a")
    report(one, a=Failed("network"), b=Passed())
    made = cluster("a", "10.0.0.1:80", "10.0.0.2:80")
    one.update(clusters={"a": resource(CLUSTER, "a", made)})
    assert {one.call().hosts[0] for _ in range(4)} == {"10.0.0.1:80", "10.0.0.2:80"}


def test_traffic_shortens_the_interval() -> None:
    one, _ = world()
    one.runtime.plan.cluster("a")
    report(one, a=Passed(), b=Passed())
    assert checker(one).next_due() == one.clock.now + 60.0
    one.clock.now = checker(one).next_due()
    one.call()
    report(one, a=Passed(), b=Passed())
    assert checker(one).next_due() == one.clock.now + 1.0


def test_a_response_may_want_its_host_left_out() -> None:
    one, _ = world()
    one.runtime.plan.cluster("a")
    report(one, a=Passed(), b=Passed())
    steps = one.steps()
    steps.until(Deliver, answers=[Head(200, [(b"X-Envoy-Immediate-Health-Check-Fail", b"true")], None)])
    steps.finish([])
    (left_out,) = steps.hosts
    assert {one.call().hosts[0] for _ in range(4)} == {"10.0.0.1:80", "10.0.0.2:80"} - {left_out}
    one.call(answers=["reset"])
