"""What Istio's admission refuses is refused here, with the field; what it takes is taken."""

from __future__ import annotations

import textwrap

import pytest

from proxyless.xds.controlplane.source.block import BlockReader
from proxyless.xds.controlplane.source.documents import Document, parse_yaml
from proxyless.xds.controlplane.source.reading import read_document
from tests.xds.controlplane.support import istio

PORTS = "ports: [{number: 80, name: http, protocol: HTTP}]"
TO = "route: [{destination: {host: web}}]"


def faults(kind: str, spec: str) -> list[str]:
    text = textwrap.dedent(istio(kind, "x", spec)).removeprefix("---\n")
    (reading,) = read_document("x.yaml", Document(parse_yaml(text, 1, BlockReader()), text, 1))
    assert (reading.object is None) == bool(reading.faults)
    return [f"{fault.field} {fault.message}" for fault in reading.faults]


def entry(rest: str, ports: str = PORTS) -> str:
    return f"{{hosts: [a.example.com], {ports}, {rest}}}"


def http(route: str) -> str:
    return f"{{hosts: [web], http: [{{{route}}}]}}"


def balanced(rest: str) -> str:
    return f"{{host: web, trafficPolicy: {{loadBalancer: {{{rest}}}}}}}"


def rule(rest: str) -> str:
    return f"{{rules: [{{{rest}}}]}}"


REFUSED: list[tuple[str, str, str]] = [
    # ServiceEntry
    ("ServiceEntry", f"{{{PORTS}}}", "spec.hosts is required"),
    ("ServiceEntry", f"{{hosts: ['*'], {PORTS}}}", "spec.hosts[0] * is not allowed"),
    (
        "ServiceEntry",
        entry("resolution: DYNAMIC"),
        'spec.resolution must be one of NONE, STATIC, DNS, DNS_ROUND_ROBIN, DYNAMIC_DNS, not "DYNAMIC" (did you',
    ),
    (
        "ServiceEntry",
        entry("resolution: STATIC, endpoints: [{address: a.example.com}]"),
        "spec.endpoints[0].address must be an IP address for resolution STATIC",
    ),
    (
        "ServiceEntry",
        entry("resolution: NONE, endpoints: [{address: 10.0.0.1}]"),
        "spec.endpoints cannot be set for resolution NONE: calls go where they were sent",
    ),
    (
        "ServiceEntry",
        entry("resolution: STATIC, endpoints: [{address: 10.0.0.1}], workloadSelector: {labels: {a: b}}"),
        "spec.endpoints cannot be set together with workloadSelector",
    ),
    (
        "ServiceEntry",
        f"{{hosts: ['*.example.com'], {PORTS}, resolution: DNS}}",
        "spec.hosts[0] cannot be a wildcard for resolution DNS without endpoints",
    ),
    (
        "ServiceEntry",
        entry("resolution: DNS_ROUND_ROBIN, endpoints: [{address: a.b}, {address: c.d}]"),
        "spec.endpoints must be at most one for resolution DNS_ROUND_ROBIN",
    ),
    ("ServiceEntry", entry("addresses: [10.0.0]"), "spec.addresses[0] 10.0.0 is neither an IP address nor a range"),
    (
        "ServiceEntry",
        entry("addresses: [10.0.0.0/24], resolution: DNS"),
        "spec.addresses must be single addresses for resolution DNS",
    ),
    (
        "ServiceEntry",
        entry("resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {web: 1}}]"),
        'spec.endpoints[0].ports.web "web" is no port of this entry',
    ),
    (
        "ServiceEntry",
        entry("", "ports: [{number: 80, name: a, protocol: HTTP}, {number: 80, name: a, protocol: HTTP}]"),
        'spec.ports[1].name "a" is given twice',
    ),
    (
        "ServiceEntry",
        entry("", "ports: [{number: 80, name: a_b, protocol: HTTP}]"),
        'spec.ports[0].name "a_b" is no DNS label',
    ),
    (
        "ServiceEntry",
        entry("", "ports: [{number: 80, name: a, protocol: HTTP3}]"),
        'spec.ports[0].protocol "HTTP3" is no protocol that Istio knows',
    ),
    ("ServiceEntry", entry("", "ports: [{number: 0, name: a}]"), "spec.ports[0].number is required"),
    (
        "ServiceEntry",
        "{hosts: [a.b, c.d], ports: [{number: 1, name: a, protocol: TCP}], resolution: DNS}",
        "spec.ports[0].protocol cannot tell several hosts apart: it must be an HTTP or TLS protocol",
    ),
    # VirtualService
    ("VirtualService", "{hosts: [web]}", "spec must have at least one of http, tls, tcp"),
    ("VirtualService", f"{{hosts: ['*'], http: [{{{TO}}}]}}", "spec.hosts[0] * is not allowed for the mesh gateway"),
    (
        "VirtualService",
        f"{{hosts: ['*.a.com', b.a.com], http: [{{{TO}}}]}}",
        "spec.hosts[1] covers the same as *.a.com",
    ),
    ("VirtualService", f"{{gateways: [mesh], http: [{{{TO}}}]}}", "spec.gateways cannot be set where there are no"),
    ("VirtualService", "{http: [{delegate: {name: a}}]}", "spec.http[0].delegate cannot be set in a delegate"),
    ("VirtualService", http("timeout: 1s"), "spec.http[0] must have one of route, redirect, directResponse, delegate"),
    ("VirtualService", http(f"{TO}, redirect: {{uri: /}}"), "spec.http[0].redirect cannot be set together with route"),
    (
        "VirtualService",
        http(f"{TO}, directResponse: {{status: 200}}"),
        "spec.http[0].directResponse cannot be set together with route",
    ),
    ("VirtualService", http(f"{TO}, delegate: {{name: a}}"), "spec.http[0].route cannot be set together with delegate"),
    (
        "VirtualService",
        http("redirect: {uri: /}, rewrite: {uri: /}"),
        "spec.http[0].rewrite cannot be set together with redirect",
    ),
    ("VirtualService", http("redirect: {}"), "spec.http[0].redirect must have at least one of uri, authority, port"),
    ("VirtualService", http("redirect: {uri: /, redirectCode: 306}"), "spec.http[0].redirect.redirectCode must be one"),
    ("VirtualService", http(f"{TO}, rewrite: {{}}"), "spec.http[0].rewrite must have one of uri, authority"),
    (
        "VirtualService",
        http(f"{TO}, rewrite: {{uri: /, uriRegexRewrite: {{match: a, rewrite: b}}}}"),
        "spec.http[0].rewrite.uriRegexRewrite cannot be set together with uri",
    ),
    ("VirtualService", http(f"{TO}, fault: {{}}"), "spec.http[0].fault must have one of delay, abort"),
    (
        "VirtualService",
        http(f"{TO}, fault: {{abort: {{httpStatus: 700}}}}"),
        "spec.http[0].fault.abort.httpStatus must be between 200 and 599, not 700",
    ),
    (
        "VirtualService",
        http(f"{TO}, retries: {{attempts: 1, retryOn: 6xx}}"),
        'spec.http[0].retries.retryOn "6xx" is no condition to retry on',
    ),
    (
        "VirtualService",
        http(f"{TO}, retries: {{attempts: 0, retryOn: 5xx}}"),
        "spec.http[0].retries.retryOn cannot be set where attempts is 0, which switches retries off",
    ),
    ("VirtualService", http(f"{TO}, retries: {{attempts: -1}}"), "spec.http[0].retries.attempts must be at least 0"),
    (
        "VirtualService",
        http(f"{TO}, retries: {{attempts: 1, perTryTimeout: 0s}}"),
        "spec.http[0].retries.perTryTimeout must be at least 1ms",
    ),
    ("VirtualService", http(f"{TO}, timeout: 1us"), "spec.http[0].timeout must be at least 1ms"),
    (
        "VirtualService",
        http("route: [{destination: {host: a}, weight: 0}, {destination: {host: b}, weight: 0}]"),
        "spec.http[0].route has weights that sum to 0: at least one destination needs a weight",
    ),
    (
        "VirtualService",
        http("route: [{destination: {host: a}, weight: -1}]"),
        "spec.http[0].route[0].weight must be at least 0, not -1",
    ),
    (
        "VirtualService",
        http(f"{TO}, mirror: {{host: a}}, mirrors: [{{destination: {{host: a}}}}]"),
        "spec.http[0].mirrors cannot be set together with mirror",
    ),
    ("VirtualService", "{hosts: [web], tls: [{match: [{port: 1}]}]}", "spec.tls[0].route is required"),
    ("VirtualService", f"{{hosts: [web], tls: [{{{TO}}}]}}", "spec.tls[0].match is required"),
    ("VirtualService", "{hosts: [web], tcp: [{match: [{port: 1}]}]}", "spec.tcp[0].route is required"),
    # DestinationRule
    ("DestinationRule", "{subsets: [{name: a}]}", "spec.host is required"),
    (
        "DestinationRule",
        "{host: web, subsets: [{name: a}, {name: a}]}",
        'spec.subsets[1].name "a" is defined twice',
    ),
    ("DestinationRule", "{host: web, subsets: [{name: a_b}]}", 'spec.subsets[0].name "a_b" is no DNS label'),
    (
        "DestinationRule",
        balanced("consistentHash: {useSourceIp: true, maglev: {tableSize: 100}}"),
        "spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize must be a prime number below 5000011, not 100",
    ),
    (
        "DestinationRule",
        balanced("localityLbSetting: {distribute: [{from: a, to: {b: 50}}]}"),
        "spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to has weights that sum to 50, not 100",
    ),
    (
        "DestinationRule",
        balanced("localityLbSetting: {failover: [{from: a, to: a}]}"),
        "spec.trafficPolicy.loadBalancer.localityLbSetting.failover[0] goes from a region to itself",
    ),
    (
        "DestinationRule",
        "{host: web, trafficPolicy: {tls: {mode: MUTUAL}}}",
        "spec.trafficPolicy.tls.clientCertificate is required for mode MUTUAL",
    ),
    (
        "DestinationRule",
        "{host: web, trafficPolicy: {portLevelSettings: [{loadBalancer: {simple: RANDOM}}]}}",
        "spec.trafficPolicy.portLevelSettings[0].port is required",
    ),
    # EnvoyFilter
    ("EnvoyFilter", "{configPatches: [{applyTo: CLUSTER}]}", "spec.configPatches[0].patch is required"),
    (
        "EnvoyFilter",
        "{configPatches: [{applyTo: CLUSTER, patch: {operation: ADD}}]}",
        "spec.configPatches[0].patch.value is required for operation ADD",
    ),
    # security
    (
        "PeerAuthentication",
        "{portLevelMtls: {80: {mode: STRICT}}}",
        "spec.portLevelMtls needs a selector",
    ),
    (
        "RequestAuthentication",
        "{jwtRules: [{jwks: '{}'}]}",
        "spec.jwtRules[0].issuer is required where jwksUri is not set",
    ),
    (
        "AuthorizationPolicy",
        rule("from: [{source: {ipBlocks: [10.0.0]}}]"),
        "spec.rules[0].from[0].source.ipBlocks[0] 10.0.0 is neither an IP address nor a range",
    ),
    ("AuthorizationPolicy", rule("from: [{source: {}}]"), "spec.rules[0].from[0].source must say something"),
    (
        "AuthorizationPolicy",
        rule("to: [{operation: {ports: ['http']}}]"),
        "spec.rules[0].to[0].operation.ports[0] http is no port",
    ),
    ("AuthorizationPolicy", rule("when: [{key: a, values: [b]}]"), 'spec.rules[0].when[0].key "a" is no attribute'),
    ("AuthorizationPolicy", "{action: DENY}", "spec.rules is required for action DENY, which does nothing without"),
    ("AuthorizationPolicy", "{action: CUSTOM, rules: [{}]}", "spec.provider is required for action CUSTOM"),
]


@pytest.mark.parametrize(("kind", "spec", "said"), REFUSED)
def test_refused(kind: str, spec: str, said: str) -> None:
    found = faults(kind, spec)
    assert any(each.startswith(said) for each in found), found


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        (
            "DestinationRule",
            "{host: web, trafficPolicy: {outlierDetection: {interval: 3}}}",
            "spec.trafficPolicy.outlierDetection.interval must be a duration such as 1.5s or 500ms, not the number 3",
        ),
        (
            "AuthorizationPolicy",
            rule("to: [{operation: {ports: [80]}}]"),
            "spec.rules[0].to[0].operation.ports[0] must be a string, not the number 80",
        ),
        (
            "AuthorizationPolicy",
            "{action: deny}",
            'spec.action must be one of ALLOW, DENY, AUDIT, CUSTOM, not "deny" (did you mean "DENY"?)',
        ),
    ],
)
def test_a_field_that_cannot_be_read_is_told_once(kind: str, spec: str, said: str) -> None:
    assert faults(kind, spec) == [said]


def test_an_unknown_field_is_one_without_a_value_too() -> None:
    found = faults("VirtualService", http(f"{TO}, timeOut: , timeout: , retries: {{attempts: 1, retryOn: 5xx,reset}}"))
    assert {each.partition(" (")[0] for each in found} == {
        "spec.http[0].timeOut unknown field",
        "spec.http[0].retries.reset unknown field",
    }


ACCEPTED: list[tuple[str, str]] = [
    ("ServiceEntry", entry("resolution: STATIC")),
    ("ServiceEntry", entry("resolution: STATIC, endpoints: [{network: elsewhere}]")),
    ("ServiceEntry", entry("resolution: DNS, endpoints: [{address: b.example.com}]")),
    ("ServiceEntry", entry("", "ports: [{number: 80, name: HTTP-Web, protocol: http}]")),
    ("ServiceEntry", "{hosts: [a.b, c.d], ports: [{number: 1, name: a, protocol: TCP}], resolution: NONE}"),
    ("ServiceEntry", f"{{hosts: ['*.example.com'], {PORTS}}}"),
    ("VirtualService", http(f"{TO}, timeout: 0s, retries: {{attempts: 0}}")),
    ("VirtualService", http("route: [{destination: {host: a}, weight: 300}, {destination: {host: b}, weight: 1}]")),
    ("VirtualService", http("redirect: {port: 8443}")),
    ("VirtualService", http(f"{TO}, retries: {{attempts: 2, retryOn: 'connect-failure, 503'}}")),
    ("VirtualService", "{http: [{route: [{destination: {host: web}}]}]}"),
    ("DestinationRule", "{host: '*.example.com', trafficPolicy: {tls: {mode: SIMPLE}}}"),
    ("AuthorizationPolicy", "{}"),
    ("PeerAuthentication", "{mtls: {mode: UNSET}}"),
]


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED)
def test_accepted(kind: str, spec: str) -> None:
    assert faults(kind, spec) == []
