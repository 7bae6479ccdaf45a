"""Metrics of Telemetry objects: which filters of statistics a proxy has, and what they are told."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.emit.statistics import METRICS
from tests.xds.controlplane.emit.inbound import MANAGER, ROOT, chains, content, http_filters, node
from tests.xds.controlplane.support import istio, made, mesh

NAME = "istio.stats"
PROMETHEUS = "providers: [{name: prometheus}]"


def metrics(*levels: str, name: str = "m", **meta: Any) -> str:
    return istio("Telemetry", name, f"metrics: [{', '.join(f'{{{each}}}' for each in levels)}]", **meta)


def told(text: str) -> list[dict[str, Any]]:
    """What the filters of requests to the workload are told."""
    return [content(each["typed_config"]) for each in http_filters(text) if each["name"] == NAME]


def calls(text: str) -> list[dict[str, Any]]:
    """The same of requests that the workload makes."""
    (chain, *_) = made(node(text), rules.LISTENER)["0.0.0.0_80"]["filter_chains"]
    filters = chain["filters"][-1]["typed_config"]["http_filters"]
    return [content(each["typed_config"]) for each in filters if each["name"] == NAME]


def override(text: str) -> str:
    return f"{PROMETHEUS}, overrides: [{text}]"


SILENT_SERVER = {"disable_host_header_fallback": True}


def test_without_a_word_nothing_is_counted() -> None:
    assert told("") == calls("") == []


def test_a_default_provider_counts_everything_on_every_chain() -> None:
    of = node(mesh("{defaultProviders: {metrics: [prometheus]}}"))
    found: dict[str, list[list[str]]] = {}
    for name, listener in made(of, rules.LISTENER).items():
        every = [*listener["filter_chains"], *filter(None, [listener.get("default_filter_chain")])]
        found[name] = [[each["name"] for each in chain["filters"]] for chain in every]
    tcp = "envoy.filters.network.tcp_proxy"
    outbound = [["envoy.filters.network.http_connection_manager"], [NAME, tcp]]
    assert found["0.0.0.0_80"] == outbound
    assert found["10.96.0.1_90"] == [[NAME, tcp]]
    assert found["virtualOutbound"] == [[NAME, tcp], [NAME, tcp]]
    assert found["virtualInbound"][0] == ["istio.metadata_exchange", NAME, tcp]
    for names in found["virtualInbound"][1:]:
        assert names in (["istio.metadata_exchange", MANAGER], ["istio.metadata_exchange", NAME, tcp])


def test_the_sides_differ_in_what_host_counts() -> None:
    assert told(metrics(PROMETHEUS)) == [SILENT_SERVER]
    assert calls(metrics(PROMETHEUS)) == [{}]


def test_filters_stand_before_the_router() -> None:
    names = [each["name"] for each in http_filters(metrics(PROMETHEUS))]
    assert names[-3:] == ["envoy.filters.http.cors", NAME, "envoy.filters.http.router"]


def test_only_prometheus_counts_and_each_provider_of_the_kind_for_itself() -> None:
    settings = mesh("extensionProviders: [{name: second, prometheus: {}}, {name: zip, zipkin: {service: z, port: 1}}]")
    text = settings + metrics("providers: [{name: second}, {name: Prometheus}, {name: zip}, {name: none}]")
    assert told(text) == [SILENT_SERVER, SILENT_SERVER]


def test_overrides_of_one_metric() -> None:
    (found,) = told(
        metrics(
            override(
                """{match: {metric: REQUEST_COUNT}, disabled: true},
                {match: {customMetric: mine, mode: SERVER}, tagOverrides: {b: {value: "'x'"}, a: {operation: REMOVE}}},
                {match: {metric: TCP_SENT_BYTES, mode: CLIENT}, tagOverrides: {c: {value: d}}}"""
            )
        )
    )
    assert found["metrics"] == [
        {"name": "requests_total", "drop": True},
        {"name": "mine", "dimensions": {"b": "'x'"}, "tags_to_remove": ["a"]},
    ]


def test_an_override_of_all_metrics_is_one_of_each() -> None:
    (found,) = calls(
        metrics(override("{tagOverrides: {t: {value: v}}}, {match: {metric: REQUEST_SIZE}, disabled: true}"))
    )
    tags = {"dimensions": {"t": "v"}}
    expected = [{"name": METRICS[each]} | tags for each in sorted(METRICS)]
    assert [each | {"drop": True} if each["name"] == "request_bytes" else each for each in expected] == found["metrics"]


@pytest.mark.parametrize(
    ("mode", "server", "client"),
    [("SERVER", False, True), ("CLIENT", True, False), ("CLIENT_AND_SERVER", False, False)],
)
def test_all_metrics_of_a_side_may_be_switched_off(mode: str, server: bool, client: bool) -> None:
    text = metrics(override(f"{{match: {{mode: {mode}}}, disabled: true}}"))
    assert bool(told(text)) == server
    assert bool(calls(text)) == client


def test_a_narrower_level_switches_them_on_again() -> None:
    off = metrics(override("{match: {metric: ALL_METRICS}, disabled: true}"), namespace=ROOT)
    assert told(off) == []
    (found,) = told(off + metrics("overrides: [{match: {metric: REQUEST_COUNT}, disabled: false}]"))
    assert found["metrics"] == [{"name": "requests_total"}]


def test_levels_are_laid_over_one_another() -> None:
    """The mesh's, the namespace's, then the workload's; the last that names providers says which there are."""
    mesh_wide = metrics(override("{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {value: x}}}"), namespace=ROOT)
    own = istio(
        "Telemetry",
        "own",
        """{selector: {matchLabels: {app: web}}, metrics: [{reportingInterval: 10s, overrides:
        [{match: {metric: REQUEST_COUNT}, tagOverrides: {a: {value: z}, b: {operation: REMOVE}}}]}]}""",
    )
    assert told(mesh_wide + own) == [
        {
            "disable_host_header_fallback": True,
            "tcp_reporting_duration": "10s",
            "metrics": [{"name": "requests_total", "dimensions": {"a": "z"}, "tags_to_remove": ["b"]}],
        }
    ]
    assert told(mesh_wide + metrics("providers: [{name: other}]")) == []


def test_what_a_level_says_of_providers_that_a_narrower_one_leaves_out_is_lost() -> None:
    settings = mesh("{extensionProviders: [{name: second, prometheus: {}}], defaultProviders: {metrics: [prometheus]}}")
    wide = metrics("overrides: [{match: {metric: REQUEST_COUNT}, disabled: true}]", namespace=ROOT)
    assert told(settings + wide + metrics("providers: [{name: second}]")) == [SILENT_SERVER]


def test_a_tcp_chain_counts_after_what_is_enforced() -> None:
    policy = istio("AuthorizationPolicy", "p", "{rules: [{}]}")
    names = [each["name"] for each in chains(node(metrics(PROMETHEUS) + policy), 9090)[0]["filters"]]
    assert names == [
        "istio.metadata_exchange",
        "envoy.filters.network.rbac",
        NAME,
        "envoy.filters.network.tcp_proxy",
    ]
