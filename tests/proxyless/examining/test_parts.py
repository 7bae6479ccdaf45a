"""Parts of the doctor that depend on a machine: clocks, versions, proxies beside the process, modes of a mesh."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from proxyless.examining import clock, modes, sidecar, versions
from proxyless.examining.finding import Finding, lasting
from tests.support.envoy import Envoy
from tests.xds.controlplane.support import endpoints, istio, service, world


def told(findings: Any) -> list[str]:
    return [f"{each.level}: {each.text}" for each in findings]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1.0, "good: it agrees with that of X (within 60 s)"),
        (300.0, "error: this machine is 5 min ahead of X"),
        (-7200.0, "error: this machine is 2 h behind X"),
    ],
)
def test_clocks_that_disagree_are_said(seconds: float, said: str) -> None:
    assert told([clock.judged(seconds, "X")]) == [said]


def test_a_certificate_tells_of_clocks() -> None:
    assert told(clock.fresh(1000.0, 1000.0)) == []
    assert told(clock.fresh(1000.0, 5000.0))[0].endswith("this machine is ahead")
    assert told(clock.fresh(5000.0, 1000.0))[0].endswith("this machine is behind")


def test_without_an_api_server_nothing_is_compared(tmp_path: Path) -> None:
    (found,) = clock.api_server({}, tmp_path, lambda: 0.0, 1.0)
    assert found.level == "unknown"
    there = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    (found,) = clock.api_server(there, tmp_path, lambda: 0.0, 1.0)
    assert "cannot be verified" in found.text
    authority = tmp_path / clock.ACCOUNT_CA
    authority.parent.mkdir(parents=True)
    authority.write_text("nonsense")
    (found,) = clock.api_server(there, tmp_path, lambda: 0.0, 1.0)
    assert "is not reached" in found.text


def test_versions_are_those_that_are_installed() -> None:
    found = list(versions.versions((3, 12)))
    assert [each.level for each in found] == ["good", "good"]
    assert "grpcio" in found[1].text
    assert next(iter(versions.versions((3, 9)))).level == "warning"


def test_a_library_that_is_missing_or_too_old_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "requires", lambda _: ["nowhere-to-be-found>=1", "click>=999", "x; extra == 'y'"])
    found = told(versions.versions((3, 12)))
    assert "error: nowhere-to-be-found is not installed (1)" in found
    assert any("click" in each and "is too old: 999 is the least" in each for each in found)


def beside(annotations: dict[str, str], *ports: int, admin: int = sidecar.ADMIN) -> list[str]:
    return told(sidecar.beside(annotations, lambda port: port in ports, admin))


def test_a_proxy_beside_the_process_is_said() -> None:
    assert beside({})[0] == "good: nothing of a sidecar is beside this process"
    assert beside({}, 15001, 15020)[0].startswith("error: a proxy listens here at 15001 (outbound traffic), 15020")
    assert beside({}, 15020)[0].startswith("good"), "the listener of proxyless.probes is there, too"
    assert beside({}, 15021)[0].startswith("warning: something listens here at 15021")
    injected = {sidecar.STATUS: json.dumps({"containers": ["istio-proxy"]})}
    assert beside(injected)[0] == "error: Istio's injector has been at this Pod (istio-proxy)"
    assert beside({sidecar.STATUS: "x"})[0] == "error: Istio's injector has been at this Pod"
    assert "ztunnel" in beside({sidecar.AMBIENT: "enabled"})[0]


@pytest.mark.envoy
def test_a_real_envoy_is_known_by_its_admin_port() -> None:
    with Envoy({"static_resources": {}}) as envoy:
        port = int(envoy._admin.rpartition(":")[2])
        found = told(sidecar.beside({}, lambda each: each == port, port))
    assert found[0] == "error: a proxy listens here at 15000 (Envoy's admin)"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (
            "echo ':ISTIO_OUTPUT - [0:0]'",
            ["error: iptables redirect this Pod's traffic to a sidecar (chains ISTIO_...)"],
        ),
        ("echo ':OUTPUT ACCEPT [0:0]'", []),
        ("exit 4", ["unknown: iptables may not be read here"]),
    ],
)
def test_rules_of_iptables_are_read_where_they_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, found: list[str]
) -> None:
    program = tmp_path / "iptables-save"
    program.write_text(f"#!/bin/sh\n{said}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert told(sidecar.redirected()) == found


def peers(mode: str, name: str = "default", namespace: str = "shop") -> str:
    return istio(
        "PeerAuthentication", name, f"{{mtls: {{mode: {mode}}}}}", namespace=namespace, group="security.istio.io"
    )


def pod(name: str, tls: str, namespace: str = "shop") -> str:
    return (
        f"---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}, "
        f"security.istio.io/tlsMode: {tls}}}}}\nspec: {{}}\nstatus: {{podIP: 10.0.0.9, phase: Running}}\n"
    )


def backed(name: str) -> str:
    """A service whose endpoint is its Pod."""
    text = endpoints(name, "http:80", "10.0.0.9")
    return text.replace("addresses:", f"targetRef: {{kind: Pod, name: {name}, namespace: shop}}\n  addresses:")


def between(text: str, labels: dict[str, str] | None = None, *, certificate: bool = True) -> list[str]:
    mine = {"app": "me", modes.TLS_LABEL: "istio"} if labels is None else labels
    return told(modes.between(world(text), "shop", mine, certificate=certificate))


WEB = service("web", "http:80") + pod("web", "istio")


def test_modes_that_go_together_are_good() -> None:
    assert between(WEB + backed("web") + peers("STRICT")) == [
        "good: PeerAuthentication STRICT holds for every port; it is labelled for it, and has a certificate",
        "good: no DestinationRule and no PeerAuthentication contradict each other here",
    ]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (peers("STRICT"), {"labels": {"app": "me"}}, "peers are told to call it in plaintext"),
        (peers("STRICT"), {"certificate": False}, "has no certificate: every caller is refused"),
        (
            WEB
            + "BACKED"
            + peers("STRICT")
            + istio("DestinationRule", "web", "{host: web, trafficPolicy: {tls: {mode: DISABLE}}}"),
            {},
            "DestinationRule shop/web says DISABLE for web.shop.svc.cluster.local, whose pods are STRICT: refused",
        ),
        (
            WEB + "BACKED" + peers("STRICT"),
            {"certificate": False},
            "web.shop.svc.cluster.local is STRICT, and this workload has no",
        ),
        (
            WEB.replace("tlsMode: istio", "tlsMode: disabled")
            + "BACKED"
            + istio("DestinationRule", "web", "{host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
            {},
            "says ISTIO_MUTUAL for web.shop.svc.cluster.local, whose pods serve plaintext",
        ),
        (
            WEB + "BACKED" + istio("DestinationRule", "web", "{host: web, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
            {"certificate": False},
            "says ISTIO_MUTUAL, and this workload has no certificate",
        ),
        (
            WEB.replace("tlsMode: istio", "tlsMode: disabled") + "BACKED" + peers("STRICT"),
            {},
            "web.shop.svc.cluster.local is STRICT, and is called in plaintext at web: refused",
        ),
    ],
)
def test_modes_that_break_are_said(text: str, options: dict[str, Any], said: str) -> None:
    found = between(text.replace("BACKED", backed("web")), **options)
    assert any(said in each and each.startswith(("error", "warning")) for each in found), found


def test_what_lasts_is_told_in_units_of_people() -> None:
    assert [lasting(each) for each in (1.0, 119.0, 120.0, 7200.0, 172_800.0)] == ["1 s", "119 s", "2 min", "2 h", "2 d"]


def test_a_finding_is_a_document() -> None:
    assert Finding("a", "good", "b").document() == {"check": "a", "level": "good", "text": "b", "do": ""}
