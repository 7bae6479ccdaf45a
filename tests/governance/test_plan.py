"""A snapshot compiled as far as it is used, and what the next one takes over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from proxyless.governance import plan as module
from proxyless.governance.hello import ISTIO
from proxyless.governance.http_runtime import HttpRuntime
from proxyless.governance.plan import OPAQUE, BadAuthorityError, Destination, Missing
from proxyless.governance.request import RequestView
from proxyless.governance.route_table import RouteTable
from proxyless.governance.runtime import Options
from proxyless.xds.model.filters import InertFilter
from proxyless.xds.model.listener import TcpProxy
from proxyless.xds.model.names import NameTable
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.model.values import Cidr
from tests.support.model import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    ROUTE,
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


def went(fixture: World, host: str = "shop", port: int = 80, scheme: bytes = b"http") -> Destination:
    found = fixture.runtime.plan.destination(scheme, host.encode(), port)
    assert isinstance(found, Destination)
    return found


def tcp(name: str) -> Any:
    return chain(TcpProxy(name), name)


LISTENERS = [
    listener("10.96.0.1_80", tcp("vip")),
    listener("0.0.0.0_80", tcp("port")),
    listener("virtualOutbound", tcp("rest")),
]
NAMES = {"shop.ns.svc.cluster.local": "10.96.0.1", "other": "10.96.0.2"}


@pytest.mark.parametrize(
    ("host", "port", "cluster_name", "resolved", "by"),
    [
        ("shop", 80, "vip", "10.96.0.1", "name_table"),
        ("SHOP.ns", 80, "vip", "10.96.0.1", "name_table"),
        ("shop.ns.svc.cluster.local.", 80, "vip", "10.96.0.1", "name_table"),
        ("10.96.0.1", 80, "vip", "10.96.0.1", "literal"),
        ("other", 80, "port", "10.96.0.2", "name_table"),
        ("unknown.example.com", 80, "port", None, None),
        ("shop", 81, "rest", "10.96.0.1", "name_table"),
        ("unknown.example.com", 81, "rest", None, None),
        ("[fd00::1]", 80, "port", "fd00::1", "literal"),
        ("forced", 80, "vip", "10.96.0.1", "literal"),
    ],
)
def test_the_dialled_address_selects_the_listener(
    host: str, port: int, cluster_name: str, resolved: str | None, by: str | None
) -> None:
    options = Options(search=("svc.cluster.local", "ns.svc.cluster.local"), overrides={"forced": "10.96.0.1"})
    found = went(World(listeners=LISTENERS, names=NAMES, options=options), host, port)
    assert (found.cluster, found.resolved, found.resolved_by, found.kind) == (cluster_name, resolved, by, "tcp")


def test_what_the_connection_is_selects_the_chain() -> None:
    one = listener(
        "virtualOutbound",
        chain(TcpProxy("tls"), "tls", server_names=("shop",), transport_protocol="tls"),
        chain(TcpProxy("http"), "http", application_protocols=("http/1.1",)),
        chain(TcpProxy("rest"), "rest"),
    )
    fixture = World(listeners=[one])
    assert [went(fixture, "shop", 443, scheme).cluster for scheme in (b"https", b"http", OPAQUE)] == [
        "tls",
        "http",
        "rest",
    ]
    assert went(fixture, "other", 443, b"https").cluster == "rest"


def test_a_destination_is_found_once() -> None:
    fixture = World(listeners=LISTENERS, names=NAMES)
    assert went(fixture) is went(fixture)
    assert went(fixture, scheme=b"https") is not went(fixture)


def asked(authority: bytes) -> RequestView:
    return RequestView(b"GET", b"http", authority, b"/")


def test_remembered_destinations_and_hosts_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DESTINATIONS", 3)
    fixture = World(listeners=LISTENERS)
    for number in range(20):
        went(fixture, f"host{number}")
    assert len(fixture.runtime.plan._destinations) <= 4
    found, hosts = went(fixture), RouteTable(table(route()))
    for number in range(20):
        assert found.virtual_host(asked(b"host%d" % number), hosts) is found.virtual_host(asked(b"other"), hosts)
    assert len(found.hosts) <= 4


@pytest.mark.parametrize("authority", [b"caf\xc3\xa9", b"a b", b'a"b', b"a/b"])
def test_an_authority_that_envoys_codec_refuses_is_refused_every_time(authority: bytes) -> None:
    found, hosts = went(World(listeners=LISTENERS)), RouteTable(table(route()))
    for _ in range(2):
        with pytest.raises(BadAuthorityError):
            found.virtual_host(asked(authority), hosts)


def test_a_bad_listener_refuses_what_it_takes_and_says_why() -> None:
    fixture = World()
    fixture.update(listeners={"0.0.0.0_80": bad(LISTENER, "0.0.0.0_80", "no address")})
    found = went(fixture)
    assert (found.kind, found.listener) == ("refused", "0.0.0.0_80")
    assert "no address" in found.reason


@pytest.mark.parametrize(("draw", "name"), [(0.0, "a"), (0.69, "a"), (0.7, "b"), (0.999, "b")])
def test_the_weighted_clusters_of_a_tcp_chain_are_drawn_for_each_connection(draw: float, name: str) -> None:
    weighted = TcpProxy(weighted_clusters=(("a", 7), ("never", 0), ("b", 3)))
    fixture = World(
        listeners=[listener("virtualOutbound", chain(weighted))],
        clusters=[cluster(each, ADDRESS) for each in ("a", "b", "never")],
        draws=[draw],
    )
    steps = fixture.call("https://db/")
    assert steps.call.cluster is fixture.cluster(name)


@pytest.mark.parametrize(("draw", "labels"), [(0.0, {"stage": "prod", "v": "1"}), (0.9, {"stage": "prod"})])
def test_a_weighted_cluster_of_a_tcp_chain_adds_its_own_metadata(draw: float, labels: dict[str, str]) -> None:
    weighted = TcpProxy(
        weighted_clusters=(("a", 7), ("b", 3)),
        weighted_metadata=({"v": "1"}, {}),
        metadata_match={"stage": "prod", "v": "0"} if draw < 0.5 else {"stage": "prod"},
    )
    fixture = World(
        listeners=[listener("virtualOutbound", chain(weighted))],
        clusters=[cluster(each, ADDRESS) for each in ("a", "b")],
        draws=[draw],
    )
    route = fixture.call("https://db/").call.bypass
    assert route is not None
    assert route.proxy.metadata_match == labels


def test_a_tcp_chain_without_a_cluster_leads_nowhere() -> None:
    steps = World(listeners=[listener("virtualOutbound", chain(TcpProxy()))]).call(answers=[])
    assert steps.flags == "NC"


SEARCH = Options(search=("shop.svc.cluster.local", "svc.cluster.local"))


@pytest.mark.parametrize("host", ["cart", "Cart", "cart.shop", "cart.shop.svc.cluster.local", "cart.shop."])
def test_of_the_light_profile_the_listener_of_the_hosts_own_name_is_taken(host: str) -> None:
    api = chain(manager(table(route("/", "a"))))
    names = ("cart.shop.svc.cluster.local:8080", "cart.shop.svc.cluster.local:80")
    fixture = World(
        listeners=[listener(each, api_listener=api) for each in names],
        clusters=[cluster("a", ADDRESS)],
        options=SEARCH,
    )
    steps = fixture.call(f"http://{host}/")
    assert steps.call.destination is not None
    assert (steps.status, steps.call.destination.listener) == (200, "cart.shop.svc.cluster.local:80")


@pytest.mark.parametrize("url", ["http://cart:81/", "http://other/", "https://cart:80/"])
def test_and_nothing_else_is_let_through(url: str) -> None:
    api = chain(manager(table(route("/", "a"))))
    fixture = World(listeners=[listener("cart.shop.svc.cluster.local:80", api_listener=api)], options=SEARCH)
    assert fixture.call(url, answers=()).flags == "UF"


def test_a_bad_listener_of_the_hosts_own_name_refuses_too() -> None:
    fixture = World(options=SEARCH)
    fixture.update(listeners={"cart:80": bad(LISTENER, "cart:80", "no address")})
    steps = fixture.call("http://cart/", answers=())
    assert steps.reply is not None
    assert (steps.flags, b"no address" in steps.reply.body) == ("UF", True)


# What the next plan takes over.


def base() -> World:
    """Two clusters by EDS, two tables, two listeners; everything in use."""
    fixture = World(
        listeners=[
            listener("0.0.0.0_80", chain(manager("80"))),
            listener("0.0.0.0_81", chain(manager("81", http_filter("x", None, discovery="x")))),
        ],
        tables=[table(vhost(route("/", "a")), name="80"), table(vhost(route("/", "b")), name="81")],
        clusters=[eds("a"), eds("b")],
        assignments=[assignment("a", ADDRESS), assignment("b", ADDRESS)],
        extensions={"x": resource(EXTENSION, "x", InertFilter())},
        names={"shop": "10.96.0.1"},
    )
    assert [fixture.call(url).status for url in ("http://shop/", "http://shop:81/")] == [200, 200]
    return fixture


def parts(fixture: World) -> dict[str, Any]:
    """Everything that is compiled, by name."""
    plan = fixture.runtime.plan
    compiled: dict[str, Any] = {f"cluster {name}": plan.clusters.get(name) for name in "ab"}
    for port in (80, 81):
        hosts = plan.table(str(port))
        assert isinstance(hosts, RouteTable)
        compiled[f"table {port}"] = hosts
        compiled[f"host {port}"] = hosts.find(b"shop")
        found = plan._destinations.get((b"http", b"shop", port))
        compiled[f"destination {port}"] = found
    compiled["managers"] = tuple(map(id, plan.http_runtimes()))
    return compiled


def changed(update: Update) -> set[str]:
    """What is compiled anew, or gone, when something changes."""
    fixture = base()
    before = parts(fixture)
    fixture.update(**update(fixture.runtime.plan.snapshot))
    after = parts(fixture)
    return {name for name in before if before[name] is not after[name] and before[name] != after[name]}


DESTINATIONS = {"destination 80", "destination 81"}
Update = Callable[[Snapshot], dict[str, Any]]


def endpoints(*addresses: str) -> Any:
    return resource(ENDPOINT, "a", assignment("a", *addresses))


def routes(*hosts: Any, name: str = "80") -> Any:
    return resource(ROUTE, name, table(*hosts, name=name))


CHANGES: dict[str, tuple[Update, set[str]]] = {
    "nothing": (lambda old: {}, set()),
    "generation": (lambda old: {"generation": 9}, set()),
    "the same endpoints": (lambda old: {"assignments": {**old.assignments}}, set()),
    "endpoints of another": (lambda old: {"assignments": {**old.assignments, "c": endpoints()}}, set()),
    "endpoints": (lambda old: {"assignments": {**old.assignments, "a": endpoints()}}, {"cluster a"}),
    "endpoints gone": (lambda old: {"assignments": {"b": old.assignments["b"]}}, {"cluster a"}),
    "another cluster": (lambda old: {"clusters": {**old.clusters, "c": resource(CLUSTER, "c", eds("c"))}}, set()),
    "cluster": (lambda old: {"clusters": {**old.clusters, "a": resource(CLUSTER, "a", eds("a"))}}, {"cluster a"}),
    "cluster gone": (lambda old: {"clusters": {"b": old.clusters["b"]}}, {"cluster a"}),
    "another table": (lambda old: {"routes": {**old.routes, "82": routes(name="82")}}, DESTINATIONS),
    "table, its hosts the same": (
        lambda old: {"routes": {**old.routes, "80": routes(*old.routes["80"].get().virtual_hosts)}},
        {"table 80"} | DESTINATIONS,
    ),
    "table": (
        lambda old: {"routes": {**old.routes, "80": routes(vhost(route("/", "b")))}},
        {"table 80", "host 80"} | DESTINATIONS,
    ),
    "names": (lambda old: {"names": NameTable({"shop": ("10.96.0.1",)})}, DESTINATIONS),
    "the same listeners": (lambda old: {"listeners": {**old.listeners}}, DESTINATIONS),
    "filters": (lambda old: {"extensions": {**old.extensions}}, DESTINATIONS | {"managers"}),
}


@pytest.mark.parametrize(("update", "anew"), CHANGES.values(), ids=CHANGES)
def test_only_what_rests_on_a_change_is_compiled_anew(update: Update, anew: set[str]) -> None:
    assert changed(update) == anew


def test_the_managers_of_listeners_that_did_not_change_stay_and_the_others_go() -> None:
    fixture = base()
    first = {each.scope: each for each in fixture.runtime.plan.http_runtimes()}
    listeners = dict(fixture.runtime.plan.snapshot.listeners)
    for _ in range(50):
        listeners["0.0.0.0_80"] = resource(LISTENER, "0.0.0.0_80", listener("0.0.0.0_80", chain(manager("80"))))
        fixture.update(listeners=dict(listeners))
        fixture.call("http://shop/")
        fixture.call("http://shop:81/")
    now = {each.scope: each for each in fixture.runtime.plan.http_runtimes()}
    assert len(fixture.runtime.plan.http_runtimes()) == 2
    assert now["0.0.0.0_81/"] is first["0.0.0.0_81/"]
    assert now["0.0.0.0_80/"] is not first["0.0.0.0_80/"]


def test_a_plan_keeps_serving_the_calls_that_began_with_it() -> None:
    fixture = base()
    old = fixture.runtime.plan
    fixture.runtime.publish(snapshot())
    found = old.destination(b"http", b"shop", 80)
    assert isinstance(found, Destination)
    assert isinstance(found.http, HttpRuntime)
    assert old.cluster("a") is old.clusters["a"]


def test_a_partial_push_of_one_table_leaves_the_policies_of_others() -> None:
    """peers.md, kitex: it removed every other service's retry policy."""
    fixture = base()
    routes = dict(fixture.runtime.plan.snapshot.routes)
    before = fixture.runtime.plan.table("81")
    fixture.update(routes={**routes, "80": resource(ROUTE, "80", table(vhost(route("/", "a"))))})
    assert fixture.runtime.plan.table("81") is before


def test_a_table_whose_next_version_is_bad_keeps_the_one_before() -> None:
    fixture = base()
    routes = dict(fixture.runtime.plan.snapshot.routes)
    fixture.update(routes={**routes, "80": bad(ROUTE, "80", previous=routes["80"])})
    assert fixture.call("http://shop/").status == 200


def test_a_table_that_comes_back_bad_closes_its_own_calls_and_nothing_else() -> None:
    fixture = base()
    routes = dict(fixture.runtime.plan.snapshot.routes)
    fixture.update(routes={**routes, "80": bad(ROUTE, "80", "duplicate domain")})
    assert fixture.call("http://shop/", answers=[]).flags == "UF"
    assert fixture.call("http://shop:81/").status == 200


def test_a_cluster_whose_next_version_is_bad_keeps_the_one_before() -> None:
    fixture = base()
    clusters = dict(fixture.runtime.plan.snapshot.clusters)
    fixture.update(clusters={**clusters, "a": bad(CLUSTER, "a", previous=clusters["a"])})
    assert fixture.call("http://shop/").status == 200


def test_a_table_that_is_gone_is_missing_again() -> None:
    fixture = base()
    fixture.update(routes={})
    found = fixture.runtime.plan.table("80")
    assert isinstance(found, Missing)
    assert (found.type, found.names) == (ROUTE, ("80",))


# Incoming.


def inbound(fixture: World, port: int = 8080, source: str = "10.0.0.9", *, tls: bool = False) -> str | None:
    found = fixture.runtime.plan.inbound(port, source, ISTIO if tls else None)
    assert not isinstance(found, Missing)
    return found[0].name if found is not None else None


def entrance(*chains: Any, **fields: Any) -> World:
    return World(listeners=[listener("virtualInbound", *chains, **fields)])


def test_the_inbound_listener_is_asked_by_the_apps_port() -> None:
    fixture = entrance(
        chain(manager(table()), "8080", destination_port=8080),
        chain(TcpProxy("x"), "catch-all"),
    )
    assert [inbound(fixture, port) for port in (8080, 9090)] == ["8080", "catch-all"]
    assert fixture.runtime.plan.inbound(8080, "") is fixture.runtime.plan.inbound(8080, "other")


def test_plaintext_and_tls_have_chains_of_their_own() -> None:
    fixture = entrance(
        chain(TcpProxy("x"), "tls", transport_protocol="tls", application_protocols=("istio-http/1.1",)),
        chain(TcpProxy("x"), "plain", transport_protocol="raw_buffer"),
    )
    assert [inbound(fixture, tls=tls) for tls in (False, True)] == ["plain", "tls"]


@pytest.mark.parametrize(
    "match",
    [
        {"direct_source_prefix_ranges": (Cidr("10.0.0.9", 32),)},
        {"source_prefix_ranges": (Cidr("10.0.0.9", 32),)},
        {"source_type": "EXTERNAL"},
    ],
    ids=str,
)
def test_where_a_chain_asks_for_the_source_each_source_is_looked_at(match: dict[str, Any]) -> None:
    fixture = entrance(chain(TcpProxy("x"), "special", **match), chain(TcpProxy("x"), "rest"))
    sources = ["10.0.0.9", "127.0.0.1", "10.0.0.9", "127.0.0.1"]
    assert [inbound(fixture, source=each) for each in sources] == ["special", "rest", "special", "rest"]


def test_what_is_found_without_a_source_does_not_hold_for_all() -> None:
    fixture = entrance(
        chain(TcpProxy("x"), "special", source_prefix_ranges=(Cidr("10.0.0.9", 32),)), chain(TcpProxy("x"), "rest")
    )
    assert [inbound(fixture, source=each) for each in ("", "10.0.0.9", "")] == ["rest", "special", "rest"]


def test_what_no_chain_takes_is_remembered_too() -> None:
    fixture = entrance(chain(TcpProxy("x"), "8080", destination_port=8080, source_ports=(1,)))
    assert [inbound(fixture, port) for port in (8080, 9090, 8080)] == [None, None, None]


def test_without_redirection_a_port_s_own_listener_takes_it() -> None:
    own = [
        listener("0.0.0.0_8080", chain(TcpProxy("x"), "outbound")),
        listener("10.0.0.1_8080", chain(manager(table()), "bound"), direction="INBOUND"),
        listener("10.0.0.1_9090", chain(TcpProxy("x"), "other"), direction="INBOUND"),
    ]
    assert [inbound(World(listeners=own), port) for port in (8080, 9090, 80)] == ["bound", "other", None]
    assert inbound(World(listeners=[*own, listener("virtualInbound", chain(TcpProxy("x"), "all"))])) == "all"


def test_a_listener_that_cannot_be_read_takes_no_requests() -> None:
    fixture = World()
    fixture.update(listeners={"10.0.0.1_8080": bad(LISTENER, "10.0.0.1_8080")})
    assert inbound(fixture) is None


def test_without_an_inbound_listener_nothing_is_taken() -> None:
    assert inbound(World()) is None


def test_the_default_chain_takes_what_is_left() -> None:
    assert inbound(entrance(default_chain=chain(TcpProxy("x"), "default"))) == "default"


def test_remembered_ports_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DESTINATIONS", 3)
    fixture = entrance(chain(TcpProxy("x"), "all"))
    assert Counter(inbound(fixture, port) for port in range(20)) == {"all": 20}
    assert len(fixture.runtime.plan._inbound) <= 4


def test_an_inbound_filter_by_discovery_is_missing_until_it_comes() -> None:
    fixture = entrance(chain(manager(table(), http_filter("x", None, discovery="x")), "8080"))
    found = fixture.runtime.plan.inbound(8080, "")
    assert isinstance(found, Missing)
    assert (found.type, found.names) == (EXTENSION, ("x",))
