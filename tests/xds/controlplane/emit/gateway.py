"""Meshes with Gateway API routes for the service `web`, and what a client's route table holds of them."""

from __future__ import annotations

from typing import Any

from proxyless.xds.controlplane.discovery.rules import ROUTE
from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.support import istio, made, service, view, world

WEB = "web.shop.svc.cluster.local"
V2 = "v2.shop.svc.cluster.local"
SERVICES = service("web", "http:80", "grpc:81") + service("v2", "http:80", ip="10.96.0.2")
PARENT = "parentRefs: [{group: '', kind: Service, name: web}]"
TO_V2 = "backendRefs: [{name: v2, port: 80}]"


def http(rules: str, *, name: str = "r", parent: str = PARENT, rest: str = "", **metadata: Any) -> str:
    """An HTTPRoute from its rules, each in flow style without the braces, separated by `|`."""
    written = ", ".join(f"{{{rule}}}" for rule in rules.split("|"))
    return istio("HTTPRoute", name, f"{{{parent}{rest}, rules: [{written}]}}", **metadata)


def grpc(rules: str, *, name: str = "g", parent: str = PARENT, **metadata: Any) -> str:
    written = ", ".join(f"{{{rule}}}" for rule in rules.split("|"))
    return istio("GRPCRoute", name, f"{{{parent}, rules: [{written}]}}", **metadata)


def filtered(type_: str, member: str, content: str, rest: str = f", {TO_V2}") -> str:
    """A rule with one filter."""
    return f"filters: [{{type: {type_}, {member}: {{{content}}}}}]{rest}"


def routes(
    text: str | World, port: int = 80, *, host: str = WEB, namespace: str = "shop", **client: Any
) -> list[dict[str, Any]]:
    """The routes of a host in what a client in `namespace` gets for a port."""
    of = world(SERVICES + text) if isinstance(text, str) else text
    table = made(view(of, namespace=namespace, **client), ROUTE, str(port))[str(port)]
    hosts = {each["name"]: each["routes"] for each in table["virtual_hosts"]}
    found: list[dict[str, Any]] = hosts[f"{host}:{port}"]
    return found


def route(text: str, port: int = 80, **client: Any) -> dict[str, Any]:
    (only,) = routes(text, port, **client)
    return only


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in found]
