"""EnvoyFilters: every operation on everything that a patch may apply to, and whom a patch reaches."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.xds.controlplane.emit.traffic import HOST, Json, clusters, hosts, listeners, parsed
from tests.xds.controlplane.support import istio

LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
FILTERS = "envoy.filters.network.http_connection_manager"


def patching(*patches: str, name: str = "p", rest: str = "{}", **meta: Any) -> str:
    """An EnvoyFilter; each patch is written as applyTo, operation, match, value."""
    made = []
    for text in patches:
        written = parsed(text)
        made.append(
            {
                "applyTo": written["applyTo"],
                "match": written.get("match", {"context": "SIDECAR_OUTBOUND"}),
                "patch": {"operation": written["operation"], "value": written.get("value", {})},
            }
        )
    return istio("EnvoyFilter", name, yaml.safe_dump({"configPatches": made, **parsed(rest)}), **meta)


def manager(text: str, listener: str = "0.0.0.0_80", **caller: Any) -> Json:
    """The connection manager of an outbound listener of HTTP."""
    made = listeners(text, **caller)[listener]
    chains = [*made["filter_chains"], made.get("default_filter_chain", {})]
    (found,) = (f["typed_config"] for chain in chains for f in chain.get("filters", []) if f["name"] == FILTERS)
    assert isinstance(found, dict)
    return found


def names(text: str, **caller: Any) -> list[str]:
    return [each["name"] for each in manager(text, **caller)["http_filters"]]


def http_filter(operation: str, sub: str | None = None, value: str = "{name: new}", match: str = "") -> str:
    chosen = f", subFilter: {{name: {sub}}}" if sub is not None else ""
    where = match or f"listener: {{portNumber: 80, filterChain: {{filter: {{name: {FILTERS}{chosen}}}}}}}"
    return (
        f"{{applyTo: HTTP_FILTER, operation: {operation}, match: {{context: SIDECAR_OUTBOUND, {where}}}, "
        f"value: {value}}}"
    )


def lua(name: str, code: str, sources: str) -> str:
    return f'{{name: {name}, typed_config: {{"@type": {LUA}, inline_code: {code}, source_codes: {sources}}}}}'


PLAIN = names("")
FAULT, ROUTER = "envoy.filters.http.fault", "envoy.filters.http.router"


def with_new(at: int) -> list[str]:
    return [*PLAIN[:at], "new", *PLAIN[at:]]


@pytest.mark.parametrize(
    ("operation", "sub", "expected"),
    [
        ("ADD", None, with_new(len(PLAIN))),
        ("INSERT_FIRST", None, with_new(0)),
        ("INSERT_FIRST", ROUTER, with_new(0)),
        ("INSERT_BEFORE", ROUTER, with_new(len(PLAIN) - 1)),
        ("INSERT_BEFORE", None, with_new(0)),
        ("INSERT_BEFORE", "no.such", PLAIN),
        ("INSERT_AFTER", FAULT, with_new(PLAIN.index(FAULT) + 1)),
        ("INSERT_AFTER", None, with_new(len(PLAIN))),
        ("INSERT_AFTER", "no.such", PLAIN),
        ("REPLACE", FAULT, ["new" if each == FAULT else each for each in PLAIN]),
        ("REPLACE", None, PLAIN),
        ("REMOVE", FAULT, [each for each in PLAIN if each != FAULT]),
        ("REMOVE", None, PLAIN),
    ],
)
def test_http_filters_come_where_the_operation_says(operation: str, sub: str | None, expected: list[str]) -> None:
    assert names(patching(http_filter(operation, sub))) == expected


def test_patches_of_filters_apply_one_after_the_other() -> None:
    text = patching(
        http_filter("INSERT_BEFORE", ROUTER, "{name: one}"),
        http_filter("INSERT_AFTER", "one", "{name: two}"),
        http_filter("REMOVE", "one"),
    )
    assert names(text) == [*PLAIN[:-1], "two", ROUTER]


def test_the_content_of_a_filter_is_merged_and_its_name_may_change() -> None:
    added = http_filter(
        "INSERT_FIRST",
        None,
        lua("mine", '"--"', "{a: {inline_string: a}}"),
    )
    merged = http_filter(
        "MERGE",
        "mine",
        lua("yours", '"---"', "{b: {inline_string: b}}"),
    )
    first = manager(patching(added, merged))["http_filters"][0]
    assert first["name"] == "yours"
    assert first["typed_config"]["inline_code"] == "---"
    assert first["typed_config"]["source_codes"] == {"a": {"inline_string": "a"}, "b": {"inline_string": "b"}}


def test_a_merge_that_names_no_filter_is_into_all() -> None:
    assert names(patching(http_filter("MERGE", None, "{name: same}"))) == ["same"] * len(PLAIN)


def test_a_port_and_a_name_choose_the_listener() -> None:
    text = patching(http_filter("INSERT_FIRST", None))
    assert names(text, listener="0.0.0.0_81") == names("", listener="0.0.0.0_81")
    named = patching(http_filter("INSERT_FIRST", None, match="listener: {name: 0.0.0.0_81}"))
    assert names(named) == PLAIN
    assert names(named, listener="0.0.0.0_81")[0] == "new"


def test_the_manager_is_merged_as_a_network_filter() -> None:
    text = patching(
        f"""
        applyTo: NETWORK_FILTER
        operation: MERGE
        match: {{context: ANY, listener: {{filterChain: {{filter: {{name: {FILTERS}}}}}}}}}
        value:
          typed_config: {{"@type": {MANAGER}, server_name: mine, common_http_protocol_options: {{idle_timeout: 9s}}}}
        """
    )
    plain, made = manager(""), manager(text)
    assert made["server_name"] == "mine"
    assert made["common_http_protocol_options"]["idle_timeout"] == "9s"
    assert made["http_filters"] == plain["http_filters"]


def test_network_filters_and_listener_filters_are_inserted_and_removed() -> None:
    text = patching(
        "{applyTo: NETWORK_FILTER, operation: INSERT_BEFORE, value: {name: near}, "
        f"match: {{listener: {{portNumber: 80, filterChain: {{filter: {{name: {FILTERS}}}}}}}}}}}",
        "{applyTo: LISTENER_FILTER, operation: INSERT_FIRST, "
        "match: {listener: {portNumber: 80}}, value: {name: first}}",
        "{applyTo: LISTENER_FILTER, operation: ADD, match: {listener: {portNumber: 80}}, value: {name: last}}",
        "{applyTo: LISTENER_FILTER, operation: INSERT_AFTER, "
        "match: {listener: {portNumber: 80, listenerFilter: first}}, value: {name: second}}",
        "{applyTo: LISTENER_FILTER, operation: REMOVE, match: {listener: {portNumber: 80, listenerFilter: last}}}",
    )
    made, plain = listeners(text)["0.0.0.0_80"], listeners("")["0.0.0.0_80"]
    known = [each["name"] for each in plain.get("listener_filters", [])]
    assert [each["name"] for each in made["listener_filters"]] == ["first", "second", *known]
    chains = [[each["name"] for each in chain["filters"]] for chain in made["filter_chains"]]
    assert ["near", FILTERS] in [chain[-2:] for chain in chains]


def test_listeners_are_added_merged_and_removed() -> None:
    added = "{applyTo: LISTENER, operation: ADD, match: {context: %s}, value: {name: mine}}"
    assert "mine" in listeners(patching(added % "ANY"))
    assert "mine" in listeners(patching(added % "SIDECAR_INBOUND"))
    assert "mine" not in listeners(patching(added % "GATEWAY"))
    text = patching(
        "{applyTo: LISTENER, operation: REMOVE, match: {context: SIDECAR_OUTBOUND, listener: {portNumber: 81}}}",
        "{applyTo: LISTENER, operation: MERGE, match: {listener: {name: virtualInbound}}, value: {stat_prefix: in}}",
        "{applyTo: FILTER_CHAIN, operation: ADD, match: {listener: {portNumber: 80}}, "
        "value: {name: added, filters: [{name: one}]}}",
    )
    made = listeners(text)
    assert "0.0.0.0_81" not in made
    assert made["virtualInbound"]["stat_prefix"] == "in"
    assert made["0.0.0.0_80"]["filter_chains"][-1] == {"name": "added", "filters": [{"name": "one"}]}


def test_route_tables_hosts_and_routes() -> None:
    where = "context: SIDECAR_OUTBOUND, routeConfiguration: {name: '80', vhost: {name: '%s'%s}}"
    web = f"{HOST}:80"
    text = patching(
        f"{{applyTo: VIRTUAL_HOST, operation: MERGE, match: {{{where % (web, '')}}}, "
        "value: {domains: [more], include_request_attempt_count: false}}",
        f"{{applyTo: HTTP_ROUTE, operation: MERGE, match: {{{where % (web, ', route: {name: default}')}}}, "
        "value: {route: {timeout: 3s}}}",
        f"{{applyTo: HTTP_ROUTE, operation: INSERT_FIRST, match: {{{where % (web, ', route: {action: ROUTE}')}}}, "
        "value: {name: first, match: {prefix: /x}, direct_response: {status: 418}}}",
        f"{{applyTo: HTTP_ROUTE, operation: INSERT_FIRST, match: {{{where % (web, ', route: {name: none}')}}}, "
        "value: {name: never}}",
        f"{{applyTo: VIRTUAL_HOST, operation: REMOVE, match: {{{where % ('far.other.svc.cluster.local:80', '')}}}}}",
        "{applyTo: VIRTUAL_HOST, operation: ADD, match: {routeConfiguration: {name: '80'}}, "
        "value: {name: added, domains: [added.example.com]}}",
    )
    found = {each["name"]: each for each in hosts(text)}
    before = {each["name"]: each for each in hosts("")}
    assert found.keys() == (before.keys() - {"far.other.svc.cluster.local:80"}) | {"added"}
    assert found[web]["domains"] == [*before[web]["domains"], "more"]
    assert [each["name"] for each in found[web]["routes"]] == ["first", "default"]
    assert found[web]["routes"][1]["route"]["timeout"] == "3s"
    assert {each["name"]: each for each in hosts(text, "81")} == {each["name"]: each for each in hosts("", "81")}


def test_lists_grow_or_are_replaced() -> None:
    value = f"{{applyTo: VIRTUAL_HOST, operation: %s, match: {{routeConfiguration: {{vhost: {{name: '{HOST}:80'}}}}}}, "
    value += "value: {domains: [mine]}}"
    (before,) = (each for each in hosts("") if each["name"] == f"{HOST}:80")
    for operation, expected in (("MERGE", [*before["domains"], "mine"]), ("MERGE_AND_REPLACE_LIST", ["mine"])):
        (found,) = (each for each in hosts(patching(value % operation)) if each["name"] == f"{HOST}:80")
        assert found["domains"] == expected


def test_clusters_are_merged_removed_and_added() -> None:
    name = f"outbound|80||{HOST}"
    match = f"match: {{context: SIDECAR_OUTBOUND, cluster: {{service: {HOST}, portNumber: 80}}}}"
    made = clusters(
        patching(
            f"{{applyTo: CLUSTER, operation: MERGE, {match}, value: {{connect_timeout: 1s, lb_policy: MAGLEV}}}}",
            f"{{applyTo: CLUSTER, operation: REMOVE, match: {{cluster: {{name: 'outbound|81||{HOST}'}}}}}}",
            "{applyTo: CLUSTER, operation: ADD, match: {context: SIDECAR_OUTBOUND}, value: {name: mine, type: STATIC}}",
        )
    )
    assert made[name]["connect_timeout"] == "1s"
    assert made[name]["lb_policy"] == "MAGLEV"
    assert f"outbound|81||{HOST}" not in made
    assert "mine" in made


def first_added(*texts: str, **caller: Any) -> list[str]:
    """The filters that came first, the last inserted in front."""
    return [each for each in names("".join(texts), **caller) if each not in PLAIN]


def insertion(name: str, **rest: Any) -> str:
    return patching(http_filter("INSERT_FIRST", None, f"{{name: {name}}}"), name=name, **rest)


def test_the_order_is_priority_root_namespace_age_and_name() -> None:
    assert first_added(insertion("b"), insertion("a")) == ["b", "a"]
    aged = (insertion(name, creationTimestamp=f"{year}-01-01T00:00:00Z") for name, year in (("b", 2020), ("a", 2021)))
    assert first_added(*aged) == ["a", "b"]
    assert first_added(insertion("a"), insertion("b", rest="{priority: -1}")) == ["a", "b"]
    assert first_added(insertion("a"), insertion("b", namespace="istio-system")) == ["a", "b"]
    assert first_added(insertion("a"), insertion("b", namespace="elsewhere")) == ["a"]


@pytest.mark.parametrize(
    ("proxy", "metadata", "reached"),
    [
        ("{proxyVersion: '^1\\.2[0-9].*'}", {"ISTIO_VERSION": "1.29.0"}, True),
        ("{proxyVersion: '^1\\.2[0-9].*'}", {"ISTIO_VERSION": "1.30.0"}, False),
        ("{proxyVersion: '^1\\.2[0-9].*'}", {}, False),
        ("{metadata: {tier: gold}}", {"tier": "gold"}, True),
        ("{metadata: {tier: gold}}", {"tier": "silver"}, False),
        ("{metadata: {tier: gold}}", {}, False),
    ],
)
def test_a_proxy_is_reached_by_its_version_and_metadata(proxy: str, metadata: dict[str, str], reached: bool) -> None:
    text = patching(
        f"{{applyTo: HTTP_FILTER, operation: INSERT_FIRST, match: {{context: SIDECAR_OUTBOUND, proxy: {proxy}, "
        "listener: {portNumber: 80}}, value: {name: new}}"
    )
    assert ("new" in names(text, **metadata)) is reached


def test_a_workload_is_reached_by_its_labels() -> None:
    text = insertion("new", rest="{workloadSelector: {labels: {app: web}}}")
    assert "new" in names(text, labels={"app": "web"})
    assert "new" not in names(text, labels={"app": "other"})


def test_a_value_of_an_unknown_type_takes_its_patch_out_of_force_alone() -> None:
    bad = http_filter("INSERT_FIRST", None, '{name: bad, typed_config: {"@type": type.googleapis.com/no.Such}}')
    assert first_added(patching(bad, http_filter("INSERT_FIRST", None))) == ["new"]


INSPECTOR = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
TLS = "envoy.filters.listener.tls_inspector"


def listener_filter(operation: str, name: str, value: str, extra: str = "") -> str:
    return (
        f"{{applyTo: LISTENER_FILTER, operation: {operation}, match: {{context: SIDECAR_OUTBOUND, "
        f"listener: {{name: virtualOutbound, listenerFilter: {name}{extra}}}}}, value: {value}}}"
    )


ADDED = (
    f"{{applyTo: LISTENER_FILTER, operation: ADD, match: {{context: SIDECAR_OUTBOUND, "
    f'listener: {{name: virtualOutbound}}}}, value: {{name: {TLS}, typed_config: {{"@type": {INSPECTOR}}}}}}}'
)


def test_a_listener_filter_of_any_name_is_merged() -> None:
    """istiod asks for a name, and then does not compare it."""
    merging = listener_filter(
        "MERGE", "other", f'{{name: x, typed_config: {{"@type": {INSPECTOR}, enable_ja3_fingerprinting: true}}}}'
    )
    (found,) = listeners(patching(ADDED, merging))["virtualOutbound"]["listener_filters"]
    assert found["name"] == TLS
    assert found["typed_config"]["enable_ja3_fingerprinting"] is True


ROUTER_TYPE = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
CLASH = f'{{name: "", typed_config: {{"@type": {ROUTER_TYPE}}}}}'


def test_types_that_clash_end_the_patching_of_listeners() -> None:
    """istiod falls over it: what was patched before stays, nothing after it is."""
    before = (
        "{applyTo: LISTENER, operation: MERGE, match: {context: SIDECAR_OUTBOUND}, "
        "value: {per_connection_buffer_limit_bytes: 7}}"
    )
    after = "{applyTo: LISTENER, operation: ADD, value: {name: mine}}"
    made = listeners(patching(before, http_filter("MERGE", FAULT, CLASH), after))
    assert made["0.0.0.0_80"]["per_connection_buffer_limit_bytes"] == 7
    assert "mine" not in made
    assert names(patching(http_filter("INSERT_FIRST"), http_filter("MERGE", FAULT, CLASH))) == PLAIN
    order = [name for name in listeners("") if name.startswith(("0.", "10."))]
    later = [
        name for name in order[order.index("0.0.0.0_80") + 1 :] if "per_connection_buffer_limit_bytes" in made[name]
    ]
    assert not later


def test_types_that_clash_end_the_patching_of_a_cluster() -> None:
    socket = f'{{transport_socket: {{name: envoy.transport_sockets.tls, typed_config: {{"@type": {ROUTER_TYPE}}}}}}}'
    match = f"match: {{context: SIDECAR_OUTBOUND, cluster: {{name: outbound|80||{HOST}}}}}"
    made = clusters(
        patching(
            f"{{applyTo: CLUSTER, operation: MERGE, {match}, value: {{dns_jitter: 1s}}}}",
            f"{{applyTo: CLUSTER, operation: MERGE, {match}, value: {socket}}}",
            f"{{applyTo: CLUSTER, operation: REMOVE, {match}}}",
        )
    )
    assert made[f"outbound|80||{HOST}"]["dns_jitter"] == "1s"


def test_a_chain_whose_filters_are_all_removed_stays() -> None:
    removing = (
        "{applyTo: NETWORK_FILTER, operation: REMOVE, match: {context: SIDECAR_OUTBOUND, listener: "
        "{name: virtualOutbound, filterChain: {filter: {name: envoy.filters.network.tcp_proxy}}}}}"
    )
    chains = listeners(patching(removing))["virtualOutbound"]["filter_chains"]
    assert [each.get("filters", []) for each in chains] == [[], []]


def test_a_listener_without_a_name_is_not_added() -> None:
    adding = "{applyTo: LISTENER, operation: ADD, match: {context: SIDECAR_OUTBOUND}, value: {stat_prefix: x}}"
    assert set(listeners(patching(adding))) == set(listeners(""))
