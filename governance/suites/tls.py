"""The TLS suite: one `ssl.SSLContext` for any asyncio or blocking server, that does what the inbound chains say.

The server wraps each accepted connection with it as with any context. The first bytes then tell TLS from plaintext and
choose the filter chain; that chain's own context carries out the handshake, or the bytes pass as they are where the
chain takes plaintext. What no chain takes fails its handshake: the server closes it, and no byte has reached the app.

Connections of event loops go through `Wrapped`, which `wrap_bio` makes; it says whose bytes are being read
(`governance.peer.SERVED`). Blocking servers, which wrap sockets, are refused.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from typing import Any, Protocol, Self

from ...xds.model.listener import FilterChain
from ...xds.model.tls import DownstreamTls, Presented
from ..entrance import Refused, enter
from ..hello import Hello, IncompleteError, Progress, TooLongError, read_hello
from ..peer import SERVED, Peer, Served
from ..runtime import Runtime

log = logging.getLogger("proxyless")


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


class MeshContext(ssl.SSLContext):
    """Terminates what comes to `port` (the app's, as the mesh knows it) by its inbound filter chains.

    A server may set its ALPN protocols, which say what it can speak. Certificates, verification and ciphers are the
    mesh's: setting them has no effect on connections.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(
        self, runtime: Runtime, terminators: Terminators, port: int, spoken: Sequence[str] = ("h2", "http/1.1")
    ) -> None:
        self.runtime = runtime
        self.terminators = terminators
        self.port = port
        self.spoken = frozenset(spoken)

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        self.spoken = frozenset(alpn_protocols)

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

    def wrap_socket(self, *_: Any, **__: Any) -> ssl.SSLSocket:
        """Not done yet, and nothing is served without the chains having been asked."""
        raise NotImplementedError("servers that wrap sockets are not supported yet: serve on an event loop")

    def begin(
        self, data: bytes, source: str = "", source_port: int = 0, progress: Progress | None = None
    ) -> tuple[Served, Terminator | None]:
        """Decide on a connection by its first bytes: how it is terminated, or None where it goes on in the clear.

        Raises:
            IncompleteError: they do not suffice.
            ssl.SSLError: it is refused.
        """
        try:
            hello = read_hello(data, progress)
        except TooLongError:
            raise self.refusal("the ClientHello is too long") from None
        chain = enter(self.runtime, self.port, hello, source, source_port)
        if isinstance(chain, Refused):
            raise self.refusal(chain.reason)
        return Served(self.port, hello=hello or Hello(), open=False), self._terminator(chain)

    def _terminator(self, chain: FilterChain | None) -> Terminator | None:
        if chain is None or chain.downstream is None:
            return None
        try:
            return self.terminators.terminator(chain.downstream, self.spoken)
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
        cipher = tls.cipher()
        return Peer(
            certificate=shown.chain[0] if shown.chain else b"",
            validated=shown.validated,
            uri_sans=shown.uri_sans,
            dns_sans=shown.dns_sans,
            subject=shown.subject,
            server_name=hello.server_name,
            alpn=tls.selected_alpn_protocol() or "",
            version=tls.version() or "",
            cipher=cipher[0] if cipher else "",
            local_uri_sans=shown.local_uri_sans,
            local_dns_sans=shown.local_dns_sans,
            chain=shown.chain,
        )

    def failed(self, terminator: Terminator, error: ssl.SSLError) -> ssl.SSLError:
        """What to say of a handshake that has failed."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return self.refusal(
                f"expected {terminator.expected}; presented a certificate that is not valid: {error.verify_message}"
            )
        if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return self.refusal(f"expected {terminator.expected}; presented no certificate")
        return self.refusal(f"the handshake failed: {error.reason or type(error).__name__}")


class _Clear:
    """The methods of an SSLObject over a connection in the clear."""

    __slots__ = ("_incoming", "_outgoing")

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def do_handshake(self) -> None:
        """There is none."""

    def read(self, count: int = 1024, buffer: Any = None) -> Any:
        incoming = self._incoming
        if not incoming.pending and not incoming.eof:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the operation did not complete")
        if buffer is None:
            return incoming.read(count)
        data = incoming.read(min(count, len(buffer)) if count > 0 else len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        return self._outgoing.write(data)

    def pending(self) -> int:
        return self._incoming.pending

    def unwrap(self) -> None:
        """Nothing is said at the end."""

    def getpeercert(self, binary_form: bool = False) -> None:  # noqa: ARG002  # as that of an SSLObject
        return None

    def nothing(self) -> None:
        return None

    version = cipher = selected_alpn_protocol = shared_ciphers = nothing

    def get_channel_binding(self, cb_type: str = "tls-unique") -> None:  # noqa: ARG002
        return None


class Wrapped(ssl.SSLObject):
    """One connection of an event loop's: undecided until its first bytes have come, then TLS, or in the clear."""

    _mesh: MeshContext
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _terminator: Terminator | None
    _inner: Any
    _progress: Progress
    _refusal: ssl.SSLError | None
    served: Served | None

    @classmethod
    def of(cls, context: MeshContext, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> Wrapped:
        """A connection of a context's."""
        made = cls.__new__(cls)
        made._mesh = context
        made._incoming = incoming
        made._outgoing = outgoing
        made._terminator = None
        made._progress = Progress()
        made._inner = _Clear(incoming, outgoing)
        made._refusal = None
        made.served = None
        return made

    def do_handshake(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        served = self.served
        if served is None:
            served = self._begin()
        inner, terminator = self._inner, self._terminator
        if terminator is not None:
            try:
                inner.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                refusal = self._mesh.failed(terminator, error)
                if not self._outgoing.pending:
                    raise refusal from error
                # Loops throw away what is to be sent when a handshake fails, and the client would not learn the reason.
                # They send it when one goes on; the client then hangs up; whatever else it says is refused.
                self._refusal = refusal
                raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert is on its way") from error
            served.peer = self._mesh.admitted(terminator, inner, served.hello)
            self._terminator = None
        served.open = True
        SERVED.set(served)

    def _begin(self) -> Served:
        data = self._incoming.read()
        if self._incoming.eof:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended before it said what it is")
        self._incoming.write(data)
        try:
            served, terminator = self._mesh.begin(data, progress=self._progress)
        except IncompleteError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the operation did not complete") from None
        self.served, self._terminator = served, terminator
        if terminator is not None:
            self._inner = terminator.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        return served

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002  # the base class's names
        self._admit()
        SERVED.set(self.served)
        return self._inner.read(len, buffer)

    def write(self, data: Any) -> int:
        self._admit()
        written: int = self._inner.write(data)
        return written

    def _admit(self) -> None:
        """A library that reads without a handshake, or after one that failed, gets nothing that was not let in."""
        if self.served is None or self._terminator is not None:
            self.do_handshake()

    def unwrap(self) -> None:
        if self.served is not None:
            self.served.open = False
        self._inner.unwrap()

    def pending(self) -> int:
        count: int = self._inner.pending()
        return count

    @property
    def context(self) -> ssl.SSLContext:  # type: ignore[override]  # it is decided by the chain
        """The context of the port."""
        return self._mesh

    @property
    def server_side(self) -> bool:
        """Always."""
        return True

    @property
    def server_hostname(self) -> str | None:
        """Of clients only."""
        return None

    @property
    def session(self) -> ssl.SSLSession | None:  # type: ignore[override]  # there is nothing to set
        """None where there is no TLS."""
        return getattr(self._inner, "session", None)

    @property
    def session_reused(self) -> bool:
        """Whether the client has resumed a session."""
        return bool(getattr(self._inner, "session_reused", False))

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self._inner.getpeercert(binary_form)

    def selected_alpn_protocol(self) -> str | None:
        found: str | None = self._inner.selected_alpn_protocol()
        return found

    def selected_npn_protocol(self) -> str | None:
        return None

    def cipher(self) -> tuple[str, str, int] | None:
        found: tuple[str, str, int] | None = self._inner.cipher()
        return found

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        found: list[tuple[str, str, int]] | None = self._inner.shared_ciphers()
        return found

    def compression(self) -> str | None:
        return None

    def version(self) -> str | None:
        found: str | None = self._inner.version()
        return found

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        found: bytes | None = self._inner.get_channel_binding(cb_type)
        return found

    def verify_client_post_handshake(self) -> None:
        raise ssl.SSLError("the filter chain has decided which certificate is asked for")
