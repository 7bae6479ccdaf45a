"""The real Envoy accepts what is emitted: for the recorded shop, for one of everything, and for generated meshes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .everything import EVERYTHING
from .support import SHOP, view, world
from .validate import refusal

pytestmark = pytest.mark.envoy


@pytest.mark.parametrize(
    ("namespace", "pod", "ip"),
    [
        ("shop", "frontend-v1-0", "127.0.10.1"),
        ("shop", "payment-v1-0", "127.0.14.1"),
        ("bank", "ledger-v1-0", "127.0.17.1"),
    ],
)
def test_envoy_accepts_what_a_node_of_the_shop_gets(namespace: str, pod: str, ip: str, tmp_path: Path) -> None:
    text = "\n---\n".join((SHOP / name).read_text() for name in ("kubernetes.yaml", "istio.yaml"))
    assert refusal(view(world(text), namespace=namespace, pod=pod, ip=ip), tmp_path) == ""


@pytest.mark.parametrize("pod", ["web-0", "stranger"])
@pytest.mark.parametrize("extra", [{}, {"INTERCEPTION_MODE": "TPROXY"}, {"INTERCEPTION_MODE": "NONE"}], ids=str)
def test_envoy_accepts_one_of_everything(pod: str, extra: dict[str, str], tmp_path: Path) -> None:
    ip = "10.1.0.1" if pod == "web-0" else "10.0.0.9"
    made = view(world(EVERYTHING), pod=pod, ip=ip, labels={"app": "client"}, locality=("r1", "a", ""), **extra)
    assert refusal(made, tmp_path) == ""


@pytest.mark.parametrize("extra", [{}, {"INTERCEPTION_MODE": "TPROXY"}, {"INTERCEPTION_MODE": "NONE"}], ids=str)
@pytest.mark.parametrize("ip", ["10.0.0.9", "10.0.0.9,fd00::9", "fd00::9"])
def test_envoy_accepts_everything_through_a_sidecar(extra: dict[str, str], ip: str, tmp_path: Path) -> None:
    labels = {"app": "web", "scoped": "yes"}
    made = view(world(EVERYTHING), ip=ip, labels=labels, locality=("r1", "a", ""), **extra)
    assert made.scope.ingress
    assert refusal(made, tmp_path) == ""


def test_envoy_accepts_what_a_proxy_of_both_ip_families_gets(tmp_path: Path) -> None:
    assert refusal(view(world(EVERYTHING), ip="10.0.0.9,fd00::9"), tmp_path) == ""
