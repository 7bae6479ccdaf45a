"""What makes a Sidecar invalid beyond the types of its fields, as Istio's own admission refuses it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..hosts import is_ip, is_label
from ..registry import protocols
from .problems import Problem
from .sidecar import (
    IstioEgressListener,
    IstioIngressListener,
    OutboundTrafficPolicy,
    ServerTLSSettings,
    Sidecar,
    SidecarPort,
)

UNIX = "unix://"
_LONGEST = 255
_LARGEST_PORT = 65535
_OWN_HOSTS = ("", "127.0.0.1", "0.0.0.0", "::1", "::")


def sidecar(made: Sidecar) -> Iterator[Problem]:
    if not (made.egress or made.ingress or made.outbound_traffic_policy or made.inbound_connection_pool):
        yield (), "must have one of egress, ingress, outboundTrafficPolicy, inboundConnectionPool"
    for key, text in (made.workload_selector.labels if made.workload_selector else {}).items():
        if not key or "*" in key or "*" in text:
            yield ("workloadSelector", "labels", key), "must be a label as it is: no wildcards, no empty name"
    seen: set[int] = set()
    for index, ingress in enumerate(made.ingress):
        if ingress.port.number in seen:
            yield ("ingress", index, "port", "number"), f"{ingress.port.number} is given twice"
        seen.add(ingress.port.number)
    yield from _egress_places(made.egress)


def _egress_places(listeners: Sequence[IstioEgressListener]) -> Iterator[Problem]:
    """The one listener without a port is the last; no two others are at the same place."""
    seen: set[int | str] = set()
    for index, egress in enumerate(listeners):
        if egress.port is None:
            if index != len(listeners) - 1:
                yield ("egress", index), "has no port, so it must be the last one"
            continue
        place = egress.port.number or egress.bind
        if place in seen:
            key = "port" if egress.port.number else "bind"
            yield ("egress", index, key), f"{place} is given twice"
        seen.add(place)


def _port(port: SidecarPort) -> Iterator[Problem]:
    if port.target_port:
        yield ("port", "targetPort"), "has no meaning here"
    if port.name and not is_label(port.name):
        yield ("port", "name"), f'"{port.name}" is no DNS label'
    if port.protocol and protocols.parse(port.protocol) == "Unsupported":
        yield ("port", "protocol"), f'"{port.protocol}" is no protocol that Istio knows'


def egress(made: IstioEgressListener) -> Iterator[Problem]:
    for index, host in enumerate(made.hosts):
        fault = _host_fault(host)
        if fault:
            yield ("hosts", index), fault
    if made.port is None:
        return
    yield from _port(made.port)
    if made.port.number:
        if made.bind and not is_ip(made.bind):
            yield ("bind",), f"must be an IP address, not {made.bind}"
        return
    fault = _socket_fault(made.bind)
    if fault:
        yield ("bind",), fault if made.bind else "must be a Unix socket (unix:///path) where the port has no number"
    if made.capture_mode == "IPTABLES":
        yield ("captureMode",), "cannot be IPTABLES for a Unix socket"


def _host_fault(written: str) -> str:
    namespace, slash, name = written.partition("/")
    if not slash:
        return "must be of the form namespace/name"
    if not namespace or not name:
        return "must have both a namespace and a name"
    where = namespace.removeprefix("~")
    if where not in ("", "*", ".") and not is_label(where):
        return f'"{namespace}" is no namespace'
    if name != "*" and "." not in name:
        return f'"{name}" must be a full name, such as {name}.{where or "ns"}.svc.cluster.local'
    if "*" in name and name != "*" and not name.startswith("*."):
        return f'"{name}" has a wildcard that is not the whole first label'
    return "" if _is_domain(name) else f'"{name}" is no domain name'


def _is_domain(name: str) -> bool:
    """A DNS name, of which the first label may be `*`."""
    if len(name) > _LONGEST:
        return False
    first, dot, rest = name.partition(".")
    if first != "*" and not is_label(first):
        return False
    labels = rest.split(".") if dot else []
    last = labels[-1] if labels else ""
    return not last.isdecimal() and all(is_label(label) for label in (labels if last else labels[:-1]))


def _socket_fault(written: str) -> str:
    if not written.startswith(UNIX):
        return f"must be a Unix socket (unix:///path), not {written}"
    path = written.removeprefix(UNIX)
    if path.startswith("@") or (path.startswith("/") and not path.endswith("/")):
        return ""
    return f'"{path}" is no absolute path to a file'


def ingress(made: IstioIngressListener) -> Iterator[Problem]:
    yield from _port(made.port)
    if not made.port.number:
        yield ("port", "number"), "is required"
    if made.bind and not is_ip(made.bind):
        yield ("bind",), f"must be an IP address, not {made.bind}"
    if made.default_endpoint:
        fault = _endpoint_fault(made.default_endpoint)
        if fault:
            yield ("defaultEndpoint",), fault
    if made.tls is not None:
        if protocols.parse(made.port.protocol) not in protocols.TLS:
            yield ("tls",), "cannot be set for a port whose protocol is neither HTTPS nor TLS"
        yield from ((("tls", *keys), text) for keys, text in _tls(made.tls))


def _endpoint_fault(written: str) -> str:
    if written.startswith(UNIX):
        return _socket_fault(written)
    host, colon, number = written.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or bare not in _OWN_HOSTS or (":" in host and bare == host):
        return "must be 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT, :PORT or unix:///path"
    if not number.isdecimal() or not 0 < int(number) <= _LARGEST_PORT:
        return f'"{number}" is no port'
    return ""


def _tls(made: ServerTLSSettings) -> Iterator[Problem]:
    for name, key in (
        ("subject_alt_names", "subjectAltNames"),
        ("https_redirect", "httpsRedirect"),
        ("credential_name", "credentialName"),
        ("credential_names", "credentialNames"),
        ("tls_certificates", "tlsCertificates"),
    ):
        if getattr(made, name):
            yield (key,), "is not supported here"
    if made.mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
        yield ("mode",), f"cannot be {made.mode} here"
    if made.mode in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        for name, key in (("server_certificate", "serverCertificate"), ("private_key", "privateKey")):
            if not getattr(made, name):
                yield (key,), f"is required for mode {made.mode}"
    if made.mode == "SIMPLE" and made.ca_crl:
        yield ("caCrl",), "cannot be set for mode SIMPLE"
    if made.mode in ("MUTUAL", "OPTIONAL_MUTUAL") and not made.ca_certificates:
        yield ("caCertificates",), f"is required for mode {made.mode}"


def outbound_policy(made: OutboundTrafficPolicy) -> Iterator[Problem]:
    if made.mode == "ALLOW_ANY_DYNAMIC_DNS":
        yield ("mode",), "cannot be ALLOW_ANY_DYNAMIC_DNS here: that is for the whole mesh"
        return
    proxy = made.egress_proxy
    if proxy is None:
        return
    if made.mode != "ALLOW_ANY":
        yield ("egressProxy",), "is for mode ALLOW_ANY only"
        return
    if proxy.host and ("*" in proxy.host or not _is_domain(proxy.host)):
        yield ("egressProxy", "host"), f'"{proxy.host}" is no domain name'
    if proxy.subset and not is_label(proxy.subset):
        yield ("egressProxy", "subset"), f'"{proxy.subset}" is no DNS label'
    if proxy.port is None or not proxy.port.number:
        yield ("egressProxy", "port"), "is required"
