"""A field that `check` calls without effect is one that the process names, or for which it refuses: nothing drifts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxyless import Mesh, Node
from proxyless.cli.explain import explain_one
from proxyless.xds.controlplane import check
from proxyless.xds.controlplane.checking.effects import EFFECTS
from tests.xds.controlplane.support import endpoints, istio, service

WEB = service("web", "http:80:8080") + endpoints("web", "http:8080", "127.0.0.5", "127.0.0.6")
ME = service("me", "http:80:8080", ip="10.96.0.2") + endpoints("me", "http:8080", "127.0.0.9")


def route(extra: str) -> str:
    return istio(
        "VirtualService", "web", f"{{hosts: [web], http: [{{{extra}, route: [{{destination: {{host: web}}}}]}}]}}"
    )


def rule(policy: str) -> str:
    return istio("DestinationRule", "web", f"{{host: web, trafficPolicy: {{{policy}}}}}")


def ingress(rest: str) -> str:
    return istio("Sidecar", "a", f"{{ingress: [{{port: {{number: 80, protocol: HTTP}}, {rest}}}]}}")


OUTGOING = {
    ("DestinationRule", "*.proxyProtocol"): rule("proxyProtocol: {version: V1}"),
}
INCOMING = {
    ("WasmPlugin", ""): istio("WasmPlugin", "a", "{url: 'oci://a'}"),
    ("TrafficExtension", ""): istio("TrafficExtension", "a", "{lua: {inlineCode: x}}"),
}
NOT_EMITTED = {
    ("Sidecar", "ingress.defaultEndpoint"): ingress("defaultEndpoint: '127.0.0.1:1'"),
    ("Sidecar", "ingress.connectionPool"): ingress("connectionPool: {tcp: {maxConnections: 1}}"),
    ("Sidecar", "inboundConnectionPool"): istio("Sidecar", "a", "{inboundConnectionPool: {tcp: {maxConnections: 1}}}"),
    ("DestinationRule", "*.tunnel"): rule("tunnel: {protocol: CONNECT, targetHost: a.example.com, targetPort: 80}"),
    ("Telemetry", "metrics"): istio("Telemetry", "a", "{metrics: [{providers: [{name: prometheus}]}]}"),
}
"""Named by `check`; what is sent for it stands where no request passes."""


def said(folder: Path, text: str, inbound: int | None) -> dict[str, Any]:
    """What `explain` says of a request to web, or to an app's port of this process."""
    (folder / "mesh.yaml").write_text(text)
    node = Node(app="me", namespace="shop", ip="127.0.0.9")
    with Mesh.from_config(folder, node=node, registry=False) as mesh:
        mesh.wait_ready(20)
        return explain_one(mesh, {"url": "http://web/"}, inbound, "127.0.0.1", 5.0)[0]


def warnings(folder: Path, text: str) -> set[str]:
    (folder / "mesh.yaml").write_text(text)
    found = check(folder)
    assert not [each for each in found if each.severity == "error"], found
    return {each.field for each in found if "yet" in each.message or "no effect" in each.message}


@pytest.mark.parametrize(("protocol", "port", "named"), [("HTTP", 80, False), ("TLS", 443, True)])
def test_names_of_dynamic_dns_are_resolved_for_http_alone(
    protocol: str, port: int, named: bool, tmp_path: Path
) -> None:
    text = istio(
        "ServiceEntry",
        "any",
        "{hosts: ['*.example.com'], resolution: DYNAMIC_DNS, "
        f"ports: [{{number: {port}, name: a, protocol: {protocol}}}]}}",
    )
    assert (warnings(tmp_path, text) == {"spec.resolution"}) is named
    with Mesh.from_config(tmp_path, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as mesh:
        mesh.wait_ready(20)
        url = f"{'http' if port == 80 else 'https'}://x.example.com/"
        document = explain_one(mesh, {"url": url}, None, "127.0.0.1", 5.0)[0]
    assert (document["response_flags"] == "UF") is named
    assert (document["cluster"] == "outbound|80||*.example.com") is not named


@pytest.mark.parametrize("of", OUTGOING, ids=str)
def test_what_check_names_of_calls_the_process_names_too(of: tuple[str, str], tmp_path: Path) -> None:
    text = WEB + OUTGOING[of]
    assert any(field.endswith(of[1].rpartition(".")[2]) for field in warnings(tmp_path, text))
    without, answer = said(tmp_path, WEB, None), said(tmp_path, text, None)
    assert not without["not_honoured"]
    assert without["status"] is None
    assert answer["not_honoured"] or answer["response_flags"] == "UF", answer["why"]


@pytest.mark.parametrize("of", INCOMING, ids=str)
def test_what_check_names_of_requests_refuses_them(of: tuple[str, str], tmp_path: Path) -> None:
    text = WEB + ME + INCOMING[of]
    assert any(field.endswith(of[1]) for field in warnings(tmp_path, text))
    assert said(tmp_path, WEB + ME, 8080)["status"] is None
    assert said(tmp_path, text, 8080)["status"] in (403, 503)


@pytest.mark.parametrize("of", NOT_EMITTED, ids=str)
def test_the_others_are_named_by_check_alone(of: tuple[str, str], tmp_path: Path) -> None:
    assert any(field.endswith(of[1].rpartition(".")[2]) for field in warnings(tmp_path, WEB + NOT_EMITTED[of]))


def test_each_entry_of_the_table_is_tried() -> None:
    listed = {(kind, name) for kind, names in EFFECTS.items() for name in names}
    assert listed <= OUTGOING.keys() | INCOMING.keys() | NOT_EMITTED.keys()


def test_what_is_honoured_is_not_named(tmp_path: Path) -> None:
    text = (
        WEB
        + route("timeout: 2s, retries: {attempts: 2, retryOn: 5xx}, headers: {request: {set: {a: b}}}")
        + rule("connectionPool: {tcp: {maxConnections: 3}}, loadBalancer: {simple: RANDOM}, tls: {mode: DISABLE}")
        + istio("PeerAuthentication", "a", "{mtls: {mode: STRICT}}")
        + istio("AuthorizationPolicy", "a", "{action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]}")
    )
    assert warnings(tmp_path, text) == set()
    assert not said(tmp_path, text, None)["not_honoured"]


def test_expressions_need_their_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = "{accessLogging: [{providers: [{name: envoy}]}, {filter: {expression: response.code >= 400}}]}"
    (tmp_path / "mesh.yaml").write_text(WEB + istio("Telemetry", "a", spec))
    field = "spec.accessLogging[1].filter.expression"
    assert field not in {each.field for each in check(tmp_path)}
    monkeypatch.setattr("proxyless.xds.controlplane.checking.effects.find_spec", lambda name: None)
    (named,) = (each for each in check(tmp_path) if each.field == field)
    assert "the extra `cel`" in named.message
