"""What an inbound listener enforces, as plain values: the filters of a chain, by the kind of chain."""

from __future__ import annotations

from typing import Any

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.emit.view import View
from tests.xds.controlplane.support import endpoints, made, service, view

WEB = service("web", "http:80:8080", "tcp:90:9090") + endpoints("web", "http:8080", "10.0.0.1")
MANAGER = "envoy.filters.network.http_connection_manager"
ROOT = "istio-system"


def node(text: str, **metadata: Any) -> View:
    """A workload that serves HTTP at 8080 and bytes at 9090, in a mesh with these objects beside."""
    return view(WEB + text, labels=metadata.pop("labels", {"app": "web"}), **metadata)


def chains(of: View, port: int) -> list[dict[str, Any]]:
    """The chains of `virtualInbound` for a port; 0 are those for all other ports."""
    listener = made(of, rules.LISTENER)["virtualInbound"]
    return [each for each in listener["filter_chains"] if each["filter_chain_match"].get("destination_port", 0) == port]


def http_filters(text: str, port: int = 8080, **metadata: Any) -> list[dict[str, Any]]:
    """The HTTP filters of the first chain of a port."""
    (manager,) = [each for each in chains(node(text, **metadata), port)[0]["filters"] if each["name"] == MANAGER]
    found: list[dict[str, Any]] = manager["typed_config"]["http_filters"]
    return found


def tcp_filters(text: str, port: int = 9090, **metadata: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chains(node(text, **metadata), port)[0]["filters"]
    return found


def configs(filters: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The configurations of the filters of that name, without their types."""
    return [content(each["typed_config"]) for each in filters if each["name"] == name]


def content(typed: dict[str, Any]) -> dict[str, Any]:
    return {key: held for key, held in typed.items() if key != "@type"}
