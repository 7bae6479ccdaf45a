"""What VirtualServices and DestinationRules of a small mesh become for one caller: the piece asked for, as JSON.

The mesh has the services `web` (HTTP on 80, HTTP/2 on 81, TCP on 90, undeclared on 7000), `one` (its only port is 8080)
and `far` of another namespace. A test gives the rest of the objects and names the piece.
"""

from __future__ import annotations

import textwrap
from typing import Any

import yaml

from proxyless.xds.controlplane.discovery import rules
from tests.xds.controlplane.support import endpoints, istio, made, service, view

Json = dict[str, Any]

WEB = service("web", "http:80:8080", "http2-x:81:8081", "tcp-x:90:9090", "any:7000")
MESH = (
    WEB
    + endpoints("web", "http:8080", "10.1.0.1", "10.1.0.2")
    + service("one", "http:8080", ip="10.96.0.2")
    + service("far", "http:80", ip="10.96.0.3", namespace="other")
)
HOST = "web.shop.svc.cluster.local"


def parsed(text: str) -> Any:
    """YAML, as expectations are written."""
    return yaml.safe_load(textwrap.dedent(text))


def routing(http: str, *, name: str = "web", hosts: str = "[web]", **meta: Any) -> str:
    """A VirtualService with these `http` routes."""
    spec = {"hosts": parsed(hosts), "http": parsed(http)}
    return istio("VirtualService", name, yaml.safe_dump(spec), **meta)


def rule(policy: str, *, name: str = "web", host: str = "web", rest: str = "{}", **meta: Any) -> str:
    """A DestinationRule with this `trafficPolicy`, and the rest of its spec."""
    spec = {"host": host, "trafficPolicy": parsed(policy), **parsed(rest)}
    return istio("DestinationRule", name, yaml.safe_dump(spec), **meta)


def hosts(text: str, table: str = "80", **caller: Any) -> list[Json]:
    """The virtual hosts of a route table."""
    found: list[Json] = made(view(MESH + text, **caller), rules.ROUTE, table)[table].get("virtual_hosts", [])
    return found


def routes(http: str, *, table: str = "80", extra: str = "", name: str = f"{HOST}:80", **caller: Any) -> list[Json]:
    """The routes that `web`'s virtual host has by a VirtualService."""
    for each in hosts(routing(http) + extra, table, **caller):
        if each["name"] == name:
            found: list[Json] = each["routes"]
            return found
    return []


def route(http: str, **rest: Any) -> Json:
    """The only route of a VirtualService."""
    (found,) = routes(http, **rest)
    return found


def clusters(text: str, **caller: Any) -> dict[str, Json]:
    return made(view(MESH + text, **caller), rules.CLUSTER)


def cluster(
    policy: str, *, port: int = 80, subset: str = "", rest: str = "{}", extra: str = "", host: str = HOST, **caller: Any
) -> Json:
    """A cluster of a service under a DestinationRule."""
    found: Json = clusters(rule(policy, host=host, rest=rest) + extra, **caller)[f"outbound|{port}|{subset}|{host}"]
    return found


def listeners(text: str, **caller: Any) -> dict[str, Json]:
    return made(view(MESH + text, **caller), rules.LISTENER)


def assignment(text: str, name: str, **caller: Any) -> Json:
    found: Json = made(view(MESH + text, **caller), rules.ENDPOINT, name)[name]
    return found
