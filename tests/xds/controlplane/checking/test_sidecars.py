"""What `check` says of Sidecars: hosts that match nothing, selectors that select nothing, the one that counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import check
from tests.xds.controlplane.support import endpoints, istio, service

WEB = service("web", "http:80") + endpoints("web", "http:80", "10.0.0.1")
FAR = service("far", "http:80", namespace="other") + endpoints("far", "http:80", "10.0.0.2", namespace="other")
HIDDEN = istio(
    "ServiceEntry",
    "hidden",
    "{hosts: [hidden.example.com], ports: [{number: 80, name: http}], exportTo: ['.'], resolution: STATIC, "
    "endpoints: [{address: 10.0.0.3}]}",
    namespace="other",
)
ROUTE = istio("VirtualService", "r", "{hosts: [a.example.org], http: [{route: [{destination: {host: web}}]}]}")
POD = """---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
status: {podIP: 10.0.0.1}
"""


def sidecar(spec: str, called: str = "scope", namespace: str = "shop", **metadata: Any) -> str:
    return istio("Sidecar", called, spec, namespace=namespace, **metadata)


def found(folder: Path, *documents: str) -> list[str]:
    """What is said of Sidecars: severity, field, text."""
    (folder / "mesh.yaml").write_text("".join((WEB, FAR, HIDDEN, ROUTE, *documents)))
    return [
        f"{each.severity} {each.field}: {each.message}"
        for each in check(folder)
        if each.object is not None and each.object.kind == "Sidecar"
    ]


def egress(*hosts: str, rest: str = "") -> str:
    written = ", ".join(f"'{host}'" for host in hosts)
    return sidecar(f"{{egress: [{{hosts: [{written}]{rest}}}]}}")


NOTHING = "hosts[0]: matches no service and no VirtualService of"


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (["*/*"], ""),
        (["./*"], ""),
        (["other/*", "~other/nobody.com", "~/*"], ""),
        (["*/web.shop.svc.cluster.local"], ""),
        (["shop/a.example.org"], ""),
        (["*/*.example.org"], ""),
        (["nowhere/*"], f"{NOTHING} namespace nowhere"),
        (
            ["other/web.shop.svc.cluster.local"],
            f"{NOTHING} namespace other: that host is one of shop",
        ),
        (
            ["./*", "*/wev.shop.svc.cluster.local"],
            f'{NOTHING.replace("0", "1")} any namespace (did you mean "web.shop.svc.cluster.local"?)',
        ),
        (["*/hidden.example.com"], "hosts[0]: matches nothing that is exported to shop"),
        (
            ["./*", "./web.shop.svc.cluster.local"],
            "hosts[1]: ./web.shop.svc.cluster.local is among the hosts before it",
        ),
        (["*/*", "./*"], "hosts[1]: ./* is among the hosts before it"),
        (["./*", "./*"], "hosts[1]: ./* is among the hosts before it"),
    ],
)
def test_a_host_must_match_something(hosts: list[str], said: str, tmp_path: Path) -> None:
    assert found(tmp_path, egress(*hosts)) == ([f"warning spec.egress[0].{said}"] if said else [])


@pytest.mark.parametrize(("number", "protocol", "said"), [(80, "HTTP", ""), (7, "HTTP", "7"), (7, "HTTP_PROXY", "")])
def test_a_listener_s_port_must_be_one_of_a_service(number: int, protocol: str, said: str, tmp_path: Path) -> None:
    text = egress("./*", rest=f", port: {{number: {number}, protocol: {protocol}}}")
    wanted = [f"warning spec.egress[0].hosts[0]: matches no service with port {said}"] if said else []
    assert found(tmp_path, text) == wanted


def test_the_own_namespace_of_a_sidecar_for_all_namespaces_is_each_of_them(tmp_path: Path) -> None:
    text = "{egress: [{hosts: [./*, istio-system/*]}]}"
    (said,) = found(tmp_path, sidecar(text, namespace="istio-system"))
    assert said.startswith("warning spec.egress[0].hosts[1]: matches no service")


def test_unknown_hosts_must_be_sent_to_a_service_in_sight(tmp_path: Path) -> None:
    def with_proxy(hosts: str) -> list[str]:
        proxy = "{mode: ALLOW_ANY, egressProxy: {host: far.other.svc.cluster.local, port: {number: 80}}}"
        return found(tmp_path, sidecar(f"{{egress: [{{hosts: [{hosts}]}}], outboundTrafficPolicy: {proxy}}}"))

    assert with_proxy("./*, other/*") == []
    (said,) = with_proxy("./*")
    assert said.startswith(
        "error spec.outboundTrafficPolicy.egressProxy.host: far.other.svc.cluster.local is no service"
    )
    assert found(tmp_path, sidecar("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}")) == []


def picking(labels: str, called: str = "scope", **metadata: Any) -> str:
    return sidecar(f"{{egress: [{{hosts: ['*/*']}}], workloadSelector: {{labels: {labels}}}}}", called, **metadata)


def test_a_selector_must_select_a_workload(tmp_path: Path) -> None:
    assert found(tmp_path, picking("{app: web}")) == []  # without any Pod nothing is known
    assert found(tmp_path, POD, picking("{app: web}")) == []
    assert found(tmp_path, POD, picking("{app: cart}")) == ["warning spec.workloadSelector: selects no workload"]
    (said,) = found(tmp_path, POD, picking("{}"))
    assert said.startswith("warning spec.workloadSelector: has no labels")


def test_of_two_sidecars_for_a_namespace_one_counts(tmp_path: Path) -> None:
    one, two = (sidecar("{egress: [{hosts: ['*/*']}]}", called) for called in ("one", "two"))
    assert found(tmp_path, two, one) == [
        "warning : has no effect: Sidecar shop/one is older, or first by name, and holds for the namespace"
    ]


def test_of_two_sidecars_for_a_workload_one_counts(tmp_path: Path) -> None:
    new: dict[str, Any] = {"creationTimestamp": "2026-01-02T00:00:00Z"}
    old: dict[str, Any] = {"creationTimestamp": "2026-01-01T00:00:00Z"}
    said = found(tmp_path, POD, picking("{app: web}", "new", **new), picking("{app: web}", "old", **old))
    (one,) = said
    assert one.startswith("warning spec.workloadSelector: has no effect: Sidecar shop/old is older, or first by name")


def test_what_istiod_leaves_out_is_said(tmp_path: Path) -> None:
    text = """
    ingress:
    - port: {number: 9443, protocol: HTTPS}
      tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}
      connectionPool: {http: {maxRetries: 1}}
    - port: {number: 80, protocol: HTTP}
    """
    said = found(tmp_path, sidecar(text))
    assert "warning spec.ingress[0].tls: has no effect: istiod reads it only with ENABLE_TLS_ON_SIDECAR_INGRESS" in said
    assert "warning spec.ingress[0].connectionPool.http: has no effect: the port's protocol is not HTTP" in said


def test_what_a_process_does_itself_is_said(tmp_path: Path) -> None:
    pool = "{tcp: {maxConnections: 1}}"
    listener = f"{{port: {{number: 80, protocol: HTTP}}, defaultEndpoint: '127.0.0.1:1', connectionPool: {pool}}}"
    said = found(tmp_path, sidecar(f"{{ingress: [{listener}], inboundConnectionPool: {pool}}}"))
    assert [each.partition(":")[0] for each in said if "in a process" in each] == [
        "warning spec.inboundConnectionPool",
        "warning spec.ingress[0].connectionPool",
        "warning spec.ingress[0].defaultEndpoint",
    ]


RESOLVED = istio(
    "ServiceEntry",
    "wild",
    "{hosts: ['*.wild.example.com'], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DYNAMIC_DNS}",
)


@pytest.mark.parametrize(
    ("bind", "port", "host", "refused"),
    [
        ("unix:///run/x", "{number: 0, protocol: TLS}", "*.wild.example.com", True),
        ("unix:///run/x", "{number: 0, protocol: TCP}", "*.wild.example.com", True),
        ("unix:///run/x", "{number: 0, protocol: HTTP}", "*.wild.example.com", False),
        ("unix:///run/x", "{number: 0, protocol: TLS}", "web.shop.svc.cluster.local", False),
        ("127.0.0.1", "{number: 443, protocol: TLS}", "*.wild.example.com", False),
    ],
)
def test_hosts_that_are_resolved_when_called_need_a_port(
    bind: str, port: str, host: str, refused: bool, tmp_path: Path
) -> None:
    written = f"{{egress: [{{bind: '{bind}', port: {port}, hosts: ['./{host}']}}, {{hosts: ['./*']}}]}}"
    errors = [each for each in found(tmp_path, RESOLVED, sidecar(written)) if each.startswith("error")]
    why = (
        "Envoy refuses the listener: hosts of DYNAMIC_DNS are called at its port, "
        "and a Unix socket has none; istiod sends it all the same"
    )
    assert errors == [f"error spec.egress[0].port.number: {why}"] * refused
