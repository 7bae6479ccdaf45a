"""WasmPlugins and TrafficExtensions: where their filters stand, and what is sent when they are asked for by name."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from tests.xds.controlplane.emit.inbound import MANAGER, ROOT, content, http_filters, node, tcp_filters
from tests.xds.controlplane.support import istio, made

PREFIX = "extensions.istio.io/trafficextension/"
TRANSLATED = "~istio-translated-wasmplugin"
EXCHANGE, TCP = "istio.metadata_exchange", "envoy.filters.network.tcp_proxy"
WASM, RBAC = "envoy.extensions.filters.{}.wasm.v3.Wasm", "envoy.extensions.filters.{}.rbac.v3.RBAC"


def plugin(name: str = "p", rest: str = "", **meta: Any) -> str:
    return istio("WasmPlugin", name, f"{{url: 'oci://r.example/p:1'{rest}}}", **meta)


def lua(name: str = "l", rest: str = "", **meta: Any) -> str:
    return istio("TrafficExtension", name, f"{{lua: {{inlineCode: 'x = 1'}}{rest}}}", **meta)


def wasm(name: str = "w", rest: str = "", top: str = "", **meta: Any) -> str:
    return istio("TrafficExtension", name, f"{{wasm: {{url: 'https://r.example/p.wasm'{rest}}}{top}}}", **meta)


def resource(name: str = "p", namespace: str = "shop") -> str:
    return f"{PREFIX}{namespace}.{name}{TRANSLATED}"


def short(name: str) -> str:
    return name.removeprefix(PREFIX).removesuffix(TRANSLATED)


def names(filters: list[dict[str, Any]]) -> list[str]:
    return [short(each["name"]) for each in filters]


def outbound(text: str, listener: str = "0.0.0.0_80") -> list[list[str]]:
    found = made(node(text), rules.LISTENER)[listener]
    every = [*found["filter_chains"], *filter(None, [found.get("default_filter_chain")])]
    return [names(chain["filters"]) for chain in every]


def calls(text: str) -> list[str]:
    (chain, *_) = made(node(text), rules.LISTENER)["0.0.0.0_80"]["filter_chains"]
    return names(chain["filters"][-1]["typed_config"]["http_filters"])


def discovered(layer: str) -> dict[str, Any]:
    return {
        "config_source": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
        "type_urls": [f"type.googleapis.com/{each.format(layer)}" for each in (WASM, RBAC)],
    }


def test_wasm_is_asked_for_by_name() -> None:
    found = [each for each in http_filters(plugin()) if each["name"].startswith(PREFIX)]
    assert found == [{"name": resource(), "config_discovery": discovered("http")}]
    found = [each for each in tcp_filters(plugin(rest=", type: NETWORK")) if each["name"].startswith(PREFIX)]
    assert found == [{"name": resource(), "config_discovery": discovered("network")}]


def test_lua_stands_in_the_listener_and_only_for_requests() -> None:
    (found,) = [each for each in http_filters(lua()) if each["name"].startswith(PREFIX)]
    assert found["name"] == f"{PREFIX}shop.l"
    assert content(found["typed_config"]) == {"default_source_code": {"inline_string": "x = 1"}}
    assert names(tcp_filters(lua())) == [EXCHANGE, TCP]


SECURED = (
    istio("AuthorizationPolicy", "c", "{action: CUSTOM, provider: {name: none}, rules: [{}]}")
    + istio("AuthorizationPolicy", "a", "{rules: [{}]}")
    + istio("RequestAuthentication", "t", "jwtRules: [{issuer: a}]")
)


def test_phases_stand_among_the_filters_of_security() -> None:
    text = (
        SECURED + "".join(plugin(each.lower(), f", phase: {each}") for each in ("AUTHN", "AUTHZ", "STATS")) + plugin()
    )
    rbac = "envoy.filters.http.rbac"
    inbound = ["shop.authn", "envoy.filters.http.jwt_authn", "shop.authz", rbac, "shop.stats", "shop.p"]
    assert names(http_filters(text))[:8] == [EXCHANGE, rbac, *inbound]
    assert calls(text)[:5] == [EXCHANGE, "shop.authn", "shop.authz", "shop.stats", "shop.p"]


def test_phases_of_connections() -> None:
    phases = ("AUTHN", "AUTHZ", "STATS", "UNSPECIFIED_PHASE")
    text = SECURED + "".join(plugin(each.lower()[:5], f", type: NETWORK, phase: {each}") for each in phases)
    text += istio("Telemetry", "m", "metrics: [{providers: [{name: prometheus}]}]")
    rbac, ours = "envoy.filters.network.rbac", ["shop.authn", "shop.authz", "shop.stats", "shop.unspe"]
    assert names(tcp_filters(text)) == [EXCHANGE, rbac, *ours[:2], rbac, *ours[2:], "istio.stats", TCP]
    assert names(tcp_filters(text, 8080)) == [EXCHANGE, *ours, MANAGER]
    assert outbound(text)[0] == [*ours, MANAGER]
    assert outbound(text)[1] == ["istio.stats", TCP]  # connections that nobody takes
    assert outbound(text, "10.96.0.1_90") == [[*ours, "istio.stats", TCP]]


def test_of_a_phase_the_highest_priority_comes_first_then_the_own_namespace_then_the_oldest() -> None:
    text = (
        plugin("b", creationTimestamp="2026-01-02T00:00:00Z")
        + plugin("c", creationTimestamp="2026-01-01T00:00:00Z")
        + plugin("low", ", priority: -5")
        + plugin("high", ", priority: 10", namespace=ROOT)
        + plugin("root", namespace=ROOT, creationTimestamp="2020-01-01T00:00:00Z")
    )
    expected = ["istio-system.high", "shop.low", "shop.c", "shop.b", "istio-system.root"]
    assert names(http_filters(text))[1:6] == expected


@pytest.mark.parametrize(
    ("match", "inbound", "other_port", "calling"),
    [
        ("{mode: SERVER}", True, True, False),
        ("{mode: CLIENT}", False, False, True),
        ("{mode: CLIENT_AND_SERVER}", True, True, True),
        ("{}", True, True, True),
        ("{ports: [{number: 8080}]}", True, False, False),
        ("{ports: [{number: 80}]}", False, False, True),
        ("{mode: SERVER, ports: [{number: 80}]}, {ports: [{number: 8080}]}", True, False, False),
    ],
)
def test_a_match_says_for_which_side_and_port(match: str, inbound: bool, other_port: bool, calling: bool) -> None:
    text = plugin(rest=f", match: [{match}]")
    assert ("shop.p" in names(http_filters(text))) == inbound
    assert ("shop.p" in names(http_filters(text, 0))) == other_port
    assert ("shop.p" in calls(text)) == calling


def test_connections_are_matched_by_the_port_of_the_service() -> None:
    """As istiod does it: of the chains for bytes alone."""
    text = plugin(rest=", type: NETWORK, match: [{ports: [{number: 90}]}]")
    assert names(tcp_filters(text)) == [EXCHANGE, "shop.p", TCP]
    text = plugin(rest=", type: NETWORK, match: [{ports: [{number: 9090}]}]")
    assert names(tcp_filters(text)) == [EXCHANGE, TCP]


def test_extensions_are_for_those_that_they_select() -> None:
    assert "shop.p" not in names(http_filters(plugin(rest=", selector: {matchLabels: {app: other}}")))
    target = ", targetRef: {kind: Gateway, group: gateway.networking.k8s.io, name: g}"
    assert "shop.p" not in names(http_filters(plugin(rest=target)))


# -- by name ---------------------------------------------------------------------------------------------------------


def sent(text: str, *asked: str, **metadata: Any) -> dict[str, Any]:
    return made(node(text, **metadata), rules.EXTENSION, *asked)


def config(text: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = sent(text, name)[name]["typed_config"]
    return found


RUNTIME = "envoy.wasm.runtime.v8"
VERSION = "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION"


def test_the_least_that_a_plugin_says() -> None:
    found = config(plugin(resourceVersion="42"), resource())
    assert found == {
        "@type": f"type.googleapis.com/{WASM.format('http')}",
        "config": {
            "name": f"shop.p{TRANSLATED}",
            "vm_config": {
                "runtime": RUNTIME,
                "code": {"remote": {"http_uri": {"uri": "oci://r.example/p:1", "cluster": "_", "timeout": "30s"}}},
                "environment_variables": {"key_values": {VERSION: "42"}},
            },
            "configuration": found["config"]["configuration"],
            "failure_policy": "FAIL_CLOSED",
        },
    }
    assert found["config"]["configuration"] == {}


def test_everything_that_a_plugin_may_say() -> None:
    digest = "0123456789abcdef" * 4
    rest = f""", sha256: {digest}, imagePullPolicy: Always, imagePullSecret: pull, pluginName: root,
    failStrategy: FAIL_OPEN, type: NETWORK, pluginConfig: {{b: 1, a: {{x: [true, 1.5, 2.0, '<&>é', null]}}}},
    vmConfig: {{env: [{{name: A, value: one}}, {{name: B, valueFrom: HOST}}]}}"""
    found = config(wasm(rest=rest), f"{PREFIX}shop.w")
    assert found["@type"] == f"type.googleapis.com/{WASM.format('network')}"
    made_ = found["config"]
    assert (made_["name"], made_["root_id"], made_["failure_policy"]) == ("shop.w", "root", "FAIL_OPEN")
    assert made_["configuration"] == {
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": '{"a":{"x":[true,1.5,2,"\\u003c\\u0026\\u003eé",null]},"b":1}',
    }
    machine = made_["vm_config"]
    assert machine["code"]["remote"]["sha256"] == digest
    assert machine["code"]["remote"]["http_uri"]["uri"] == "https://r.example/p.wasm"
    assert machine["environment_variables"] == {
        "host_env_keys": ["B"],
        "key_values": {
            "ISTIO_META_WASM_IMAGE_PULL_SECRET": "",
            "ISTIO_META_WASM_IMAGE_PULL_POLICY": "Always",
            VERSION: "",
            "A": "one",
        },
    }


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///p.wasm", {"local": {"filename": "/p.wasm"}}),
        ("r.example/p", {"remote": {"http_uri": {"uri": "oci://r.example/p", "cluster": "_", "timeout": "30s"}}}),
    ],
)
def test_where_a_module_is(url: str, code: dict[str, Any]) -> None:
    text = istio("TrafficExtension", "w", f"{{wasm: {{url: '{url}', failStrategy: FAIL_RELOAD}}}}")
    found = config(text, f"{PREFIX}shop.w")["config"]
    assert found["vm_config"]["code"] == code
    assert found["failure_policy"] == "FAIL_RELOAD"


def test_only_names_of_the_own_and_the_root_namespace_are_answered() -> None:
    text = plugin() + plugin("r", namespace=ROOT) + plugin("far", namespace="other") + lua()
    asked = [
        resource(),
        resource("r", ROOT),
        resource("far", "other"),
        f"{PREFIX}shop.l",
        f"{PREFIX}shop",
        resource("gone"),
        "x",
    ]
    assert set(sent(text, *asked)) == {resource(), resource("r", ROOT)}


def test_a_name_is_answered_whomever_the_extension_is_for() -> None:
    assert set(sent(plugin(rest=", selector: {matchLabels: {app: other}}"), resource())) == {resource()}


def test_an_envoy_filters_configuration_is_sent_too() -> None:
    text = istio(
        "EnvoyFilter",
        "e",
        """
        configPatches:
        - applyTo: EXTENSION_CONFIG
          patch:
            operation: ADD
            value:
              name: mine
              typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault}
        """,
    )
    assert set(sent(text + plugin(), "mine", resource())) == {"mine", resource()}
    assert sent(text, "other") == {}
