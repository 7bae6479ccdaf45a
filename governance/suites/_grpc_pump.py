"""A connection of the mesh's own for grpcio: it dials a socket within this process, whose other end leads out.

grpcio makes its connections itself. It cannot be told to expect a SPIFFE identity at the other end, nor options of a
socket, so where a cluster asks for these the mesh makes the connection, and grpcio's bytes are pumped through it. The
socket that it dials takes one connection, and that only from this very process; then it is gone.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import struct
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from ..services.wire import CHUNK, Wire, started

ABSTRACT = sys.platform == "linux"
ACCEPT_S = 30.0
LOCAL_PEERPID = 2
"""macOS: sys/un.h."""


class Listening:
    """A socket within this process, at `target` to grpcio."""

    __slots__ = ("_folder", "socket", "target")

    def __init__(self) -> None:
        self._folder = ""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if ABSTRACT:
                name = f"proxyless-{secrets.token_hex(12)}"
                self.socket.bind(f"\0{name}")
                self.target = f"unix-abstract:{name}"
            else:
                self._folder = tempfile.mkdtemp(prefix="pxl", dir="/tmp")  # mode 0700; names are short
                path = str(Path(self._folder) / "s")
                self.socket.bind(path)
                self.target = f"unix:{path}"
            self.socket.listen(4)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Nobody connects any more."""
        self.socket.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class Pump:
    """`target` is what grpcio dials. `wire`: the connection that it gets to, made and secured already."""

    __slots__ = ("_listening", "_local", "_lock", "_process", "alive", "target", "wire")

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.alive = True
        self._process = os.getpid()
        self._lock = Lock()
        self._local: socket.socket | None = None
        self._listening = Listening()
        self.target = self._listening.target
        try:
            self._listening.socket.settimeout(ACCEPT_S)
            started(self._outwards, "proxyless-grpc-out")
        except BaseException:
            self.close()
            raise

    def _accept(self) -> socket.socket | None:
        try:
            while True:
                taken, _ = self._listening.socket.accept()
                if process_of(taken) == self._process:
                    return taken
                taken.close()
        except OSError:
            return None
        finally:
            self._listening.close()

    def _outwards(self) -> None:
        """What grpcio says, to the endpoint; a thread of its own."""
        local = self._accept()
        try:
            if local is None:
                return
            with self._lock:
                if not self.alive:
                    return
                self._local = local
            started(self._inwards, "proxyless-grpc-in")
            while data := local.recv(CHUNK):
                with self._lock:
                    self.wire.send(data)
        except (OSError, ValueError):  # grpcio is told by the end of its connection
            return
        finally:
            self.close()
            if local is not None:
                local.close()

    def _inwards(self) -> None:
        """What the endpoint says; another thread."""
        local = self._local
        try:
            while local is not None:
                data = self.wire.wait()
                with self._lock:
                    plain = self.wire.plain(data)
                    self.wire.send(b"")  # what TLS itself has to say
                if plain:
                    local.sendall(plain)
                if not data:
                    return
        except (OSError, ValueError):  # grpcio is told by the end of its connection
            return
        finally:
            self.close()
            self.wire.close()

    def close(self) -> None:
        """End it, from any thread: both threads are told."""
        self.alive = False
        local = self._local
        if local is None:
            with suppress(OSError):
                self._listening.socket.shutdown(socket.SHUT_RDWR)
            self._listening.close()
        else:
            with suppress(OSError):
                local.shutdown(socket.SHUT_RDWR)
        if self._process == os.getpid():
            self.wire.end()
            if local is None:
                self.wire.close()


def process_of(taken: socket.socket) -> int:
    """Which process is at the other end of a Unix socket."""
    if ABSTRACT:
        found: Any = struct.unpack("3i", taken.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(found[0])
    return taken.getsockopt(0, LOCAL_PEERPID)
