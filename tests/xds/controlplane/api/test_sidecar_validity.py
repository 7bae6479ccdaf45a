"""A Sidecar that Istio's admission refuses is refused here, with the field; what it takes is taken."""

from __future__ import annotations

import pytest

from tests.xds.controlplane.api.test_validity import faults

HOSTS = "hosts: ['*/*']"
HTTP = "port: {number: 80, protocol: HTTP}"
HTTPS = "port: {number: 443, protocol: HTTPS}"


def egress(*listeners: str) -> str:
    return f"{{egress: [{', '.join(f'{{{each}}}' for each in listeners)}]}}"


def ingress(*listeners: str) -> str:
    return f"{{ingress: [{', '.join(f'{{{each}}}' for each in listeners)}]}}"


def imports(*hosts: str) -> str:
    return egress(f"hosts: [{', '.join(repr(host) for host in hosts)}]")


def unix(path: str, rest: str = "") -> str:
    return f"port: {{number: 0, protocol: HTTP}}, bind: '{path}', {HOSTS}{rest}"


def tls(rest: str) -> str:
    return ingress(f"{HTTPS}, tls: {{{rest}}}")


CERTIFICATE = "serverCertificate: /c, privateKey: /k"

REFUSED = [
    ("{}", "spec must have one of egress, ingress, outboundTrafficPolicy, inboundConnectionPool"),
    ("{workloadSelector: {labels: {a: b}}}", "spec must have one of"),
    (
        "{workloadSelector: {labels: {a: 'b*'}}, outboundTrafficPolicy: {}}",
        "spec.workloadSelector.labels.a must be a label as it is",
    ),
    # egress: order and places
    (egress(""), "spec.egress[0].hosts is required"),
    (egress(HOSTS, HOSTS), "spec.egress[0] has no port, so it must be the last one"),
    (egress(HOSTS, f"{HTTP}, {HOSTS}"), "spec.egress[0] has no port, so it must be the last one"),
    (egress(f"{HTTP}, {HOSTS}", f"{HTTP}, bind: 127.0.0.1, {HOSTS}"), "spec.egress[1].port 80 is given twice"),
    (egress(unix("unix:///a"), unix("unix:///a")), "spec.egress[1].bind unix:///a is given twice"),
    (
        egress(f"port: {{number: 80, protocol: HTTP, targetPort: 8080}}, {HOSTS}"),
        "spec.egress[0].port.targetPort has no",
    ),
    (egress(f"port: {{number: 80, protocol: SMTP}}, {HOSTS}"), 'spec.egress[0].port.protocol "SMTP" is no protocol'),
    (egress(f"port: {{number: 80, name: a_b}}, {HOSTS}"), 'spec.egress[0].port.name "a_b" is no DNS label'),
    (egress(f"port: {{number: 70000}}, {HOSTS}"), "spec.egress[0].port.number must be at most 65535"),
    (egress(f"{HTTP}, bind: localhost, {HOSTS}"), "spec.egress[0].bind must be an IP address, not localhost"),
    (egress(f"{HTTP}, bind: 'unix:///a', {HOSTS}"), "spec.egress[0].bind must be an IP address"),
    (egress(f"{HTTP}, captureMode: ALL, {HOSTS}"), "spec.egress[0].captureMode must be one of DEFAULT, IPTABLES, NONE"),
    # egress: sockets
    (
        egress(f"port: {{number: 0}}, {HOSTS}"),
        "spec.egress[0].bind must be a Unix socket (unix:///path) where the port",
    ),
    (egress(unix("127.0.0.1")), "spec.egress[0].bind must be a Unix socket (unix:///path), not 127.0.0.1"),
    (egress(unix("unix://a")), 'spec.egress[0].bind "a" is no absolute path to a file'),
    (egress(unix("unix:///a/")), 'spec.egress[0].bind "/a/" is no absolute path to a file'),
    (egress(unix("unix:///a", ", captureMode: IPTABLES")), "spec.egress[0].captureMode cannot be IPTABLES"),
    # egress: hosts
    (imports("web"), "spec.egress[0].hosts[0] must be of the form namespace/name"),
    (imports("/a.b"), "spec.egress[0].hosts[0] must have both a namespace and a name"),
    (imports("shop/"), "spec.egress[0].hosts[0] must have both a namespace and a name"),
    (imports("sh_op/*"), 'spec.egress[0].hosts[0] "sh_op" is no namespace'),
    (imports("*shop/*"), 'spec.egress[0].hosts[0] "*shop" is no namespace'),
    (
        imports("*/*", "shop/web"),
        'spec.egress[0].hosts[1] "web" must be a full name, such as web.shop.svc.cluster.local',
    ),
    (imports("~/web"), 'spec.egress[0].hosts[0] "web" must be a full name, such as web.ns.svc'),
    (imports("shop/*a.com"), 'spec.egress[0].hosts[0] "*a.com" has a wildcard that is not the whole first label'),
    (imports("shop/a.*.com"), 'spec.egress[0].hosts[0] "a.*.com" has a wildcard'),
    (imports("shop/a/b.com"), 'spec.egress[0].hosts[0] "a/b.com" is no domain name'),
    (imports("shop/10.0.0.1"), 'spec.egress[0].hosts[0] "10.0.0.1" is no domain name'),
    (imports("shop/" + "a." * 128 + "com"), "spec.egress[0].hosts[0]"),
    (imports("shop/a..com"), 'spec.egress[0].hosts[0] "a..com" is no domain name'),
    # ingress
    (ingress("bind: 127.0.0.1"), "spec.ingress[0].port is required"),
    (ingress("port: {protocol: HTTP}"), "spec.ingress[0].port.number is required"),
    (ingress(HTTP, HTTP), "spec.ingress[1].port.number 80 is given twice"),
    (ingress(f"{HTTP}, bind: 'unix:///a'"), "spec.ingress[0].bind must be an IP address"),
    (ingress("port: {number: 80, protocol: X}"), "spec.ingress[0].port.protocol"),
    *(
        (ingress(f"{HTTP}, defaultEndpoint: '{endpoint}'"), "spec.ingress[0].defaultEndpoint must be 127.0.0.1:PORT")
        for endpoint in ("8080", "10.0.0.1:8080", "localhost:8080", "::1:8080", "[::2]:8080", "127.0.0.1")
    ),
    (ingress(f"{HTTP}, defaultEndpoint: '127.0.0.1:http'"), 'spec.ingress[0].defaultEndpoint "http" is no port'),
    (ingress(f"{HTTP}, defaultEndpoint: '127.0.0.1:0'"), 'spec.ingress[0].defaultEndpoint "0" is no port'),
    (ingress(f"{HTTP}, defaultEndpoint: '127.0.0.1:65536'"), 'spec.ingress[0].defaultEndpoint "65536" is no port'),
    (ingress(f"{HTTP}, defaultEndpoint: 'unix://a'"), 'spec.ingress[0].defaultEndpoint "a" is no absolute path'),
    # tls
    (ingress(f"{HTTP}, tls: {{mode: SIMPLE, {CERTIFICATE}}}"), "spec.ingress[0].tls cannot be set for a port whose"),
    (tls("mode: SIMPLE"), "spec.ingress[0].tls.serverCertificate is required for mode SIMPLE"),
    (tls("mode: SIMPLE, serverCertificate: /c"), "spec.ingress[0].tls.privateKey is required for mode SIMPLE"),
    (tls(f"mode: MUTUAL, {CERTIFICATE}"), "spec.ingress[0].tls.caCertificates is required for mode MUTUAL"),
    (tls(f"mode: SIMPLE, {CERTIFICATE}, caCrl: /r"), "spec.ingress[0].tls.caCrl cannot be set for mode SIMPLE"),
    (tls("mode: ISTIO_MUTUAL"), "spec.ingress[0].tls.mode cannot be ISTIO_MUTUAL here"),
    (tls("mode: AUTO_PASSTHROUGH"), "spec.ingress[0].tls.mode cannot be AUTO_PASSTHROUGH here"),
    (tls("httpsRedirect: true"), "spec.ingress[0].tls.httpsRedirect is not supported here"),
    (tls("credentialName: c"), "spec.ingress[0].tls.credentialName is not supported here"),
    (tls("credentialNames: [c]"), "spec.ingress[0].tls.credentialNames is not supported here"),
    (tls("tlsCertificates: [{serverCertificate: /c}]"), "spec.ingress[0].tls.tlsCertificates is not supported here"),
    (tls("subjectAltNames: [c]"), "spec.ingress[0].tls.subjectAltNames is not supported here"),
    # what becomes of unknown hosts
    (
        "{outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}}",
        "spec.outboundTrafficPolicy.mode cannot be ALLOW_ANY_DYNAMIC_DNS here",
    ),
    (
        "{outboundTrafficPolicy: {egressProxy: {host: a.b, port: {number: 1}}}}",
        "spec.outboundTrafficPolicy.egressProxy is for mode ALLOW_ANY only",
    ),
    (
        "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b}}}",
        "spec.outboundTrafficPolicy.egressProxy.port is required",
    ),
    (
        "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: '*.b', port: {number: 1}}}}",
        'spec.outboundTrafficPolicy.egressProxy.host "*.b" is no domain name',
    ),
    (
        "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b, subset: a_b, port: {number: 1}}}}",
        'spec.outboundTrafficPolicy.egressProxy.subset "a_b" is no DNS label',
    ),
]


@pytest.mark.parametrize(("spec", "said"), REFUSED)
def test_refused(spec: str, said: str) -> None:
    found = faults("Sidecar", spec)
    assert any(each.startswith(said) for each in found), found


ACCEPTED = [
    "{outboundTrafficPolicy: {}}",
    "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.b, subset: v1, port: {number: 1}}}}",
    "{inboundConnectionPool: {tcp: {maxConnections: 1}}}",
    "{workloadSelector: {labels: {a: b}}, egress: [{hosts: ['*/*']}]}",
    imports("*/*", "./*", "~/*", "shop/*", "~./a.b", "~*/a.b", "~shop/*.b", "*/*.com", "shop/a.com."),
    egress(unix("unix:///a"), unix("unix://@a", ", captureMode: NONE"), f"{HTTP}, {HOSTS}", HOSTS),
    egress(f"{HTTP}, bind: '::1', {HOSTS}", f"port: {{number: 81}}, bind: 0.0.0.0, captureMode: IPTABLES, {HOSTS}"),
    *(
        ingress(f"{HTTP}, defaultEndpoint: '{each}'")
        for each in ("127.0.0.1:1", "0.0.0.0:1", "[::1]:1", "[::]:1", ":1", "unix:///a", "unix://@a")
    ),
    tls(f"mode: SIMPLE, {CERTIFICATE}"),
    tls(f"mode: MUTUAL, {CERTIFICATE}, caCertificates: /a, caCrl: /r"),
    tls(
        "mode: PASSTHROUGH, minProtocolVersion: TLSV1_2, cipherSuites: [A], ecdhCurves: [B], insecureSkipVerify: false"
    ),
]


@pytest.mark.parametrize("spec", ACCEPTED)
def test_accepted(spec: str) -> None:
    assert faults("Sidecar", spec) == []
