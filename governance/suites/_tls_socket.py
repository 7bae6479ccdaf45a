"""A connection of a blocking server's: what `ssl.SSLSocket` is to others, by the mesh's inbound chains.

It is a socket around `Wrapped`. What is read from the network is never more than the record that is waited for, so
that a selector goes on telling what OpenSSL's own sockets would have it tell. A connection that a listening socket
accepts says who it is when it is first read or written: one that says nothing holds up nobody who accepts.

A connection that is refused reads as one that has ended (the log says why), and fails when it is written to.
"""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn

from ..entrance import NOWHERE, Source, plain
from ..peer import SERVED, Served
from ._tls_wrapped import Wrapped

if TYPE_CHECKING:
    from .tls import MeshContext

HEAD = 5
"""Bytes before each record of TLS, the last two of which say how long it is."""
PIECE = 256 * 1024
"""Most that is encrypted at once."""

_ENDED = "the connection ended before it said what it is"
_socket = socket.socket


class MeshSocket(ssl.SSLSocket):
    """Made by `MeshContext.wrap_socket`, around a connection or around a socket that listens."""

    _mesh: MeshContext
    _tls: Wrapped | None
    """None for a socket that listens."""
    do_handshake_on_connect: bool
    suppress_ragged_eofs: bool

    @classmethod
    def around(cls, mesh: MeshContext, sock: socket.socket, *, at_once: bool, ragged: bool) -> MeshSocket:
        """`at_once`: a connection says who it is before this returns; it is closed if it is refused."""
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        made = cls.__new__(cls)
        _socket.__init__(made, sock.family, sock.type, sock.proto, sock.fileno())
        timeout = sock.gettimeout()
        sock.detach()
        made.settimeout(timeout)
        made._mesh = mesh
        made._tls = None
        made.do_handshake_on_connect = at_once
        made.suppress_ragged_eofs = ragged
        made.server_side, made.server_hostname = True, None
        try:
            source = made._source()
            if source is not None:
                made._open(source)
                if at_once:
                    if timeout == 0:
                        raise ValueError("do_handshake_on_connect should not be specified for non-blocking sockets")
                    made.do_handshake()
        except (OSError, ValueError):
            made.close()
            raise
        return made

    def _source(self) -> Source | None:
        """Who connects; None where nobody does."""
        try:
            there, here = self.getpeername(), self.getsockname()
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            return None
        if not isinstance(there, tuple):
            return NOWHERE
        return Source(plain(there[0]), there[1], plain(here[0]))

    def _open(self, source: Source) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = Wrapped.of(self._mesh, self._incoming, self._outgoing, source, blocking=True)
        self._tell, self._read_lock, self._write_lock, self._entering = Lock(), Lock(), Lock(), Lock()
        self._ready = False
        self._failure: OSError | None = None
        self._since = self._mesh.runtime.clock()
        self._head, self._body = b"", 0
        self._unsent: memoryview = memoryview(b"")
        self._owed = 0

    # -- who it is ------------------------------------------------------------------------------------------------

    def do_handshake(self, block: bool = False) -> None:
        """Decide on the connection, if that has not been done yet.

        Raises:
            ssl.SSLError: it is refused.
        """
        timeout = self.gettimeout()
        if block and timeout == 0:
            self.settimeout(None)
        try:
            self._admitted()
        finally:
            if block and timeout == 0 and self.fileno() >= 0:
                self.settimeout(timeout)

    def _admitted(self) -> Wrapped:
        tls = self._tls
        if tls is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        if not self._ready:
            with self._entering:
                if self._failure is not None:
                    raise self._failure
                if not self._ready:
                    self._enter(tls)
        return tls

    def _enter(self, tls: Wrapped) -> None:
        timeout = self.gettimeout()
        try:
            while not self._shake(tls):
                self._wait(tls, timeout)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, TimeoutError):
            raise
        except OSError as error:
            self._failure = error
            self._hang_up()
            raise
        finally:
            if self.fileno() >= 0:
                self.settimeout(timeout)
        self._ready = True

    def _shake(self, tls: Wrapped) -> bool:
        """Go on with what has come; whether it is done."""
        done = False
        undecided = tls.served is None
        try:
            with self._tell:
                tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        # Whoever is refused for who he is, is not sent the end of the handshake: he would take himself for let in.
        self._flush()
        if undecided and tls.served is not None:
            self._since = self._mesh.runtime.clock()
        if tls.refusal is not None:
            raise tls.refusal
        return done

    def _wait(self, tls: Wrapped, timeout: float | None) -> None:
        """For more bytes of the handshake, no longer than the listener's and the chain's timeouts allow."""
        undecided = tls.served is None
        if undecided:
            patience = self._mesh.patience()
            allowed, goes_on = patience.seconds, patience.goes_on
        else:
            allowed, goes_on = tls.chain.handshake_timeout_s if tls.chain is not None else None, False
        if allowed is not None:
            left = self._since + allowed - self._mesh.runtime.clock()
            if left <= 0:
                self._expired(tls, allowed, undecided=undecided, goes_on=goes_on)
                return
            if timeout is None or timeout > left:
                self.settimeout(left)
                with suppress(TimeoutError):
                    self._fill()
                return
        self.settimeout(timeout)
        self._fill()

    def _expired(self, tls: Wrapped, allowed: float, *, undecided: bool, goes_on: bool) -> None:
        if undecided and goes_on:
            with self._tell:
                tls.begin(silent=True)
            return
        what = "it did not say what it is" if undecided else "its handshake was not over"
        raise self._mesh.refusal(f"{what} within {allowed:g} s")

    def _hang_up(self) -> None:
        """The client is told; what it has sent meanwhile is taken, or it would not hear of the reason."""
        with suppress(OSError):
            _socket.shutdown(self, socket.SHUT_WR)
            self.settimeout(0)
            while _socket.recv(self, PIECE):
                pass

    @property
    def served(self) -> Served | None:
        """What is known of the connection, once it has been let in."""
        return self._tls.served if self._tls is not None and self._ready else None

    # -- bytes ----------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Read from the network: the rest of a record, or what there is of it."""
        with self._read_lock:
            while True:
                head = self._head
                wanted = HEAD - len(head) if len(head) < HEAD else self._body
                try:
                    data = _socket.recv(self, wanted)
                except BlockingIOError as error:
                    raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete") from error
                with self._tell:
                    if not data:
                        self._incoming.write_eof()
                        return
                    self._incoming.write(data)
                if len(head) < HEAD:
                    self._head = head = head + data
                    self._body = int.from_bytes(head[3:5], "big") if len(head) == HEAD else 0
                else:
                    self._body -= len(data)
                if len(head) == HEAD and not self._body:
                    self._head = b""
                    return
                if not self._ready:
                    return  # what has come may be enough to tell that it is no TLS

    def _flush(self) -> None:
        """Send what is to be sent, unless another thread does."""
        if (self._outgoing.pending or self._unsent) and self._write_lock.acquire(blocking=False):
            try:
                self._send()
            finally:
                self._write_lock.release()

    def _send(self) -> None:
        while True:
            if not self._unsent:
                with self._tell:
                    self._unsent = memoryview(self._outgoing.read())
                if not self._unsent:
                    return
            try:
                count = _socket.send(self, self._unsent)
            except BlockingIOError as error:
                raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "The operation did not complete") from error
            self._unsent = self._unsent[count:]

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002  # the base class's names
        nothing = b"" if buffer is None else 0
        try:
            tls = self._admitted()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            return nothing
        while True:
            if self._clear and not self._incoming.pending and not self._incoming.eof:
                SERVED.set(tls.served)
                return self._recv(len, buffer)
            try:
                with self._tell:
                    return tls.read(len, buffer)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLEOFError:
                if self.suppress_ragged_eofs:
                    return nothing
                raise
            finally:
                self._flush()
            self._fill()

    @property
    def _clear(self) -> bool:
        served = self.served
        return served is not None and served.peer is None

    def _recv(self, count: int, buffer: Any) -> Any:
        try:
            if buffer is None:
                return _socket.recv(self, count)
            return _socket.recv_into(self, buffer, count)
        except BlockingIOError as error:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "The operation did not complete") from error

    def write(self, data: Any) -> int:
        tls = self._admitted()
        with memoryview(data) as view, view.cast("B") as raw, self._write_lock:
            if self._owed > len(raw):
                raise ssl.SSLError("bad write retry: less than what was not sent yet")
            if not self._owed:
                self._send()
                with self._tell, raw[:PIECE] as piece:
                    self._owed = tls.write(piece) if len(piece) else 0
            # As with OpenSSL, whoever is told to wait offers the same bytes again.
            self._send()
            count, self._owed = self._owed, 0
            return count

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        _refuse(flags)
        got: bytes = self.read(buflen)
        return got

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        _refuse(flags)
        with memoryview(buffer) as view, view.cast("B") as raw:
            got: int = self.read(min(nbytes, len(raw)) if nbytes else len(raw), raw) if len(raw) else 0
            return got

    def send(self, data: Any, flags: int = 0) -> int:
        _refuse(flags)
        return self.write(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        _refuse(flags)
        with memoryview(data) as view, view.cast("B") as raw:
            sent = 0
            while sent < len(raw):
                with raw[sent:] as rest:
                    sent += self.write(rest)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        sent: int = self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]
        return sent

    def _whole(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("a connection of the mesh's is read and written by recv and send")

    recvfrom = recvfrom_into = recvmsg = recvmsg_into = sendto = sendmsg = connect = connect_ex = dup = _whole

    def pending(self) -> int:
        return self._tls.pending() if self._tls is not None and self._ready else 0

    # -- its life -------------------------------------------------------------------------------------------------

    def accept(self) -> tuple[ssl.SSLSocket, Any]:
        sock, address = _socket.accept(self)
        made = MeshSocket.around(self._mesh, sock, at_once=False, ragged=self.suppress_ragged_eofs)
        made.do_handshake_on_connect = self.do_handshake_on_connect
        return made, address

    def shutdown(self, how: int) -> None:
        if how != socket.SHUT_RD and self._tls is not None and self._ready and not self._clear:
            self._say_goodbye(self._tls)
        _socket.shutdown(self, how)

    def _say_goodbye(self, tls: Wrapped) -> None:
        """The end of what is said (close_notify), as far as it can be sent at once."""
        with suppress(OSError):
            with self._tell:
                tls.say_goodbye()
            self._flush()

    def unwrap(self) -> socket.socket:
        """End TLS on both sides; the socket that is returned is in the clear."""
        tls = self._admitted()
        while True:
            try:
                with self._tell:
                    tls.unwrap()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                break
        self._flush()
        family, kind, proto, timeout = self.family, self.type, self.proto, self.gettimeout()
        bare = socket.socket(family, kind, proto, self.detach())
        bare.settimeout(timeout)
        return bare

    def _real_close(self) -> None:
        if self._tls is not None and self._tls.served is not None:
            self._tls.served.open = False
        super()._real_close()  # type: ignore[misc]

    # -- what it says of itself -----------------------------------------------------------------------------------

    def _known(self) -> Wrapped | None:
        """The connection, once it is decided on; it says who it is now where the program expects that it has."""
        if self._tls is None:
            return None
        if not self._ready and self.do_handshake_on_connect and self._failure is None:
            self._admitted()
        return self._tls if self._ready else None

    def getpeercert(self, binary_form: bool = False) -> Any:
        known = self._known()
        if known is None:
            raise ValueError("handshake not done yet")
        return known.getpeercert(binary_form)

    def selected_alpn_protocol(self) -> str | None:
        known = self._known()
        return known.selected_alpn_protocol() if known is not None else None

    def selected_npn_protocol(self) -> str | None:
        return None

    def cipher(self) -> tuple[str, str, int] | None:
        known = self._known()
        return known.cipher() if known is not None else None

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        known = self._known()
        return known.shared_ciphers() if known is not None else None

    def compression(self) -> str | None:
        return None

    def version(self) -> str | None:
        known = self._known()
        return known.version() if known is not None else None

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        known = self._known()
        return known.get_channel_binding(cb_type) if known is not None else None

    def verify_client_post_handshake(self) -> None:
        raise ssl.SSLError("the filter chain has decided which certificate is asked for")

    @property
    def context(self) -> ssl.SSLContext:  # type: ignore[override]  # it is decided by the chain
        """The context of the port."""
        return self._mesh

    @property
    def session(self) -> ssl.SSLSession | None:  # type: ignore[override]  # there is nothing to set
        """None where there is no TLS."""
        return self._tls.session if self._tls is not None and self._ready else None

    @property
    def session_reused(self) -> bool:
        """Whether the client has resumed a session."""
        return self._tls.session_reused if self._tls is not None and self._ready else False


def _refuse(flags: int) -> None:
    if flags:
        raise ValueError("non-zero flags are not allowed on a connection of the mesh's")
