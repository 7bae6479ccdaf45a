"""A recording as a static configuration for a stock Envoy: all inlined, nothing that only Istio's Envoy has.

The listeners stay as istiod made them. Only `virtualOutbound` and `virtualInbound` bind (to ports of the kernel's
choice); they read the original destination from a PROXY protocol header instead of from iptables, and the first hands
the connection to the listener of that address as behind a sidecar. What is changed: RDS and EDS inlined, `istio.*`
filters left out, endpoints spoken to in plaintext, an ORIGINAL_DST cluster sent to a backend of its own (nothing
leaves loopback), access logs ours.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from tests.differential.recording import Recording, Resource

TYPE = "type.googleapis.com/envoy.extensions."
HCM = "envoy.filters.network.http_connection_manager"
LOG = "access.jsonl"
BOUND = ("virtualOutbound", "virtualInbound")
LOCAL: Resource = {"address": "127.0.0.1", "port_value": 0}

# what pilot-agent's bootstrap sets in every sidecar (istio pkg/bootstrap, extractRuntimeFlags)
SIDECAR_RUNTIME: Resource = {
    "re2.max_program_size.error_level": 32768,
    "envoy.reloadable_features.http_reject_path_with_fragment": False,
}
FIELDS = {
    "serial": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
    "code": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "termination": "%CONNECTION_TERMINATION_DETAILS%",
    "transport_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "filter_chain": "%FILTER_CHAIN_NAME%",
    "route": "%ROUTE_NAME%",
    "route_id": "%METADATA(ROUTE:rig:id)%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream": "%UPSTREAM_HOST%",
    "upstream_protocol": "%UPSTREAM_PROTOCOL%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "authority": "%REQ(:AUTHORITY)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "duration": "%DURATION%",
}


def access_log() -> Resource:
    """One JSON line for each request (HTTP) or connection (TCP)."""
    config = {
        "@type": TYPE + "access_loggers.file.v3.FileAccessLog",
        "path": "{FOLDER}/" + LOG,
        "log_format": {"json_format": FIELDS},
    }
    return {"name": "envoy.access_loggers.file", "typed_config": config}


def static(recording: Recording, *, direct: bool = True) -> Resource:
    """The bootstrap for a recording whose ports have been rewritten.

    `direct`: each HTTP listener has a copy on a loopback port of its own, for clients that cannot say where they go.
    """
    listeners = [_listener(copy.deepcopy(r), recording) for r in recording.listeners.values()]
    if direct:
        listeners += [_direct(r) for r in listeners if r["name"].startswith("0.0.0.0_")]
    clusters = [_cluster(copy.deepcopy(r), recording) for r in recording.clusters.values()]
    return {
        "node": {
            "id": recording.node.get("id", "rig"),
            "cluster": recording.node.get("cluster", "rig"),
            "locality": {"region": "r1", "zone": "a"},
        },
        "layered_runtime": {"layers": [{"name": "sidecar", "static_layer": dict(SIDECAR_RUNTIME)}]},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }


def _listener(listener: Resource, recording: Recording) -> Resource:
    if listener["name"] in BOUND:
        listener["address"] = {"socket_address": dict(LOCAL)}
        listener["bind_to_port"] = True
        proxy = {"@type": TYPE + "filters.listener.proxy_protocol.v3.ProxyProtocol"}
        filters = [{"name": "envoy.filters.listener.proxy_protocol", "typed_config": proxy}]
        listener["listener_filters"] = filters + [
            f for f in listener.get("listener_filters", ()) if not f["name"].endswith("original_dst")
        ]
    listener.pop("access_log", None)
    listener["access_log"] = [access_log()]
    listener["access_log"][0]["filter"] = {"response_flag_filter": {"flags": ["NR"]}}
    for chain in _chains(listener):
        chain.pop("transport_socket", None)
        chain["filters"] = [f for f in chain["filters"] if not f["name"].startswith("istio.")]
        for network_filter in chain["filters"]:
            config = network_filter["typed_config"]
            if network_filter["name"] in (HCM, "envoy.filters.network.tcp_proxy"):
                config["access_log"] = [access_log()]
            if network_filter["name"] == HCM:
                _connection_manager(config, recording)
    return listener


def _direct(listener: Resource) -> Resource:
    """The same listener on a loopback port of its own, for clients that cannot say where they were going."""
    name = "direct_" + listener["name"].rpartition("_")[2]
    other = copy.deepcopy(listener)
    other.update(name=name, address={"socket_address": dict(LOCAL)}, bind_to_port=True)
    return other


def _chains(listener: Resource) -> Iterator[Resource]:
    yield from listener.get("filter_chains", ())
    if "default_filter_chain" in listener:
        yield listener["default_filter_chain"]


def _connection_manager(config: Resource, recording: Recording) -> None:
    config["http_filters"] = [f for f in config["http_filters"] if not f["name"].startswith("istio.")]
    if rds := config.pop("rds", None):
        config["route_config"] = copy.deepcopy(recording.routes[rds["route_config_name"]])
    table = config["route_config"]
    for host in table.get("virtual_hosts", ()):
        for index, route in enumerate(routes_of(host)):
            metadata = route.setdefault("metadata", {}).setdefault("filter_metadata", {})
            metadata["rig"] = {"id": f"{table.get('name', '')}/{host['name']}/{index}"}


def routes_of(host: Resource) -> Iterator[Resource]:
    """The routes of a virtual host, in the order of their numbers; those of a tree of matchers as they are read."""
    yield from host.get("routes", ())
    yield from _of_tree(host.get("matcher", {}))


def _of_tree(tree: Resource) -> Iterator[Resource]:
    level = tree.get("matcher_tree", {})
    custom = level.get("custom_match", {}).get("typed_config", {})
    maps = (level.get(name, {}).get("map", {}) for name in ("exact_match_map", "prefix_match_map"))
    ends = [each["on_match"] for each in tree.get("matcher_list", {}).get("matchers", ())]
    ends += [table[key] for table in maps for key in sorted(table)]
    ends += [each["on_match"] for name in ("range_matchers", "domain_matchers") for each in custom.get(name, ())]
    for end in (*ends, *([tree["on_no_match"]] if "on_no_match" in tree else ())):
        yield from _of_tree(end.get("matcher", {}))
        action = end.get("action", {}).get("typed_config", {})
        yield from action.get("routes", [action] if "match" in action else ())


def _cluster(cluster: Resource, recording: Recording) -> Resource:
    for name in ("transport_socket", "transport_socket_matches", "filters", "typed_dns_resolver_config"):
        cluster.pop(name, None)
    if cluster.get("type") == "ORIGINAL_DST":
        cluster.update(type="STATIC", lb_policy="ROUND_ROBIN", load_assignment=recording.originals[cluster["name"]])
        cluster.pop("cleanup_interval", None)
    if cluster.get("type") == "EDS":
        eds = cluster.pop("eds_cluster_config")
        cluster["type"] = "STATIC"
        cluster["load_assignment"] = copy.deepcopy(
            recording.assignments.get(eds.get("service_name") or cluster["name"], {})
        )
        cluster["load_assignment"]["cluster_name"] = cluster["name"]
    cluster.pop("upstream_bind_config", None)
    return cluster
