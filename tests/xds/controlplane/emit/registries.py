"""Services, Pods and slices in a line of YAML each, and readers of what is made of them as plain values."""

from __future__ import annotations

from typing import Any

import yaml

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.emit.name_table import name_table
from proxyless.xds.controlplane.emit.view import View
from proxyless.xds.controlplane.registry.world import World
from tests.xds.controlplane.support import made, plain, view


def thing(
    kind: str, name: str, body: str = "", *, namespace: str = "shop", version: str = "v1", **metadata: Any
) -> str:
    """Any object of Kubernetes; `body` is the YAML of all that stands beside its metadata."""
    given = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace, **metadata}}
    return f"---\n{yaml.safe_dump(given | (yaml.safe_load(body) or {}))}"


def pod(name: str, ip: str, labels: dict[str, str], *, spec: str = "", status: str = "", **metadata: Any) -> str:
    """A Pod that is ready, unless its status says otherwise."""
    ready = {"podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}
    body = {"spec": yaml.safe_load(spec) or {}, "status": ready | (yaml.safe_load(status) or {})}
    return thing("Pod", name, yaml.safe_dump(body), labels=labels, **metadata)


def slice_(service: str, ports: str, *endpoints: str, name: str = "", family: str = "IPv4", **metadata: Any) -> str:
    """An EndpointSlice: `http:8080` ports, and endpoints as YAML; one that is a word is an address or a Pod at it."""
    written = [{"name": label, "port": int(number)} for label, number in (each.split(":") for each in ports.split())]
    body = {"addressType": family, "ports": written, "endpoints": [_endpoint(each) for each in endpoints]}
    labels = {"kubernetes.io/service-name": service} | metadata.pop("labels", {})
    version = "discovery.k8s.io/v1"
    return thing("EndpointSlice", name or service, yaml.safe_dump(body), version=version, labels=labels, **metadata)


def _endpoint(written: str) -> Any:
    if written.startswith("{"):
        return yaml.safe_load(written)
    address, _, target = written.partition("=")
    ref = {"targetRef": {"kind": "Pod", "name": target, "namespace": "shop"}} if target else {}
    return {"addresses": [address], "conditions": {"ready": True}} | ref


def sent(of: View | World | str, cluster: str, **node: Any) -> list[dict[str, Any]]:
    """The endpoints of a cluster, in order, as what they are: address, health, tls, workload, and so on."""
    seen = of if isinstance(of, View) else view(of, **node)
    out = []
    for group in made(seen, rules.ENDPOINT, cluster)[cluster].get("endpoints", ()):
        where = "/".join(group.get("locality", {}).get(key, "") for key in ("region", "zone", "sub_zone")).rstrip("/")
        for each in group.get("lb_endpoints", ()):
            place = each["endpoint"]["address"]
            socket = place.get("socket_address", {})
            address = f"{socket['address']}:{socket['port_value']}" if socket else place["pipe"]["path"]
            meta = each.get("metadata", {}).get("filter_metadata", {})
            out.append(
                {
                    "address": address,
                    "health": each.get("health_status", "UNKNOWN"),
                    "weight": each["load_balancing_weight"],
                    "workload": meta.get("istio", {}).get("workload", ""),
                    "tls": meta.get("envoy.transport_socket_match", {}).get("tlsMode", ""),
                    "locality": where,
                }
            )
    return out


def addresses(of: View | World | str, cluster: str, **node: Any) -> list[str]:
    return [each["address"] for each in sent(of, cluster, **node)]


def names(of: View | World | str, **node: Any) -> dict[str, list[str]]:
    """The addresses of each name of the table."""
    table = plain(name_table(of if isinstance(of, View) else view(of, **node))).get("table", {})
    return {name: each.get("ips", []) for name, each in table.items()}


def targets(of: World | str, **node: Any) -> list[tuple[str, int, int]]:
    """Host, port and the application's port of all that leads to a proxy."""
    return [(t.service.hostname, t.port.number, t.target) for t in view(of, **node).proxy.targets]
