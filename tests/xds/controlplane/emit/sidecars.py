"""What is sent under a Sidecar, as plain values: a small mesh, and readers of listeners, tables and clusters."""

from __future__ import annotations

from typing import Any

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.resources import Resources
from proxyless.xds.controlplane.emit.view import View
from proxyless.xds.wire.schema import unpack
from tests.xds.controlplane.support import endpoints, istio, plain, service, view

MANAGER = "envoy.filters.network.http_connection_manager"
TCP = "envoy.filters.network.tcp_proxy"
A = service("a", "http:80:8080", ip="10.96.0.1")
B = service("b", "http:80:8080", "http-more:8080", "tcp:90", ip="10.96.0.2")
FAR = service("far", "http:80", namespace="other", ip="10.96.0.3")
MESH = A + B + FAR
SELF = endpoints("a", "http:8080", "10.0.0.1")


def sidecar(spec: str, *, namespace: str = "shop", called: str = "scope") -> str:
    return istio("Sidecar", called, spec, namespace=namespace)


def made(of: View, type_: rules.ResourceType, *names: str) -> dict[str, Any]:
    out = {}
    for name, content in Resources().make(type_, of, names):
        message = unpack(content)
        assert message is not None
        out[name] = plain(message)
    return out


def listeners(text: str, **node: Any) -> dict[str, Any]:
    return made(view(text, **node), rules.LISTENER)


def clusters(text: str, **node: Any) -> dict[str, Any]:
    return made(view(text, **node), rules.CLUSTER)


def table(text: str, name: str, **node: Any) -> dict[str, list[str]]:
    """The domains of each virtual host of a table."""
    return {each["name"]: each["domains"] for each in hosts(text, name, **node)}


def hosts(text: str, name: str, **node: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made(view(text, **node), rules.ROUTE, name)[name]["virtual_hosts"]
    return found


def outbound(text: str, **node: Any) -> dict[str, Any]:
    return {name: each for name, each in listeners(text, **node).items() if each["traffic_direction"] == "OUTBOUND"}


def address(listener: Any) -> str:
    where = listener["address"]
    if "pipe" in where:
        return str(where["pipe"]["path"])
    return f"{where['socket_address']['address']}:{where['socket_address']['port_value']}"


def rds(listener: Any) -> set[str]:
    """The route tables that a listener's chains name."""
    return {
        each["typed_config"]["rds"]["route_config_name"]
        for chain in (*listener.get("filter_chains", ()), listener.get("default_filter_chain", {"filters": ()}))
        for each in chain["filters"]
        if each["name"] == MANAGER
    }


def tcp_clusters(listener: Any) -> set[str]:
    return {
        each["typed_config"]["cluster"]
        for chain in (*listener.get("filter_chains", ()), listener.get("default_filter_chain", {"filters": ()}))
        for each in chain["filters"]
        if each["name"] == TCP
    }


def egress(listener: str) -> str:
    return sidecar(f"{{egress: [{{{listener}}}]}}")
