"""TLS to endpoints: what a connection has to be secured by, and who makes that of certificates.

Contexts of TLS are not the business of decisions: `Runtime.tls`, which whoever assembles the mesh provides, makes them.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol

from ..xds.model.records import dataclass
from ..xds.model.tls import UpstreamTls
from .balancing.host import Host

if TYPE_CHECKING:
    import ssl

    from .call import OutgoingCall
    from .cluster import ClusterRuntime
    from .upstream import UpstreamRequest

BY_PROTOCOL: dict[str, tuple[str, ...]] = {"http2": ("h2",), "auto": ("h2", "http/1.1"), "http1": ("http/1.1",)}
"""What is offered where neither a filter nor the context says anything (envoy source: wrapTransportSocketOptions)."""


class InsecureError(Exception):
    """A connection cannot be secured: no certificate to show, or nothing to verify the other side by; in one line."""


@dataclass(frozen=True, slots=True)
class Securing:
    """What makes the connections of a pool: the context, and what a request or the endpoint says in its place.

    `names`: one of them must be the certificate's, in place of what the context asks for.
    """

    tls: UpstreamTls
    alpn: tuple[str, ...] = ()
    sni: str = ""
    names: tuple[str, ...] = ()


class Tls(Protocol):
    """Makes contexts of the identity of the workload, each verified in its handshake."""

    def client(self, wanted: Securing, address: str) -> ssl.SSLContext:
        """For one connection to an endpoint; knows the name to ask for, and the session to resume.

        Raises:
            InsecureError: there is nothing to make it of.
        """


def securing_of(call: OutgoingCall, cluster: ClusterRuntime, host: Host, upstream: UpstreamRequest) -> Securing | None:
    """What secures connections of this call to an endpoint; None where they are plaintext."""
    tls = host.socket.upstream
    if tls is None:
        return None
    http = cluster.config.http
    automatic = http.auto_sni or http.auto_san_validation
    sni, names = _names(cluster, _said(cluster, upstream)) if automatic else ("", ())
    if not sni:
        sni = (host.endpoint.hostname if tls.auto_host_sni else "") or tls.sni
    alpn = offered(call, cluster) or tls.common.alpn or BY_PROTOCOL.get(_spoken(call, cluster), ())
    return Securing(tls, alpn, sni, names)


def offered(call: OutgoingCall, cluster: ClusterRuntime) -> tuple[str, ...]:
    """What Istio's alpn filter offers in place of the cluster's own list, if it has a say."""
    http = call.destination.http if call.destination is not None else None
    if http is None or cluster.config.metadata.get("istio", {}).get("alpn_override") == "false":
        return ()
    spoken = "h2" if cluster.http2 or _spoken(call, cluster) in ("auto", "http2") else "http/1.1"
    return http.alpn.get(spoken, ())


def _spoken(call: OutgoingCall, cluster: ClusterRuntime) -> str:
    """The protocol of the cluster, which may be what the caller speaks (use_downstream_protocol_config)."""
    protocol = cluster.config.http.protocol
    return "http2" if protocol == "downstream" and call.protocol == "HTTP/2" else protocol


def plain_securing(host: Host, alpn: tuple[str, ...] | None = None) -> Securing | None:
    """What secures a connection that no request is behind: a TCP connection's, a health check's."""
    tls = host.socket.upstream
    if tls is None:
        return None
    sni = (host.endpoint.hostname if tls.auto_host_sni else "") or tls.sni
    return Securing(tls, tls.common.alpn if alpn is None else alpn, sni)


def service_securing(cluster: ClusterRuntime, host: Host, authority: str, *, http2: bool) -> Securing | None:
    """What secures connections to a service that a filter asks: no filter stands before such a request, so the list of
    the cluster is offered, less what is not spoken."""
    tls = host.socket.upstream
    if tls is None:
        return None
    http = cluster.config.http
    sni, names = _names(cluster, authority) if http.auto_sni or http.auto_san_validation else ("", ())
    if not sni:
        sni = (host.endpoint.hostname if tls.auto_host_sni else "") or tls.sni
    alpn = tls.common.alpn or BY_PROTOCOL.get(http.protocol, ())
    if not http2:
        alpn = tuple(each for each in alpn if each != "h2")
    return Securing(tls, alpn or (("h2",) if http2 else ("http/1.1",)), sni, names)


def _said(cluster: ClusterRuntime, upstream: UpstreamRequest) -> str:
    """The host that a request is for, or what a header says in its place."""
    said, header = upstream.authority, cluster.config.http.override_auto_sni_header
    if header:
        wanted = header.lower().encode()
        said = next((value for name, value in upstream.headers if name.lower() == wanted and value), said)
    return said.decode("latin-1")


def _names(cluster: ClusterRuntime, said: str) -> tuple[str, tuple[str, ...]]:
    """SNI by the host that a request is for, and what the certificate must say then (UpstreamHttpProtocolOptions)."""
    http = cluster.config.http
    name = _host_of(said)
    return (
        name if http.auto_sni and not _is_address(name) else "",
        (name,) if http.auto_san_validation and name else (),
    )


def _host_of(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.rpartition(":")[0] if authority.count(":") == 1 else authority


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
