"""Shorthand for the tables: what surrounds the one thing that a case is about."""

from __future__ import annotations

from typing import Any

from . import Json

URL = "type.googleapis.com/"
HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
TCP_PROXY = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
LOCAL_RATELIMIT = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
ROUTER_TYPE = "envoy.extensions.filters.http.router.v3.Router"
LB = "envoy.extensions.load_balancing_policies."
TLS = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
RAW = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def typed(kind: str, **fields: Any) -> Json:
    """An Any."""
    return {"@type": URL + kind, **fields}


def extension(kind: str, name: str = "x", **fields: Any) -> Json:
    """A TypedExtensionConfig, and what looks like one."""
    return {"name": name, "typed_config": typed(kind, **fields)}


ROUTER = extension(ROUTER_TYPE, "envoy.filters.http.router")
STRANGER = extension(ROUTER_TYPE)
"""Of a type that Envoy has, and that belongs elsewhere."""
UNKNOWN = extension("google.protobuf.Empty")


def manager(**fields: Any) -> Json:
    """A connection manager as a network filter."""
    own: Json = {"stat_prefix": "s", "http_filters": [ROUTER], "route_config": {"name": "r"}}
    if "rds" in fields or "scoped_routes" in fields:
        del own["route_config"]
    return extension(HCM, "hcm", **{**own, **fields})


def listener(*filters: Json, **fields: Any) -> Json:
    """A listener with one filter chain."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    chains = [{"filters": list(filters) or [manager()]}]
    return {"name": "l", "address": address, "filter_chains": chains, **fields}


def managed(**fields: Any) -> Json:
    """A listener whose connection manager has these fields."""
    return listener(manager(**fields))


def filtered(*filters: Json) -> Json:
    """A listener whose connection manager has these HTTP filters."""
    return managed(http_filters=list(filters))


def configuration(**fields: Any) -> Json:
    """A route configuration, inline."""
    return managed(route_config={"name": "r", **fields})


def hosts(*found: Json) -> Json:
    """A route configuration of these virtual hosts."""
    return configuration(virtual_hosts=list(found))


def domains(*names: str) -> Json:
    """A route configuration with one virtual host for each name."""
    return hosts(*({"name": f"v{index}", "domains": [name]} for index, name in enumerate(names)))


def host(**fields: Any) -> Json:
    """A route configuration of one virtual host."""
    return hosts({"name": "v", "domains": ["*"], **fields})


EDS: Json = {"type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}}

ACTIONS = {"route", "redirect", "direct_response", "non_forwarding_action", "filter_action"}


def route(filters: list[Json] | None = None, **fields: Any) -> Json:
    """One route, to cluster `c` if it does not say otherwise."""
    own: Json = {"match": {"prefix": "/"}}
    if not ACTIONS & fields.keys():
        own["route"] = {"cluster": "c"}
    table = {"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{**own, **fields}]}]}
    return managed(route_config=table, http_filters=filters or [ROUTER])


CLUSTERS = {
    "cluster",
    "cluster_header",
    "weighted_clusters",
    "cluster_specifier_plugin",
    "inline_cluster_specifier_plugin",
}


def action(**fields: Any) -> Json:
    """A RouteAction, to cluster `c` if it does not say otherwise."""
    return route(route=fields if CLUSTERS & fields.keys() else {"cluster": "c", **fields})


PATHS = {"prefix", "path", "safe_regex", "connect_matcher", "path_separated_prefix", "path_match_policy"}


def match(**fields: Any) -> Json:
    """A RouteMatch, on any path if it does not say otherwise."""
    return route(match=fields if PATHS & fields.keys() else {"prefix": "/", **fields})


def cluster(**fields: Any) -> Json:
    """A static cluster."""
    return {"name": "x", "connect_timeout": "1s", **fields}


def endpoint(address: str = "127.0.0.1", port: int = 80, **fields: Any) -> Json:
    """An LbEndpoint."""
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}, **fields}


def locality(*endpoints: Json, **fields: Any) -> Json:
    """LocalityLbEndpoints."""
    return {"lb_endpoints": list(endpoints), **fields}


def assigned(*localities: Json, type: str = "STATIC", **fields: Any) -> Json:  # noqa: A002  # the field's name
    """A cluster with a load assignment."""
    return cluster(type=type, load_assignment={"cluster_name": "x", "endpoints": list(localities), **fields})


def policies(*found: Json) -> Json:
    """A LoadBalancingPolicy."""
    return {"policies": [{"typed_extension_config": each} for each in found]}


def balanced(*found: Json, **fields: Any) -> Json:
    """A cluster with a typed balancing policy."""
    return cluster(load_balancing_policy=policies(*found), **fields)
