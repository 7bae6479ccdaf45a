"""A route of the Gateway API that the API server refuses is refused here, with the field; what it takes is taken."""

from __future__ import annotations

import pytest

from tests.xds.controlplane.api.test_validity import faults

TO = "backendRefs: [{name: a, port: 80}]"
PREFIX = "{type: ReplacePrefixMatch, replacePrefixMatch: /x}"
MANY = ", ".join("{}" for _ in range(17))
MATCHES = ", ".join("{}" for _ in range(65))


def rules(*written: str) -> str:
    return f"{{rules: [{', '.join(f'{{{each}}}' for each in written)}]}}"


def match(content: str) -> str:
    return rules(f"matches: [{{{content}}}]")


def path(type_: str, value: str) -> str:
    return match(f"path: {{type: {type_}, value: '{value}'}}")


def filters(*written: str) -> str:
    return rules(f"filters: [{', '.join(f'{{{each}}}' for each in written)}]")


def modifier(content: str) -> str:
    return filters(f"type: RequestHeaderModifier, requestHeaderModifier: {{{content}}}")


def cors(content: str) -> str:
    return filters(f"type: CORS, cors: {{{content}}}")


def mirror(content: str) -> str:
    return filters(f"type: RequestMirror, requestMirror: {{backendRef: {{name: a, port: 80}}, {content}}}")


def parents(*refs: str) -> str:
    return f"{{parentRefs: [{', '.join(f'{{{each}}}' for each in refs)}]}}"


HTTP = [
    (parents("kind: Service"), "spec.parentRefs[0].name is required"),
    (parents("name: a", "name: a"), "spec.parentRefs[1] names Gateway a again"),
    (parents("name: a, port: 1", "name: a"), "spec.parentRefs[1] names Gateway a again"),
    (parents("name: a", "name: a, port: 1"), "spec.parentRefs[1] names Gateway a again"),
    (parents("name: a, port: 0"), "spec.parentRefs[0].port must be at least 1, not 0"),
    ("{hostnames: ['a_b']}", 'spec.hostnames[0] "a_b" is no host name'),
    ("{rules: []}", "spec.rules must be at least one"),
    (f"{{rules: [{MANY}]}}", "spec.rules must be at most 16, not 17"),
    (f"{{rules: [{{matches: [{MATCHES}]}}, {{matches: [{MATCHES}]}}]}}", "spec.rules must have at most 128 matches"),
    (rules("name: a", "name: a"), 'spec.rules[1].name "a" is given twice'),
    (rules("name: a_b"), 'spec.rules[0].name "a_b" is no DNS name'),
    (rules("backendRefs: [{name: a}]"), "spec.rules[0].backendRefs[0].port is required for a Service"),
    (
        rules(f"{TO}, filters: [{{type: RequestRedirect, requestRedirect: {{}}}}]"),
        "spec.rules[0].backendRefs cannot be set together with a filter RequestRedirect",
    ),
    (
        rules(f"matches: [{{}}, {{}}], filters: [{{type: URLRewrite, urlRewrite: {{path: {PREFIX}}}}}]"),
        "spec.rules[0].filters[0].urlRewrite.path ReplacePrefixMatch needs exactly one match",
    ),
    (
        rules(
            "matches: [{path: {type: Exact}}], "
            f"backendRefs: [{{name: a, port: 80, filters: [{{type: URLRewrite, urlRewrite: {{path: {PREFIX}}}}}]}}]"
        ),
        "spec.rules[0].backendRefs[0].filters[0].urlRewrite.path ReplacePrefixMatch needs exactly one match",
    ),
    (filters("type: CORS"), "spec.rules[0].filters[0].cors is required for type CORS"),
    (
        filters("type: CORS, cors: {}, urlRewrite: {}"),
        "filters[0].urlRewrite cannot be set for type CORS",
    ),
    (filters("type: CORS, cors: {}", "type: CORS, cors: {}"), "spec.rules[0].filters[1] is a second CORS"),
    (
        filters("type: RequestRedirect, requestRedirect: {}", "type: URLRewrite, urlRewrite: {}"),
        "spec.rules[0].filters cannot hold both RequestRedirect and URLRewrite",
    ),
    (filters("type: Cors"), "spec.rules[0].filters[0].type must be one of"),
    (modifier("set: [{name: 'a b', value: c}]"), 'requestHeaderModifier.set[0].name "a b" is no name of a header'),
    (modifier("add: [{name: a, value: 'c '}]"), "requestHeaderModifier.add[0].value has characters"),
    (modifier("add: [{name: a, value: b}, {name: a, value: c}]"), 'add[1].name "a" is given twice'),
    (
        filters("type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath}}"),
        "urlRewrite.path.replaceFullPath is required for type ReplaceFullPath",
    ),
    (
        filters("type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replaceFullPath: /}}"),
        "urlRewrite.path.replaceFullPath cannot be set for type ReplacePrefixMatch",
    ),
    (
        filters("type: RequestRedirect, requestRedirect: {statusCode: 304}"),
        "requestRedirect.statusCode must be one of 301, 302, 303, 307, 308, not 304",
    ),
    (mirror("percent: 101"), "requestMirror.percent must be at most 100"),
    (mirror("percent: 1, fraction: {numerator: 1}"), "requestMirror.fraction cannot be set together with percent"),
    (mirror("fraction: {numerator: 3, denominator: 2}"), "fraction.numerator must be at most the denominator, 2"),
    (cors("allowOrigins: ['*', 'http://a']"), 'cors.allowOrigins cannot hold "*" and others'),
    (cors("allowMethods: ['*', GET]"), 'cors.allowMethods cannot hold "*" and others'),
    (cors("allowOrigins: ['a']"), 'cors.allowOrigins[0] "a" is no origin'),
    (cors("maxAge: 0"), "cors.maxAge must be at least 1"),
    (path("Prefix", "/"), "spec.rules[0].matches[0].path.type must be one of"),
    (path("PathPrefix", "a"), "spec.rules[0].matches[0].path.value must begin with /"),
    (path("Exact", "/a//b"), "path.value must not contain //"),
    (path("Exact", "/a%2fb"), "path.value must not contain %2f"),
    (path("Exact", "/a/.."), "path.value must not end with a segment of dots"),
    (path("Exact", "/a b"), "path.value has characters that a path cannot have"),
    (path("RegularExpression", "/("), "path.value is not a regular expression of RE2"),
    (match("headers: [{name: 'a b', value: c}]"), 'headers[0].name "a b" is no name'),
    (match("headers: [{name: a, value: '('  , type: RegularExpression}]"), "headers[0].value is not a regular"),
    (match("headers: [{name: a, value: b}, {name: a, value: c}]"), 'headers[1].name "a" is given twice'),
    (match("queryParams: [{name: a, value: b}, {name: a, value: c}]"), 'queryParams[1].name "a" is given twice'),
    (match("method: FETCH"), "spec.rules[0].matches[0].method must be one of"),
    (rules("timeouts: {request: 1.5s}"), "spec.rules[0].timeouts.request must be a duration such as 10s"),
    (rules("timeouts: {request: 10}"), "spec.rules[0].timeouts.request must be a duration such as 10s"),
    (rules("timeouts: {request: 1s, backendRequest: 2s}"), "timeouts.backendRequest cannot be longer than request"),
    (rules("retry: {codes: [399]}"), "spec.rules[0].retry.codes[0] must be at least 400"),
    (rules("backendRefs: [{name: a, port: 80, weight: 1000001}]"), "backendRefs[0].weight must be at most 1000000"),
    (rules("backendRef: []"), 'spec.rules[0].backendRef unknown field (did you mean "backendRefs"?)'),
]

GRPC = [
    (match("method: {}"), "spec.rules[0].matches[0].method must have one of service, method"),
    (match("method: {service: a/b}"), 'method.service "a/b" is no name of a service'),
    (match("method: {method: a.b}"), 'method.method "a.b" is no name of a method'),
    (match("method: {method: '(', type: RegularExpression}"), "method.method is not a regular expression of RE2"),
    (filters("type: RequestMirror"), "requestMirror is required for type RequestMirror"),
    (
        filters(*["type: RequestHeaderModifier, requestHeaderModifier: {}"] * 2),
        "spec.rules[0].filters[1] is a second RequestHeaderModifier",
    ),
    (match("headers: [{name: a, value: b}, {name: a, value: c}]"), 'headers[1].name "a" is given twice'),
    ("{hostnames: ['a_b']}", 'spec.hostnames[0] "a_b" is no host name'),
]

OTHERS = [
    ("TCPRoute", "{}", "spec.rules is required"),
    ("TCPRoute", rules(""), "spec.rules[0].backendRefs must be at least one"),
    ("TCPRoute", rules("backendRefs: [{name: a}]"), "spec.rules[0].backendRefs[0].port is required"),
    ("TLSRoute", f"{{hostnames: ['a_b'], rules: [{{{TO}}}]}}", 'spec.hostnames[0] "a_b" is no host name'),
]


@pytest.mark.parametrize(("spec", "fault"), HTTP)
def test_http_routes_that_are_refused(spec: str, fault: str) -> None:
    assert any(fault in each for each in faults("HTTPRoute", spec))


@pytest.mark.parametrize(("spec", "fault"), GRPC)
def test_grpc_routes_that_are_refused(spec: str, fault: str) -> None:
    assert any(fault in each for each in faults("GRPCRoute", spec))


@pytest.mark.parametrize(("kind", "spec", "fault"), OTHERS)
def test_routes_of_connections_that_are_refused(kind: str, spec: str, fault: str) -> None:
    assert any(fault in each for each in faults(kind, spec))


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("HTTPRoute", "{}"),
        ("HTTPRoute", parents("name: a, port: 1", "name: a, port: 2", "name: a, port: 2, sectionName: b", "name: b")),
        ("HTTPRoute", "{hostnames: ['*.example.com', a]}"),
        ("HTTPRoute", rules("timeouts: {request: 1h30m, backendRequest: 0s}, retry: {codes: [500], backoff: 10ms}")),
        ("HTTPRoute", rules("timeouts: {request: 0s, backendRequest: 10s}")),
        ("HTTPRoute", rules("backendRefs: [{name: a.b, group: networking.istio.io, kind: Hostname}]")),
        ("HTTPRoute", cors("allowOrigins: ['https://*.a.com:8443', 'http://*'], allowMethods: ['*']")),
        ("HTTPRoute", match("headers: [{name: a, value: 'x+', type: RegularExpression}]")),
        ("GRPCRoute", "{}"),
        ("GRPCRoute", match("method: {service: 'a.+', type: RegularExpression}")),
        ("GRPCRoute", match("method: {service: a.b.C, method: D}")),
        ("TCPRoute", rules(TO)),
        ("TLSRoute", rules(TO)),
    ],
)
def test_routes_that_are_taken(kind: str, spec: str) -> None:
    assert faults(kind, spec) == []


SYSTEM = "validation: {hostname: a, wellKnownCACertificates: System}"
TARGET = "{group: '', kind: Service, name: a}"
POLICIES = [
    ("{}", "spec.targetRefs is required"),
    (f"{{targetRefs: [{TARGET}], validation: {{hostname: a}}}}", "must have one of caCertificateRefs"),
    (
        f"{{targetRefs: [{TARGET}], {SYSTEM[:-1]}, caCertificateRefs: [{{group: '', kind: ConfigMap, name: a}}]}}}}",
        "caCertificateRefs cannot be set together",
    ),
    (f"{{targetRefs: [{TARGET}, {TARGET}], {SYSTEM}}}", "targetRefs[1] names Service a again"),
    (f"{{targetRefs: [{', '.join(['{kind: Service, name: a}'] * 17)}], {SYSTEM}}}", "must be at most 16, not 17"),
    (
        f"{{targetRefs: [{TARGET}], {SYSTEM[:-1]}, subjectAltNames: [{{type: URI, hostname: a}}]}}}}",
        "subjectAltNames[0].uri is required for type URI",
    ),
    (
        f"{{targetRefs: [{TARGET}], {SYSTEM[:-1]}, subjectAltNames: [{{type: URI, hostname: a}}]}}}}",
        "subjectAltNames[0].hostname cannot be set for type URI",
    ),
    (
        f"{{targetRefs: [{TARGET}], {SYSTEM[:-1]}, subjectAltNames: [{', '.join(['{type: URI, uri: a}'] * 6)}]}}}}",
        "subjectAltNames must be at most 5, not 6",
    ),
]


@pytest.mark.parametrize(("spec", "fault"), POLICIES)
def test_policies_of_backends_that_are_refused(spec: str, fault: str) -> None:
    assert any(fault in each for each in faults("BackendTLSPolicy", spec))


def test_policies_of_backends_that_are_taken() -> None:
    apart = ", ".join(f"{{group: '', kind: Service, name: a, sectionName: {name}}}" for name in "bc")
    assert faults("BackendTLSPolicy", f"{{targetRefs: [{apart}], {SYSTEM}}}") == []
