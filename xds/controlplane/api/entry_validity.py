"""Admission rules of ServiceEntry, WorkloadEntry and WorkloadGroup."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from ..hosts import is_ip, is_label, is_wildcard
from ..registry.protocols import HTTP, TLS, parse
from .problems import Problem
from .service_entry import ReadinessProbe, ServiceEntry, WorkloadEntry, WorkloadGroup

_DOMAIN = re.compile(r"(?=.{1,255}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?", re.IGNORECASE)
_UNIX = "unix://"
_DYNAMIC = ("HTTP", "TLS", "GRPC", "HTTP2")
"""Protocols that name the host that a proxy is to look up."""


def service_entry(made: ServiceEntry) -> Iterator[Problem]:
    for index, host in enumerate(made.hosts):
        if host == "*":
            yield ("hosts", index), "* is not allowed"
    names: set[str] = set()
    numbers: set[int] = set()
    for index, port in enumerate(made.ports):
        if port.name in names:
            yield ("ports", index, "name"), f'"{port.name}" is given twice'
        if port.number in numbers:
            yield ("ports", index, "number"), f"{port.number} is given twice"
        if port.name and not is_label(port.name):
            yield ("ports", index, "name"), f'"{port.name}" is no DNS label'
        if port.protocol and parse(port.protocol) == "Unsupported":
            yield ("ports", index, "protocol"), f'"{port.protocol}" is no protocol that Istio knows'
        if made.resolution != "NONE" and len(made.hosts) > 1 and parse(port.protocol) not in HTTP | TLS:
            yield ("ports", index, "protocol"), "cannot tell several hosts apart: it must be an HTTP or TLS protocol"
        names.add(port.name)
        numbers.add(port.number)
    if made.workload_selector is not None and made.endpoints:
        yield ("endpoints",), "cannot be set together with workloadSelector"
    yield from _addresses(made)
    yield from _endpoints(made, names)


def _addresses(made: ServiceEntry) -> Iterator[Problem]:
    for index, address in enumerate(made.addresses):
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError:
            yield ("addresses", index), f"{address} is neither an IP address nor a range"
    ranges = any("/" in address for address in made.addresses)
    if ranges and made.resolution not in ("NONE", "STATIC"):
        yield ("addresses",), f"must be single addresses for resolution {made.resolution}"


def _endpoints(made: ServiceEntry, ports: set[str]) -> Iterator[Problem]:
    for index, endpoint in enumerate(made.endpoints):
        for name in endpoint.ports:
            if name not in ports:
                yield ("endpoints", index, "ports", name), f'"{name}" is no port of this entry'
        unix = endpoint.address.startswith(_UNIX)
        if unix and made.resolution in ("DNS", "DNS_ROUND_ROBIN"):
            yield (
                ("endpoints", index, "address"),
                f"cannot be a socket for resolution {made.resolution}",
            )
        if unix and len(made.ports) != 1:
            yield ("endpoints", index, "address"), "is a socket, which serves one port alone: the entry must have one"
        elsewhere = not endpoint.address and endpoint.network  # behind that network's gateway
        if made.resolution == "STATIC" and not unix and not elsewhere and not is_ip(endpoint.address):
            yield ("endpoints", index, "address"), "must be an IP address for resolution STATIC"
    match made.resolution:
        case "NONE" if made.endpoints:
            yield ("endpoints",), "cannot be set for resolution NONE: calls go where they were sent"
        case "DNS" | "DNS_ROUND_ROBIN" if not made.endpoints:
            for index, host in enumerate(made.hosts):
                if is_wildcard(host):
                    yield ("hosts", index), f"cannot be a wildcard for resolution {made.resolution} without endpoints"
        case "DYNAMIC_DNS":
            yield from _dynamic(made)
        case _:
            pass
    if made.resolution == "DNS_ROUND_ROBIN" and len(made.endpoints) > 1:
        yield ("endpoints",), "must be at most one for resolution DNS_ROUND_ROBIN"


def _dynamic(made: ServiceEntry) -> Iterator[Problem]:
    for index, host in enumerate(made.hosts):
        if not is_wildcard(host):
            yield ("hosts", index), "must be a wildcard for resolution DYNAMIC_DNS"
    for field in ("addresses", "endpoints"):
        if getattr(made, field):
            yield (field,), "cannot be set for resolution DYNAMIC_DNS: what is called says where it goes"
    for index, port in enumerate(made.ports):
        if parse(port.protocol) not in _DYNAMIC:
            yield ("ports", index, "protocol"), f"must be one of {', '.join(_DYNAMIC)} for resolution DYNAMIC_DNS"


def workload_entry(made: WorkloadEntry) -> Iterator[Problem]:
    address = made.address
    if not address:
        if not made.network:
            yield ("address",), "is required"
    elif address.startswith(_UNIX):
        path = address.removeprefix(_UNIX)
        if not path.startswith(("/", "@")):
            yield ("address",), f'must be an absolute path or an abstract name after {_UNIX}, not "{path}"'
        if made.ports:
            yield ("ports",), "cannot be set: the address is a socket"
    elif not is_ip(address) and not _DOMAIN.fullmatch(address):
        yield ("address",), f'"{address}" is neither an IP address nor a host name'
    for name in made.ports:
        if not is_label(name):
            yield ("ports", name), f'"{name}" is no DNS label'


def workload_group(made: WorkloadGroup) -> Iterator[Problem]:
    if made.template is None:
        yield ("template",), "is required"


def probe(made: ReadinessProbe) -> Iterator[Problem]:
    if made.http_get is None and made.tcp_socket is None and made.exec is None:
        yield (), "needs one of httpGet, tcpSocket, exec"
