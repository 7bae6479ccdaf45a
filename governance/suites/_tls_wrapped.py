"""One connection of a server's, in memory: what `ssl.SSLObject` is to others, by the mesh's inbound chains."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..entrance import NOWHERE, Source
from ..hello import IncompleteError, Progress
from ..peer import SERVED, Served

if TYPE_CHECKING:
    from ...xds.model.listener import FilterChain
    from .tls import MeshContext, Terminator


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
    """One connection: undecided until its first bytes have come, then TLS, or in the clear."""

    _mesh: MeshContext
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _source: Source
    _blocking: bool
    _terminator: Terminator | None
    _inner: Any
    _progress: Progress
    _entered: bool
    served: Served | None
    chain: FilterChain | None
    refusal: ssl.SSLError | None
    """Why it failed, where an alert says so to the client, which is to be sent first."""

    @classmethod
    def of(
        cls,
        context: MeshContext,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        source: Source = NOWHERE,
        *,
        blocking: bool = False,
    ) -> Wrapped:
        """A connection of a context's."""
        made = cls.__new__(cls)
        made._mesh = context
        made._incoming = incoming
        made._outgoing = outgoing
        made._source = source
        made._blocking = blocking
        made._terminator = None
        made._progress = Progress()
        made._entered = False
        made._inner = _Clear(incoming, outgoing)
        made.served = None
        made.chain = None
        made.refusal = None
        return made

    def do_handshake(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        served = self.served
        if served is None:
            served = self.begin()
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
                self.refusal = refusal
                raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the alert is on its way") from error
            served.peer = self._mesh.admitted(terminator, inner, served.hello)
        if not self._entered:
            self._mesh.let_in(self.chain, served.peer, self._source)
            self._terminator = None
            served.open = self._entered = True
        SERVED.set(served)

    def begin(self, *, silent: bool = False) -> Served:
        """Decide by what has come. `silent`: it has not said in time what it is, and goes on as plaintext."""
        data = self._incoming.read()
        if self._incoming.eof:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended before it said what it is")
        self._incoming.write(data)
        try:
            begun = self._mesh.begin(data, self._progress, self._source, silent=silent, blocking=self._blocking)
        except IncompleteError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the operation did not complete") from None
        self.chain, self._terminator = begun.chain, begun.terminator
        if begun.terminator is not None:
            self._inner = begun.terminator.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.served = begun.served
        return begun.served

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
        if not self._entered:
            self.do_handshake()

    def unwrap(self) -> None:
        if self.served is not None:
            self.served.open = False
        self._inner.unwrap()

    def say_goodbye(self) -> None:
        """No more is written; what the other side still says can be read."""
        with suppress(ssl.SSLError):
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
