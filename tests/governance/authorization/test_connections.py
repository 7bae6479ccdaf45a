"""Filters of connections: whom a chain lets in, asked by servers and for requests."""

from __future__ import annotations

import pytest

from proxyless.governance.actions import Sleep
from proxyless.governance.authorization.connections import Door, Refusal, refusal_of
from proxyless.governance.authorization.decisions import Decision
from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.xds.model.listener import FilterChain, FilterChainMatch, TcpProxy
from proxyless.xds.model.rbac import Authenticated, NetworkRbac, Policy, Rbac, Rules, WithPort
from tests.effects.cases.authorization import ANY, FROM_NEAR, door, filtered
from tests.effects.scene import Scene
from tests.governance.authorization.asking import FRONTEND, asked, exact, request
from tests.support.model import listener
from tests.support.world import World

PORT = Rules("ALLOW", (("port", Policy((WithPort(8080, 8081),), (Authenticated(exact(FRONTEND)),))),))
NOBODY = Rules("ALLOW")


def test_each_filter_is_asked_until_one_refuses() -> None:
    opened = Door([NetworkRbac("one", Rbac(PORT, NOBODY, shadow_prefix="dry_")), NetworkRbac("two", Rbac())])
    assert opened.ask(asked()) == (
        None,
        (Decision("one", False, False, "", "dry_"), Decision("one", True, True, "port")),
    )
    shut = Door([NetworkRbac("one", Rbac(NOBODY), 2.0), NetworkRbac("two", Rbac(PORT))])
    assert shut.ask(asked()) == (
        Refusal("rbac_access_denied_matched_policy[none]", 2.0),
        (Decision("one", True, False),),
    )


def test_a_server_asks_before_it_reads() -> None:
    shop = door(FROM_NEAR)
    runtime = Scene(shop.messages(), shop.addresses).world.runtime
    assert refusal_of(runtime, 8080, "192.0.2.7") is None
    assert refusal_of(runtime, 8080, "203.0.113.1") == Refusal("rbac_access_denied_matched_policy[none]")
    assert refusal_of(runtime, 9, "203.0.113.1") is None, "no chain: for others to say"


def test_who_proves_an_identity_may_come_in() -> None:
    shop = door({"authenticated": {"principal_name": {"exact": FRONTEND}}})
    runtime = Scene(shop.messages(), shop.addresses).world.runtime
    peer = Peer(b"x", validated=True, uri_sans=(FRONTEND,))
    assert refusal_of(runtime, 8080, "203.0.113.1", peer=peer, local="10.0.0.9", source_port=4000) is None
    assert refusal_of(runtime, 8080, "203.0.113.1", tls=True) is not None


def test_without_a_filter_anybody_may() -> None:
    shop = filtered()
    runtime = Scene(shop.messages(), shop.addresses).world.runtime
    assert refusal_of(runtime, 8080, "203.0.113.1") is None


def test_a_request_of_a_connection_that_would_be_closed_is_answered() -> None:
    shop = door({"not_id": ANY})
    scene = Scene(shop.messages(), shop.addresses)
    reply = scene.receive().reply
    assert reply is not None
    assert (reply.status, reply.body, reply.headers[0]) == (403, b"RBAC: access denied", (b"connection", b"close"))
    assert scene.receive().reply == reply


@pytest.mark.parametrize(
    ("rules", "delay_s", "waits", "status"),
    [(Rbac(), 0.0, [], 0), (Rbac(NOBODY), 0.0, [], 403), (Rbac(NOBODY), 2.0, [2.0], 403)],
)
def test_a_request_waits_as_long_as_a_refusal_does(
    rules: Rbac, delay_s: float, waits: list[float], status: int
) -> None:
    guarded = FilterChain(
        "tcp", FilterChainMatch(8080), tcp=TcpProxy("app"), rbac=(NetworkRbac("one", rules, delay_s),)
    )
    incoming = InboundRequest(World(listeners=[listener("virtualInbound", guarded)]).runtime, request(), 8080)
    assert [each.seconds for each in incoming.run() if isinstance(each, Sleep)] == waits
    assert incoming.status == status
