"""Two folders, and what a comparison says of them."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema

from proxyless import Mesh
from proxyless.cli.explain import explain_one
from proxyless.comparing import compare
from proxyless.comparing.samples import Asked
from proxyless.xds.identity.bootstrap import Node
from tests.xds.controlplane.support import endpoints, istio, service

WEB = "web.shop.svc.cluster.local"
WEIGHTED = "{route: [{destination: {host: web, subset: v1}, weight: %d}, {destination: {host: web}, weight: %d}]}"
SAID = frozenset({"request", "resolved", "endpoint", "endpoints", "not_honoured", "why", "counts", "cluster"})
"""Keys of `explain` that are no decision of a route's."""

SCHEMA = json.loads((files("proxyless.schemas") / "diff.schema.json").read_text())

POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, version: v1}}
spec: {containers: [{name: c}]}
status: {podIP: 10.1.0.1, phase: Running, conditions: [{type: Ready, status: "True"}]}
"""
SUBSETS = "{host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}"


def shop(routes: str = "[]", rule: str = SUBSETS, rest: str = "") -> str:
    """A service `web` with routes (of `http`), a destination rule and whatever else."""
    base = service("web", "http:80:8080") + endpoints("web", "http:8080", "10.1.0.1") + POD
    return (
        base
        + istio("VirtualService", "web", f"{{hosts: [web], http: {routes}}}")
        + istio("DestinationRule", "web", rule)
        + rest
    )


def folders(where: Path, old: str, new: str) -> tuple[str, str]:
    """Each side in a file of its own."""
    paths = []
    for name, text in (("old", old), ("new", new)):
        folder = where / name
        folder.mkdir(exist_ok=True)
        (folder / "mesh.yaml").write_text(text)
        paths.append(str(folder))
    return paths[0], paths[1]


def compared(where: Path, old: str, new: str, *given: Asked, nodes: tuple[str, ...] = ()) -> dict[str, Any]:
    """The document, as the schema wants it."""
    document = compare(*folders(where, old, new), nodes, given).document()
    jsonschema.validate(document, SCHEMA)
    return document


def changes(document: dict[str, Any], section: str) -> list[dict[str, Any]]:
    """Of all groups."""
    return [each for group in document["groups"] for each in group[section]]


def policies(document: dict[str, Any]) -> dict[str, tuple[Any, Any, str]]:
    """By field."""
    return {each["field"]: (each["old"], each["new"], each["effect"]) for each in changes(document, "policies")}


def explained(folder: str, node: Node, request: dict[str, Any]) -> dict[str, Any]:
    """What `explain` decides of a request that was reported, but for what it draws."""
    with Mesh.from_config(folder, node=node, registry=False, status_socket=False, checks=False) as mesh:
        mesh.wait_ready(20)
        line = {key: request[key] for key in ("method", "url", "headers")}
        document, _ = explain_one(mesh, line, None, "127.0.0.1", 5.0)
        known = {key: value for key, value in document.items() if key not in SAID}
        return {**known, "clusters": document["weighted_clusters"] or document["cluster"]}
