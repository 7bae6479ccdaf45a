"""The real Envoy accepts what MeshConfig makes of one of everything: every field in use, every provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from .everything import EVERYTHING
from .support import endpoints, istio, mesh, service, view, world
from .validate import refusal

pytestmark = pytest.mark.envoy

AT = "service: collector.obs.svc.cluster.local, port: 4317"
COLLECTOR = service("collector", "grpc:4317", namespace="obs", ip="10.96.0.77") + endpoints(
    "collector", "grpc:4317", "10.1.7.7", namespace="obs"
)
EVERY_FIELD = f"""
outboundTrafficPolicy: {{mode: REGISTRY_ONLY}}
inboundTrafficPolicy: {{mode: LOCALHOST}}
proxyListenPort: 15101
proxyInboundListenPort: 15106
proxyHttpPort: 15002
connectTimeout: 3s
tcpKeepalive: {{probes: 3, time: 10s, interval: 5s}}
protocolDetectionTimeout: 1s
accessLogFile: /dev/stdout
accessLogEncoding: JSON
enableEnvoyAccessLogService: true
trustDomain: mine
trustDomainAliases: [old]
caCertificates: [{{pem: x, trustDomains: [partner]}}]
dnsRefreshRate: 5s
h2UpgradePolicy: UPGRADE
localityLbSetting: {{distribute: [{{from: "r1/*", to: {{"r1/*": 80, "r2/*": 20}}}}]}}
inboundClusterStatName: "in_%SERVICE%_%TARGET_PORT%"
outboundClusterStatName: "%SERVICE%_%SERVICE_PORT%_%SUBSET_NAME%"
pathNormalization: {{normalization: DECODE_AND_MERGE_SLASHES}}
defaultHttpRetryPolicy: {{attempts: 3, perTryTimeout: 1s, retryOn: "5xx,409", backoff: 10ms}}
defaultInboundHttpRetryPolicy: {{attempts: 1, backoff: 10ms}}
meshMTLS: {{minProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]}}
tlsDefaults: {{ecdhCurves: [P-256], cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]}}
defaultTrafficPolicy:
  connectionPool: {{tcp: {{maxConnections: 7}}, http: {{idleTimeout: 5s}}}}
  outlierDetection: {{consecutive5xxErrors: 3}}
defaultConfig:
  tracing:
    sampling: 20
    maxPathTagLength: 9
    customTags: {{a: {{literal: {{value: x}}}}, b: {{environment: {{name: E}}}}, c: {{header: {{name: h}}}}}}
  proxyHeaders:
    forwardedClientCert: SANITIZE_SET
    setCurrentClientCertDetails: {{cert: true, chain: true}}
    server: {{value: mine}}
    requestId: {{disabled: true}}
    attemptCount: {{disabled: true}}
    envoyDebugHeaders: {{disabled: true}}
    metadataExchangeHeaders: {{mode: IN_MESH}}
    preserveHttp1HeaderCase: true
    xForwardedHost: {{enabled: true}}
    xForwardedPort: {{enabled: true}}
  connectionSettings:
    httpIdleTimeout: 1h
    httpMaxConnectionDuration: 2h
    httpMaxStreamDuration: 3s
    httpRequestTimeout: 5s
    httpRequestHeadersTimeout: 6s
    httpDrainTimeout: 7s
    httpMaxConcurrentStreams: 100
    http2InitialStreamWindowSize: 65536
    http2InitialConnectionWindowSize: 1048576
    httpHeadersWithUnderscoresAction: HEADERS_WITH_UNDERSCORES_DROP_HEADER
    httpMergeSlashes: true
    httpPathWithEscapedSlashesAction: UNESCAPE_AND_REDIRECT
extensionProviders:
- {{name: words, envoyFileAccessLog: {{path: /dev/stdout, logFormat: {{text: "%REQ_WITHOUT_QUERY(:PATH)%"}}}}}}
- {{name: labels, envoyFileAccessLog: {{logFormat: {{labels: {{a: "%PROTOCOL%"}}}}}}}}
- {{name: http, envoyHttpAls: {{{AT}, additionalRequestHeadersToLog: [x-a]}}}}
- {{name: tcp, envoyTcpAls: {{{AT}}}}}
- {{name: otellog, envoyOtelAls: {{{AT}, logFormat: {{labels: {{a: "%PROTOCOL%"}}}}}}}}
- {{name: zipkin, zipkin: {{{AT}, headers: [{{name: x-a, value: b}}]}}}}
- {{name: datadog, datadog: {{{AT}}}}}
- {{name: skywalking, skywalking: {{{AT}}}}}
- {{name: otel, opentelemetry: {{{AT}, resourceDetectors: {{environment: {{}}}}}}}}
- name: dynatrace
  opentelemetry:
    {AT.replace(", ", chr(10) + "    ")}
    http: {{path: /v1/traces, timeout: 3s, headers: [{{name: a, value: b}}]}}
    resourceDetectors: {{dynatrace: {{}}}}
    dynatraceSampler: {{tenant: t, clusterId: 3}}
"""


def refused(settings: str, where: Path, text: str = "", **who: str) -> str:
    made = world(EVERYTHING + COLLECTOR + text + mesh(settings))
    return refusal(
        view(made, pod="web-0", ip="10.1.0.1", labels={"app": "web"}, locality=("r1", "a", ""), **who), where
    )


def test_envoy_accepts_every_field(tmp_path: Path) -> None:
    # The cluster of Envoy's log service is part of a bootstrap.
    assert refused(EVERY_FIELD.replace("enableEnvoyAccessLogService: true", ""), tmp_path) == ""


@pytest.mark.parametrize("tracer", ["zipkin", "datadog", "skywalking", "otel", "dynatrace"])
def test_envoy_accepts_every_provider(tracer: str, tmp_path: Path) -> None:
    defaults = f"defaultProviders: {{tracing: [{tracer}], accessLogging: [words, labels, http, tcp, otellog]}}"
    assert refused(f"{EVERY_FIELD}\n{defaults}", tmp_path) == ""


def test_envoy_accepts_an_old_proxys_zipkin_and_telemetry_over_it(tmp_path: Path) -> None:
    said = istio(
        "Telemetry",
        "over",
        """
        selector: {matchLabels: {app: web}}
        tracing: [{providers: [{name: zipkin}], customTags: {z: {formatter: {value: "%PROTOCOL%"}}}}]
        accessLogging: [{providers: [{name: http}], filter: {expression: "response.code >= 400"}}]
        """,
    )
    for version in ("1.27.1", "1.31.0"):
        assert (
            refused(EVERY_FIELD.replace("enableEnvoyAccessLogService: true", ""), tmp_path, said, ISTIO_VERSION=version)
            == ""
        )


def test_envoy_accepts_zones_and_no_sidecar(tmp_path: Path) -> None:
    settings = "zoneAwareLbSetting: {minClusterSize: 3}\ntcpKeepalive: {}\nproxyHttpPort: 15002"
    assert refused(settings, tmp_path, INTERCEPTION_MODE="NONE") == ""
