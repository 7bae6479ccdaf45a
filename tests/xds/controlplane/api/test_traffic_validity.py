"""VirtualServices and DestinationRules: what Istio's admission refuses is refused, what it takes is taken."""

from __future__ import annotations

import pytest

from tests.xds.controlplane.api.test_validity import TO, faults, http


def policy(rest: str) -> str:
    return f"{{host: web, trafficPolicy: {{{rest}}}}}"


def request(rest: str) -> str:
    return http(f"{TO}, headers: {{request: {{{rest}}}}}")


def matching(rest: str) -> str:
    return http(f"{TO}, match: [{{{rest}}}]")


REFUSED_ROUTES = [
    (request("set: {x: 'a%'}"), 'headers.request.set.x "a%" is no value: a percent sign is written %%'),
    (request("add: {x: '%START_TIME'}"), "headers.request.add.x "),
    (request("set: {'': a}"), "headers.request.set has a header without a name"),
    (request("remove: ['']"), "headers.request.remove[0] is a header without a name"),
    (request("set: {host: a, ':authority': b}"), "headers.request sets the authority more than once"),
    (
        http(f"{TO}, rewrite: {{authority: a}}, headers: {{request: {{add: {{Host: b}}}}}}"),
        "headers.request sets the authority more than once",
    ),
    (http(f"{TO}, headers: {{response: {{set: {{host: a}}}}}}"), "headers.response.set.host host cannot be changed"),
    (
        http("route: [{destination: {host: web}, headers: {response: {remove: [':path']}}}]"),
        "route[0].headers.response.remove[0] :path cannot be changed",
    ),
    (matching("headers: {'x y': {exact: a}}"), 'match[0].headers["x y"] is no header\'s name'),
    (matching("headers: {x: {prefix: ''}}"), "match[0].headers.x.prefix must not be empty"),
    (matching("withoutHeaders: {x: {regex: ''}}"), "match[0].withoutHeaders.x.regex"),
    (matching("queryParams: {x: {regex: '*'}}"), 'match[0].queryParams.x.regex "*" is no regular expression'),
    (matching("method: {prefix: ''}"), "match[0].method.prefix must not be empty"),
    (matching("uri: {regex: '*'}"), 'match[0].uri.regex "*" is no regular expression'),
    (http("redirect: {uri: /a, prefixRewrite: /b}"), "redirect.prefixRewrite cannot be set together with uri"),
    (http("redirect: {scheme: ftp}"), "redirect.scheme must be one of http, https, not ftp"),
    (
        http("redirect: {prefixRewrite: /b}, match: [{uri: {exact: /a}}]"),
        "match[0].uri must be a prefix: prefixRewrite replaces one",
    ),
    (http(f"{TO}, retries: {{attempts: 0, retryRemoteLocalities: true}}"), "retries.retryRemoteLocalities cannot be"),
    (http(f"{TO}, retries: {{attempts: 1, backoff: 0s}}"), "retries.backoff must be at least 1ms"),
    (http(f"{TO}, fault: {{abort: {{grpcStatus: NOPE}}}}"), 'fault.abort.grpcStatus "NOPE" is no status of gRPC'),
    (http(f"{TO}, fault: {{abort: {{http2Error: x}}}}"), "fault.abort.http2Error is not implemented by Istio"),
    (http(f"{TO}, fault: {{delay: {{fixedDelay: 0s}}}}"), "fault.delay.fixedDelay must be at least 1ms"),
    (http(f"{TO}, corsPolicy: {{allowOrigins: [{{exact: ''}}]}}"), "corsPolicy.allowOrigins[0] must not be empty"),
    (http(f"{TO}, corsPolicy: {{allowOrigins: [{{regex: '*'}}]}}"), "corsPolicy.allowOrigins[0].regex"),
    (http(f"{TO}, corsPolicy: {{allowMethods: [get]}}"), 'corsPolicy.allowMethods[0] "get" is no method'),
    (http(f"{TO}, corsPolicy: {{allowHeaders: ['a b']}}"), 'corsPolicy.allowHeaders[0] "a b" is no header\'s name'),
    (http(f"{TO}, corsPolicy: {{maxAge: 1.5s}}"), "corsPolicy.maxAge must be whole seconds, and some"),
]


@pytest.mark.parametrize(("spec", "said"), REFUSED_ROUTES)
def test_routes_that_are_refused(spec: str, said: str) -> None:
    found = faults("VirtualService", spec)
    assert any(each.startswith(f"spec.http[0].{said}") for each in found), found


REFUSED = [
    (
        "VirtualService",
        "{hosts: [a.com], tls: [{match: [{sniHosts: [b.com]}], route: [{destination: {host: a}}]}]}",
        "spec.tls[0].match[0].sniHosts[0] b.com is within none of the hosts",
    ),
    (
        "VirtualService",
        "{hosts: [web], tcp: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]}",
        "spec.tcp[0].route has weights that sum to 0",
    ),
    ("DestinationRule", "{host: web, trafficPolicy: {}}", "spec.trafficPolicy must say something"),
    (
        "DestinationRule",
        policy("tunnel: {targetHost: a, targetPort: 1}, proxyProtocol: {}"),
        "spec.trafficPolicy.proxyProtocol cannot be set together with tunnel",
    ),
    (
        "DestinationRule",
        policy("portLevelSettings: [{port: {number: 80}}]"),
        "spec.trafficPolicy.portLevelSettings[0] must say something of the port",
    ),
    (
        "DestinationRule",
        policy("outlierDetection: {consecutiveLocalOriginFailures: 1}"),
        "spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures needs splitExternalLocalOriginErrors",
    ),
    (
        "DestinationRule",
        policy("outlierDetection: {interval: 0s}"),
        "spec.trafficPolicy.outlierDetection.interval must be at least 1ms",
    ),
    (
        "DestinationRule",
        policy("loadBalancer: {consistentHash: {minimumRingSize: 2, ringHash: {}}}"),
        "spec.trafficPolicy.loadBalancer.consistentHash.minimumRingSize cannot be set together with ringHash or maglev",
    ),
    (
        "DestinationRule",
        policy("loadBalancer: {consistentHash: {maglev: {}}}"),
        "spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize must be a prime number below 5000011, not 0",
    ),
    (
        "DestinationRule",
        policy("loadBalancer: {consistentHash: {httpCookie: {name: a, attributes: [{name: b}, {name: b}]}}}"),
        'spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[1].name "b" is given twice',
    ),
    (
        "DestinationRule",
        policy(
            "loadBalancer: {localityLbSetting: {failover: [{from: a, to: b}], "
            "failoverPriority: [topology.kubernetes.io/zone]}}"
        ),
        "spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority[0] cannot be topology.kubernetes.io/zone",
    ),
    (
        "DestinationRule",
        policy("loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {a: 100, b: 0}}]}}"),
        "spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to has a weight of 0",
    ),
    (
        "DestinationRule",
        policy("loadBalancer: {zoneAwareLbSetting: {failoverPriority: [topology.istio.io/subzone]}}"),
        "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failoverPriority[0] cannot be topology.istio.io/subzone",
    ),
    (
        "DestinationRule",
        policy("loadBalancer: {zoneAwareLbSetting: {failover: [{from: a, to: a}]}}"),
        "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[0] goes from a region to itself",
    ),
    (
        "DestinationRule",
        policy("tls: {mode: SIMPLE, credentialName: a, caCertificates: /b}"),
        "spec.trafficPolicy.tls.caCertificates cannot be set together with credentialName",
    ),
    (
        "DestinationRule",
        policy("tls: {mode: SIMPLE, insecureSkipVerify: true, credentialName: a}"),
        "spec.trafficPolicy.tls.credentialName cannot be set together with insecureSkipVerify",
    ),
    (
        "DestinationRule",
        policy("tls: {mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a]}"),
        "spec.trafficPolicy.tls.subjectAltNames cannot be set together with insecureSkipVerify",
    ),
    (
        "DestinationRule",
        policy("tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: /b}"),
        "spec.trafficPolicy.tls.caCertificates cannot be set together with insecureSkipVerify",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "said"), REFUSED)
def test_refused(kind: str, spec: str, said: str) -> None:
    found = faults(kind, spec)
    assert any(each.startswith(said) for each in found), found


TAKEN = [
    ("VirtualService", request("set: {x: '%REQ(a:b)%', y: '100%%', z: '%START_TIME(%s)% and %HOSTNAME%'}")),
    ("VirtualService", request("set: {host: a}, remove: [x]")),
    ("VirtualService", matching("headers: {x: {regex: '*'}, ':path': {exact: /}}, uri: {prefix: ''}")),
    ("VirtualService", http("delegate: {name: a}, directResponse: {status: 404}")),
    ("VirtualService", http(f"{TO}, fault: {{abort: {{percentage: {{value: 1}}}}}}")),
    ("VirtualService", http("redirect: {prefixRewrite: /b}, match: [{uri: {prefix: /a}}, {}]")),
    ("VirtualService", http(f"{TO}, corsPolicy: {{allowMethods: ['*'], allowHeaders: ['*'], maxAge: 2s}}")),
    ("DestinationRule", policy("tls: {mode: ISTIO_MUTUAL, caCertificates: /a}")),
    ("DestinationRule", policy("tls: {mode: MUTUAL, insecureSkipVerify: true, credentialName: a}")),
    ("DestinationRule", policy("loadBalancer: {consistentHash: {ringHash: {}}}")),
    ("DestinationRule", policy("outlierDetection: {}")),
]


@pytest.mark.parametrize(("kind", "spec"), TAKEN)
def test_taken(kind: str, spec: str) -> None:
    assert faults(kind, spec) == []
