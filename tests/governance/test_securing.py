"""What secures connections to endpoints: ALPN, the name to ask for, the pool that holds them, what a failure says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxyless.cli._url import parse_url
from proxyless.governance.actions import Failure, OpenConnection, Send
from proxyless.governance.balancing.host import Host
from proxyless.governance.call import OutgoingCall
from proxyless.governance.events import NotSecured
from proxyless.governance.explain import document, dry_call, why
from proxyless.governance.explain_tls import said_of_tls
from proxyless.governance.request import RequestView
from proxyless.governance.securing import Securing, plain_securing, securing_of, service_securing
from proxyless.governance.telemetry.events import describe
from proxyless.xds.model.cluster import HttpProtocol, TransportSocket, TransportSocketMatch
from proxyless.xds.model.endpoint import LbEndpoint
from proxyless.xds.model.filters import Alpn
from proxyless.xds.model.tls import (
    CertificateFiles,
    CommonTls,
    DataSource,
    SanMatcher,
    SecretName,
    UpstreamTls,
    Validation,
)
from proxyless.xds.model.values import Address
from tests.support.model import chain, cluster, host, http_filter, listener, manager, route, snapshot, table
from tests.support.world import World

ADDRESS = "10.0.0.1:80"
TLS = UpstreamTls(CommonTls(SecretName("default"), alpn=("own",)), sni="a.internal")


class Contexts:
    """Nobody opens anything here."""

    def client(self, wanted: Securing, address: str) -> Any:
        raise AssertionError(wanted, address)


def world(tls: UpstreamTls = TLS, *filters: Any, **more: Any) -> World:
    target = cluster("a", ADDRESS, transport_socket=TransportSocket("tls", tls), **more)
    http = manager(table(route("/", "a")), *filters)
    made = World(listeners=[listener("0.0.0.0_80", chain(http))], clusters=[target])
    made.runtime.tls = Contexts()
    return made


def secured(made: World, url: str = "http://shop/", **request: Any) -> Securing | None:
    """By what the connection of a call is secured."""
    wanted = made.steps(url, **request).until(OpenConnection)
    assert isinstance(wanted, OpenConnection)
    found: Securing | None = wanted.pool.secure
    return found


def test_a_pool_is_secured_as_its_cluster_says() -> None:
    assert secured(world()) == Securing(TLS, ("own",), "a.internal")
    assert secured(World(tables=[table(route("/", "a"))], clusters=[cluster("a", ADDRESS)])) is None


@pytest.mark.parametrize(
    ("protocol", "offered"), [("http1", ("http/1.1",)), ("http2", ("h2",)), ("auto", ("h2", "http/1.1"))]
)
def test_what_is_offered_follows_the_protocol_where_nothing_is_said(protocol: Any, offered: tuple[str, ...]) -> None:
    found = secured(world(UpstreamTls(), http=HttpProtocol(protocol)))
    assert found is not None
    assert found.alpn == offered


@pytest.mark.parametrize(("spoken", "offered"), [("HTTP/2", ("h2",)), ("HTTP/1.1", ())])
def test_what_the_caller_speaks_is_offered_where_the_cluster_follows_it(
    monkeypatch: pytest.MonkeyPatch, spoken: str, offered: tuple[str, ...]
) -> None:
    monkeypatch.setattr(OutgoingCall, "protocol", spoken)
    found = secured(world(UpstreamTls(), http=HttpProtocol("downstream")))
    assert found is not None
    assert found.alpn == offered


def test_istios_alpn_filter_offers_h2_first_where_both_are_spoken() -> None:
    alpn = http_filter("istio.alpn", Alpn((("h2", ("istio-h2", "istio", "h2")), ("http/1.1", ("istio",)))))
    found = secured(world(TLS, alpn, http=HttpProtocol("auto")))
    assert found is not None
    assert found.alpn == ("istio-h2", "istio", "h2")


AUTO = HttpProtocol(auto_sni=True, auto_san_validation=True)


@pytest.mark.parametrize(
    ("http", "url", "headers", "sni", "names"),
    [
        (AUTO, "http://shop/", [], "shop", ("shop",)),
        (AUTO, "http://shop:80/", [("host", "shop:80")], "shop", ("shop",)),
        (AUTO, "http://10.9.9.9/", [], "a.internal", ("10.9.9.9",)),
        (AUTO, "http://shop/", [("host", "[::1]:80")], "a.internal", ("::1",)),
        (AUTO, "http://shop/", [("host", "::1")], "a.internal", ("::1",)),
        (HttpProtocol(auto_sni=True), "http://shop/", [], "shop", ()),
        (HttpProtocol(auto_san_validation=True), "http://shop/", [], "a.internal", ("shop",)),
        (HttpProtocol(auto_sni=True, override_auto_sni_header="X-Sni"), "http://shop/", [("x-sni", "b")], "b", ()),
        (HttpProtocol(auto_sni=True, override_auto_sni_header="x-sni"), "http://shop/", [], "shop", ()),
    ],
)
def test_a_request_may_name_who_is_asked_for(
    http: HttpProtocol, url: str, headers: list[tuple[str, str]], sni: str, names: tuple[str, ...]
) -> None:
    assert secured(world(http=http), url, headers=headers) == Securing(TLS, ("own",), sni, names)


def test_an_endpoint_may_name_itself() -> None:
    tls = UpstreamTls(sni="a", auto_host_sni=True)
    made = world(tls)
    (host,) = made.cluster().hosts
    assert host.endpoint.hostname == ""
    assert (found := secured(made)) is not None
    assert found.sni == "a"
    named = Host(LbEndpoint(Address("10.0.0.1", 80), hostname="b"), host.state, socket=TransportSocket("tls", tls))
    assert plain_securing(named) == Securing(tls, (), "b")
    assert plain_securing(named, ("x",)) == Securing(tls, ("x",), "b")
    plain = Host(named.endpoint, host.state)
    assert plain_securing(plain) is None
    steps = made.steps()
    assert steps.call.upstream is not None
    assert securing_of(steps.call, made.cluster(), plain, steps.call.upstream) is None


def test_another_context_takes_new_connections_and_an_equal_one_keeps_the_old() -> None:
    made = world()
    made.call()
    for tls, opened in ((replace(TLS), 1), (replace(TLS, sni="b.internal"), 2), (TLS, 2)):
        target = cluster("a", ADDRESS, transport_socket=TransportSocket("tls", tls))
        made.update(clusters=snapshot(clusters=[target]).clusters)
        made.call()
        assert len(made.connections) == opened, tls
    renewed = replace(TLS, max_session_keys=2)
    made.update(
        clusters=snapshot(clusters=[cluster("a", ADDRESS, transport_socket=TransportSocket("tls", renewed))]).clusters
    )
    made.call()
    assert [each.open for each in made.connections] == [False, True, True]


@pytest.mark.parametrize("protocol", ["auto", "downstream"])
def test_a_connection_that_agreed_on_http2_carries_many_requests(protocol: Any) -> None:
    made = world(http=HttpProtocol(protocol, max_concurrent_streams=2))
    first = made.steps()
    wanted = first.until(OpenConnection)
    assert isinstance(wanted, OpenConnection)
    assert wanted.negotiates is (protocol == "auto")
    connection = first.connection()
    connection.http2 = True  # type: ignore[attr-defined]
    first.answer(connection)
    second = made.steps()
    assert isinstance(second.until(OpenConnection, Send), Send)
    assert len(made.connections) == 1


def test_a_connection_that_cannot_be_secured_says_why() -> None:
    made = world()
    steps = made.steps("http://shop/")
    assert isinstance(steps.until(OpenConnection), OpenConnection)
    steps.answer(Failure("connect-failure", "no", transport="TLS_error:expected a, presented b:TLS_error_end"))
    reply = steps.reply
    assert reply is not None
    assert (reply.status, reply.flags) == (503, ("UF",))
    assert reply.body.endswith(b"reset reason: remote connection failure")
    assert reply.transport == "TLS_error:expected a, presented b:TLS_error_end"
    assert reply.details == (
        "upstream_reset_before_response_started{remote_connection_failure|"
        "TLS_error:expected_a,_presented_b:TLS_error_end}"
    )


def test_a_connection_that_cannot_be_secured_is_told_once_until_there_is_another_reason_or_a_connection() -> None:
    made = world()
    (host,) = made.cluster().hosts
    for reason in ("one", "one", "other", "", "other"):
        steps = made.steps("http://shop/")
        assert isinstance(steps.until(OpenConnection), OpenConnection)
        steps.answer(Failure("connect-failure", "no", transport=reason) if reason else steps.connection())
        assert host.state.not_secured == reason
    assert made.heard.events == [NotSecured("a", ADDRESS, each) for each in ("one", "other", "other")]
    assert describe(made.heard.events[0]) == f"cluster a: {ADDRESS}: TLS failed, no request goes there: one"


def test_what_fails_in_plaintext_is_no_failure_of_tls() -> None:
    made = World(tables=[table(route("/", "a"))], clusters=[cluster("a", ADDRESS)])
    (target,) = made.cluster().hosts
    steps = made.steps("http://shop/")
    assert isinstance(steps.until(OpenConnection), OpenConnection)
    steps.answer(Failure("connect-failure", "no", transport="the mesh speaks HTTP/1.1 to it"))
    assert steps.reply is not None
    assert steps.reply.transport == "the mesh speaks HTTP/1.1 to it"
    assert not made.heard.events
    assert not target.state.not_secured


def test_explain_tells_what_is_offered_and_asked() -> None:
    made = world(http=AUTO)
    call, missing = dry_call(made.runtime, "GET", parse_url("http://shop/"), [])
    found = document(call, {"method": "GET", "url": "http://shop/", "headers": []}, missing)
    assert found["tls"] == {"mode": "mtls", "sni": "shop", "alpn": ["own"], "sans": ["shop"]}


URI = SanMatcher("prefix", "spiffe://td/", "URI")
EXACT = SanMatcher("exact", "spiffe://td/ns/a/sa/b")
FILES = CertificateFiles(DataSource(filename="chain.pem"), DataSource(filename="key.pem"))
UNTRUSTED = Validation(secret=SecretName("ROOTCA"), accept_untrusted=True)
SPIFFE = Validation(spiffe_domains=(("td", DataSource(filename="roots.pem")),))


DEFAULT = "asks for a, shows the certificate default"


@pytest.mark.parametrize(
    ("common", "said"),
    [
        (
            CommonTls(SecretName("default"), Validation(secret=SecretName("ROOTCA"), sans=(EXACT, URI))),
            f"mTLS: {DEFAULT}, expects spiffe://td/ns/a/sa/b or prefix spiffe://td/ by ROOTCA",
        ),
        (
            CommonTls(FILES, Validation(system_roots=True)),
            "mTLS: asks for a, shows the certificate of the configuration, expects anybody by the system's roots",
        ),
        (
            CommonTls(validation=Validation(roots=DataSource(filename="ca.pem"))),
            "TLS: asks for a, shows no certificate, expects anybody by roots of the configuration",
        ),
        (
            CommonTls(validation=SPIFFE),
            "TLS: asks for a, shows no certificate, expects anybody by roots of the configuration",
        ),
        *(
            (CommonTls(validation=each), "TLS: asks for a, shows no certificate, expects anybody: nothing is verified")
            for each in (None, UNTRUSTED, Validation())
        ),
    ],
)
def test_explain_says_who_is_shown_and_who_is_expected(common: CommonTls, said: str) -> None:
    made = world(UpstreamTls(common, sni="a"))
    call, _ = dry_call(made.runtime, "GET", parse_url("http://shop/"), [])
    assert why(call)[-1] == f"spoken to by {said}"


def test_explain_says_which_transport_socket_an_endpoint_gets() -> None:
    secure = TransportSocket("tls", UpstreamTls())
    matches = (
        TransportSocketMatch("tlsMode-istio", {"tlsMode": "istio"}, secure),
        TransportSocketMatch("tlsMode-disabled", {}, TransportSocket("plain")),
    )
    for metadata, said in (
        ({"tlsMode": "istio"}, "by TLS (transport socket tlsMode-istio): asks for no name, shows no certificate, "),
        ({}, "in plaintext (transport socket tlsMode-disabled)"),
    ):
        own = host(ADDRESS, metadata={"envoy.transport_socket_match": metadata})
        target = cluster("a", own, transport_socket_matches=matches)
        made = World(tables=[table(route("/", "a"))], clusters=[target])
        made.runtime.tls = Contexts()
        call, _ = dry_call(made.runtime, "GET", parse_url("http://shop/"), [])
        assert why(call)[-1].startswith(f"spoken to {said}")
        (found,) = made.cluster().hosts
        undecided = OutgoingCall(made.runtime, None, RequestView(b"GET", b"http", b"shop", b"/"), b"shop", 80)
        said_then = [each.partition(":")[0] for each in said_of_tls(undecided, found)]
        assert said_then == (["spoken to by TLS"] if metadata else [])


@pytest.mark.parametrize(
    ("alpn", "http2", "offered"),
    [
        (("istio", "h2"), True, ("istio", "h2")),
        (("istio", "h2"), False, ("istio",)),
        (("h2",), False, ("http/1.1",)),
        ((), True, ("http/1.1",)),
    ],
)
def test_services_are_offered_what_their_cluster_says(alpn: Any, http2: bool, offered: tuple[str, ...]) -> None:
    tls = UpstreamTls(CommonTls(alpn=alpn), sni="a.internal")
    made = world(tls, http=HttpProtocol(auto_sni=True))
    found = made.runtime.plan.cluster("a")
    assert found is not None
    (host,) = found.hosts  # type: ignore[union-attr]
    assert service_securing(found, host, "svc:1", http2=http2) == Securing(tls, offered, "svc")  # type: ignore[arg-type]
    by_address = service_securing(found, host, "10.0.0.1", http2=http2)  # type: ignore[arg-type]
    assert by_address is not None
    assert by_address.sni == "a.internal"
    plain = World(tables=[table(route("/", "a"))], clusters=[cluster("a", ADDRESS)]).runtime.plan.cluster("a")
    assert service_securing(plain, plain.hosts[0], "svc", http2=http2) is None  # type: ignore[union-attr, arg-type]
