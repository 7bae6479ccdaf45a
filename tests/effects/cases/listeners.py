"""Listeners, filter chains, connection managers, TCP proxies."""

from __future__ import annotations

from typing import Any

from ..registry import Effect, effect
from ..resources import (
    MANAGER,
    TCP_PROXY,
    Json,
    Shop,
    chain,
    extension,
    host,
    listener,
    manager,
    route,
    shop,
    table,
    tcp_proxy,
    typed,
)
from ..scene import Scene
from ..seeing import See, each_of, explained, received, refusals
from .route_tables import LIMIT, limited

L = "envoy.config.listener.v3."
MATCH = L + "FilterChainMatch."
HCM = MANAGER + "."
FILTER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter."
RDS = "envoy.extensions.filters.network.http_connection_manager.v3.Rds."
CORE = "envoy.config.core.v3."
RANGE = CORE + "CidrRange."
RBAC = "envoy.extensions.filters.http.rbac.v3.RBAC"
SNI_CLUSTER = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster"
ADS: Json = {"ads": {}}


def answering(status: int, **match: Any) -> Json:
    """A chain that answers with a status by itself."""
    direct = table(host(route(direct_response={"status": status})))
    return chain(manager(route_config=direct), filter_chain_match=match)


def matched(**match: Any) -> Shop:
    """An outbound chain with a match (418), and a default one (419)."""
    return shop(chains=[answering(418, **match)], listener_fields={"default_filter_chain": answering(419)})


def receiving(**match: Any) -> Shop:
    """The same for what comes in."""
    made = listener("virtualInbound", answering(418, **match), default_filter_chain=answering(419))
    return shop(listeners=[made])


def received_from(**request: Any) -> See:
    """The status of an incoming request."""
    return received(**request)


def cidr(address: str, length: int) -> list[Json]:
    """One range."""
    return [{"address_prefix": address, "prefix_len": length}]


def status(*requests: Json) -> See:
    """The statuses of requests."""
    return each_of("status", *requests)


def to_address(**match: Any) -> Shop:
    """An outbound chain by the address that is dialled."""
    return shop(
        chains=[answering(418, **match)],
        listener_fields={"default_filter_chain": answering(419)},
        names={"near.test": "10.1.0.1", "far.test": "10.2.0.1"},
    )


NEAR: Json = {"url": "http://near.test/"}
FAR: Json = {"url": "http://far.test/"}


def managed(*filters: Json, **fields: Any) -> Shop:
    """A connection manager with these fields."""
    return shop(filters=filters, manager_fields=fields)


def discovered(**fields: Any) -> Json:
    """A filter that comes by ECDS."""
    url = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
    return {"name": "limit", "config_discovery": {"config_source": ADS, "type_urls": [url], **fields}}


UNSAFE = extension("envoy.extensions.filters.http.lua.v3.Lua", "lua")
INERT = {"name": "istio.metadata_exchange", "typed_config": typed(SNI_CLUSTER)}
STRANGE = {"name": "own.filter", "typed_config": typed(SNI_CLUSTER)}
OTHER_TABLE = table(host(route(action={"cluster": "b"})), name="other")
RDS_OTHER: Json = {"rds": {"route_config_name": "other", "config_source": ADS}}


def tcp_weights(*pairs: str | int) -> Shop:
    """A TCP proxy that draws clusters by weight: a name, a weight, and so on."""
    weights = [{"name": name, "weight": weight} for name, weight in zip(pairs[::2], pairs[1::2], strict=True)]
    return shop(chains=[chain(tcp_proxy(weighted_clusters={"clusters": weights}))])


def drawn(scene: Scene) -> list[str]:
    """The clusters that connections go to."""
    return sorted({scene.explain()["cluster"] for _ in range(40)})


TCP_WEIGHTS = TCP_PROXY + ".WeightedCluster."
BOTH = tcp_weights("b", 3, "c", 1)

CASES: list[Effect] = [
    effect(L + "Listener.name", shop(), explained("listener"), "0.0.0.0_80"),
    effect(L + "Listener.filter_chains", matched(), explained("status"), 418),
    effect(
        L + "Listener.default_filter_chain",
        shop(chains=[answering(418, destination_port=1)], listener_fields={"default_filter_chain": answering(419)}),
        explained("status"),
        419,
    ),
    effect(
        L + "Listener.api_listener",
        shop(listeners=[{"name": "api.test:81", "api_listener": {"api_listener": manager()["typed_config"]}}]),
        explained("cluster", url="http://api.test:81/"),
        "a",
    ),
    effect(
        L + "ApiListener.api_listener",
        shop(listeners=[{"name": "api.test:81", "api_listener": {"api_listener": manager()["typed_config"]}}]),
        explained("cluster", url="http://api.test:81/"),
        "a",
    ),
    effect(L + "FilterChain.name", shop(chains=[chain(name="first")]), explained("filter_chain"), "first"),
    effect(L + "FilterChain.filters", shop(chains=[chain(tcp_proxy())]), explained("action", "cluster"), ("tcp", "a")),
    effect(L + "FilterChain.filter_chain_match", matched(destination_port=81), explained("status"), 419),
    effect(
        L + "Filter.name",
        shop(chains=[chain(INERT, manager())]),
        explained("status", "endpoint"),
        (None, "10.0.0.2:80"),
        against=shop(chains=[chain(STRANGE, manager())]),
    ),
    effect(L + "Filter.typed_config", shop(chains=[chain(tcp_proxy())]), explained("action"), "tcp"),
    effect(MATCH + "destination_port", matched(destination_port=81), explained("status"), 419),
    effect(MATCH + "prefix_ranges", to_address(prefix_ranges=cidr("10.1.0.0", 16)), status(NEAR, FAR), [418, 419]),
    effect(
        RANGE + "address_prefix",
        to_address(prefix_ranges=cidr("10.1.0.0", 16)),
        status(NEAR, FAR),
        [418, 419],
        against=to_address(prefix_ranges=cidr("10.2.0.0", 16)),
    ),
    effect(
        RANGE + "prefix_len",
        to_address(prefix_ranges=cidr("10.1.0.0", 16)),
        status(NEAR, FAR),
        [418, 419],
        against=to_address(prefix_ranges=cidr("10.1.0.0", 8)),
    ),
    effect(MATCH + "address_suffix", matched(address_suffix="10.0.0.1"), refusals),
    effect(MATCH + "suffix_len", matched(suffix_len=8), refusals),
    effect(
        MATCH + "server_names",
        shop(
            listeners=[
                listener(
                    "0.0.0.0_443",
                    chain(tcp_proxy(cluster="b"), filter_chain_match={"server_names": ["b.test"]}),
                    default_filter_chain=chain(tcp_proxy()),
                )
            ]
        ),
        each_of("cluster", {"url": "https://b.test/"}, {"url": "https://a.test/"}),
        ["b", "a"],
    ),
    effect(MATCH + "transport_protocol", matched(transport_protocol="tls"), explained("status"), 419),
    effect(MATCH + "application_protocols", matched(application_protocols=["h2"]), explained("status"), 419),
    effect(
        MATCH + "direct_source_prefix_ranges",
        receiving(direct_source_prefix_ranges=cidr("192.0.2.0", 24)),
        lambda scene: [scene.receive(source=each).status for each in ("192.0.2.1", "192.0.3.1")],
        [418, 419],
    ),
    effect(
        MATCH + "source_prefix_ranges",
        receiving(source_prefix_ranges=cidr("192.0.2.0", 24)),
        lambda scene: [scene.receive(source=each).status for each in ("192.0.2.1", "192.0.3.1")],
        [418, 419],
    ),
    effect(MATCH + "source_type", receiving(source_type="SAME_IP_OR_LOOPBACK"), received_from(source="192.0.2.1"), 419),
    effect(MATCH + "source_ports", receiving(source_ports=[1234]), received_from(), 419),
    effect(
        L + "Listener.listener_filters", shop(listener_fields={"listener_filters": [extension(RBAC, "bad")]}), refusals
    ),
    effect(
        L + "ListenerFilter.typed_config",
        shop(listener_fields={"listener_filters": [{**extension(RBAC, "bad")}]}),
        refusals,
        against=None,
    ),
    # Connection managers.
    effect(
        HCM + "rds",
        shop(manager_fields=RDS_OTHER, tables=[OTHER_TABLE]),
        explained("route_config", "cluster"),
        ("other", "b"),
    ),
    effect(
        RDS + "route_config_name",
        shop(manager_fields=RDS_OTHER, tables=[OTHER_TABLE]),
        explained("route_config", "cluster"),
        ("other", "b"),
        against=shop(),
    ),
    effect(RDS + "config_source", shop(), explained("route_config", "cluster"), ("80", "a")),
    effect(CORE + "ConfigSource.ads", shop(), explained("route_config", "cluster"), ("80", "a")),
    effect(
        CORE + "ConfigSource.self",
        shop(manager_fields={"rds": {"route_config_name": "80", "config_source": {"self": {}}}}),
        explained("route_config", "cluster"),
        ("80", "a"),
    ),
    effect(
        HCM + "route_config", managed(route_config=OTHER_TABLE), explained("route_config", "cluster"), ("other", "b")
    ),
    effect(
        HCM + "http_filters",
        shop(filters=[UNSAFE]),
        explained("status", "response_flags"),
        (503, "UF"),
        against=shop(),
    ),
    effect(
        HCM + "tracing",
        shop(route_fields={"decorator": {"operation": "op"}}, manager_fields={"tracing": {}}),
        lambda scene: [v for n, v in scene.explain()["request_headers"] if n == "x-envoy-decorator-operation"],
        ["op"],
    ),
    effect(HCM + "normalize_path", managed(normalize_path=True), explained("path", url="http://shop/a/../b"), "/b"),
    effect(HCM + "merge_slashes", managed(merge_slashes=True), explained("path", url="http://shop/a//b"), "/a/b"),
    effect(
        HCM + "path_with_escaped_slashes_action",
        managed(path_with_escaped_slashes_action="REJECT_REQUEST"),
        explained("status", url="http://shop/a%2Fb"),
        400,
    ),
    effect(
        HCM + "common_http_protocol_options.max_response_headers_kb",
        managed(common_http_protocol_options={"max_response_headers_kb": 9}),
        refusals,
    ),
    # HTTP filters.
    effect(
        FILTER + "name",
        shop(
            filters=[{"name": "limit", "typed_config": limited()}],
            route_fields={
                "typed_per_filter_config": {"limit": typed("envoy.config.route.v3.FilterConfig", disabled=True)}
            },
        ),
        each_of("status", "/a", "/a"),
        [None, None],
        against=shop(
            filters=[{"name": "other", "typed_config": limited()}],
            route_fields={
                "typed_per_filter_config": {"limit": typed("envoy.config.route.v3.FilterConfig", disabled=True)}
            },
        ),
    ),
    effect(
        FILTER + "typed_config",
        shop(filters=[{"name": "limit", "typed_config": limited()}]),
        each_of("status", "/a", "/a"),
        [None, 429],
        against=shop(),
    ),
    effect(
        FILTER + "disabled",
        shop(filters=[{"name": "limit", "disabled": True, "typed_config": limited()}]),
        each_of("status", "/a", "/a"),
        [None, None],
    ),
    effect(
        FILTER + "is_optional", shop(filters=[{**UNSAFE, "is_optional": True}]), explained("endpoint"), "10.0.0.2:80"
    ),
    effect(
        FILTER + "config_discovery",
        shop(filters=[discovered()], extensions=[{"name": "limit", "typed_config": limited()}]),
        each_of("status", "/a", "/a"),
        [None, 429],
        against=shop(),
    ),
    effect(
        CORE + "ExtensionConfigSource.config_source",
        shop(filters=[discovered()], extensions=[{"name": "limit", "typed_config": limited()}]),
        each_of("status", "/a", "/a"),
        [None, 429],
        against=shop(),
    ),
    effect(
        CORE + "ExtensionConfigSource.default_config",
        shop(filters=[discovered(default_config=limited())]),
        each_of("status", "/a", "/a"),
        [None, 429],
    ),
    effect(
        CORE + "ExtensionConfigSource.type_urls",
        shop(filters=[discovered(type_urls=["type.googleapis.com/" + RBAC], default_config=limited())]),
        refusals,
        against=None,
    ),
    effect(
        CORE + "TypedExtensionConfig.name",
        shop(filters=[discovered()], extensions=[{"name": "limit", "typed_config": limited()}]),
        each_of("status", "/a", "/a"),
        [None, 429],
        against=shop(
            filters=[discovered()],
            extensions=[
                {"name": "limit", "typed_config": typed(LIMIT, stat_prefix="s")},
                {"name": "other", "typed_config": limited()},
            ],
        ),
    ),
    # TCP.
    effect(TCP_PROXY + ".weighted_clusters", BOTH, drawn, ["b", "c"], against=tcp_weights("b", 1)),
    effect(TCP_WEIGHTS + "clusters", BOTH, drawn, ["b", "c"], against=tcp_weights("b", 1)),
    effect(TCP_WEIGHTS + "ClusterWeight.name", tcp_weights("b", 1), drawn, ["b"], against=tcp_weights("c", 1)),
    effect(
        TCP_WEIGHTS + "ClusterWeight.weight",
        BOTH,
        lambda scene: [scene.explain()["cluster"] for _ in range(40)].count("b") > 20,
        True,
        against=tcp_weights("b", 1, "c", 3),
    ),
    effect(
        "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy.cluster",
        shop(chains=[chain(tcp_proxy(cluster="b"))]),
        explained("action", "cluster"),
        ("tcp", "b"),
    ),
]
