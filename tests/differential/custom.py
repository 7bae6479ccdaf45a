"""Configuration written by hand for one rule: the recorded listeners with route tables and clusters of our own."""

from __future__ import annotations

import copy
from typing import Any

from tests.differential.recording import Recording, Resource, assignment
from tests.support.behaviour import Address


def cluster(name: str, *addresses: Address, **fields: Any) -> Resource:
    """A STATIC cluster of plaintext endpoints, with any further fields of envoy.config.cluster.v3.Cluster."""
    load = assignment(name, *addresses)
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": load, **fields}


def route(match: Resource, to: str | Resource, **fields: Any) -> Resource:
    """A route: `to` is a cluster's name, or the RouteAction."""
    return {"match": match, "route": {"cluster": to} if isinstance(to, str) else to, **fields}


def host(*routes: Resource, domains: tuple[str, ...] = ("*",), name: str = "", **fields: Any) -> Resource:
    """A virtual host."""
    return {"name": name or domains[0], "domains": list(domains), "routes": list(routes), **fields}


def custom(base: Recording, hosts: list[Resource], clusters: list[Resource], **table: Any) -> Recording:
    """The base's listeners and ORIGINAL_DST clusters, with port 80's table and the other clusters replaced."""
    kept = [c for c in base.clusters.values() if c.get("type") in ("ORIGINAL_DST", "STATIC")]
    listeners = {n: copy.deepcopy(base.listeners[n]) for n in ("virtualOutbound", "0.0.0.0_80")}
    result = Recording(listeners=listeners)
    result.apply("Cluster", [*kept, *clusters])
    fields = {"ignore_port_in_host_matching": True, "validate_clusters": False, **table}
    result.routes["80"] = {"name": "80", "virtual_hosts": hosts, **fields}
    return result
