"""Connections that nobody will use are closed, and only those."""

from __future__ import annotations

import asyncio
from typing import Any

from proxyless.governance.actions import Send
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.sweeping import leads_somewhere, sweep
from proxyless.xds.model.cluster import HttpProtocol, TransportSocket
from proxyless.xds.model.tls import UpstreamTls
from tests.support.model import CLUSTER, cluster, resource, route, table
from tests.support.world import World

MANY = 1000
ONE, TWO = "10.0.0.1:80", "10.0.0.2:80"


def world(*endpoints: str, **fields: Any) -> World:
    http = HttpProtocol(idle_timeout_s=fields.pop("idle_timeout_s", 60.0))
    return World(tables=[table(route("/", "a"))], clusters=[cluster("a", *endpoints, http=http, **fields)])


def update(fixture: World, *endpoints: str) -> None:
    http = fixture.cluster().config.http
    fixture.update(clusters={"a": resource(CLUSTER, "a", cluster("a", *endpoints, http=http))})


def still_open(fixture: World) -> list[bool]:
    return [each.open for each in fixture.connections]


def remembered(fixture: World) -> list[str]:
    return sorted(fixture.runtime.states["a"].hosts)


def test_what_has_been_idle_for_the_idle_timeout_is_closed() -> None:
    fixture = world(ONE)
    fixture.call()
    fixture.clock.advance(59.0)
    sweep(fixture.runtime, MANY)
    assert still_open(fixture) == [True]
    fixture.clock.advance(1.0)
    sweep(fixture.runtime, MANY)
    assert still_open(fixture) == [False]
    assert fixture.counts() == (0, 0, 0, 0)
    fixture.call()
    assert still_open(fixture) == [False, True]


def test_without_an_idle_timeout_connections_stay() -> None:
    fixture = world(ONE, idle_timeout_s=None)
    fixture.call()
    fixture.clock.advance(1e6)
    sweep(fixture.runtime, MANY)
    assert still_open(fixture) == [True]


def test_an_endpoint_that_is_gone_keeps_no_connection_and_is_forgotten() -> None:
    fixture = world(ONE, TWO)
    for _ in range(2):
        fixture.call()
    update(fixture, TWO)
    fixture.cluster()
    sweep(fixture.runtime, MANY)
    assert sorted(still_open(fixture)) == [False, True]
    assert remembered(fixture) == [TWO]
    assert fixture.counts() == (1, 0, 0, 0)


def test_a_call_under_way_to_an_endpoint_that_is_gone_ends_in_peace() -> None:
    fixture = world(ONE)
    steps = fixture.steps()
    steps.until(Send)
    update(fixture, TWO)
    fixture.cluster()
    sweep(fixture.runtime, MANY)
    assert still_open(fixture) == [True]
    assert remembered(fixture) == [ONE, TWO]
    steps.finish()
    assert steps.status == 200
    assert still_open(fixture) == [False], "what comes back to a place that is gone is closed"
    sweep(fixture.runtime, MANY)
    assert remembered(fixture) == [TWO]


def test_an_endpoint_that_comes_back_keeps_its_connections_again() -> None:
    fixture = world(ONE)
    steps = fixture.steps()
    steps.until(Send)
    update(fixture, TWO)
    fixture.cluster()
    sweep(fixture.runtime, MANY)
    update(fixture, ONE)
    fixture.call()
    steps.finish()
    assert still_open(fixture) == [True, True]
    assert fixture.counts() == (2, 0, 0, 0)


def test_a_cluster_that_is_gone_keeps_no_connection() -> None:
    fixture = world(ONE)
    fixture.call()
    fixture.update(clusters={})
    sweep(fixture.runtime, MANY)
    assert still_open(fixture) == [False]
    assert remembered(fixture) == []


def test_a_cluster_that_no_call_has_used_since_it_changed_is_left_alone() -> None:
    fixture = world(ONE)
    fixture.call()
    update(fixture, TWO)
    assert "a" not in fixture.runtime.plan.clusters
    sweep(fixture.runtime, MANY)
    assert still_open(fixture) == [True]


def test_dialled_addresses_are_nobodys_list() -> None:
    fixture = world(type="ORIGINAL_DST")
    fixture.call("http://10.9.9.9/")
    sweep(fixture.runtime, MANY)
    assert still_open(fixture) == [True]


def test_connections_of_an_event_loop_that_has_ended_are_given_up() -> None:
    fixture = world(ONE)
    loop = asyncio.new_event_loop()
    fixture.call(owner=loop)
    sweep(fixture.runtime, MANY)
    assert still_open(fixture) == [True]
    loop.close()
    sweep(fixture.runtime, MANY)
    assert fixture.counts() == (0, 0, 0, 0)
    made = fixture.cluster()
    assert isinstance(made, ClusterRuntime)
    assert not made.hosts[0].state.pools


def test_of_too_many_idle_connections_the_longest_idle_go() -> None:
    fixture = world(ONE, TWO, idle_timeout_s=None)
    for _ in range(2):
        fixture.call()
        fixture.clock.advance(1.0)
    sweep(fixture.runtime, 2)
    assert still_open(fixture) == [True, True]
    sweep(fixture.runtime, 1)
    assert still_open(fixture) == [False, True]


def test_pools_for_a_name_end_with_their_connections() -> None:
    """Where each Host is a name to ask for by TLS, there would be as many as somebody thinks of."""
    fixture = World(
        tables=[table(route("/", "a"))],
        clusters=[
            cluster(
                "a",
                ONE,
                http=HttpProtocol(idle_timeout_s=60.0, auto_sni=True),
                transport_socket=TransportSocket("tls", UpstreamTls()),
            )
        ],
    )
    fixture.runtime.tls = object()  # type: ignore[assignment]  # nobody opens anything here
    for number in range(5):
        fixture.call(f"http://h{number}.shop/")
    (pools,) = (host.pools for host in fixture.runtime.states["a"].hosts.values())
    assert len(pools) == 5
    steps = fixture.steps("http://late.shop/")
    sweep(fixture.runtime, MANY)
    assert len(pools) == 6
    fixture.clock.advance(60.0)
    sweep(fixture.runtime, MANY)
    assert len(pools) == 1
    steps.until(answers=[200])
    assert steps.status == 200
    fixture.clock.advance(60.0)
    sweep(fixture.runtime, MANY)
    assert (pools, any(still_open(fixture)), fixture.counts()) == ({}, False, (0, 0, 0, 0))


def test_those_that_filters_ask_are_looked_at_too() -> None:
    fixture = world(ONE, TWO)
    fixture.call()
    swept: list[bool] = []
    runtime = fixture.runtime
    runtime.on_sweep = lambda: swept.append(True)
    sweep(runtime, MANY)
    assert swept == [True]
    assert leads_somewhere(runtime, "a", ONE)
    assert not leads_somewhere(runtime, "b", ONE)
    update(fixture, TWO)
    assert runtime.plan.cluster("a") is not None
    assert (leads_somewhere(runtime, "a", ONE), leads_somewhere(runtime, "a", TWO)) == (False, True)
    runtime.states.clear()
    assert leads_somewhere(runtime, "a", ONE), "no request has gone there yet"
