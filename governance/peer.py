"""The other side of a TLS connection, as far as its certificate says who that is (Envoy: Ssl::ConnectionInfo)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

from ..xds.model.records import dataclass
from .hello import Hello


class Principals(NamedTuple):
    """Who this process and the other side of a connection are to each other, by the first URI of their certificates.

    Of the other side only what was verified counts; whoever is not known is empty.
    """

    local: str = ""
    peer: str = ""


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
    local_ip_sans: tuple[str, ...] = ()
    local_email_sans: tuple[str, ...] = ()
    local_subject: str = ""
    chain: tuple[bytes, ...] = ()
    """DER of everything that was presented, the certificate first."""
    issuer: str = ""
    """As the subject."""
    serial: str = ""
    """Hexadecimal, whole bytes."""
    chain_serials: tuple[str, ...] = ()
    begins: float = 0.0
    """From when its certificate is valid, as Unix time."""
    ends: float = 0.0
    session_id: str = ""
    """Of TLS, hexadecimal."""
    ip_sans: tuple[str, ...] = ()
    email_sans: tuple[str, ...] = ()

    @property
    def presented(self) -> bool:
        """Whether it has shown a certificate."""
        return bool(self.certificate)

    @property
    def principals(self) -> Principals:
        """The identities of both sides."""
        own, shown = self.local_uri_sans, self.uri_sans
        return Principals(own[0] if own else "", shown[0] if shown and self.validated else "")


@dataclass(slots=True)
class Served:
    """A connection that a context of the mesh's has let in to `port`: by TLS where there is a peer, else in the clear.

    It says so only while it is `open`. `unseen`: its app is not told that it came by TLS, as behind a sidecar.
    """

    port: int
    peer: Peer | None = None
    hello: Hello = Hello()
    open: bool = True
    unseen: bool = False


SERVED: ContextVar[Served | None] = ContextVar("proxyless_served", default=None)
"""The connection whose bytes are being read: set before each piece is handed to the server's protocol, so that what the
protocol starts with them (a task for the request) finds its own connection here and no other."""

PROBE = Served(0, open=False)
"""Where a connection would be, for a request that no connection brought: this process asks its own app how it is."""
