"""What Istio's admission refuses of policies of security, telemetry and extensions, with the field; what it takes."""

from __future__ import annotations

import pytest

from tests.xds.controlplane.api.test_validity import faults, rule

SERVICE = "{kind: Service, name: web}"
OWN = "selector: {matchLabels: {app: web}}"


def source(text: str) -> str:
    return rule(f"from: [{{source: {{{text}}}}}]")


def operation(text: str) -> str:
    return rule(f"to: [{{operation: {{{text}}}}}]")


def when(text: str) -> str:
    return rule(f"when: [{{{text}}}]")


def custom(text: str) -> str:
    return f"{{action: CUSTOM, provider: {{name: p}}, rules: [{{{text}}}]}}"


FROM, TO, WHEN = "spec.rules[0].from[0].source", "spec.rules[0].to[0].operation", "spec.rules[0].when[0]"

AUTHORIZATION = [
    (f"{{{OWN}, targetRefs: [{SERVICE}]}}", "spec.targetRefs cannot be set together with selector"),
    (f"{{targetRef: {SERVICE}, targetRefs: [{SERVICE}]}}", "spec.targetRefs cannot be set together with targetRef"),
    ("{targetRef: {kind: Pod, name: a}}", "spec.targetRef.kind must be one of core/Service,"),
    ("{targetRefs: [{kind: Service, name: a, namespace: b}]}", "spec.targetRefs[0].namespace cannot be set"),
    ("{targetRefs: [{kind: Service}]}", "spec.targetRefs[0].name is required"),
    ("{selector: {matchLabels: {app: 'w*'}}}", "spec.selector.matchLabels.app cannot be a wildcard"),
    ("{selector: {matchLabels: {'': w}}}", "spec.selector.matchLabels has an empty key"),
    ("{action: CUSTOM, provider: {name: p}}", "spec.rules is required for action CUSTOM"),
    ("{action: CUSTOM, provider: {}, rules: [{}]}", "spec.provider.name is required for action CUSTOM"),
    ("{provider: {name: p}}", "spec.provider is for action CUSTOM only"),
    (custom("from: [{source: {principals: [a]}}]"), f"{FROM}.principals cannot be used with action CUSTOM"),
    (custom("from: [{source: {notNamespaces: [a]}}]"), f"{FROM}.notNamespaces cannot be used with action CUSTOM"),
    (custom("when: [{key: source.principal, values: [a]}]"), f"{WHEN}.key source.principal cannot be used"),
    (
        custom("when: [{key: 'request.auth.claims[a]', values: [a]}]"),
        f"{WHEN}.key request.auth.claims[a] cannot be used",
    ),
    (rule("from: [{}]"), "spec.rules[0].from[0].source is required"),
    (rule("to: [{}]"), "spec.rules[0].to[0].operation is required"),
    (source("principals: ['']"), f"{FROM}.principals[0] cannot be empty"),
    (source("serviceAccounts: [a], namespaces: [b]"), f"{FROM}.serviceAccounts cannot be set together with"),
    (source("serviceAccounts: ['']"), f"{FROM}.serviceAccounts[0] cannot be empty"),
    (source("serviceAccounts: ['a*']"), f"{FROM}.serviceAccounts[0] cannot be a wildcard"),
    (source("serviceAccounts: [a/b/c]"), f'{FROM}.serviceAccounts[0] "a/b/c" must be the account of this namespace'),
    (source("notServiceAccounts: [/c]"), f'{FROM}.notServiceAccounts[0] "/c" must be the account of this namespace'),
    (source(f"serviceAccounts: [{'a' * 321}]"), f"{FROM}.serviceAccounts[0] cannot have more than 320 characters"),
    (source(f"serviceAccounts: [{', '.join('abcdefghijklmnopq')}]"), f"{FROM}.serviceAccounts may have at most 16"),
    (source("trustDomains: ['a*b']"), f'{FROM}.trustDomains[0] "a*b" may have one wildcard, at its start or end'),
    (source("trustDomains: ['']"), f"{FROM}.trustDomains[0] cannot be empty"),
    (source("notTrustDomains: [a/b]"), f"{FROM}.notTrustDomains[0] cannot contain /"),
    (source("remoteIpBlocks: [x]"), f"{FROM}.remoteIpBlocks[0] x is neither an IP address nor a range"),
    (operation("hosts: ['']"), f"{TO}.hosts[0] cannot be empty"),
    (operation("notPorts: ['70000']"), f"{TO}.notPorts[0] 70000 is no port"),
    (operation("paths: ['/{**}/a/{*}']"), f"{TO}.paths[0] has more after {{**}}"),
    (operation("paths: ['/a{*}']"), f"{TO}.paths[0] may have braces only as {{*}} or {{**}}"),
    (operation("notPaths: ['/a/{b}']"), f"{TO}.notPaths[0] may have braces only as {{*}} or {{**}}"),
    (operation("paths: ['/{*}/a b']"), f'{TO}.paths[0] has a segment "a b" that no template can have'),
    (when("key: 'request.headers[]', values: [a]"), f'{WHEN}.key "request.headers[]" is no attribute'),
    (when("key: request.headers, values: [a]"), f'{WHEN}.key "request.headers" is no attribute'),
    (when("key: destination.labels, values: [a]"), f'{WHEN}.key "destination.labels" is no attribute'),
    (when("key: source.ip"), f"{WHEN} must have one of values, notValues"),
    (when("key: source.ip, values: [x]"), f"{WHEN}.values[0] x is neither an IP address nor a range"),
    (when("key: destination.port, notValues: [x]"), f"{WHEN}.notValues[0] x is no port"),
    (when("key: source.serviceAccount, values: ['*']"), f"{WHEN}.values[0] cannot be a wildcard"),
    (when("key: source.trustDomain, values: ['a*b']"), f'{WHEN}.values[0] "a*b" may have one wildcard'),
    (when("key: connection.sni, values: ['']"), f"{WHEN}.values[0] cannot be empty"),
]
JWT = "spec.jwtRules[0]"
TOKENS = [
    ("{}", f"{JWT}.issuer is required where jwksUri is not set"),
    ("{issuer: a, jwks: x}", f"{JWT}.jwks is no JSON Web Key Set"),
    ("{jwksUri: 'ftp://a'}", f'{JWT}.jwksUri "ftp://a" is no URL of http or https'),
    ("{jwksUri: 'http://a:x'}", f'{JWT}.jwksUri "http://a:x" is no URL of http or https'),
    ("{issuer: a, audiences: ['']}", f"{JWT}.audiences[0] cannot be empty"),
    ("{issuer: a, fromHeaders: [{prefix: x}]}", f"{JWT}.fromHeaders[0].name is required"),
    ("{issuer: a, fromParams: ['']}", f"{JWT}.fromParams[0] cannot be empty"),
    ("{issuer: a, fromCookies: ['']}", f"{JWT}.fromCookies[0] cannot be empty"),
    ("{issuer: a, outputClaimToHeaders: [{header: x}]}", f"{JWT}.outputClaimToHeaders[0].claim is required"),
    (
        "{issuer: a, outputClaimToHeaders: [{header: 'x y', claim: z}]}",
        f'{JWT}.outputClaimToHeaders[0].header "x y" is no name of a header',
    ),
]
PEERS = [
    (f"{{{OWN}, portLevelMtls: {{0: {{mode: STRICT}}}}}}", 'spec.portLevelMtls["0"] must be a port from 1 to 65535'),
    ("{selector: {}, portLevelMtls: {80: {mode: STRICT}}}", "spec.portLevelMtls needs a selector"),
]
TAGS = "metrics: [{overrides: [{tagOverrides: {a: "
TELEMETRY = [
    (f"{{{OWN}, targetRef: {SERVICE}}}", "spec.targetRef cannot be set together with selector"),
    ("{metrics: [{providers: [{}]}]}", "spec.metrics[0].providers[0].name is required"),
    (f"{{{TAGS}{{}}}}}}]}}]}}", "spec.metrics[0].overrides[0].tagOverrides.a.value is required for operation UPSERT"),
    (
        f"{{{TAGS}{{operation: REMOVE, value: x}}}}}}]}}]}}",
        "spec.metrics[0].overrides[0].tagOverrides.a.value cannot be set for operation REMOVE",
    ),
    (
        "{metrics: [{overrides: [{match: {customMetric: ''}}]}]}",
        "spec.metrics[0].overrides[0].match.customMetric cannot be empty",
    ),
]
URL = "url: 'oci://a'"
PLUGINS = [
    ("{}", "spec.url is required"),
    ("{url: 'ftp://a'}", 'spec.url has a scheme "ftp" that is none of file, http, https, oci'),
    ("{url: 'http://[a'}", 'spec.url "http://[a" is no URL'),
    (f"{{{URL}, sha256: ABC}}", "spec.sha256 must be 64 hexadecimal digits in lower case"),
    (f"{{{URL}, imagePullSecret: {'a' * 254}}}", "spec.imagePullSecret cannot have more than 253 characters"),
    (f"{{{URL}, pluginName: {'a' * 257}}}", "spec.pluginName cannot have more than 256 characters"),
    (f"{{{URL}, pluginConfig: [a]}}", "spec.pluginConfig must be an object"),
    (f"{{{URL}, vmConfig: {{env: [{{}}]}}}}", "spec.vmConfig.env[0].name is required"),
    (f"{{{URL}, vmConfig: {{env: [{{name: {'a' * 257}}}]}}}}", "spec.vmConfig.env[0].name cannot have more than 256"),
    (f"{{{URL}, vmConfig: {{env: [{{name: A}}, {{name: A}}]}}}}", 'spec.vmConfig.env[1].name "A" is given twice'),
    (
        f"{{{URL}, vmConfig: {{env: [{{name: A, valueFrom: HOST, value: b}}]}}}}",
        "spec.vmConfig.env[0].value can be set only where valueFrom is INLINE",
    ),
    (f"{{{URL}, match: [{{ports: [{{}}]}}]}}", "spec.match[0].ports[0].number must be from 1 to 65535"),
    (f"{{{URL}, {OWN}, targetRefs: [{SERVICE}]}}", "spec.targetRefs cannot be set together with selector"),
]
EXTENSIONS = [
    ("{}", "spec must have one of wasm, lua"),
    (f"{{wasm: {{{URL}}}, lua: {{inlineCode: x}}}}", "spec.lua cannot be set together with wasm"),
    ("{lua: {}}", "spec.lua.inlineCode is required"),
    (f"{{lua: {{inlineCode: {'x' * 65537}}}}}", "spec.lua.inlineCode cannot have more than 65536 bytes"),
    ("{wasm: {url: 'ftp://a'}}", 'spec.wasm.url has a scheme "ftp"'),
]
REFUSED = [
    *(("AuthorizationPolicy", *each) for each in AUTHORIZATION),
    *(("RequestAuthentication", f"{{jwtRules: [{spec}]}}", said) for spec, said in TOKENS),
    *(("PeerAuthentication", *each) for each in PEERS),
    *(("Telemetry", *each) for each in TELEMETRY),
    *(("WasmPlugin", *each) for each in PLUGINS),
    *(("TrafficExtension", *each) for each in EXTENSIONS),
]


@pytest.mark.parametrize(("kind", "spec", "said"), REFUSED)
def test_refused(kind: str, spec: str, said: str) -> None:
    found = faults(kind, spec)
    assert any(each.startswith(said) for each in found), found


ACCEPTED = [
    ("AuthorizationPolicy", f"{{targetRef: {SERVICE}}}"),
    ("AuthorizationPolicy", "{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}]}"),
    (
        "AuthorizationPolicy",
        custom("from: [{source: {ipBlocks: [1.2.3.4]}}], when: [{key: source.ip, values: [1.1.1.1]}]"),
    ),
    ("AuthorizationPolicy", operation("paths: [/a/b, '/a/{*}/b/{**}', '*', '/{**}/']")),
    ("AuthorizationPolicy", when("key: 'request.auth.claims[a][b]', values: [a]")),
    ("AuthorizationPolicy", when("key: 'experimental.envoy.filters.x[y]', notValues: [a]")),
    ("RequestAuthentication", "{jwtRules: [{jwksUri: 'https://a.example:8443/k'}]}"),
    ("RequestAuthentication", '{jwtRules: [{issuer: a, jwks: \'{"keys": [{}]}\', jwksUri: "https://a"}]}'),
    ("Telemetry", "{metrics: [{overrides: [{tagOverrides: {a: {operation: REMOVE}, b: {value: x}}}]}]}"),
    ("WasmPlugin", "{url: registry.example.com/a}"),
    ("TrafficExtension", "{lua: {inlineCode: x}, match: [{mode: CLIENT, ports: [{number: 80}]}]}"),
]


@pytest.mark.parametrize(("kind", "spec"), ACCEPTED)
def test_accepted(kind: str, spec: str) -> None:
    assert faults(kind, spec) == []
