"""What the document of `explain` says of configurations that no recording holds (the contract: test_explain of the
command)."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from proxyless.cli._url import parse_url
from proxyless.governance import explain
from proxyless.governance.explain import cluster_name, document, dry_call, failed
from proxyless.governance.inbound_explain import dry_request, inbound_document
from proxyless.governance.passing import BLACKHOLE, PASSTHROUGH
from proxyless.governance.plan import INBOUND
from proxyless.governance.tally import Tally
from proxyless.xds.model.cluster import TransportSocket
from proxyless.xds.model.filters import Alpn, Buffer
from proxyless.xds.model.jwt import JwtAuthentication, JwtProvider, JwtRequirement, JwtRule
from proxyless.xds.model.listener import HttpConnectionManager, TcpProxy
from proxyless.xds.model.matchers import PathMatcher
from proxyless.xds.model.route import BackOff, RetryPolicy, RouteAction, RouteMatch
from proxyless.xds.model.tls import CommonTls, UpstreamTls
from proxyless.xds.model.values import AppendAction, HeaderMutation, HeaderMutations
from tests.support.model import LISTENER, bad, chain, cluster, eds, http_filter, listener, manager, route, table, vhost
from tests.support.world import World

ADDRESS = "10.0.0.1:80"
SCHEMA = jsonschema.Draft202012Validator(json.loads((files("proxyless.schemas") / "explain.schema.json").read_text()))


def told(made: World, url: str = "http://shop/", *headers: tuple[str, str], method: str = "GET") -> dict[str, Any]:
    """The document; its exit status as `failed`."""
    call, missing = dry_call(made.runtime, method, parse_url(url), headers)
    found = document(call, {"method": method, "url": url, "headers": [list(each) for each in headers]}, missing)
    SCHEMA.validate(found)
    assert cluster_name(call) == found["cluster"]
    return {**found, "failed": bool(missing) or failed(call.reply)}


def through(*routes: Any, **fields: Any) -> World:
    return World(tables=[table(*routes)], clusters=[cluster("a", ADDRESS, **fields)])


def tcp(to: TcpProxy | None, **parts: Any) -> World:
    listeners = [listener("virtualOutbound", chain(to, "chain"))]
    return World(listeners=listeners, clusters=[cluster("db", ADDRESS), eds("cold")], **parts)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (tcp(TcpProxy("db")), {"action": "tcp", "cluster": "db", "protocol": "tcp", "failed": False}),
        (tcp(TcpProxy(weighted_clusters=(("db", 1),))), {"action": "tcp", "cluster": "db", "failed": False}),
        (tcp(TcpProxy(PASSTHROUGH)), {"action": "passthrough", "protocol": "tcp", "failed": False}),
        (tcp(TcpProxy("gone")), {"action": "refused", "cluster": "gone", "response_flags": "NC", "failed": True}),
        (tcp(TcpProxy(BLACKHOLE)), {"action": "refused", "cluster": BLACKHOLE, "failed": True}),
        (tcp(None), {"action": "refused", "cluster": None, "response_flags": "UF", "failed": True}),
        (World(listeners=[]), {"action": "refused", "listener": None, "failed": True}),
        (tcp(TcpProxy("cold")), {"action": "tcp", "cluster": "cold", "status": None, "failed": True}),
    ],
    ids=["cluster", "weighted", "passthrough", "missing", "black hole", "nowhere", "no listener", "not there yet"],
)
def test_what_is_not_routed_says_where_its_connection_goes(made: World, expected: dict[str, Any]) -> None:
    found = told(made)
    assert {key: found[key] for key in expected} == expected
    assert found["route"] is found["timeout_s"] is found["retry"] is None


def test_a_listener_that_is_refused_says_why() -> None:
    made = World()
    made.update(listeners={"0.0.0.0_80": bad(LISTENER, "0.0.0.0_80", "no address")})
    found = told(made)
    assert (found["action"], found["listener"], found["failed"]) == ("refused", "0.0.0.0_80", True)
    assert "no address" in found["why"][-1]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("x-to", "a")], ("a", None, False)),
        ([("x-to", "b")], ("b", "NC", True)),
        ([], (None, "NC", True)),
    ],
)
def test_a_cluster_that_a_header_names_is_the_one_drawn(headers: list[tuple[str, str]], expected: Any) -> None:
    found = told(through(route("/", RouteAction(cluster_header="x-to"))), "http://shop/", *headers)
    assert (found["cluster"], found["response_flags"], found["failed"]) == expected


@pytest.mark.parametrize(
    ("of_route", "of_manager", "expected"), [(5.0, 9.0, 5.0), (0.0, 9.0, None), (None, 9.0, 9.0), (None, None, None)]
)
def test_the_idle_timeout_is_the_routes_or_the_connection_managers(
    of_route: float | None, of_manager: float | None, expected: float | None
) -> None:
    http = manager(table(route("/", "a", idle_timeout_s=of_route)), stream_idle_timeout_s=of_manager)
    made = World(listeners=[listener("0.0.0.0_80", chain(http))], clusters=[cluster("a", ADDRESS)])
    assert told(made)["idle_timeout_s"] == expected


def test_the_timeout_of_a_grpc_request_is_the_one_it_brings() -> None:
    made = through(route("/", "a", timeout_s=9.0, max_grpc_timeout_s=2.0))
    grpc = ("content-type", "application/grpc")
    assert told(made)["timeout_s"] == 9.0
    assert told(made, "http://shop/", grpc, ("grpc-timeout", "500m"), method="POST")["timeout_s"] == 0.5
    assert told(made, "http://shop/", grpc, method="POST")["timeout_s"] == 2.0


def test_an_endpoint_that_wants_tls_is_named_with_what_it_wants() -> None:
    socket = TransportSocket("tls", UpstreamTls(CommonTls(alpn=("istio", "h2")), sni="a.internal"))
    found = told(through(route(), transport_socket=socket))
    assert found["tls"] == {"mode": "simple", "sni": "a.internal", "alpn": ["istio", "h2"], "sans": []}
    assert (found["endpoint"], found["status"], found["response_flags"]) == (ADDRESS, 503, "UF")
    assert found["failed"]


@pytest.mark.parametrize(
    ("http2", "overrides", "metadata", "offered"),
    [
        (False, (("http/1.1", ("istio-http/1.1", "istio", "http/1.1")), ("h2", ("istio-h2",))), {}, "istio-http/1.1"),
        (True, (("http/1.1", ("istio-http/1.1",)), ("h2", ("istio-h2", "istio", "h2"))), {}, "istio-h2"),
        (True, (("http/1.1", ("istio-http/1.1",)),), {}, "own"),
        (False, (), {}, "own"),
        (False, (("http/1.1", ("istio-http/1.1",)),), {"istio": {"alpn_override": "false"}}, "own"),
    ],
    ids=["http1", "http2", "other protocol", "nothing", "switched off"],
)
def test_istios_alpn_filter_comes_before_the_clusters_own_list(
    http2: bool, overrides: Any, metadata: Any, offered: str
) -> None:
    http = manager(table(route("/", "a")), http_filter("istio.alpn", Alpn(overrides)))
    socket = TransportSocket("tls", UpstreamTls(CommonTls(alpn=("own",))))
    target = cluster("a", ADDRESS, transport_socket=socket, http2=http2, metadata=metadata)
    made = World(listeners=[listener("0.0.0.0_80", chain(http))], clusters=[target])
    assert told(made)["tls"]["alpn"][0] == offered


def test_a_dry_call_neither_sleeps_nor_waits_where_its_answer_would_be_tried_again() -> None:
    """The dry endpoint answers 200, which this policy throws away and tries again."""
    retry = RetryPolicy(("retriable-status-codes",), 2, retriable_status_codes=(200,), back_off=BackOff(60.0, 60.0))
    found = told(through(route("/", "a", retry=retry, timeout_s=None)))
    assert (found["retry"]["retries"], found["endpoint"], found["failed"]) == (2, ADDRESS, False)


def test_a_body_that_is_held_is_not_asked_for() -> None:
    made = World(tables=[table(route())], clusters=[cluster("a", ADDRESS)], filters=[http_filter("b", Buffer(5))])
    assert told(made, "http://shop/", ("transfer-encoding", "chunked"), method="POST")["endpoint"] == ADDRESS
    assert told(made, "http://shop/", ("content-length", "6"), method="POST")["failed"]


def test_the_upstreams_protocol_is_told() -> None:
    assert told(through(route(), http2=True))["protocol"] == "http2"


def test_response_mutations_are_told_as_they_would_be_made() -> None:
    add = HeaderMutation
    headers = HeaderMutations(
        response_add=(
            add("x-path", "%REQ(:path)%", AppendAction.OVERWRITE_IF_EXISTS),
            add("x-sent", "%REQ(x-sent)%", AppendAction.ADD_IF_ABSENT),
            add("x-skipped", "%REQ(x-absent)%"),
            add("x-empty", "%REQ(x-absent)%", keep_empty=True),
        ),
        response_remove=("server", "age"),
    )
    made = through(route("/old", "a", headers=headers, prefix_rewrite="/new"))
    assert told(made, "http://shop/old", ("x-sent", "\udcff"))["response_headers"] == [
        {"name": "age", "value": "", "action": "remove"},
        {"name": "server", "value": "", "action": "remove"},
        {"name": "x-path", "value": "/new", "action": "overwrite_if_exists"},
        {"name": "x-sent", "value": "\ufffd", "action": "add_if_absent"},
        {"name": "x-empty", "value": "", "action": "append_if_exists_or_add"},
    ]


def test_a_tally_counts_what_was_drawn() -> None:
    tally = Tally()
    for one in [("b", "2"), ("a", None), ("b", "1"), (None, None)]:
        tally.add(*one)
    assert tally.document() == {"clusters": {"a": 1, "b": 2}, "endpoints": {"1": 1, "2": 1}}


def incoming(http: HttpConnectionManager | TcpProxy | None, **more: Any) -> dict[str, Any]:
    made = World(listeners=[listener(INBOUND, chain(http, "app"))])
    found = inbound_document(
        dry_request(made.runtime, "GET", parse_url("http://app/"), [], 8080, "10.0.0.9"), {**REQUEST, **more}
    )
    SCHEMA.validate(found)
    return found


REQUEST = {"method": "GET", "url": "http://app/", "headers": []}


@pytest.mark.parametrize(
    ("needs", "allowed", "reason", "why"),
    [
        ("missing", True, None, "jwt takes the tokens (valid)"),
        ("provider", False, "Jwt is missing", "jwt refuses the tokens (Jwt is missing)"),
    ],
)
def test_what_the_jwt_filter_says_of_a_request(needs: Any, allowed: bool, reason: str | None, why: str) -> None:
    rule = JwtRule(RouteMatch(PathMatcher("prefix", "/")), JwtRequirement(needs, "p"))
    tokens = http_filter("jwt", JwtAuthentication((("p", JwtProvider("one")),), (rule,)))
    found = incoming(manager(table(vhost(route("/"), domains=["*"])), tokens))
    assert (found["authorization"]["allowed"], found["authorization"]["reason"]) == (allowed, reason)
    assert why in found["why"]


def test_an_incoming_connection_that_is_no_http_is_the_apps() -> None:
    found = incoming(TcpProxy("inbound|8080||"))
    assert (found["action"], found["protocol"], found["status"]) == ("tcp", "tcp", None)
    assert found["why"][-1] == "the app gets the request"


def test_an_incoming_request_that_no_route_takes_is_404() -> None:
    found = incoming(manager(table(route("/other"))))
    assert (found["action"], found["status"], found["response_flags"]) == ("none", 404, "NR")


def test_a_route_that_hedges_is_explained_without_sending() -> None:
    retry = RetryPolicy(("5xx",), 1, per_try_timeout_s=1.0)
    hedging = route("/", "a", hedge_on_per_try_timeout=True, retry=retry)
    assert told(World(tables=[table(hedging)], clusters=[cluster("a", "10.0.0.1:80")]))["endpoint"] == "10.0.0.1:80"


def test_what_stands_for_a_connection_in_a_dry_run_does_nothing() -> None:
    dry = explain._DryConnection()
    dry.close()
    dry.abandon()
    assert dry.usable()
    assert dry.fresh()
