"""Hosts and paths that are rewritten by formats, templates and endpoints (docs/envoy-facts.md, "Rewrites")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.governance.redirects import Redirect
from proxyless.governance.request import RequestView
from proxyless.governance.route_table import RouteTable
from proxyless.governance.templates import TemplateRewrite
from proxyless.xds.model.filters import HttpFilter, RouterFilter
from proxyless.xds.model.matchers import PathMatcher
from proxyless.xds.model.route import RedirectAction, RouteAction, RouteMatch, WeightedCluster
from tests.support.model import chain, cluster, listener, manager, route, table, vhost
from tests.support.world import World

CLUSTERS = [cluster("a", "10.0.0.1:80")]


def world(path: Any = "/", quiet: bool = False, **action: Any) -> World:
    filters = (HttpFilter("router", RouterFilter(suppress_envoy_headers=quiet)),)
    made = route(path, "a", **action)
    listeners = [listener("0.0.0.0_80", chain(manager("80", *filters)))]
    return World(tables=[table(vhost(made))], listeners=listeners, clusters=CLUSTERS)


def went(made: World, path: str = "/p?q", **headers: str) -> tuple[str, str, dict[str, str]]:
    """Host, path and headers of what was sent."""
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    (sent,) = made.call(f"http://shop{path}", [200], headers=named).sent()
    said = {name.decode(): value.decode() for name, value in sent.headers}
    return sent.authority.decode(), sent.path.decode(), said


def test_a_path_may_be_a_format() -> None:
    assert went(world(path_format="/x/%REQ(x-t)%"), x_t="1")[1] == "/x/1?q"
    assert went(world(path_format="/fixed"))[1] == "/fixed?q"
    assert went(world(path_format="%REQ(x-t)%"))[1] == "/p?q", "nothing is no path"


def test_a_host_may_be_a_format() -> None:
    assert went(world(host_format="%REQ(x-h)%.svc"), x_h="a")[0] == "a.svc"
    assert went(world(host_format="%REQ(x-h)%"))[0] == "-"


@pytest.mark.parametrize("field", ["path_format", "host_format"])
def test_a_rewrite_that_cannot_be_made_sends_nothing(field: str) -> None:
    fields: dict[str, Any] = {field: "%CEL(x)%"}
    made = world(**fields).call("http://shop/", [])
    assert made.reply is not None
    assert (made.reply.status, made.reply.flags) == (503, ("UF",))


def test_the_host_before_is_forwarded_once() -> None:
    said = went(world(host_rewrite="other", append_x_forwarded_host=True))[2]
    assert (said["x-forwarded-host"], said["x-envoy-original-host"]) == ("shop", "shop")
    said = went(world(host_rewrite="other", append_x_forwarded_host=True), x_forwarded_host="first")[2]
    assert said["x-forwarded-host"] == "first,shop"
    said = went(world(host_rewrite="other", append_x_forwarded_host=True), x_forwarded_host="first,shop")[2]
    assert said["x-forwarded-host"] == "first,shop"


def test_a_router_may_be_quiet() -> None:
    said = went(world(quiet=True, host_rewrite="other", prefix_rewrite="/new", timeout_s=1.0))[2]
    assert not [name for name in said if name.startswith("x-envoy")]


def test_a_template_puts_its_variables_elsewhere() -> None:
    rewrite = TemplateRewrite("/(?P<a>[^/]+)/(?P<b>.*)", "/r/{b}/{a}")
    assert rewrite(b"/1/2/3") == b"/r/2/3/1"
    assert rewrite(b"x") is None
    by_template = RouteMatch(PathMatcher("uri_template", "/(?P<a>[^/]+)"))
    assert went(world(by_template, path_template="/new/{a}"), "/p?q")[1] == "/new/p?q"


def test_a_redirect_may_go_to_a_format() -> None:
    request = RequestView(b"GET", b"http", b"shop", b"/p?q", [(b"x-t", b"1")])
    there = Redirect(RedirectAction(path_format="/x/%REQ(x-t)%"), PathMatcher("prefix", "/"))
    assert there.location(request) == b"http://shop/x/1?q"
    assert there.rewritten(request).path == b"/x/1?q"
    assert (
        Redirect(RedirectAction(path_format="/z"), PathMatcher("prefix", "/")).location(request) == b"http://shop/z?q"
    )


def test_a_redirect_to_what_cannot_be_said_is_closed() -> None:
    hosts = [vhost(route("/", RedirectAction(path_format="%CEL(x)%")))]
    made = World(tables=[table(*hosts)], listeners=[listener("0.0.0.0_80", chain(manager("80")))], clusters=CLUSTERS)
    reply = made.call("http://shop/", []).reply
    assert reply is not None
    assert reply.status == 503


def test_a_header_may_name_the_virtual_host() -> None:
    hosts = RouteTable(table(vhost(route("/"), name="one", domains=("one",)), vhost_header="X-Vhost"))
    for name, found in ((b"one", True), (b"ONE", True), (b"two", False)):
        request = RequestView(b"GET", b"http", b"shop", b"/", [(b"x-vhost", name)])
        assert (hosts.of(request) is not None) == found
    assert hosts.of(RequestView(b"GET", b"http", b"one", b"/")) is None
    plain = RouteTable(table(vhost(route("/"), name="one", domains=("one",))))
    assert plain.of(RequestView(b"GET", b"http", b"one", b"/")) is not None


def test_parameters_of_a_path_may_be_left_out_of_matches() -> None:
    for ignored, found in ((True, True), (False, False)):
        hosts = RouteTable(
            table(vhost(route(RouteMatch(PathMatcher("path", "/a")))), ignore_path_parameters_in_path_matching=ignored)
        ).find(b"shop")
        assert hosts is not None
        view = RequestView(b"GET", b"http", b"shop", b"/a;x=1?q")
        assert (hosts.match(view, lambda: 0.0) is not None) == found


def test_an_endpoint_may_give_the_host_its_name() -> None:
    given = cluster("a", "10.0.0.1:80")
    assert given.load_assignment is not None
    (locality,) = given.load_assignment.localities
    named = replace(locality, endpoints=tuple(replace(each, hostname="its.name") for each in locality.endpoints))
    own = replace(given, load_assignment=replace(given.load_assignment, localities=(named,)))
    made = world(auto_host_rewrite=True)
    listeners = [listener("0.0.0.0_80", chain(manager("80")))]
    tables = [table(vhost(route("/", "a", auto_host_rewrite=True, append_x_forwarded_host=True)))]
    host, _, said = went(World(tables=tables, listeners=listeners, clusters=[own]))
    assert (host, said["x-forwarded-host"], said["x-envoy-original-host"]) == ("its.name", "shop", "shop")
    assert went(made)[0] == "shop"


def test_a_cluster_that_is_drawn_keeps_its_own_host() -> None:
    drawn = RouteAction(weighted_clusters=(WeightedCluster("a", 1, host_rewrite="own"),), append_x_forwarded_host=True)
    listeners = [listener("0.0.0.0_80", chain(manager("80")))]
    made = World(tables=[table(vhost(route("/", drawn)))], listeners=listeners, clusters=CLUSTERS)
    assert went(made)[0] == "own"
