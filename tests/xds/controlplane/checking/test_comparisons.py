"""What `check` says of objects that are valid each by itself, and do not do what they seem to."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxyless.xds.controlplane import check
from tests.xds.controlplane.support import endpoints, istio, mesh, service

WEB = service("web", "http:80:8080")
PODS = "".join(
    f"""\
---
apiVersion: v1
kind: Pod
metadata: {{name: {app}-1, namespace: shop, labels: {{app: {app}}}}}
spec: {{containers: [{{name: c}}]}}
status: {{podIP: {address}, phase: Running}}
"""
    for app, address in (("web", "10.1.0.1"), ("client", "10.1.0.2"))
)
BEHIND = """\
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.0.1], targetRef: {kind: Pod, name: web-1}}]
"""
MESH = WEB + PODS + BEHIND
TO_WEB = "route: [{destination: {host: web}}]"
ANOTHER = service("other", "tcp:80:8080", ip="10.96.0.2", rest="selector: {app: web}") + BEHIND.replace(
    "name: web,", "name: other,"
).replace("service-name: web", "service-name: other").replace("name: http", "name: tcp")


def found(folder: Path, text: str) -> list[str]:
    (folder / "mesh.yaml").write_text(MESH + text)
    return [f"{each.object}: {each.field} {each.message}" for each in check(folder)]


def routed(*http: str, kind: str = "http") -> str:
    return istio("VirtualService", "web", f"{{hosts: [web], {kind}: [{', '.join(http)}]}}")


def matched(*matches: str, to: str = TO_WEB) -> str:
    return f"{{match: [{', '.join(matches)}], {to}}}"


def weighed(*weights: int) -> str:
    shares = ", ".join(f"{{destination: {{host: web}}, weight: {weight}}}" for weight in weights)
    return f"{{match: [{{uri: {{exact: /{'-'.join(map(str, weights))}}}}}], route: [{shares}]}}"


def allowed(rule: str, selector: str = "selector: {matchLabels: {app: web}}, ") -> str:
    return istio("AuthorizationPolicy", "a", f"{{{selector}rules: [{rule}]}}")


def patched(apply_to: str, operation: str, match: str = "{context: SIDECAR_OUTBOUND}") -> str:
    patch = f"{{applyTo: {apply_to}, match: {match}, patch: {{operation: {operation}, value: {{name: x}}}}}}"
    return istio("EnvoyFilter", "e", f"{{configPatches: [{patch}]}}")


def secured(selector: str, tls: str) -> str:
    return istio("DestinationRule", "d", f"{{host: web, {selector}trafficPolicy: {{tls: {{mode: SIMPLE, {tls}}}}}}}")


ENTRY = "{hosts: [db.test], ports: [{number: 5, name: a, protocol: %s}], resolution: DNS}"
ROUTE = "VirtualService shop/web: spec."
SECURED = "DestinationRule shop/d: spec.trafficPolicy.tls.credentialName"
RULE = "AuthorizationPolicy shop/a: spec.rules[0]"
OWN_PORTS = "the workloads that it selects (their own ports count: 8080)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            routed(matched("{uri: {prefix: /a}}", "{uri: {prefix: /a/b}}")),
            f"{ROUTE}http[0].match[1] is never reached: spec.http[0].match[0] takes it first",
            id="a longer prefix",
        ),
        pytest.param(
            routed(matched("{uri: {exact: /a}, headers: {x: {exact: y}}}"), matched("{uri: {exact: /a}}")),
            None,
            id="fewer conditions",
        ),
        pytest.param(
            routed(matched("{uri: {prefix: /a}}"), matched("{uri: {exact: /ab}, method: {exact: GET}}")),
            f"{ROUTE}http[1] is never reached: spec.http[0].match[0] takes it first",
            id="a path below a prefix, and more conditions",
        ),
        pytest.param(
            routed(matched("{uri: {prefix: /a}, ignoreUriCase: true}"), matched("{uri: {prefix: /a}}")),
            None,
            id="in another case",
        ),
        pytest.param(
            routed(matched("{uri: {prefix: /}}"), matched("{uri: {prefix: /a}}")),
            f"{ROUTE}http[1] is never reached: spec.http[0].match[0] takes everything",
            id="every path",
        ),
        pytest.param(
            routed(matched("{port: 80}"), f"{{{TO_WEB}}}", matched("{port: 80}"), kind="tcp"),
            f"{ROUTE}tcp[2] is never reached: spec.tcp[0].match[0] takes it first",
            id="the same connections",
        ),
        pytest.param(
            routed(
                matched("{sniHosts: [web]}"), matched("{sniHosts: [web]}", "{sniHosts: [web], port: 80}"), kind="tls"
            ),
            f"{ROUTE}tls[1] is never reached: spec.tls[0].match[0] takes it first",
            id="the same server name",
        ),
        pytest.param(
            routed(matched("{gateways: [shop/edge]}")),
            f"{ROUTE}http[0].match[0].gateways has no effect: only the gateway mesh is served",
            id="a match for a gateway",
        ),
        pytest.param(
            routed(matched("{port: 81}")),
            f"{ROUTE}http[0].match[0].port is never met: the hosts have no port 81, but 80",
            id="a port that the host does not have",
        ),
        pytest.param(
            routed(matched("{sourceLabels: {app: nobody}}")),
            f"{ROUTE}http[0].match[0].sourceLabels are never met: no workload has them",
            id="clients that are not there",
        ),
        pytest.param(
            routed(matched("{sourceNamespace: bank}")),
            f"{ROUTE}http[0].match[0].sourceNamespace is never met: bank has no workload",
            id="a namespace of nobody",
        ),
        pytest.param(routed(matched("{sourceLabels: {app: client}, sourceNamespace: shop}")), None, id="a client"),
        pytest.param(
            routed(matched("{method: {exact: get}}")),
            f"{ROUTE}http[0].match[0].method is never met: methods are compared in their own case, GET",
            id="a method in lower case",
        ),
        pytest.param(
            routed("{match: [{uri: {prefix: /a}}], delegate: {name: d}}")
            + istio("VirtualService", "d", f"{{http: [{matched('{uri: {prefix: /b}}')}]}}"),
            f"{ROUTE}http[0].delegate leaves out spec.http[0] of VirtualService shop/d: its match is not within the one"
            " here",
            id="a delegate that contradicts",
        ),
        pytest.param(
            istio("VirtualService", "web", f"{{http: [{{{TO_WEB}}}]}}"),
            "VirtualService shop/web:  has no effect: it has no hosts, and no VirtualService delegates to it",
            id="a delegate of nobody",
        ),
        pytest.param(
            allowed("{to: [{operation: {ports: ['80']}}]}"),
            f"{RULE}.to[0].operation.ports 80 is no port of {OWN_PORTS}",
            id="a service's port in place of the workload's",
        ),
        pytest.param(allowed("{to: [{operation: {ports: ['8080'], methods: [GET]}}]}"), None, id="their own port"),
        pytest.param(
            allowed("{to: [{operation: {methods: [post]}}]}"),
            f"{RULE}.to[0].operation.methods post is never met: methods are compared in their own case, POST",
            id="a method of a rule in lower case",
        ),
        pytest.param(
            routed(weighed(50, 40)),
            f"{ROUTE}http[0].route has weights that add up to 90: the shares are 55.6 %, 44.4 %",
            id="weights of 90",
        ),
        pytest.param(routed(weighed(9, 1), weighed(33, 33, 33), weighed(90, 10)), None, id="shares"),
        pytest.param(
            routed(matched("{uri: {prefix: items}}")),
            f'{ROUTE}http[0].match[0].uri.prefix "items" is never met: paths begin with /',
            id="a path without its slash",
        ),
        pytest.param(routed(matched("{uri: {exact: /items}}"), matched("{uri: {prefix: ''}}")), None, id="paths"),
        pytest.param(
            allowed("{to: [{operation: {paths: ['admin*']}}]}"),
            f'{RULE}.to[0].operation.paths "admin*" is never met: paths begin with /',
            id="a rule's path without its slash",
        ),
        pytest.param(allowed("{to: [{operation: {paths: ['/a', '*/b', '{*}/c']}}]}"), None, id="paths of a rule"),
        pytest.param(
            allowed("{from: [{source: {principals: ['spiffe://cluster.local/ns/shop/sa/web']}}]}"),
            f'{RULE}.from[0].source.principals "spiffe://cluster.local/ns/shop/sa/web" is never met: a principal is '
            "written without spiffe://",
            id="a principal as a URI",
        ),
        pytest.param(
            allowed("{from: [{source: {principals: [shop/web]}}]}"),
            f'{RULE}.from[0].source.principals "shop/web" is no identity of Istio\'s: '
            "TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT",
            id="a principal that is none",
        ),
        pytest.param(
            allowed("{from: [{source: {principals: ['*/sa/web', cluster.local/ns/shop/sa/web]}}]}"),
            None,
            id="principals",
        ),
        pytest.param(
            allowed("{from: [{source: {namespaces: [shopp]}}]}"),
            f'{RULE}.from[0].source.namespaces shopp has no workload (did you mean "shop"?)',
            id="a namespace that is not there",
        ),
        pytest.param(allowed("{from: [{source: {namespaces: ['sh*', shop]}}]}"), None, id="namespaces that are"),
        pytest.param(
            allowed("{from: [{source: {requestPrincipals: ['*']}}]}"),
            f"{RULE} asks for a token, and no RequestAuthentication verifies any for the workloads that it selects: no "
            "request has one",
            id="tokens that nobody verifies",
        ),
        pytest.param(
            allowed("{when: [{key: 'request.auth.claims[a]', values: [b]}]}")
            + istio("RequestAuthentication", "r", "{jwtRules: [{issuer: 'https://a', jwksUri: 'https://a/keys'}]}"),
            None,
            id="tokens that somebody verifies",
        ),
        pytest.param(
            istio(
                "PeerAuthentication",
                "p",
                "{selector: {matchLabels: {app: web}}, portLevelMtls: {'80': {mode: DISABLE}}}",
            ),
            f'PeerAuthentication shop/p: spec.portLevelMtls["80"] is no port of {OWN_PORTS}',
            id="a port of mTLS that is the service's",
        ),
        pytest.param(
            istio("PeerAuthentication", "p", "{}") + istio("PeerAuthentication", "q", "{mtls: {mode: STRICT}}"),
            "PeerAuthentication shop/q:  has no effect: PeerAuthentication shop/p is older, or first by name, and holds"
            " for the namespace",
            id="two for a namespace",
        ),
        pytest.param(
            istio("Telemetry", "p", "{}") + istio("Telemetry", "q", "{}"),
            "Telemetry shop/q:  has no effect: Telemetry shop/p is older, or first by name, and holds for the "
            "namespace",
            id="two telemetries for a namespace",
        ),
        pytest.param(
            patched("ROUTE_CONFIGURATION", "ADD"),
            "EnvoyFilter shop/e: spec.configPatches[0].patch.operation ADD has no effect for ROUTE_CONFIGURATION: only "
            "MERGE, MERGE_AND_REPLACE_LIST have",
            id="a table that is added",
        ),
        pytest.param(
            patched("CLUSTER", "MERGE", "{context: SIDECAR_OUTBOUND, cluster: {service: wbe.shop.svc.cluster.local}}"),
            "EnvoyFilter shop/e: spec.configPatches[0].match.cluster.service wbe.shop.svc.cluster.local is no service"
            ' (did you mean "web.shop.svc.cluster.local"?)',
            id="a cluster of no service",
        ),
        pytest.param(
            ANOTHER,
            "Service shop/web: spec.ports[0] leads to port 8080 of the same workloads: it is HTTP, but TCP in Service "
            "shop/other, which counts there",
            id="two services of one port",
        ),
        pytest.param(
            service("p", "htpp-x:80", ip="10.96.0.3") + endpoints("p", "htpp-x:80", "10.1.0.9"),
            'Service shop/p: spec.ports[0].name htpp is no protocol (did you mean "http"?): what the port carries is '
            "guessed",
            id="a protocol with a slip",
        ),
        pytest.param(
            service("p", "x:80", ip="10.96.0.3", rest="ports: [{name: x, port: 80, protocol: SCTP}]")
            + endpoints("p", "x:80", "10.1.0.9"),
            "Service shop/p: spec.ports[0].protocol SCTP has no effect: such a port is not served",
            id="a transport that is not served",
        ),
        pytest.param(
            service("p", "http:80", ip="10.96.0.3", rest="clusterIPs: [10.96.0.3, 'fd00::3']")
            + endpoints("p", "http:80", "10.1.0.9"),
            "Service shop/p: spec.clusterIPs has a second family, by which a process does not know calls: it looks at "
            "the first alone",
            id="a second family",
        ),
        pytest.param(
            istio(
                "ServiceEntry", "a", "{hosts: [db.test], ports: [{number: 5, name: a, protocol: TCP}], resolution: DNS}"
            )
            + istio(
                "ServiceEntry",
                "b",
                "{hosts: [db.test], ports: [{number: 5, name: a, protocol: HTTP}], resolution: DNS}",
                namespace="bank",
            ),
            "ServiceEntry shop/a: spec.ports[0].protocol db.test:5 is HTTP for ServiceEntry bank/b",
            id="entries that contradict each other",
        ),
        pytest.param(
            istio("ServiceEntry", "a", ENTRY % "TCP")
            + istio("ServiceEntry", "b", (ENTRY % "TCP").replace("db.test", "other.test")),
            "ServiceEntry shop/b: spec.ports[0] is not told apart: connections to port 5 all go to db.test "
            "(ServiceEntry shop/a): give addresses",
            id="hosts of one TCP port",
        ),
        pytest.param(
            istio("ServiceEntry", "a", ENTRY % "TLS")
            + istio("ServiceEntry", "b", (ENTRY % "TLS").replace("db.test", "other.test")),
            None,
            id="hosts of one TLS port",
        ),
        pytest.param(
            istio("Telemetry", "t", "{tracing: [{providers: [{name: z}]}]}")
            + mesh("extensionProviders: [{name: z, skywalking: {service: web.shop.svc.cluster.local, port: 80}}]"),
            'Telemetry shop/t: spec.tracing[0].providers[0] switches tracing off: "z" takes no spans: a process makes '
            "no spans for tracers of this kind",
            id="spans",
        ),
        pytest.param(
            mesh(
                "extensionProviders: [{name: z, skywalking: {service: web.shop.svc.cluster.local, port: 80}}]\n"
                "defaultProviders: {tracing: [z]}"
            ),
            'ConfigMap istio-system/istio: data.mesh.defaultProviders.tracing[0] "z" is of no use here: a process '
            "makes no spans for tracers of this kind",
            id="spans of the mesh",
        ),
        pytest.param(
            secured("", "credentialName: roots, subjectAltNames: [web]"),
            f"{SECURED} has no effect without a workloadSelector, as on a sidecar: calls go out in plaintext",
            id="a Secret for everybody",
        ),
        pytest.param(
            secured("workloadSelector: {matchLabels: {app: web}}, ", "credentialName: roots, subjectAltNames: [web]"),
            f"{SECURED} is a Secret, which istiod sends and a folder does not: from a folder calls wait for it, and "
            "fail",
            id="a Secret",
        ),
        pytest.param(
            secured("", "credentialName: 'configmap://roots', subjectAltNames: [web]"), None, id="roots of a ConfigMap"
        ),
        pytest.param(
            service("two", ":80:8080", ":81:8081", ip="10.96.0.3"),
            "Service shop/two: spec.ports[1] has no name: where there are several ports Kubernetes refuses that",
            id="ports without names",
        ),
        pytest.param(
            service("two", "a:80:8080", "a:81:8081", ip="10.96.0.3"),
            'Service shop/two: spec.ports[1].name "a" is another port\'s name already: Kubernetes refuses that',
            id="ports of one name",
        ),
        pytest.param(
            service("alone", "http:80:8080", ip="10.96.0.3"),
            "Service shop/alone:  has no endpoints (no EndpointSlice says where, nor a Deployment's "
            "proxyless.dev/endpoints): calls are answered 503",
            id="a service without endpoints",
        ),
        pytest.param(
            service("alone", "http:80:8080", ip="10.96.0.3").replace("  selector:", "  selectors:"),
            "Service shop/alone:  has no endpoints (it has no selector, and no EndpointSlice is its own): calls are "
            "answered 503",
            id="a service without a selector",
        ),
        pytest.param(
            "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XMesh\nmetadata: {name: x}\n",
            "None: kind XMesh of gateway.networking.x-k8s.io has no effect: it is not read",
            id="an experimental kind",
        ),
    ],
)
def test_what_does_not_do_what_it_seems_to(text: str, said: str | None, tmp_path: Path) -> None:
    lines = found(tmp_path, text)
    assert said in lines if said is not None else not lines, lines


def test_what_is_none_of_envoys_is_said_on_one_line(tmp_path: Path) -> None:
    (line,) = found(tmp_path, patched("HTTP_FILTER", "INSERT_FIRST").replace("name: x", "nam: x"))
    assert line.startswith("EnvoyFilter shop/e: spec.configPatches[0].patch.value has a field without effect: ")
    assert '"nam"' in line
    assert "\n" not in line


UNKNOWN = 'has no effect: it is not known (did you mean "networking.istio.io/exportTo"?)'


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "networking.istio.io/exportTO",
            'has no effect: it is not known (did you mean "networking.istio.io/exportTo"?)',
        ),
        (
            "networking.istio.io/export-to",
            'has no effect: it is not known (did you mean "networking.istio.io/exportTo"?)',
        ),
        ("istio.io/dry-run", "has no effect on a Service: it is for a AuthorizationPolicy"),
        ("networking.istio.io/exportTo", ""),
        ("sidecar.istio.io/inject", ""),
        ("example.com/exportTo", ""),
    ],
)
def test_annotations_with_a_slip(name: str, said: str, tmp_path: Path) -> None:
    text = MESH.replace("metadata:", f"metadata:\n  annotations: {{{name}: '.'}}", 1)
    (tmp_path / "mesh.yaml").write_text(text)
    assert [f"{each.field} {each.message}" for each in check(tmp_path)] == (
        [f'metadata.annotations["{name}"] {said}'] if said else []
    )
