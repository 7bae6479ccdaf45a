"""The page of the cluster: rights are those that are needed and no more; conditions and metrics are all named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from proxyless.cli._controller import Leading
from proxyless.cli._monitor import Monitor
from proxyless.cli._plane_metrics import plane_metrics
from proxyless.controller.duties import Duties
from proxyless.controller.leading import Election
from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.kinds import KINDS
from proxyless.xds.controlplane.source.cluster import KubernetesSource, readable
from proxyless.xds.controlplane.source.cluster.conditions import CONDITIONS
from tests.docs.pages import text_of
from tests.xds.controlplane.source.api_server import Small, plural
from tests.xds.controlplane.support import world


def rules() -> list[dict[str, Any]]:
    """The rules of the page's roles."""
    found = re.search(r"^```yaml\n(.*?)^```$", text_of("kubernetes"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return [rule for role in yaml.safe_load_all(found[1]) for rule in role["rules"]]


def test_the_rights_are_those_that_are_needed_and_no_more() -> None:
    given = {(group, name) for rule in rules() for group in rule["apiGroups"] for name in rule["resources"]}
    needed = {(KINDS[name].group, plural(name)) for name in readable()}
    assert given == needed | {("authentication.k8s.io", "tokenreviews")}
    assert {tuple(rule["verbs"]) for rule in rules()} == {("list", "watch"), ("create",)}


def test_every_condition_and_every_metric_is_named() -> None:
    text = text_of("kubernetes")
    assert set(re.findall(r"^\| `([A-Z]\w+)` \|", text, re.MULTILINE)) == set(CONDITIONS)
    server = Small()
    monitor = Monitor("127.0.0.1:0", KubernetesSource(server.api))
    election = Election(server.api, "mesh", "one")
    monitor.leading = Leading(election, Duties(election, [], lambda: world("")))
    try:
        served = {each.name + ("_total" if each.type == "counter" else "") for each in monitor.collect()}
    finally:
        monitor.stop()
        server.end()
    named = set(re.findall(r"^\| `(proxyless_\w+)` \|", text, re.MULTILINE))
    of_the_plane = {f"proxyless_serve_{each}" for each in ("objects", "errors", "clients", "rejected")}
    assert named == served | of_the_plane


def test_every_metric_by_istiods_name_is_named(tmp_path: Path) -> None:
    plane = Plane(FolderSource(tmp_path))
    served = {each.name for each in plane_metrics(plane)}
    plane.close()
    assert set(re.findall(r"^\| `(pilot_\w+)` \|", text_of("kubernetes"), re.MULTILINE)) == served
