"""What a comparison finds: one change of what one kind of client sees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from ..xds.model.cluster import Cluster
from .effects import Effect

Section = Literal["requests", "connections", "services", "policies", "unsampled"]


@dataclass(frozen=True)
class Change:
    """`host` is what it is about, for people to look by; `document` says it whole."""

    section: Section
    host: str
    document: dict[str, Any]

    @cached_property
    def key(self) -> str:
        """The same for the same change of another client."""
        return json.dumps([self.section, self.host, self.document], sort_keys=True)


def policy(of: str, host: str, where: dict[str, Any], field: str, old: Any, new: Any, effect: Effect) -> Change:
    """A policy that changed: of a `cluster`, `route`, `listener`, `inbound` port ... `where` says which."""
    said = {"field": field, "old": old, "new": new, "effect": effect}
    return Change("policies", host, {"policy": kind_of(field), "of": of, "host": host, **where, **said})


KINDS = (
    ("default_thresholds", "breaker"),
    ("outlier_detection", "outlier_detection"),
    ("lb_policy", "load_balancing"),
    ("lb", "load_balancing"),
    ("hash_policies", "load_balancing"),
    ("tls", "tls"),
    ("transport_socket", "tls"),
    ("transport_socket_matches", "tls"),
    ("mtls", "mtls"),
    ("authorization", "authorization"),
    ("jwt", "jwt"),
    ("retry", "retry"),
    ("virtual_host.retry", "retry"),
    ("rate_limits", "rate_limit"),
    ("virtual_host.rate_limits", "rate_limit"),
    ("cors", "cors"),
    ("headers", "headers"),
    ("virtual_host.headers", "headers"),
    ("health_check", "health_check"),
    ("weight", "endpoints"),
    ("priority", "endpoints"),
    ("outbound", "outbound"),
)


def kind_of(field: str) -> str:
    """Which policy a field belongs to."""
    for name, kind in (("ratelimit", "rate_limit"), ("filters.http.fault", "fault"), ("filters.http.cors", "cors")):
        if name in field:
            return kind
    for name, kind in KINDS:
        if field == name or field.startswith((f"{name}.", f"{name}[")):
            return kind
    return "timeout" if "timeout" in field else "other"


def service_of(cluster: str) -> tuple[str, int | None, str]:
    """Host, port and subset of an outbound cluster; others are their own host."""
    parts = cluster.split("|")
    if len(parts) != 4 or not parts[1].isdigit():
        return cluster, None, ""
    return parts[3], int(parts[1]), parts[2]


def label(cluster: str, port: int | None = None) -> str:
    """A cluster for people: `cart.shop v1`; with its port where that is not the one that was asked for."""
    host, own, subset = service_of(cluster)
    said = short(host)
    if own is not None and own != port:
        said += f":{own}"
    return f"{said} {subset}" if subset else said


def short(host: str) -> str:
    """A host without the domain of the cluster."""
    return host.removesuffix(".svc.cluster.local")


def where_of(cluster: Cluster) -> dict[str, Any]:
    """Which service, port and subset a cluster stands for."""
    _, port, subset = service_of(cluster.name)
    return {"port": port, "subset": subset or None, "cluster": cluster.name}
