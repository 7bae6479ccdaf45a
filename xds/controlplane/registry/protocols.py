"""What a port carries: Istio's protocols, and how Kubernetes ports declare them."""

from __future__ import annotations

from typing import Literal

Protocol = Literal[
    "GRPC",
    "GRPC-Web",
    "HTTP",
    "HTTP_PROXY",
    "HTTP2",
    "HTTPS",
    "TCP",
    "TLS",
    "UDP",
    "Mongo",
    "Redis",
    "MySQL",
    "Unsupported",
]
"""`Unsupported` is Istio's word for undeclared: the proxy looks at the bytes."""

NAMES: dict[str, Protocol] = {
    "tcp": "TCP",
    "udp": "UDP",
    "grpc": "GRPC",
    "grpc-web": "GRPC-Web",
    "http": "HTTP",
    "http_proxy": "HTTP_PROXY",
    "http2": "HTTP2",
    "https": "HTTPS",
    "tls": "TLS",
    "mongo": "Mongo",
    "redis": "Redis",
    "mysql": "MySQL",
}
_APP_PROTOCOLS: dict[str, Protocol] = {
    "kubernetes.io/h2c": "HTTP2",
    "kubernetes.io/ws": "HTTP",
    "kubernetes.io/wss": "HTTPS",
}

HTTP: frozenset[Protocol] = frozenset({"HTTP", "HTTP2", "HTTP_PROXY", "GRPC", "GRPC-Web"})
HTTP2: frozenset[Protocol] = frozenset({"HTTP2", "GRPC", "GRPC-Web"})
GRPC: frozenset[Protocol] = frozenset({"GRPC", "GRPC-Web"})
TCP: frozenset[Protocol] = frozenset({"TCP", "HTTPS", "TLS", "Mongo", "Redis", "MySQL"})
TLS: frozenset[Protocol] = frozenset({"HTTPS", "TLS"})
SNIFFED: frozenset[Protocol] = frozenset({"Unsupported"})
HTTP_OR_SNIFFED = HTTP | SNIFFED

UNSNIFFABLE = frozenset({25, 53, 3306, 27017})
"""Ports whose servers speak first: undeclared means TCP there."""


def parse(name: str) -> Protocol:
    """A protocol by its name in Istio's API, in any case."""
    return NAMES.get(name.lower(), "Unsupported")


def of_service_port(number: int, name: str, transport: str, app_protocol: str | None) -> Protocol:
    """The protocol of a Service's port: appProtocol, else the port name's prefix."""
    if transport == "UDP":
        return "UDP"
    if app_protocol is not None:
        if app_protocol in _APP_PROTOCOLS:
            return _APP_PROTOCOLS[app_protocol]
        name = app_protocol
    if name.lower().startswith("grpc-web"):
        return "GRPC-Web"
    found = parse(name.partition("-")[0])
    if found == "Unsupported" and number in UNSNIFFABLE:
        return "TCP"
    return found
