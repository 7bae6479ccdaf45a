"""The other side of a TLS connection, as far as its certificate says who that is (Envoy: Ssl::ConnectionInfo)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """What a server suite knows of a connection that came by TLS; without TLS there is no peer at all.

    `certificate` is DER, empty where none was presented. What it says counts only where `validated`.
    """

    certificate: bytes = b""
    validated: bool = False
    uri_sans: tuple[str, ...] = ()
    dns_sans: tuple[str, ...] = ()
    subject: str = ""
    """RFC 2253, as Envoy's %DOWNSTREAM_PEER_SUBJECT% has it."""
    server_name: str = ""
    """SNI."""
    alpn: str = ""
    version: str = ""
    cipher: str = ""
    local_uri_sans: tuple[str, ...] = ()
    local_dns_sans: tuple[str, ...] = ()

    @property
    def presented(self) -> bool:
        """Whether it has shown a certificate."""
        return bool(self.certificate)
