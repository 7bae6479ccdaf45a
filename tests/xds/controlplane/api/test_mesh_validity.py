"""Which settings of a mesh are refused, and which are said to have no effect."""

from __future__ import annotations

import textwrap

import pytest

from proxyless.xds.controlplane.source.block import BlockReader
from proxyless.xds.controlplane.source.documents import Document, parse_yaml
from proxyless.xds.controlplane.source.reading import Reading, read_document
from tests.xds.controlplane.support import mesh


def read(settings: str, networks: str = "") -> Reading:
    text = mesh(textwrap.dedent(settings), networks=networks).removeprefix("---\n")
    (reading,) = read_document("x.yaml", Document(parse_yaml(text, 1, BlockReader()), text, 1))
    return reading


def faults(settings: str, networks: str = "") -> list[str]:
    return [f"{fault.field.removeprefix('data.mesh')} {fault.message}" for fault in read(settings, networks).faults]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("proxyListenPort: 0", ".proxyListenPort must be a port from 1 to 65535, not 0"),
        ("connectTimeout: 2h", ".connectTimeout must be at most 3600, not 7200"),
        ("protocolDetectionTimeout: 1us", ".protocolDetectionTimeout must be in whole milliseconds"),
        ("trustDomain: ''", '.trustDomain "" is no trust domain'),
        ("trustDomainAliases: [a, 'b c']", '.trustDomainAliases[1] "b c" is no trust domain'),
        ("meshMTLS: {ecdhCurves: [P-256]}", ".meshMTLS.ecdhCurves cannot be set for the mesh's own TLS"),
        (
            "defaultInboundHttpRetryPolicy: {attempts: 0, backoff: 1s}",
            ".defaultInboundHttpRetryPolicy.backoff cannot be set together with attempts 0, which is no retries",
        ),
        (
            "defaultTrafficPolicy: {connectionPool: {}}",
            ".defaultTrafficPolicy.connectionPool must have one of http, tcp",
        ),
        ("serviceSettings: [{hosts: ['a b']}]", '.serviceSettings[0].hosts[0] "a b" is no host'),
        (
            "defaultConfig: {discoveryAddress: istiod}",
            '.defaultConfig.discoveryAddress "istiod" is no address: it must be HOST:PORT',
        ),
        (
            "defaultConfig: {envoyAccessLogService: {address: 'a:b'}}",
            '.defaultConfig.envoyAccessLogService.address "a:b" is no address: it must be HOST:PORT',
        ),
        (
            "defaultConfig: {tracing: {zipkin: {address: zipkin}}}",
            '.defaultConfig.tracing.zipkin.address "zipkin" is no address: it must be HOST:PORT',
        ),
        (
            "defaultConfig: {controlPlaneAuthPolicy: INHERIT}",
            ".defaultConfig.controlPlaneAuthPolicy cannot be INHERIT: there is nothing to inherit from",
        ),
        ("defaultConfig: {privateKeyProvider: {}}", ".defaultConfig.privateKeyProvider.cryptomb or qat is required"),
        (
            "defaultConfig: {privateKeyProvider: {qat: {pollDelay: 0s}}}",
            ".defaultConfig.privateKeyProvider.qat.pollDelay is required, and must not be 0",
        ),
        (
            "defaultConfig: {connectionSettings: {http2InitialStreamWindowSize: 1}}",
            ".defaultConfig.connectionSettings.http2InitialStreamWindowSize must be at least 65535, not 1",
        ),
        (
            "extensionProviders: [{name: a, zipkin: {service: a}, datadog: {service: b}}]",
            ".extensionProviders[0].datadog cannot be set together with zipkin",
        ),
        ("extensionProviders: [{zipkin: {service: a}}]", ".extensionProviders[0].name is required"),
        (
            "inboundTrafficPolicy: {mode: ALLOW_ANY}",
            '.inboundTrafficPolicy.mode must be one of PASSTHROUGH, LOCALHOST, not "ALLOW_ANY"',
        ),
        (
            "localityLbSetting: {distribute: [{from: a, to: {b: 50}}]}",
            ".localityLbSetting.distribute[0].to has weights that sum to 50, not 100",
        ),
    ],
)
def test_what_istiod_refuses_is_refused(settings: str, said: str) -> None:
    assert faults(settings) == [said]


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ("networks: {a: {endpoints: [{}]}}", "Networks.networks.a.endpoints[0] needs fromCidr or fromRegistry"),
        (
            "networks: {a: {gateways: [{port: 1}]}}",
            "Networks.networks.a.gateways[0].address or registryServiceName is required",
        ),
        (
            "networks: {a: {gateways: [{address: 1.2.3.4}]}}",
            "Networks.networks.a.gateways[0].port must be a port from 1 to 65535, not 0",
        ),
    ],
)
def test_networks_are_checked_too(networks: str, said: str) -> None:
    assert faults("{}", networks) == [said]


def test_a_mesh_as_istioctl_writes_it_is_taken() -> None:
    reading = read(
        """
        accessLogFile: /dev/stdout
        defaultConfig:
          discoveryAddress: istiod.istio-system.svc:15012
          proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true"}
          tracing: {zipkin: {address: "$(HOST_IP):9411"}}
        defaultProviders: {metrics: [prometheus]}
        enablePrometheusMerge: true
        rootNamespace: istio-system
        trustDomain: cluster.local
        """,
        "networks: {}",
    )
    assert not reading.faults
    assert {note.field.removeprefix("data.mesh.") for note in reading.notes} == {
        "defaultConfig.discoveryAddress",
        "defaultConfig.proxyMetadata",
        "defaultConfig.tracing.zipkin",
        "enablePrometheusMerge",
    }
