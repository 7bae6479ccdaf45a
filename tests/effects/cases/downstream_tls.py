"""TLS of filter chains, and what is said of the certificate of a connection."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any

from proxyless.governance.inbound import InboundRequest
from proxyless.governance.peer import Peer
from proxyless.governance.request import RequestView
from proxyless.governance.suites.tls import MeshContext
from proxyless.xds.identity.server import ServerContext, ServerContexts
from tests.support.certificates import HeldSecrets, authority

from ..registry import Effect, effect
from ..resources import MANAGER, Json, Shop, chain, extension, host, listener, manager, route, shop, table
from ..scene import Scene
from ..seeing import See

FILTER_CHAIN = "envoy.config.listener.v3.FilterChain."
CONTEXT = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
DETAILS = "set_current_client_cert_details"
INLINE: Json = {"inline_string": "x"}
CERTIFIED: Json = {
    "tls_certificates": [{"certificate_chain": INLINE, "private_key": INLINE}],
    "validation_context": {"trusted_ca": INLINE},
}
PEER = Peer(b"leaf", True, ("spiffe://a/b",), ("a.b",), "CN=x", local_uri_sans=("spiffe://me/x",), chain=(b"leaf",))


def secured(**fields: Any) -> Shop:
    socket = extension(CONTEXT, common_tls_context=CERTIFIED, **fields)
    return inbound(transport_socket=socket)


def inbound(transport_socket: Json | None = None, **managed: Any) -> Shop:
    own = manager(route_config=table(host(route())), **managed)
    fields: Json = {"transport_socket": transport_socket} if transport_socket else {}
    return shop(listeners=[listener("virtualInbound", chain(own, **fields))])


def plaintext(scene: Scene) -> int:
    """The status that a request over a plaintext connection gets, 0 where it reaches the app."""
    return scene.receive().status


def asks_for_a_certificate(scene: Scene) -> bool:
    """Whether a handshake without one fails."""
    entrance = scene.world.runtime.plan.entrance(8080)
    assert entrance is not None
    (found,) = entrance.get().chains
    assert found.downstream is not None
    ca = authority()
    return ServerContext(found.downstream, HeldSecrets(ca.workload("a"), ca.roots), frozenset()).required


def forwarded(*sent: str) -> See:
    """What the app is told of the client's certificate, after what the client has `sent`."""

    def see(scene: Scene) -> list[str]:
        headers = [(b"x-forwarded-client-cert", each.encode()) for each in sent]
        view = RequestView(b"GET", b"https", b"shop", b"/", headers, "192.0.2.7")
        InboundRequest(scene.world.runtime, view, 8080, peer=PEER).decide()
        return [value.decode() for name, value in view.raw_headers if name == b"x-forwarded-client-cert"]

    return see


def telling(mode: str, **details: bool) -> Shop:
    return inbound(
        extension(CONTEXT, common_tls_context=CERTIFIED),
        forward_client_cert_details=mode,
        **({DETAILS: details} if details else {}),
    )


def given_up(sent: bytes, after: float) -> See:
    """Whether a connection to a blocking server, which has `sent` something, has its end `after` so many seconds."""

    def see(scene: Scene) -> str:
        ca = authority()
        contexts = ServerContexts(HeldSecrets(ca.workload("a"), ca.roots))
        here, there = socket.socketpair()
        here.setblocking(False)
        with (
            there,
            MeshContext(scene.world.runtime, contexts, 8080).wrap_socket(
                here, server_side=True, do_handshake_on_connect=False
            ) as made,
        ):
            there.sendall(sent)
            said = ""
            for seconds in (0.0, after, 0.0):
                scene.world.clock.advance(seconds)
                try:
                    made.do_handshake()
                except ssl.SSLWantReadError:
                    said = "waits"
                except ssl.SSLError as error:
                    return str(error.args[-1])
                else:
                    return "is let in"
            return said

    return see


def hello() -> bytes:
    """The first bytes of a client."""
    sent = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    return sent.read()


def waiting(**fields: Any) -> Shop:
    return shop(listeners=[listener("virtualInbound", chain(manager(route_config=table(host(route())))), **fields)])


CASES: list[Effect] = [
    effect(
        "envoy.config.listener.v3.Listener.listener_filters_timeout",
        waiting(listener_filters_timeout="2s"),
        given_up(b"", 3),
        "port 8080: it did not say what it is within 2 s",
    ),
    effect(
        "envoy.config.listener.v3.Listener.continue_on_listener_filters_timeout",
        waiting(continue_on_listener_filters_timeout=True),
        given_up(b"", 20),
        "is let in",
    ),
    effect(
        FILTER_CHAIN + "transport_socket_connect_timeout",
        shop(
            listeners=[
                listener(
                    "virtualInbound",
                    chain(
                        manager(route_config=table(host(route()))),
                        transport_socket=extension(CONTEXT, common_tls_context=CERTIFIED),
                        transport_socket_connect_timeout="2s",
                    ),
                )
            ]
        ),
        given_up(hello(), 3),
        "port 8080: its handshake was not over within 2 s",
    ),
    effect(FILTER_CHAIN + "transport_socket", secured(), plaintext, 503),
    effect(
        f"{CONTEXT}.require_client_certificate", secured(require_client_certificate=True), asks_for_a_certificate, True
    ),
    effect(f"{CONTEXT}.common_tls_context", secured(), plaintext, 503),
    effect(f"{MANAGER}.forward_client_cert_details", telling("FORWARD_ONLY"), forwarded("Hash=1"), ["Hash=1"]),
    effect(f"{MANAGER}.{DETAILS}", telling("SANITIZE_SET", subject=True), forwarded()),
    *(
        effect(f"{MANAGER}.SetCurrentClientCertDetails.{name}", telling("SANITIZE_SET", **{name: True}), forwarded())
        for name in ("subject", "cert", "chain", "dns", "uri")
    ),
]
