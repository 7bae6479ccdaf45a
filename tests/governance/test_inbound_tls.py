"""Incoming requests and what their connection was: plaintext, TLS, with a certificate."""

from __future__ import annotations

from dataclasses import replace

from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Options
from proxyless.xds.model.forwarding import ClientCert
from proxyless.xds.model.listener import FilterChain, TcpProxy
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.model.tls import DownstreamTls
from tests.support.model import chain, listener, manager, route, table
from tests.support.world import World

CLAIM = (b"x-forwarded-client-cert", b"By=spiffe://evil")
PEER = Peer(b"leaf", True, ("spiffe://a/b",))


def decided(fixture: World, peer: Peer | None = None) -> InboundRequest:
    view = RequestView(b"GET", b"http", b"app", b"/", [(b"x", b"1"), CLAIM], "10.0.0.9")
    request = InboundRequest(fixture.runtime, view, 8080, peer=peer)
    request.decide()
    return request


def claimed(request: InboundRequest) -> list[bytes]:
    assert request.reply is None
    return [value for name, value in request.request.raw_headers if name == CLAIM[0]]


def on(found: FilterChain) -> World:
    return World(listeners=[listener("virtualInbound", found)])


MANAGED = chain(manager(table(route()), client_cert=ClientCert("APPEND_FORWARD", uri=True)), "app")


def test_plaintext_is_refused_by_a_chain_that_speaks_tls() -> None:
    found = decided(on(replace(MANAGED, downstream=DownstreamTls()))).reply
    assert found is not None
    assert b"takes TLS only" in found.body


def test_who_came_in_before_a_certificate_was_asked_for_is_refused_now() -> None:
    strict = replace(MANAGED, downstream=DownstreamTls(require_client_certificate=True))
    for peer in (Peer(), Peer(b"leaf")):
        found = decided(on(strict), peer).reply
        assert found is not None
        assert b"takes mTLS only" in found.body
        assert decided(on(replace(MANAGED, downstream=DownstreamTls())), peer).reply is None
    assert decided(on(strict), PEER).reply is None


def test_a_socket_that_is_not_supported_lets_nobody_in() -> None:
    found = decided(on(replace(MANAGED, unknown_socket="odd")), PEER).reply
    assert found is not None
    assert b"transport socket odd is not supported" in found.body


def test_who_has_a_certificate_is_told_of_after_what_it_says_itself() -> None:
    (value,) = claimed(decided(on(replace(MANAGED, downstream=DownstreamTls())), PEER))
    assert value.startswith(CLAIM[1] + b",Hash=")
    assert value.endswith(b";URI=spiffe://a/b")


def test_without_one_nothing_is_told() -> None:
    assert claimed(decided(on(MANAGED))) == []
    assert claimed(decided(on(replace(MANAGED, downstream=DownstreamTls())), Peer())) == []


def test_where_no_connection_manager_looks_nobody_vouches_either() -> None:
    assert claimed(decided(on(chain(TcpProxy("app"), "app")))) == []
    assert claimed(decided(World(Snapshot(), options=Options(passthrough_until_ready=True)))) == []
