"""Connections to endpoints: how long they live, and their sockets."""

from __future__ import annotations

import socket
from typing import Any

from proxyless.governance.actions import OpenConnection

from ..registry import Effect, effect
from ..resources import Json, Shop, endpoint, shop
from ..scene import Scene
from ..seeing import explained, refusals

C = "envoy.config.cluster.v3."
CORE = "envoy.config.core.v3."
KEEPALIVE = CORE + "TcpKeepalive."


def of(**fields: Any) -> Shop:
    """Cluster `a` with these fields."""
    return shop(cluster_fields=fields, endpoints=[endpoint()])


def kept_alive(**fields: Any) -> Shop:
    """Cluster `a` whose connections are kept alive."""
    return of(upstream_connection_options={"tcp_keepalive": fields})


def lives(count: int, gap_s: float) -> Any:
    """How many connections so many calls need, so long one after the other."""

    def see(scene: Scene) -> int:
        for _ in range(count):
            scene.call()
            scene.world.clock.advance(gap_s)
        return len(scene.world.connections)

    return see


def options(scene: Scene) -> list[tuple[str, int]]:
    """What the socket of a connection is told."""
    names = {
        (getattr(socket, level), getattr(socket, name)): name
        for level, name in (
            ("SOL_SOCKET", "SO_KEEPALIVE"),
            ("IPPROTO_TCP", "TCP_KEEPCNT"),
            ("IPPROTO_TCP", "TCP_KEEPIDLE"),
            ("IPPROTO_TCP", "TCP_KEEPINTVL"),
        )
    }
    return [(names[level, name], value) for level, name, value in scene.world.steps().wants(OpenConnection).options]


def piped(path: str) -> Shop:
    """Cluster `a` whose endpoint is a Unix socket."""
    return shop(endpoints=[{"endpoint": {"address": {"pipe": {"path": path}}}}])


ON = ("SO_KEEPALIVE", 1)
SHORT: Json = {"common_http_protocol_options": {"max_connection_duration": "5s"}}

CASES: list[Effect] = [
    effect(CORE + "HttpProtocolOptions.max_connection_duration", of(**SHORT), lives(4, 2.0), 2),
    effect(C + "Cluster.upstream_connection_options", kept_alive(), options, [ON]),
    effect(C + "UpstreamConnectionOptions.tcp_keepalive", kept_alive(), options, [ON]),
    effect(KEEPALIVE + "keepalive_probes", kept_alive(keepalive_probes=3), options, [ON, ("TCP_KEEPCNT", 3)]),
    effect(KEEPALIVE + "keepalive_time", kept_alive(keepalive_time=60), options, [ON, ("TCP_KEEPIDLE", 60)]),
    effect(KEEPALIVE + "keepalive_interval", kept_alive(keepalive_interval=9), options, [ON, ("TCP_KEEPINTVL", 9)]),
    effect(KEEPALIVE + "keepalive_interval", kept_alive(keepalive_interval=0), options, [], what="off"),
    effect(CORE + "Address.pipe", piped("/run/a.sock"), explained("endpoint"), "/run/a.sock"),
    effect(CORE + "Pipe.path", piped("@a"), explained("endpoint"), "@a", against=piped("/run/a.sock")),
    effect(CORE + "Pipe.path", piped("/" + "a" * 107), refusals, against=piped("/a"), what="too long"),
]
