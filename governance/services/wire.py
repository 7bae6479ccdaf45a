"""A connection that is read by one thread and written by any: its bytes are plain here, whatever they are outside.

TLS is done in memory. OpenSSL's own sockets may not be read and written at once, so whoever uses this does all of it
under one lock, except to wait for bytes (`wait`). Nothing is ever waited for to be sent: what the operating system
does not take at once is sent by a thread of its own, which is rare, since peers give windows.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any

from .reaching import left_s

CHUNK = 65536
STALLED_S = 30.0
"""How long the other side may take nothing before the connection is given up."""
MOST_UNSENT = 8 * 1024 * 1024
"""Bytes that the other side has not taken, beyond which nothing more is read from it: what it sends makes answers."""


class Wire:
    """`context`: what makes TLS of it; None for plaintext."""

    __slots__ = ("_drained", "_draining", "_incoming", "_outgoing", "_sending", "_sock", "_tls", "_unsent")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None, until: float) -> None:
        self._sock = sock
        self._sending = Lock()
        self._unsent = bytearray()
        self._draining = False
        self._drained = Event()
        self._tls: Any = None
        if context is not None:
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = context.wrap_bio(self._incoming, self._outgoing)
            self._shake(until)
        sock.settimeout(None)

    def _shake(self, until: float) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._say(until)
            except BaseException:
                with suppress(OSError):  # a refusal says why, too; what counts is the refusal
                    self._say(until)
                raise
            else:
                self._say(until)
                return
            data = self._sock.recv(CHUNK)
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _say(self, until: float) -> None:
        self._sock.settimeout(left_s(until))
        self._sock.sendall(self._outgoing.read())

    def get_extra_info(self, name: str) -> Any:
        """As network streams of other libraries say what they know: `ssl_object`, None for plaintext."""
        return self._tls if name == "ssl_object" else None

    def alpn(self) -> str | None:
        """The protocol that was agreed on, empty where nothing was said of it; None for plaintext."""
        return None if self._tls is None else self._tls.selected_alpn_protocol() or ""

    def wait(self) -> bytes:
        """Bytes as they come; none when the other side has ended. Under no lock."""
        if len(self._unsent) > MOST_UNSENT:
            self._drained.wait()
        return self._sock.recv(CHUNK)

    def plain(self, data: bytes) -> bytes:
        """What they say."""
        if self._tls is None:
            return data
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        found = bytearray()
        with suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLEOFError):
            while piece := self._tls.read(CHUNK):
                found += piece
        return bytes(found)

    def send(self, data: bytes) -> None:
        """Send it, now or soon."""
        if self._tls is not None:
            rest = memoryview(data)
            while rest:
                rest = rest[self._tls.write(rest) :]
            data = self._outgoing.read()
        if not data:
            return
        with self._sending:
            self._unsent += data
            if not self._draining:
                self._some()
                if self._unsent:
                    self._drained.clear()
                    started(self._drain, "proxyless-service-send")
                    self._draining = True

    def _some(self) -> None:
        with suppress(BlockingIOError):
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent, socket.MSG_DONTWAIT)]

    def _drain(self) -> None:
        try:
            room = select.poll()  # select knows no descriptor above 1023
            room.register(self._sock, select.POLLOUT)
            while room.poll(STALLED_S * 1000):
                with self._sending:
                    self._some()
                    if not self._unsent:
                        self._draining = False
                        return
            self.end()
        except (OSError, ValueError):  # it is closed; the reader hears of it, too
            self.end()
        finally:
            self._drained.set()

    def end(self) -> None:
        """Whoever waits for bytes is told that there are none."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._drained.set()

    def close(self) -> None:
        """Let go of it; in a forked child nothing is said to the other side, which is the parent's."""
        self._sock.close()


def started(work: Callable[[], object], name: str) -> None:
    """Have it done by a thread.

    Raises:
        OSError: there are no more threads.
    """
    try:
        Thread(target=work, name=name, daemon=True).start()
    except RuntimeError as error:
        raise OSError(str(error)) from error
