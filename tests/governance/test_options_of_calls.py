"""What few calls meet: options of connection managers and clusters that istiod does not set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proxyless.governance.actions import Race
from proxyless.governance.call import OutgoingCall
from proxyless.governance.request import RequestView
from proxyless.xds.model.filters import LocalRateLimit
from proxyless.xds.model.forwarding import SIDECAR
from proxyless.xds.model.matchers import PathMatcher, TlsMatcher
from proxyless.xds.model.route import DirectResponseAction, RouteMatch
from proxyless.xds.model.values import Address
from tests.support.model import (
    CLUSTER,
    ENDPOINT,
    assignment,
    bad,
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
OFF = http_filter("limit", LocalRateLimit("x"))


def world(*routes: object, via: str = "", **fields: object) -> World:
    http = manager(table(*routes, **fields), OFF, forwarding=replace(SIDECAR, via=via))  # type: ignore[arg-type]
    return World(listeners=[listener("0.0.0.0_80", chain(http))], clusters=[cluster("a", ADDRESS)])


def test_via_goes_onto_every_response() -> None:
    fixture = world(route("/teapot", DirectResponseAction(418)), route("/", "a"), via="mesh")
    served, own = fixture.call("http://shop/"), fixture.call("http://shop/teapot", answers=[])
    assert served.head is not None
    assert own.reply is not None
    assert (b"via", b"mesh") in served.head.headers
    assert (b"via", b"mesh") in own.reply.headers


def test_another_header_may_name_the_virtual_host() -> None:
    hosts = (vhost(route("/", "a"), domains=["one"]), vhost(route("/", DirectResponseAction(418)), domains=["two"]))
    fixture = world(*hosts, vhost_header="X-Host")
    assert fixture.call("http://two/", headers=[("x-host", "one")]).status == 200
    assert fixture.call("http://one/", answers=[], headers=[("x-host", "two")]).status == 418


def test_a_route_may_want_tls_from_the_program() -> None:
    tls = RouteMatch(PathMatcher("prefix", "/"), tls=TlsMatcher(presented=True))
    fixture = world(route(tls, DirectResponseAction(418)), route("/", "a"))
    assert fixture.call("http://shop/").status == 200


def test_a_request_may_say_where_it_comes_from() -> None:
    view = RequestView(b"GET", b"http", b"shop", b"/", [], "192.0.2.1")
    call = OutgoingCall(world(route("/", "a")).runtime, "test", view, b"shop", 80)
    assert call.request.source == "192.0.2.1"


def test_connections_are_given_up_when_the_endpoints_change_where_the_cluster_says_so() -> None:
    held = snapshot(
        tables=[table(route("/", "a"))],
        clusters=[eds("a", drains_on_change=True)],
        assignments=[assignment("a", ADDRESS)],
    )
    fixture = World(held)
    fixture.call("http://shop/")
    (made,) = fixture.connections
    assert made.open
    fixture.update(assignments={"a": resource(ENDPOINT, "a", assignment("a", ADDRESS, "10.0.0.2:80"))})
    fixture.cluster()
    assert not made.open


def test_a_tick_looks_at_clusters_with_and_without_detectors() -> None:
    fixture = world(route("/", "a"))
    fixture.call("http://shop/")
    fixture.runtime.tick()
    assert fixture.runtime.states["a"].detector is None


@pytest.mark.parametrize(
    ("address", "path", "text"),
    [
        (Address("/run/a.sock", 0), "/run/a.sock", "/run/a.sock"),
        (Address("@a", 0), "\0a", "@a"),
        (Address("10.0.0.1", 80), "", "10.0.0.1:80"),
        (Address("10.0.0.1", 0), "", "10.0.0.1:0"),
        (Address("fd00::1", 80), "", "[fd00::1]:80"),
    ],
)
def test_an_address_may_be_a_unix_socket(address: Address, path: str, text: str) -> None:
    assert (address.unix, str(address)) == (path, text)


def test_a_race_tells_whoever_waits() -> None:
    race, woken = Race(), []
    race.put("nobody waits")
    race.wake = lambda: woken.append(1)
    race.put("somebody does")
    assert (list(race.events), woken) == (["nobody waits", "somebody does"], [1])


def test_a_cluster_that_envoy_would_refuse_is_not_configured() -> None:
    fixture = world(route("/", "a"))
    fixture.update(clusters={"a": bad(CLUSTER, "a")})
    assert fixture.runtime.plan.configured("a") is None
