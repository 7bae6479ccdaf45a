"""Random patches of EnvoyFilters: each kind of thing, each operation that it has, matches that hit and that miss."""

from __future__ import annotations

from typing import Any

from . import drawing as st

Json = dict[str, Any]

_TYPES = "type.googleapis.com/envoy.extensions."
_HTTP_MANAGER = "envoy.filters.network.http_connection_manager"
_TCP_PROXY = "envoy.filters.network.tcp_proxy"
_CONTEXTS = st.sampled_from(["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY"])
_PORTS = st.sampled_from([0, 80, 8080, 5432])


def _typed(kind: str, **rest: Any) -> Json:
    return {"@type": _TYPES + kind, **rest}


def _filter(name: str, kind: str, **rest: Any) -> Json:
    return {"name": name, "typed_config": _typed(kind, **rest)}


_LUA = _filter("mine.lua", "filters.http.lua.v3.Lua", inline_code="function envoy_on_request(h) end")
_HEALTH = _filter("mine.health", "filters.http.health_check.v3.HealthCheck", pass_through_mode=False)
_LIMIT = _filter(
    "mine.limit",
    "filters.http.local_ratelimit.v3.LocalRateLimit",
    stat_prefix="mine",
    token_bucket={"max_tokens": 4, "tokens_per_fill": 2, "fill_interval": "1s"},
    filter_enabled={"default_value": {"numerator": 100}},
    filter_enforced={"default_value": {"numerator": 50, "denominator": "HUNDRED"}},
)
_CONNECTIONS = _filter(
    "mine.connections", "filters.network.connection_limit.v3.ConnectionLimit", stat_prefix="mine", max_connections=9
)
_DISCOVERED = {
    "name": "mine.later",
    "config_discovery": {
        "config_source": {"ads": {}, "resource_api_version": "V3"},
        "type_urls": [_TYPES + "filters.http.lua.v3.Lua"],
    },
}
_INSPECTOR = _filter("mine.inspector", "filters.listener.tls_inspector.v3.TlsInspector")
_ROUTE = {"name": "mine", "match": {"prefix": "/mine"}, "direct_response": {"status": 418}}


def _matches(part: st.Draw[Json], key: str) -> st.Draw[Json]:
    proxy = st.fixed_dictionaries(
        {},
        optional={
            "proxyVersion": st.sampled_from([r"^1\.2.*", ".*", "9"]),
            "metadata": st.sampled_from([{"CLUSTER_ID": "Kubernetes"}, {"CLUSTER_ID": "other"}]),
        },
    )
    return st.fixed_dictionaries({"context": _CONTEXTS}, optional={key: part, "proxy": proxy})


def _chain(filters: st.Draw[Json] | None = None) -> st.Draw[Json]:
    optional: dict[str, st.Draw[Any]] = {
        "name": st.sampled_from(["virtualInbound", "0.0.0.0_8080", "nobody"]),
        "transportProtocol": st.sampled_from(["tls", "raw_buffer"]),
        "applicationProtocols": st.sampled_from(["http/1.1", "istio", "istio-h2,istio"]),
        "destinationPort": _PORTS,
        "sni": st.sampled_from(["geo.example.com", "nobody"]),
    }
    if filters is not None:
        optional["filter"] = filters
    return st.fixed_dictionaries({}, optional=optional)


def _listener(**parts: st.Draw[Any]) -> st.Draw[Json]:
    names = st.sampled_from(["virtualInbound", "virtualOutbound", "0.0.0.0_80", "nobody"])
    listener = st.fixed_dictionaries(
        {}, optional={"name": names, "portNumber": _PORTS, "portName": st.just("http"), **parts}
    )
    return _matches(listener, "listener")


_NETWORK_FILTER = st.fixed_dictionaries({"name": st.sampled_from([_HTTP_MANAGER, _TCP_PROXY])})
_HTTP_FILTER = st.fixed_dictionaries(
    {"name": st.just(_HTTP_MANAGER)},
    optional={
        "subFilter": st.fixed_dictionaries(
            {"name": st.sampled_from(["envoy.filters.http.router", "envoy.filters.http.fault", "nobody"])}
        )
    },
)
_TABLES = _matches(
    st.fixed_dictionaries(
        {},
        optional={
            "portNumber": _PORTS,
            "portName": st.just("http"),
            "gateway": st.just("ingress"),
            "name": st.sampled_from(["80", "inbound|8080||"]),
            "vhost": st.fixed_dictionaries(
                {},
                optional={
                    "name": st.sampled_from(["web.shop.svc.cluster.local:80", "inbound|http|80", "allow_any"]),
                    "domainName": st.sampled_from(["*", "web.shop"]),
                    "route": st.fixed_dictionaries(
                        {},
                        optional={
                            "name": st.sampled_from(["default", "mine"]),
                            "action": st.sampled_from(["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"]),
                        },
                    ),
                },
            ),
        },
    ),
    "routeConfiguration",
)
_CLUSTERS = _matches(
    st.fixed_dictionaries(
        {},
        optional={
            "portNumber": _PORTS,
            "service": st.sampled_from(["web.shop.svc.cluster.local", "geo.example.com"]),
            "subset": st.sampled_from(["v1", ""]),
            "name": st.sampled_from(["InboundPassthroughCluster", "inbound|8080||", "BlackHoleCluster"]),
        },
    ),
    "cluster",
)
_INSERTS = ["ADD", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER"]
_MERGES = ["MERGE", "MERGE_AND_REPLACE_LIST"]
_ADDED_CLUSTER = {
    "name": "mine",
    "type": "STATIC",
    "connect_timeout": "1s",
    "load_assignment": {
        "cluster_name": "mine",
        "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9}}}}]}
        ],
    },
}
_TO_BLACK_HOLE = _filter(
    _TCP_PROXY, "filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="x", cluster="BlackHoleCluster"
)
_ADDED_CHAIN = {"name": "mine", "filter_chain_match": {"destination_port": 7}, "filters": [_TO_BLACK_HOLE]}
_ADDED_LISTENER = {
    "name": "mine",
    "address": {"socket_address": {"address": "127.0.0.1", "port_value": 17777}},
    "filter_chains": [{"filters": [_TO_BLACK_HOLE]}],
}
_ADDED_HOST = {"name": "mine", "domains": ["mine.example.com"], "routes": [_ROUTE]}
_ROUTER = _filter("", "filters.http.router.v3.Router", suppress_envoy_headers=True)
_SOCKET = {
    "transport_socket": {
        "name": "envoy.transport_sockets.tls",
        "typed_config": _typed("transport_sockets.tls.v3.UpstreamTlsContext", sni="mine"),
    }
}

# What is patched, where, with what, and how.
_PATCHES: list[tuple[str, st.Draw[Json], list[Json], list[str]]] = [
    ("HTTP_FILTER", _listener(filterChain=_chain(_HTTP_FILTER)), [_LUA, _HEALTH, _LIMIT, _DISCOVERED], _INSERTS),
    ("HTTP_FILTER", _listener(filterChain=_chain(_HTTP_FILTER)), [_LUA], ["REPLACE"]),
    ("HTTP_FILTER", _listener(filterChain=_chain(_HTTP_FILTER)), [_ROUTER], _MERGES),
    ("NETWORK_FILTER", _listener(filterChain=_chain(_NETWORK_FILTER)), [_CONNECTIONS], [*_INSERTS[1:3]]),
    (
        "NETWORK_FILTER",
        _listener(filterChain=_chain(_NETWORK_FILTER)),
        [_filter(_TCP_PROXY, "filters.network.tcp_proxy.v3.TcpProxy", idle_timeout="9s")],
        ["MERGE"],
    ),
    ("FILTER_CHAIN", _listener(filterChain=_chain()), [{"transport_socket_connect_timeout": "3s"}], _MERGES),
    ("FILTER_CHAIN", _listener(filterChain=_chain()), [_ADDED_CHAIN], ["ADD"]),
    ("LISTENER", _listener(), [{"per_connection_buffer_limit_bytes": 4096}], _MERGES),
    ("LISTENER", _listener(), [_ADDED_LISTENER], ["ADD"]),
    ("LISTENER", _listener(), [{}], ["REMOVE"]),
    ("LISTENER_FILTER", _listener(listenerFilter=st.just("mine")), [_INSPECTOR], ["REPLACE", "REMOVE", *_INSERTS[2:]]),
    ("CLUSTER", _CLUSTERS, [{"per_connection_buffer_limit_bytes": 4096}, _SOCKET], _MERGES),
    ("CLUSTER", _CLUSTERS, [_ADDED_CLUSTER], ["ADD"]),
    ("ROUTE_CONFIGURATION", _TABLES, [{"response_headers_to_remove": ["x-a"]}], _MERGES),
    ("VIRTUAL_HOST", _TABLES, [{"include_request_attempt_count": True}], _MERGES),
    ("VIRTUAL_HOST", _TABLES, [_ADDED_HOST], ["ADD", "REPLACE"]),
    ("HTTP_ROUTE", _TABLES, [_ROUTE], _INSERTS),
    ("HTTP_ROUTE", _TABLES, [{"response_headers_to_remove": ["x-a"]}], [*_MERGES, "REMOVE"]),
    ("EXTENSION_CONFIG", _matches(st.just({}), "listener"), [{**_LUA, "name": "mine.later"}], ["ADD"]),
    ("BOOTSTRAP", _matches(st.just({}), "listener"), [{"stats_flush_interval": "9s"}], ["MERGE"]),
]


def _patch(of: tuple[str, st.Draw[Json], list[Json], list[str]]) -> st.Draw[Json]:
    apply_to, matches, values, operations = of
    return st.fixed_dictionaries(
        {
            "applyTo": st.just(apply_to),
            "match": matches,
            "patch": st.fixed_dictionaries(
                {"operation": st.sampled_from(operations), "value": st.sampled_from(values)},
                optional={"filterClass": st.sampled_from(["AUTHN", "AUTHZ", "STATS"])},
            ),
        }
    )


def envoy_filters() -> st.Draw[Json]:
    """The `spec` of one."""
    return st.fixed_dictionaries(
        {"configPatches": st.lists(st.sampled_from(_PATCHES).flatmap(_patch), min_size=1, max_size=3)},
        optional={
            "priority": st.sampled_from([-1, 5]),
            "workloadSelector": st.sampled_from([{"labels": {"app": "web"}}, {"labels": {"app": "nobody"}}]),
            "targetRefs": st.just([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "ingress"}]),
        },
    )
