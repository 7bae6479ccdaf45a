"""Dashboard and alerts ask for metrics and labels that there are."""

from __future__ import annotations

import json
import re

import yaml

from proxyless.cli._monitor import Monitor
from proxyless.governance.telemetry import catalogue
from proxyless.xds.controlplane.source.cluster import KubernetesSource
from tests.xds.controlplane.source.api_server import Small
from tools.charts import ROOT

SHOP = ROOT / "charts" / "proxyless-shop" / "files"
CONTROLLER = ROOT / "charts" / "proxyless-controller" / "files" / "alerts.yaml"
NAME = re.compile(r"\b(?:proxyless|istio)_\w+")
SELECTOR = re.compile(r"(\b(?:proxyless|istio)_\w+)\{([^}]*)\}")
OF_PROMETHEUS = {"namespace", "pod"}
"""Labels that its configuration gives what is scraped from pods."""


def served() -> dict[str, set[str]]:
    """Labels by metric, as the text names them."""
    found: dict[str, set[str]] = {}
    for each in catalogue.METRICS:
        names = {"histogram": ("_bucket", "_sum", "_count")}.get(each.kind, ("",))
        for suffix in names:
            found[each.name + suffix] = {*each.labels, *({"le"} if suffix == "_bucket" else ())}
    return found


def alerts(path: str) -> list[str]:
    return [rule["expr"] for group in yaml.safe_load(path)["groups"] for rule in group["rules"]]


def test_workloads_serve_what_dashboard_and_alerts_ask_for() -> None:
    known = served()
    panels = json.loads((SHOP / "dashboard.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    for expression in (*asked, *alerts((SHOP / "alerts.yaml").read_text())):
        assert set(NAME.findall(expression)) <= known.keys(), expression
        for name, selector in SELECTOR.findall(expression):
            labels = set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selector))
            assert labels <= known[name] | OF_PROMETHEUS, expression
        grouped = {label.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for label in by.split(",")}
        (metric,) = set(NAME.findall(expression))
        assert grouped <= known[metric] | OF_PROMETHEUS, expression


def test_the_controller_serves_what_its_alerts_ask_for() -> None:
    server = Small()
    monitor = Monitor("127.0.0.1:0", KubernetesSource(server.api))
    try:
        known = {each.name for each in monitor.collect()} | {"proxyless_serve_rejected"}  # which comes when it is ready
    finally:
        monitor.stop()
        server.end()
    for expression in alerts(CONTROLLER.read_text()):
        assert set(NAME.findall(expression)) <= known, expression
