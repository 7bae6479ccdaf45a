"""Host names as Istio compares them, and the names that are built from them."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

V = TypeVar("V")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.IGNORECASE)


def is_wildcard(host: str) -> bool:
    return host.startswith("*")


def matches(one: str, other: str) -> bool:
    """Whether one of the two covers the other: `*.com` and `foo.com` match in both directions."""
    if one == other:
        return True
    first, second = is_wildcard(one), is_wildcard(other)
    if first and second:
        return other.endswith(one[1:]) if len(one) < len(other) else one.endswith(other[1:])
    return (first and other.endswith(one[1:])) or (second and one.endswith(other[1:]))


def covered(host: str, by: str) -> bool:
    """Whether `by` covers `host`: `foo.com` is covered by `*.com`, not the other way round."""
    if host == by:
        return True
    if not is_wildcard(by) or (is_wildcard(host) and len(host) < len(by)):
        return False
    return host.endswith(by[1:])


def most_specific(host: str, exact: Mapping[str, V], wildcards: Mapping[str, V]) -> V | None:
    """The entry for a host: the exact one, else that of the longest wildcard that covers it."""
    found = (wildcards if is_wildcard(host) else exact).get(host)
    if found is not None:
        return found
    bare = host.removeprefix("*")
    best = min(
        (name for name in wildcards if bare.endswith(name[1:])), key=lambda name: (-len(name), name), default=None
    )
    return None if best is None else wildcards[best]


def is_ip(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return False
    return True


def is_label(text: str) -> bool:
    """Whether it is a DNS label, in any case."""
    return _LABEL.fullmatch(text) is not None


def fully_qualified(host: str, namespace: str, domain: str = "cluster.local") -> str:
    """The name a short name stands for in an object of that namespace; names with a dot stand for themselves."""
    if not host or host == "*" or "." in host or is_ip(host):
        return host
    return f"{host}.{namespace}.svc.{domain}"


class SubsetKey(NamedTuple):
    """The parts of a cluster's name `outbound|80|v1|host`."""

    direction: str
    subset: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.direction}|{self.port}|{self.subset}|{self.host}"


def outbound(host: str, port: int, subset: str = "") -> str:
    return f"outbound|{port}|{subset}|{host}"


def inbound(port: int) -> str:
    return f"inbound|{port}||"


def server_name(host: str, port: int, subset: str = "") -> str:
    """The SNI of mesh mTLS: the cluster's name in a form that DNS allows."""
    return f"outbound_.{port}_.{subset}_.{host}"


def parse_subset_key(name: str) -> SubsetKey | None:
    """None for a cluster that is named after no service."""
    parts = name.split("|")
    if len(parts) < 4 or not parts[1].isdecimal():
        return None
    return SubsetKey(parts[0], parts[2], parts[3], int(parts[1]))


def bracketed(host: str) -> str:
    """IPv6 addresses stand in brackets in a Host header."""
    return f"[{host}]" if ":" in host else host


def with_port(host: str, port: int) -> str:
    return f"{bracketed(host)}:{port}"


def alternative_names(host: str, proxy_domain: str) -> list[str]:
    """What else a host may be called by a proxy of that DNS domain (`shop.svc.cluster.local`), as its resolver expands
    names: the absolute name, and for Kubernetes services of the same cluster `name`, `name.ns.svc`, `name.ns`.
    """
    names = [] if is_ip(host) else [host + "."]
    own, separator, suffix = proxy_domain.partition(".svc.")
    if separator:
        head, found, _ = host.partition(".svc.")
        if not found or not head or not host.endswith(f".svc.{suffix}"):
            return names
        name, dot, namespace = head.partition(".")
        if not dot:
            return names
        return [*names, name, f"{head}.svc", head] if namespace == own else [*names, head, f"{head}.svc"]
    return names + _shared_domain_names(host, proxy_domain)


def _shared_domain_names(host: str, proxy_domain: str) -> list[str]:
    """Outside of Kubernetes: the part of the host that the proxy's domain does not share."""
    mine, theirs = proxy_domain.split("."), host.split(".")
    shared = 0
    while shared < min(len(mine), len(theirs)) and mine[-1 - shared] == theirs[-1 - shared]:
        shared += 1
    if shared == 0:
        return []
    unique = theirs[: len(theirs) - shared]
    names = [".".join(unique)]
    if len(unique) == 2:
        names.append(".".join([*unique, theirs[len(unique)]]))
    return names
