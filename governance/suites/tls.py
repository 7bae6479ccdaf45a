"""The TLS suite: one `ssl.SSLContext` for any asyncio or blocking server, that does what the inbound chains say.

The server wraps each accepted connection with it as with any context. The first bytes then tell TLS from plaintext and
choose the filter chain; that chain's own context carries out the handshake, or the bytes pass as they are where the
chain takes plaintext. What no chain takes fails its handshake: the server closes it, and no byte has reached the app.

Every connection goes through `Wrapped`, in memory, which says whose bytes are being read (`governance.peer.SERVED`):
event loops make it by `wrap_bio`; for blocking servers `wrap_socket` puts a socket around it (`MeshSocket`).
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Protocol, Self

from ...xds.model.listener import FilterChain
from ...xds.model.records import dataclass
from ...xds.model.resource import ResourceType
from ...xds.model.tls import DownstreamTls, Presented
from ..entrance import NOWHERE, Patience, Refused, Source, admit, enter, patience
from ..hello import Hello, Progress, TooLongError, read_hello
from ..peer import Peer, Served
from ..plan import Missing
from ..runtime import Runtime
from ._steps import accepted
from ._tls_socket import MeshSocket
from ._tls_wrapped import Wrapped

log = logging.getLogger("proxyless")

EVENT_LOOPS, BLOCKING = frozenset({"h2", "http/1.1"}), frozenset({"http/1.1"})
"""What servers speak that do not say it."""


class Terminator(Protocol):
    """How one DownstreamTlsContext terminates TLS, with the certificates of now."""

    context: ssl.SSLContext
    """Carries out the handshake."""

    @property
    def expected(self) -> str:
        """Who may come in, for people."""

    def examine(self, tls: ssl.SSLObject | ssl.SSLSocket) -> Presented:
        """Who has completed this handshake.

        Raises:
            ssl.SSLCertVerificationError: it may not come in; one line says who was expected and who has come.
        """


class Terminators(Protocol):
    """Where they come from: whoever holds the certificates of this workload."""

    def terminator(self, tls: DownstreamTls, spoken: frozenset[str]) -> Terminator:
        """`spoken` are the protocols of ALPN that the server can speak.

        Raises:
            ssl.SSLError: there is no certificate to show, or nothing to verify peers by.
        """


@dataclass(frozen=True, slots=True)
class Begun:
    """A connection that a chain has taken by its first bytes. Without a terminator it goes on in the clear."""

    served: Served
    chain: FilterChain | None = None
    terminator: Terminator | None = None


class MeshContext(ssl.SSLContext):
    """Terminates what comes to `port` (the app's, as the mesh knows it) by its inbound filter chains.

    A server may set its ALPN protocols, which say what it can speak. Certificates, verification and ciphers are the
    mesh's: setting them has no effect on connections.

    `beneath`: it was put under an app that knows nothing of it, by whoever has put a layer around that, which decides
    about each request. What comes in the clear is left to the layer; what comes by TLS looks to the app as it does
    behind a sidecar.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(
        self,
        runtime: Runtime,
        terminators: Terminators,
        port: int,
        spoken: Sequence[str] | None = None,
        *,
        beneath: bool = False,
    ) -> None:
        self.runtime = runtime
        self.terminators = terminators
        self.port = port
        self._beneath = beneath
        self._spoken = frozenset(spoken) if spoken is not None else None

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        self._spoken = frozenset(alpn_protocols)

    def spoken(self, *, blocking: bool) -> frozenset[str]:
        """The protocols of ALPN that the server can speak. Hardly any blocking one knows HTTP/2."""
        if self._spoken is not None:
            return self._spoken
        return BLOCKING if blocking else EVENT_LOOPS

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,  # noqa: ARG002  # of clients
        session: ssl.SSLSession | None = None,  # noqa: ARG002
    ) -> ssl.SSLObject:
        if not server_side:
            raise ValueError("this context is for servers")
        return Wrapped.of(self, incoming, outgoing)

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,  # noqa: ARG002  # of clients
        session: ssl.SSLSession | None = None,  # noqa: ARG002
    ) -> ssl.SSLSocket:
        if not server_side:
            raise ValueError("this context is for servers")
        return MeshSocket.around(self, sock, at_once=do_handshake_on_connect, ragged=suppress_ragged_eofs)

    def patience(self) -> Patience:
        """How long a connection may take to say what it is."""
        return patience(self.runtime, self.port)

    def begin(
        self,
        data: bytes,
        progress: Progress | None = None,
        source: Source = NOWHERE,
        *,
        silent: bool = False,
        blocking: bool = False,
    ) -> Begun:
        """Decide on a connection by its first bytes: how it is terminated.

        `silent`: it has not said in time what it is, and goes on as plaintext.

        Raises:
            IncompleteError: they do not suffice.
            ssl.SSLError: it is refused.
        """
        try:
            hello = None if silent else read_hello(data, progress)
        except TooLongError:
            raise self.refusal("the ClientHello is too long") from None
        served = Served(self.port, hello=hello or Hello(), open=False, unseen=self._beneath)
        if hello is None and self._beneath:
            return Begun(served)
        chain = enter(self.runtime, self.port, hello, source.address, source.port)
        if isinstance(chain, Refused):
            raise self.refusal(chain.reason)
        return Begun(served, chain, self._terminator(chain, self.spoken(blocking=blocking)))

    def let_in(self, chain: FilterChain | None, peer: Peer | None, source: Source) -> None:
        """Ask the filters of a connection, once it is known who it is. Raises ssl.SSLError: they refuse it."""
        refused = admit(self.runtime, self.port, chain, peer, source) if chain is not None else None
        if refused is not None:
            raise self.refusal(refused.reason)

    def _terminator(self, chain: FilterChain | None, spoken: frozenset[str]) -> Terminator | None:
        if chain is None or chain.downstream is None:
            return None
        secrets = chain.downstream.common.discovered
        if secrets and not secrets <= self.runtime.plan.snapshot.secrets:
            lacking = ", ".join(sorted(secrets - self.runtime.plan.snapshot.secrets))
            self.runtime.require(Missing(ResourceType.LISTENER, (), f"secrets: {lacking}"))
            raise self.refusal(f"filter chain {chain.name!r} waits for secrets of the control plane: {lacking}")
        try:
            return self.terminators.terminator(chain.downstream, spoken)
        except ssl.SSLError as error:
            raise self.refusal(f"filter chain {chain.name!r}: {error.args[-1]}") from error

    def refusal(self, why: str) -> ssl.SSLError:
        """What to fail a handshake with; the log has it too, since servers say nothing of handshakes that fail."""
        log.warning("port %d: connection refused: %s", self.port, why)
        return ssl.SSLError(f"port {self.port}: {why}")

    def admitted(self, terminator: Terminator, tls: ssl.SSLObject | ssl.SSLSocket, hello: Hello) -> Peer:
        """The other side of a handshake that is complete.

        Raises:
            ssl.SSLError: it may not come in.
        """
        try:
            shown = terminator.examine(tls)
        except ssl.SSLCertVerificationError as error:
            raise self.refusal(str(error.args[-1])) from error
        return accepted(shown, tls, hello.server_name)

    def failed(self, terminator: Terminator, error: ssl.SSLError) -> ssl.SSLError:
        """What to say of a handshake that has failed."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return self.refusal(
                f"expected {terminator.expected}; presented a certificate that is not valid: {error.verify_message}"
            )
        if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return self.refusal(f"expected {terminator.expected}; presented no certificate")
        return self.refusal(f"the handshake failed: {error.reason or type(error).__name__}")
