"""Tracing: of ProxyConfig, of the mesh's default provider, of Telemetry objects; and each kind of provider."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.support import istio, mesh, plain, service, view

COLLECTOR = service("c", "http:80", namespace="obs")
HOST = "c.obs.svc.cluster.local"
CLUSTER = f"outbound|80||{HOST}"
AT = f"service: {HOST}, port: 80"


def traced(settings: str, *, telemetry: str = "", side: Any = "CLIENT", **who: Any) -> dict[str, Any] | None:
    text = COLLECTOR + (istio("Telemetry", "t", telemetry) if telemetry else "") + mesh(settings)
    found = view(text, **who).traced(side).tracing
    return None if found is None else plain(found)


def provider(written: str, *, settings: str = "", **rest: Any) -> dict[str, Any]:
    """Tracing by one provider, which is the mesh's default."""
    text = f"extensionProviders: [{{name: p, {written}}}]\ndefaultProviders: {{tracing: [p]}}\n{settings}"
    found = traced(text, **rest)
    assert found is not None
    return found


def config(written: str, **rest: Any) -> dict[str, Any]:
    found: dict[str, Any] = provider(written, **rest)["provider"]["typed_config"]
    return found


def test_without_a_provider_the_bootstraps_tracer_is_used_as_the_mesh_says() -> None:
    assert traced("enableTracing: false") is None
    found = traced("{}")
    assert found is not None
    assert found["random_sampling"] == {"value": 1}
    assert not found.keys() & {"provider", "max_path_tag_length", "spawn_upstream_span"}
    assert "istio.namespace" in [tag["tag"] for tag in found["custom_tags"]]


@pytest.mark.parametrize(("written", "share"), [(20, 20), (0, 1), (101, 1), (100, 100)])
def test_the_share_of_requests(written: int, share: int) -> None:
    found = traced(f"defaultConfig: {{tracing: {{sampling: {written}}}}}")
    assert found is not None
    assert found["random_sampling"]["value"] == share


def test_tags_and_their_length_are_the_proxys() -> None:
    tags = "{a: {literal: {value: x}}, b: {environment: {name: E, defaultValue: d}}, c: {header: {name: h}}, d: {}}"
    found = traced(f"defaultConfig: {{tracing: {{customTags: {tags}, maxPathTagLength: 9, enableIstioTags: false}}}}")
    assert found is not None
    assert found["max_path_tag_length"] == 9
    assert found["custom_tags"] == [
        {"tag": "a", "literal": {"value": "x"}},
        {"tag": "b", "environment": {"name": "E", "default_value": "d"}},
        {"tag": "c", "request_header": {"name": "h"}},
    ]


def test_zipkin_by_the_version_of_the_proxy() -> None:
    written = f"zipkin: {{{AT}, maxTagLength: 5, timeout: 2s, headers: [{{name: x-a, value: b}}]}}"
    new = config(written)
    assert new["collector_service"]["http_uri"] == {
        "uri": f"http://{HOST}/api/v2/spans",
        "cluster": CLUSTER,
        "timeout": "2s",
    }
    (header,) = new["collector_service"]["request_headers_to_add"]
    assert header["header"] == {"key": "x-a", "value": "b"}
    assert (new["trace_id_128bit"], new["shared_span_context"]) == (True, False)
    old = config(written, ISTIO_VERSION="1.27.3")
    assert [old[f"collector_{name}"] for name in ("cluster", "endpoint", "hostname")] == [
        CLUSTER,
        "/api/v2/spans",
        HOST,
    ]
    assert "collector_service" not in old
    assert provider(written)["max_path_tag_length"] == 5
    w3c = f"zipkin: {{{AT}, traceContextOption: USE_B3_WITH_W3C_PROPAGATION, path: /x, enable64bitTraceId: true}}"
    assert config(w3c)["trace_context_option"] == "USE_B3_WITH_W3C_PROPAGATION"
    assert config(w3c)["collector_service"]["http_uri"]["uri"] == f"http://{HOST}/x"
    assert "trace_id_128bit" not in config(w3c)
    assert "trace_context_option" not in config(w3c, ISTIO_VERSION="1.27.0")


def test_datadog_and_skywalking() -> None:
    assert config(f"datadog: {{{AT}}}") == {
        "@type": "type.googleapis.com/envoy.config.trace.v3.DatadogConfig",
        "collector_cluster": CLUSTER,
        "service_name": "client",
        "collector_hostname": HOST,
    }
    found = provider(f"skywalking: {{{AT}}}")
    assert found["spawn_upstream_span"] is True
    grpc = found["provider"]["typed_config"]["grpc_service"]["envoy_grpc"]
    assert grpc == {"cluster_name": CLUSTER, "authority": HOST}


def test_opentelemetry_by_grpc_and_by_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    metadata = "initialMetadata: [{name: a, envName: TOKEN}, {name: b, envName: NOBODYS}, {name: c}]"
    found = config(f"opentelemetry: {{{AT}, grpc: {{timeout: 1s, {metadata}}}}}")
    assert found["service_name"] == "client"
    assert found["grpc_service"]["timeout"] == "1s"
    assert [each.get("value", "") for each in found["grpc_service"]["initial_metadata"]] == ["secret", "", ""]
    assert config(f"opentelemetry: {{{AT}}}")["grpc_service"]["envoy_grpc"]["cluster_name"] == CLUSTER
    http = config(f"opentelemetry: {{{AT}, http: {{path: /v1/traces, timeout: 3s}}}}")["http_service"]
    assert http["http_uri"] == {"uri": f"{HOST}/v1/traces", "cluster": CLUSTER, "timeout": "3s"}
    detectors = "resourceDetectors: {environment: {}, dynatrace: {}}"
    names = [each["name"] for each in config(f"opentelemetry: {{{AT}, {detectors}}}")["resource_detectors"]]
    assert [name.rpartition(".")[2] for name in names] == ["environment", "dynatrace"]


@pytest.mark.parametrize(
    ("labels", "metadata", "name"),
    [
        ({}, {}, "client"),
        ({}, {"WORKLOAD_NAME": "web"}, "web"),
        ({"app.kubernetes.io/name": "n"}, {"WORKLOAD_NAME": "web"}, "n"),
        ({"app.kubernetes.io/name": "n", "app.kubernetes.io/instance": "i"}, {}, "i"),
        (
            {"app.kubernetes.io/instance": "i"},
            {"ANNOTATIONS": {"resource.opentelemetry.io/service.name": "said"}},
            "said",
        ),
    ],
)
def test_the_name_of_a_service_by_opentelemetrys_conventions(
    labels: dict[str, str], metadata: dict[str, Any], name: str
) -> None:
    written = f"opentelemetry: {{{AT}, serviceAttributeEnrichment: OTEL_SEMANTIC_CONVENTIONS}}"
    found = config(written, labels=labels, **metadata)
    assert found["service_name"] == name
    assert [each["name"].rpartition(".")[2] for each in found["resource_detectors"]] == ["environment"]


def test_a_sampler_of_the_providers_own_is_asked_about_everything() -> None:
    sampler = "dynatraceSampler: {tenant: t, clusterId: 3, rootSpansPerMinute: 9"
    found = provider(f"opentelemetry: {{{AT}, http: {{path: a/b, timeout: 3s}}, {sampler}}}}}")
    assert found["random_sampling"]["value"] == 100
    made = found["provider"]["typed_config"]["sampler"]["typed_config"]
    assert (made["tenant"], made["cluster_id"], made["root_spans_per_minute"]) == ("t", 3, 9)
    assert made["http_service"]["http_uri"]["uri"] == f"{HOST}/api/v2/samplingConfiguration"
    own = f"{sampler}, httpService: {{{AT}, http: {{path: /own, timeout: 1s}}}}}}"
    made = config(f"opentelemetry: {{{AT}, {own}}}")["sampler"]["typed_config"]
    assert made["http_service"]["http_uri"] == {"uri": f"{HOST}/own", "cluster": CLUSTER, "timeout": "1s"}


@pytest.mark.parametrize(
    "written",
    [
        "zipkin: {service: nobody, port: 1}",
        "lightstep: {service: a}",
        "prometheus: {}",
        f"opentelemetry: {{{AT}, http: {{path: /x}}}}",
        f"opentelemetry: {{{AT}, dynatraceSampler: {{tenant: t}}}}",
    ],
)
def test_a_provider_that_cannot_take_spans_switches_tracing_off(written: str) -> None:
    settings = f"extensionProviders: [{{name: p, {written}}}]\ndefaultProviders: {{tracing: [p]}}"
    assert traced(settings) is None


TWO = f"extensionProviders: [{{name: a, zipkin: {{{AT}}}}}, {{name: b, datadog: {{{AT}}}}}]\n"


def test_telemetry_says_the_provider_and_what_is_sampled_by_side() -> None:
    said = """
    tracing:
    - providers: [{name: b}]
      randomSamplingPercentage: 7
    - match: {mode: SERVER}
      disableSpanReporting: true
    """
    settings = TWO + "defaultProviders: {tracing: [a]}"
    found = traced(settings, telemetry=said)
    assert found is not None
    assert found["provider"]["name"] == "envoy.tracers.datadog"
    assert found["random_sampling"]["value"] == 7
    assert traced(settings, telemetry=said, side="SERVER") is None


def test_telemetry_without_any_provider_switches_tracing_off() -> None:
    assert traced("{}", telemetry="{tracing: [{randomSamplingPercentage: 5}]}") is None
    assert traced("{}", telemetry="{tracing: [{providers: [{name: nobody}]}]}") is None


def test_tags_of_telemetry_replace_those_of_the_proxy() -> None:
    said = """
    tracing:
    - enableIstioTags: false
      disableContextPropagation: true
      customTags: {z: {formatter: {value: "%PROTOCOL%"}}, y: {literal: {value: x}}}
    """
    settings = (
        TWO + "defaultProviders: {tracing: [a]}\ndefaultConfig: {tracing: {customTags: {q: {literal: {value: x}}}}}"
    )
    found = traced(settings, telemetry=said)
    assert found is not None
    assert found["custom_tags"] == [{"tag": "y", "literal": {"value": "x"}}, {"tag": "z", "value": "%PROTOCOL%"}]
    assert found["no_context_propagation"] is True
    old = traced(settings, telemetry=said, ISTIO_VERSION="1.28.1")
    assert old is not None
    assert [tag["tag"] for tag in old["custom_tags"]] == ["y"]
    assert "no_context_propagation" not in old
    plainly = traced(settings)
    assert plainly is not None
    assert "q" in [tag["tag"] for tag in plainly["custom_tags"]]


def test_ids_of_requests_need_not_say_whether_they_are_sampled() -> None:
    settings = mesh(TWO + "defaultProviders: {tracing: [a]}")
    said = istio("Telemetry", "t", "{tracing: [{useRequestIdForTraceSampling: false}]}")
    assert view(COLLECTOR + said + settings).traced("CLIENT").by_request_id is False
    assert view(COLLECTOR + settings).traced("CLIENT").by_request_id is True
