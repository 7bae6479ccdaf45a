"""Sockets that are counted until they are closed, and end when the mesh says so.

What a proxy does by itself when a connection has been idle for too long, or has lasted too long, a thread does here: it
shuts the socket down, which reads as an end and fails to be written to, as if the other side had closed it.
"""

from __future__ import annotations

import heapq
import os
import socket
import ssl
from contextlib import suppress
from functools import cache
from itertools import count
from threading import Condition, Thread
from time import monotonic
from typing import Any, Protocol
from weakref import ref

from ..passing import Life
from ..tcp import TcpConnection

PATROL_S = 30.0
"""How often the thread finds out that sockets were thrown away, and that there is nothing left for it to do."""
WATCH_S = 1.0
"""How often a socket is looked at that somebody else has taken over."""


class Kept(Protocol):
    """A connection that somebody looks after."""

    def look(self) -> float | None:
        """Seconds until it has to be looked at again; None: it has ended."""

    def is_there(self) -> bool:
        """Whether it has not ended, as far as that is known."""


class Keeper:
    """Looks after connections, in a thread that is there while there are any."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._due: list[tuple[float, int, Kept]] = []
        self._numbers = count()
        self._open = 0
        self._running = False

    @property
    def running(self) -> bool:
        """Whether its thread is there."""
        return self._running

    def keep(self, kept: Kept) -> None:
        """Look after a connection from now on."""
        wait_s = kept.look()
        if wait_s is None:
            return
        with self._condition:
            self._open += 1
            heapq.heappush(self._due, (monotonic() + wait_s, next(self._numbers), kept))
            if self._running:
                self._condition.notify()
                return
            self._running = True
        Thread(target=self._run, name="proxyless-tcp", daemon=True).start()

    def closed(self) -> None:
        """One of them was closed; without any the thread ends."""
        with self._condition:
            self._open -= 1
            if self._open <= 0:
                self._condition.notify()

    def _run(self) -> None:
        due = self._due
        patrol_at = monotonic() + PATROL_S
        while True:
            with self._condition:
                while due and (left_s := due[0][0] - (now := monotonic())) > 0:
                    if self._open <= 0 or now >= patrol_at:
                        due[:] = [each for each in due if each[2].is_there()]
                        heapq.heapify(due)
                        self._open = len(due)
                        patrol_at = now + PATROL_S
                    else:
                        self._condition.wait(min(left_s, patrol_at - now))
                if not due:
                    self._running = False
                    return
                _, number, kept = heapq.heappop(due)
            wait_s = kept.look()
            if wait_s is not None:
                with self._condition:
                    heapq.heappush(due, (monotonic() + wait_s, number, kept))


class _Watched:
    """A socket that the program has; it may throw it away."""

    def __init__(self, sock: socket.socket, life: Life) -> None:
        self._sock = ref(sock)
        self._life = life

    def is_there(self) -> bool:
        sock = self._sock()
        return sock is not None and sock.fileno() >= 0

    def look(self) -> float | None:
        sock = self._sock()
        if sock is None or sock.fileno() < 0:
            return None
        left_s, ends = self._life.bound(None)
        if not ends or left_s is None:
            return None
        if left_s > 0:
            return left_s
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        return None


class _Taken:
    """A file descriptor that another socket has taken over, such as one with the program's own TLS: it is counted while
    it is the same connection. When it was idle nobody knows; how long it may last at most still holds."""

    def __init__(self, fd: int, held: TcpConnection, life: Life) -> None:
        self._fd = fd
        self._held = held
        self._life = life
        self._inode = os.fstat(fd).st_ino

    def is_there(self) -> bool:
        return True

    def look(self) -> float | None:
        try:
            same = os.fstat(self._fd).st_ino == self._inode
        except OSError:
            same = False
        if not same:
            self._held.end()
            return None
        if self._life.over():
            with suppress(OSError), socket.socket(fileno=os.dup(self._fd)) as sock:
                sock.shutdown(socket.SHUT_RDWR)
        self._life.touch()
        return WATCH_S


class _Counted:
    """What both kinds of sockets do besides."""

    _keeper: Keeper | None = None
    _held: TcpConnection | None = None
    _life: Life | None = None

    def _kept(self, keeper: Keeper, held: TcpConnection, life: Life) -> None:
        self._keeper, self._held, self._life = keeper, held, life
        keeper.keep(_Watched(self, life))  # type: ignore[arg-type]  # it is mixed into sockets

    def _touched(self, result: Any) -> Any:
        if self._life is not None:
            self._life.touch()
        return result

    def recv(self, *arguments: Any) -> Any:
        return self._touched(super().recv(*arguments))  # type: ignore[misc]

    def recv_into(self, *arguments: Any) -> Any:
        return self._touched(super().recv_into(*arguments))  # type: ignore[misc]

    def send(self, *arguments: Any) -> Any:
        return self._touched(super().send(*arguments))  # type: ignore[misc]

    def sendall(self, *arguments: Any) -> Any:
        return self._touched(super().sendall(*arguments))  # type: ignore[misc]

    def detach(self) -> int:
        held, life, keeper = self._held, self._life, self._keeper
        self._held = None
        fd: int = super().detach()  # type: ignore[misc]
        if held is not None and life is not None and keeper is not None and fd >= 0:
            keeper.keep(_Taken(fd, held, life))
        return fd

    def _real_close(self, *arguments: Any) -> None:
        held, self._held = self._held, None
        super()._real_close(*arguments)  # type: ignore[misc]
        if held is not None:
            held.end()
            if self._keeper is not None:
                self._keeper.closed()


class CountedSocket(_Counted, socket.socket):
    """In the clear."""


@cache
def _counted_tls(base: Any) -> type[ssl.SSLSocket]:
    class CountedTlsSocket(_Counted, base):  # type: ignore[misc]
        """With the mesh's TLS."""

    return CountedTlsSocket


def counted(sock: socket.socket, keeper: Keeper, held: TcpConnection, life: Life) -> socket.socket:
    """The connection of a socket, which is not used any more, as one that counts."""
    made: Any
    if isinstance(sock, ssl.SSLSocket):
        made = sock
        kind: Any = type(sock)
        made.__class__ = _counted_tls(kind)
    else:
        timeout = sock.gettimeout()
        made = CountedSocket(sock.family, sock.type, sock.proto, sock.detach())
        made.settimeout(timeout)
    made._kept(keeper, held, life)
    result: socket.socket = made
    return result
