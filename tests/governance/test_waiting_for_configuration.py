"""A call whose configuration is not there yet asks for it by name, and waits no longer than its caller does."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.actions import AwaitConfig, OpenConnection, Send
from proxyless.governance.plan import Missing, Plan
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.model.route import MirrorPolicy
from proxyless.xds.model.snapshot import Snapshot
from tests.support.model import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    ROUTE,
    assignment,
    bad,
    bad_vhost,
    chain,
    cluster,
    eds,
    http_filter,
    listener,
    manager,
    resource,
    route,
    snapshot,
    table,
    vhost,
)
from tests.support.world import World

ADDRESS = "10.0.0.1:80"


def waits(fixture: World, steps_url: str = "http://shop/") -> str:
    """What a new call waits for."""
    return fixture.steps(steps_url).wants(AwaitConfig).missing


def test_before_the_first_complete_configuration_a_call_waits_and_asks_for_nothing() -> None:
    fixture = World(Snapshot())
    steps = fixture.steps()
    assert steps.wants(AwaitConfig).missing == "the first complete configuration"
    assert fixture.asked == []
    fixture.runtime.publish(snapshot(tables=[table(route("/", "a"))], clusters=[cluster("a", ADDRESS)]))
    steps.answer()
    steps.finish()
    assert steps.status == 200


def test_a_route_table_is_asked_for_by_its_name() -> None:
    fixture = World(clusters=[cluster("a", ADDRESS)])
    steps = fixture.steps()
    assert steps.wants(AwaitConfig).missing == "route configuration '80'"
    assert fixture.asked == [(ROUTE, ("80",))]
    fixture.update(routes={"80": resource(ROUTE, "80", table(route("/", "a")))})
    steps.answer()
    steps.finish()
    assert (steps.status, fixture.asked) == (200, [(ROUTE, ("80",))])


def test_a_cluster_whose_endpoints_are_not_there_is_asked_for_once() -> None:
    fixture = World(tables=[table(route("/", "a"))], clusters=[eds("a", eds_service_name="service-a")])
    steps = fixture.steps()
    assert steps.wants(AwaitConfig).missing == "endpoints of cluster 'a'"
    assert fixture.asked == [(CLUSTER, ("a",))]
    fixture.update(assignments={"service-a": resource(ENDPOINT, "service-a", assignment("service-a", ADDRESS))})
    steps.answer()
    steps.finish()
    assert (steps.hosts, fixture.asked) == ([ADDRESS], [(CLUSTER, ("a",))])


def test_a_cluster_that_a_header_names_is_asked_for_too() -> None:
    fixture = World(tables=[table(route("/", "", cluster_header="x-to"))], clusters=[eds("a")])
    fixture.steps(headers=[("x-to", "a")]).wants(AwaitConfig)
    assert fixture.asked == [(CLUSTER, ("a",))]


def test_all_clusters_that_a_route_may_reach_are_asked_for_together() -> None:
    two = route("/", {"a": 80, "b": 20, "never": 0}, mirrors=(MirrorPolicy("m"), MirrorPolicy("b"), MirrorPolicy("")))
    fixture = World(tables=[table(two)], clusters=[eds(name) for name in "abm"])
    waits(fixture)
    assert fixture.asked[0] == (CLUSTER, ("a", "b", "m"))


def test_a_dns_cluster_waits_until_its_name_is_resolved() -> None:
    fixture = World(
        tables=[table(route("/", "a"))],
        clusters=[replace(cluster("a", "db.example.com:5432"), type="STRICT_DNS")],
    )
    steps = fixture.steps()
    steps.wants(AwaitConfig)
    assert fixture.asked == [(CLUSTER, ("a",))]
    fixture.update(resolved={"a": assignment("a", ADDRESS)})
    steps.answer()
    steps.finish()
    assert steps.hosts == [ADDRESS]


def test_a_filter_by_discovery_is_asked_for_by_its_name() -> None:
    fixture = World(
        tables=[table(route("/", "a"))],
        clusters=[cluster("a", ADDRESS)],
        filters=[http_filter("wasm", None, discovery="wasm")],
    )
    assert waits(fixture) == "filter wasm"
    assert fixture.asked == [(EXTENSION, ("wasm",))]


def test_what_comes_while_it_is_asked_for_is_not_waited_for() -> None:
    fixture = World(tables=[table(route("/", "a"))], clusters=[eds("a")])

    def arrives(type_: ResourceType, names: Collection[str]) -> None:
        if type_ is CLUSTER:
            fixture.update(assignments={"a": resource(ENDPOINT, "a", assignment("a", ADDRESS))})

    fixture.on_ask = arrives
    fixture.steps().wants(OpenConnection)


def test_what_comes_between_looking_and_waiting_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = World(tables=[table(route("/", "a"))], clusters=[eds("a")])
    look = Plan.cluster

    def arrives_behind_its_back(plan: Plan, name: str) -> Any:
        found = look(plan, name)
        if isinstance(found, Missing):
            fixture.update(assignments={"a": resource(ENDPOINT, "a", assignment("a", ADDRESS))})
        return found

    monkeypatch.setattr(Plan, "cluster", arrives_behind_its_back)
    fixture.steps().wants(OpenConnection)


def test_another_change_wakes_the_call_and_it_goes_on_waiting() -> None:
    fixture = World(tables=[table(route("/", "a"))], clusters=[eds("a")])
    steps = fixture.steps()
    seen = steps.wants(AwaitConfig).seen
    fixture.update(clusters={**fixture.runtime.plan.snapshot.clusters, "x": resource(CLUSTER, "x", cluster("x"))})
    steps.answer()
    again = steps.wants(AwaitConfig)
    assert (again.seen, again.started) == (seen + 1, steps.call.started)


def test_the_draw_of_a_cluster_is_not_repeated_while_it_is_waited_for() -> None:
    fixture = World(tables=[table(route("/", {"a": 1, "b": 1}))], clusters=[eds("a"), eds("b")], draws=[0.9, 0.1, 0.1])
    steps = fixture.steps()
    assert steps.wants(AwaitConfig).missing == "endpoints of cluster 'b'"
    fixture.update()
    steps.answer()
    assert steps.wants(AwaitConfig).missing == "endpoints of cluster 'b'"


@pytest.mark.parametrize(("waited_s", "deadline_s"), [(0.0, 2.0), (5.0, 7.0)])
def test_the_routes_timeout_begins_when_the_configuration_is_there(waited_s: float, deadline_s: float) -> None:
    fixture = World(tables=[table(route("/", "a", timeout_s=2.0))], clusters=[eds("a")])
    begin = fixture.clock.now
    steps = fixture.steps()
    fixture.clock.advance(waited_s)
    fixture.update(assignments={"a": resource(ENDPOINT, "a", assignment("a", ADDRESS))})
    steps.answer()
    steps.until(Send)
    assert steps.wants(Send).deadline == begin + deadline_s


def test_a_cluster_that_is_not_in_cds_is_not_waited_for() -> None:
    fixture = World(tables=[table(route("/", "gone"))])
    steps = fixture.call(answers=[])
    assert (steps.status, steps.flags, fixture.asked) == (503, "NC", [])


def test_a_cluster_in_cds_without_endpoints_is_uh() -> None:
    fixture = World(tables=[table(route("/", "a"))], clusters=[eds("a")], assignments=[assignment("a")])
    steps = fixture.call(answers=[])
    assert (steps.status, steps.flags) == (503, "UH")


def test_a_bad_cluster_is_one_that_cds_does_not_have() -> None:
    fixture = World(tables=[table(route("/", "a"))])
    fixture.update(clusters={"a": bad(CLUSTER, "a")})
    assert fixture.call(answers=[]).flags == "NC"


def test_a_bad_route_table_closes_what_it_routes_and_says_why() -> None:
    fixture = World()
    fixture.update(routes={"80": bad(ROUTE, "80", "duplicate domain")})
    steps = fixture.call(answers=[])
    assert steps.reply is not None
    assert (steps.status, steps.flags) == (503, "UF")
    assert b"duplicate domain" in steps.reply.body


def test_a_bad_virtual_host_closes_its_own_domains_only() -> None:
    fixture = World(
        tables=[table(bad_vhost("weights sum to zero", ["bad"]), vhost(route("/", "a")))],
        clusters=[cluster("a", ADDRESS)],
    )
    closed = fixture.call("http://bad/", answers=[])
    assert closed.reply is not None
    assert (closed.flags, b"weights sum to zero" in closed.reply.body) == ("UF", True)
    assert fixture.call("http://good/").status == 200


def test_bad_endpoints_fail_closed() -> None:
    fixture = World(tables=[table(route("/", "a"))], clusters=[eds("a")])
    fixture.update(assignments={"a": bad(ENDPOINT, "a", "no address")})
    assert fixture.call(answers=[]).flags == "UF"


def test_an_inline_table_needs_nothing() -> None:
    fixture = World(
        listeners=[listener("0.0.0.0_80", chain(manager(table(route("/", "a")))))], clusters=[cluster("a", ADDRESS)]
    )
    assert (fixture.call().status, fixture.asked) == (200, [])


def test_once_the_mesh_is_closed_nobody_waits() -> None:
    fixture = World(Snapshot())
    waiting = fixture.steps()
    assert waiting.wants(AwaitConfig).missing == "the first complete configuration"
    fixture.runtime.close()
    waiting.answer()
    late = fixture.call(answers=())
    for each in (waiting, late):
        assert (each.status, each.flags) == (503, "UF")
        assert each.reply is not None
        assert each.reply.body == b"the mesh was closed and does not hold the first complete configuration"
