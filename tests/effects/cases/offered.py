"""What TLS to endpoints takes from beside its context: names of requests, and what ALPN offers."""

from __future__ import annotations

from typing import Any

from proxyless.governance.securing import plain_securing

from ..handshakes import CA, Server, contexts_of, refused, secured, shaken
from ..registry import Effect, effect
from ..resources import Json, Shop, endpoint, extension, shop
from ..scene import Scene
from ..seeing import explained
from .clusters import OPTIONS, http
from .health_checks import checker_of, checking
from .tls import UPSTREAM, inline

CLUSTER = "envoy.config.cluster.v3.Cluster."
CORE = "envoy.config.core.v3."
ALPN = "istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig"
SOCKET: Json = {"transport_socket": extension(UPSTREAM, sni="b.shop")}
VERIFYING: Json = {
    "transport_socket": extension(
        UPSTREAM, common_tls_context={"validation_context": {"trusted_ca": inline(CA.pem)}}, sni="b.shop"
    )
}

# -- names by requests ---------------------------------------------------------------------------------------------


def of(**fields: Any) -> Shop:
    """Cluster `a` with one endpoint."""
    return shop(cluster_fields={**SOCKET, **fields}, endpoints=[endpoint()])


SNI = shaken(Server, "sni")
HEADER: Json = {"auto_sni": True, "override_auto_sni_header": "x-sni"}
BY_HEADER = shaken(Server, "sni", headers=[("x-sni", "c.shop")])
UNNAMED = refused(Server, url="http://other/a")
"""A call to a name that the server's certificate does not say."""

NAMES: list[Effect] = [
    effect(
        CLUSTER + "upstream_http_protocol_options",
        of(upstream_http_protocol_options={"auto_sni": True}),
        SNI,
        ("shop",),
    ),
    effect(
        f"{OPTIONS}.upstream_http_protocol_options",
        of(**http(upstream_http_protocol_options={"auto_sni": True})),
        SNI,
        ("shop",),
    ),
    effect(
        CORE + "UpstreamHttpProtocolOptions.auto_sni",
        of(upstream_http_protocol_options={"auto_sni": True}),
        SNI,
        ("shop",),
    ),
    effect(
        CORE + "UpstreamHttpProtocolOptions.override_auto_sni_header",
        of(upstream_http_protocol_options=HEADER),
        BY_HEADER,
        ("c.shop",),
    ),
    effect(
        CORE + "UpstreamHttpProtocolOptions.auto_san_validation",
        of(**VERIFYING, upstream_http_protocol_options={"auto_san_validation": True}),
        UNNAMED,
        "client: expected other, presented spiffe://cluster.local/ns/shop/sa/a, a.shop, shop",
    ),
]

# -- protocols -----------------------------------------------------------------------------------------------------


def streams(scene: Scene) -> int:
    """How many connections two calls need at once where the server has chosen HTTP/2."""
    secured(scene)
    alive = []
    for _ in range(2):
        steps = scene.world.steps("http://shop/a")
        alive.append(steps)
        if type(steps.action).__name__ == "OpenConnection":
            made = steps.connection()
            made.http2 = True  # type: ignore[attr-defined]  # what ALPN has said
            steps.answer(made)
    return len(scene.world.connections)


def checked(scene: Scene) -> object:
    """What ALPN agrees on with a server that a health check asks."""
    checker = checker_of(scene)
    if checker is None or checker.config is None:
        return None
    (session,) = checker.sessions.values()
    wanted = plain_securing(session.host, checker.config.alpn or None)
    if wanted is None:
        return "plaintext"
    client = contexts_of(wanted, session.host)
    return client if isinstance(client, str) else Server().meet(client())[0].alpn


def istio(upstream: str, *protocols: str) -> Shop:
    """The alpn filter before cluster `a`."""
    override = {"upstream_protocol": upstream, "alpn_override": list(protocols)}
    own = extension(ALPN, "istio.alpn", alpn_override=[override])
    return shop(filters=[own], cluster_fields=SOCKET, endpoints=[endpoint()])


ISTIO = istio("HTTP11", "istio", "http/1.1")
CHOSEN = shaken(lambda: Server(alpn=("istio", "http/1.1")), "alpn")
AUTO: Json = {"http2_protocol_options": {"max_concurrent_streams": 1}}
ASKED = checking(tls_options={"alpn_protocols": ["h2"]}, more=SOCKET)
PROTOCOLS: list[Effect] = [
    effect(
        f"{OPTIONS}.auto_config",
        of(**http("auto_config", auto_config={})),
        shaken(Server, "alpn"),
        ("h2",),
        against=of(**http()),
    ),
    effect(f"{OPTIONS}.AutoHttpConfig.http2_protocol_options", of(**http("auto_config", auto_config=AUTO)), streams, 2),
    effect(CORE + "HealthCheck.tls_options", ASKED, checked, "h2"),
    effect(CORE + "HealthCheck.TlsOptions.alpn_protocols", ASKED, checked, "h2"),
    effect(f"{ALPN}.alpn_override", ISTIO, CHOSEN, ("istio",)),
    effect(f"{ALPN}.alpn_override", ISTIO, lambda scene: explained("tls")(scene)["alpn"], what="explained"),
    effect(f"{ALPN}.AlpnOverride.alpn_override", ISTIO, CHOSEN, ("istio",)),
    effect(f"{ALPN}.AlpnOverride.upstream_protocol", ISTIO, CHOSEN, ("istio",)),
]

CASES: list[Effect] = [*NAMES, *PROTOCOLS]
