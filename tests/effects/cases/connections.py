"""Connections to endpoints: how long they live, and their sockets."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

from proxyless.governance.actions import Bypass, OpenConnection, Send
from proxyless.governance.cluster import ClusterRuntime
from proxyless.governance.passing import Life, TcpRoute, pauses, wishes
from proxyless.governance.spelling import spell
from proxyless.xds.model.values import Address

from ..registry import Effect, effect
from ..resources import MANAGER, TCP_PROXY, Json, Shop, chain, endpoint, extension, shop, tcp_proxy, typed
from ..scene import Scene
from ..seeing import explained, refusals

C = "envoy.config.cluster.v3."
CORE = "envoy.config.core.v3."
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
PRESERVE = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
FORMAT = CORE + "Http1ProtocolOptions.HeaderKeyFormat."
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


def names(scene: Scene) -> list[str]:
    """The headers as they are spelled over HTTP/1.1: one of the program's, one of the mesh's."""
    given = [(b"X-mINE", b"1")]
    steps = scene.world.steps("http://shop/a", headers=[("X-mINE", "1")])
    steps.until(Send)
    send = steps.wants(Send)
    found = spell(steps.call, send, send.headers, given)
    return sorted(
        name.decode()
        for name, _ in (found if found is not None else [(name.lower(), value) for name, value in send.headers])
        if name.lower() in (b"x-mine", b"x-request-id")
    )


def spelled(cluster: Json | None = None, manager: Json | None = None) -> Shop:
    """Cluster `a` and the connection manager with these ways to spell."""
    held = {"explicit_http_config": {"http_protocol_options": {"header_key_format": cluster or {}}}}
    fields = {"typed_extension_protocol_options": {OPTIONS: typed(OPTIONS, **held)}} if cluster else {}
    own = {"http_protocol_options": {"header_key_format": manager}} if manager else {}
    return shop(cluster_fields=fields, manager_fields=own, endpoints=[endpoint()])


def keeping(**fields: Any) -> Json:
    """The formatter that keeps what came."""
    return {"stateful_formatter": extension(PRESERVE, **fields)}


def passed(scene: Scene) -> TcpRoute:
    """How a connection is passed on."""
    found = scene.world.steps().wants(Bypass).tcp
    assert found is not None
    return found


def lasts(scene: Scene) -> float | None:
    """How long a connection may last without a byte."""
    return Life(passed(scene).proxy, scene.world.clock, lambda: 0.5).bound(None)[0]


def tries(scene: Scene) -> list[float]:
    """The pauses between tries to connect."""
    return list(pauses(passed(scene).proxy, lambda: 0.5))


def wanted(scene: Scene) -> str | None:
    """The endpoint of a connection."""
    host = scene.world.cluster().choose(wishes(passed(scene).proxy, "10.1.1.1"))
    return host.address if host is not None else None


def passing(fields: Json | None = None, **proxy: Any) -> Shop:
    """Connections to cluster `a` that are passed on."""
    return shop(chains=[chain(tcp_proxy(**proxy))], cluster_fields=fields or {}, endpoints=MANY)


def backing_off(**fields: Any) -> Shop:
    """Three tries to connect, with pauses in between."""
    return passing(max_connect_attempts=3, backoff_options={"base_interval": "1s", **fields})


LABELLED: Json = {"metadata": {"filter_metadata": {"envoy.lb": {"version": "v2"}}}}
MANY = [*(endpoint(f"10.0.0.{each}") for each in range(1, 9)), endpoint("10.0.0.9", **LABELLED)]
BY_HASH: Json = {"lb_policy": "MAGLEV"}
BY_SUBSET: Json = {"lb_subset_config": {"subset_selectors": [{"keys": ["version"]}]}}
MATCH: Json = {"filter_metadata": {"envoy.lb": {"version": "v2"}}}
DURATION: Json = {"max_downstream_connection_duration": "40s"}


def outlive_a_change(scene: Scene) -> int:
    """How many connections two calls need between which an endpoint comes."""
    scene.call()
    config = scene.world.cluster().config
    load = scene.world.cluster().assignment
    assert load is not None
    (group,) = load.localities
    (first,) = group.endpoints
    new = replace(first, address=Address("10.0.0.2", 80), health="UNHEALTHY")
    more = replace(load, localities=(replace(group, endpoints=(first, new)),))
    state = scene.world.cluster().state
    ClusterRuntime(config, more, state, scene.world.runtime.setting("a"))
    scene.call()
    return len(scene.world.connections)


PROPER: Json = {"proper_case_words": {}}
OWN_PROPER = spelled(manager=keeping(formatter_type_on_envoy_headers="PROPER_CASE"))
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
    effect(
        C + "Cluster.CommonLbConfig.close_connections_on_host_set_change",
        of(common_lb_config={"close_connections_on_host_set_change": True}),
        outlive_a_change,
        2,
    ),
    effect(TCP_PROXY + ".idle_timeout", passing(idle_timeout="7s"), lasts, 7.0),
    effect(TCP_PROXY + ".max_downstream_connection_duration", passing(**DURATION), lasts, 40.0),
    effect(
        TCP_PROXY + ".max_downstream_connection_duration_jitter_percentage",
        passing(**DURATION, max_downstream_connection_duration_jitter_percentage={"value": 50}),
        lasts,
        50.0,
    ),
    effect(TCP_PROXY + ".max_connect_attempts", passing(max_connect_attempts=3), tries, [0.0, 0.0]),
    effect(TCP_PROXY + ".backoff_options", backing_off(), tries, [0.5, 1.0]),
    effect(CORE + "BackoffStrategy.base_interval", backing_off(base_interval="2s"), tries, [1.0, 2.0]),
    effect(CORE + "BackoffStrategy.max_interval", backing_off(max_interval="1.5s"), tries, [0.5, 0.75]),
    effect(TCP_PROXY + ".hash_policy", passing(BY_HASH, hash_policy=[{"source_ip": {}}]), wanted),
    effect(
        "envoy.type.v3.HashPolicy.source_ip",
        passing(BY_HASH, hash_policy=[{"source_ip": {}}]),
        wanted,
        against=passing(BY_HASH, hash_policy=[{"filter_state": {"key": "k"}}]),
    ),
    effect(TCP_PROXY + ".metadata_match", passing(BY_SUBSET, metadata_match=MATCH), wanted, "10.0.0.9:80"),
    effect(
        TCP_PROXY + ".WeightedCluster.ClusterWeight.metadata_match",
        passing(BY_SUBSET, weighted_clusters={"clusters": [{"name": "a", "weight": 1, "metadata_match": MATCH}]}),
        wanted,
        "10.0.0.9:80",
    ),
    effect(FORMAT + "proper_case_words", spelled(PROPER), names, ["X-Mine", "X-Request-Id"]),
    effect(FORMAT + "stateful_formatter", spelled(manager=keeping()), names, ["X-mINE", "x-request-id"]),
    effect(CORE + "Http1ProtocolOptions.header_key_format", spelled(PROPER), names, ["X-Mine", "X-Request-Id"]),
    effect(MANAGER + ".http_protocol_options", spelled(manager=keeping()), names, ["X-mINE", "x-request-id"]),
    effect(
        MANAGER + ".http_protocol_options.header_key_format",
        spelled(manager=keeping()),
        names,
        ["X-mINE", "x-request-id"],
    ),
    effect(
        PRESERVE + ".formatter_type_on_envoy_headers",
        OWN_PROPER,
        names,
        ["X-Request-Id", "X-mINE"],
    ),
]
