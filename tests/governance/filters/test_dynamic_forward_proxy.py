"""Requests that go where their own Host says."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import Ask
from proxyless.xds.model.cluster import Cluster, TransportSocket
from proxyless.xds.model.dns import DnsCache
from proxyless.xds.model.filters import DisabledFilter, DynamicForwardProxy, DynamicForwardProxyRoute, FilterConfig
from proxyless.xds.model.route import DirectResponseAction
from proxyless.xds.model.tls import UpstreamTls
from tests.support.model import http_filter, route, table
from tests.support.world import Steps, World

NAME = "envoy.filters.http.dynamic_forward_proxy"


def world(
    per_route: FilterConfig | None = None, *, cache: DnsCache = DnsCache("c"), kind: Any = None, **fields: Any
) -> World:
    filters = {NAME: per_route} if per_route is not None else {}
    config = Cluster("a", type=kind or "DYNAMIC_FORWARD_PROXY", lb_policy="CLUSTER_PROVIDED", dns_cache=cache, **fields)
    return World(
        tables=[table(route("/direct", DirectResponseAction(200)), route("/", "a", filters=filters))],
        clusters=[config],
        filters=[http_filter(NAME, DynamicForwardProxy(cache))],
    )


def call(fixture: World, answer: Any, url: str = "http://Out.test/", **request: Any) -> Steps:
    steps = fixture.steps(url, **request)
    steps.wants(Ask)
    steps.answer(answer)
    steps.finish()
    return steps


def test_a_request_goes_to_the_address_of_its_host() -> None:
    fixture = world()
    steps = call(fixture, (("10.9.0.1", "10.9.0.2"), None))
    asked = steps.trace[0]
    assert isinstance(asked, Ask)
    assert (asked.request[0], asked.timeout_s) == ("out.test", 5.0)
    assert (steps.hosts, steps.sent()[0].authority) == (["10.9.0.1:80"], b"Out.test")
    again = fixture.call("http://out.test/")
    assert again.hosts == ["10.9.0.1:80"]  # nobody was asked


@pytest.mark.parametrize("answer", [(None, None), ((), 5.0)])
def test_a_host_without_an_address_is_df(answer: Any) -> None:
    fixture = world()
    steps = call_without(fixture, answer)
    assert (steps.status, steps.flags) == (503, "DF")
    assert steps.reply is not None
    assert steps.reply.body == b"DNS resolution failure"
    assert fixture.call("http://out.test/", answers=[]).flags == "DF"


def call_without(fixture: World, answer: Any) -> Steps:
    steps = fixture.steps("http://out.test/")
    steps.answer(answer)
    return steps


def test_a_caller_who_leaves_makes_room_for_another() -> None:
    fixture = world(cache=DnsCache("c", max_pending=1))
    steps = fixture.steps("http://out.test/")
    busy = fixture.call("http://other.test/", answers=[])
    assert (busy.status, busy.flags) == (503, "-")
    assert busy.reply is not None
    assert busy.reply.body == b"Dynamic forward proxy pending request overflow"
    steps.close()
    assert isinstance(fixture.steps("http://other.test/").action, Ask)


def test_so_many_hosts_fit_in() -> None:
    fixture = world(cache=DnsCache("c", max_hosts=1))
    call(fixture, (("10.9.0.1",), None))
    full = fixture.call("http://other.test/", answers=[])
    assert full.reply is not None
    assert full.reply.body == b"DNS cache overflow"


@pytest.mark.parametrize(
    ("per_route", "asked", "port"),
    [
        (DynamicForwardProxyRoute(host_rewrite="new.test:8080"), "new.test", 8080),
        (DynamicForwardProxyRoute(host_rewrite_header="X-Host"), "by.test", 80),
        (DynamicForwardProxyRoute(host_rewrite_header="x-none"), "out.test", 80),
    ],
)
def test_a_route_may_say_another_host(per_route: FilterConfig, asked: str, port: int) -> None:
    steps = call(world(per_route), (("10.9.0.1",), None), headers=[("x-host", "by.test")])
    assert isinstance(steps.trace[0], Ask)
    assert steps.trace[0].request[0] == asked
    assert steps.hosts == [f"10.9.0.1:{port}"]


def test_behind_tls_the_port_is_another() -> None:
    fixture = world(transport_socket=TransportSocket("tls", UpstreamTls()))
    steps = fixture.steps("http://out.test/")
    steps.answer((("10.9.0.1",), None))
    assert steps.call.host is not None
    assert steps.call.host.address == "10.9.0.1:443"


def test_a_request_without_a_host_is_bad() -> None:
    steps = world().call("http://out.test/", answers=[], headers=[("host", "")])
    assert (steps.status, steps.reply and steps.reply.body) == (400, b"Empty host header")


def test_other_requests_are_nothing_to_it() -> None:
    assert world().call("http://out.test/direct", answers=[]).status == 200
    assert world(kind="STATIC").call("http://out.test/", answers=[]).flags == "UH"
    assert world(DisabledFilter()).call("http://out.test/", answers=[]).flags == "UH"
    gone = world()
    gone.update(clusters={})
    assert gone.call("http://out.test/", answers=[]).flags == "NC"


def test_a_filter_that_is_switched_off_finds_no_host() -> None:
    fixture = world()
    off = http_filter(NAME, DynamicForwardProxy(DnsCache("c")), disabled=True)
    config = Cluster("a", type="DYNAMIC_FORWARD_PROXY", lb_policy="CLUSTER_PROVIDED", dns_cache=DnsCache("c"))
    fixture = World(tables=[table(route("/", "a"))], clusters=[config], filters=[off])
    assert fixture.call("http://out.test/", answers=[]).flags == "UH"


def test_where_nobody_is_asked_the_name_stands_for_its_address() -> None:
    steps = call(world(), None)
    assert steps.hosts == ["out.test:80"]
