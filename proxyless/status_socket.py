"""The socket on which a running process answers `proxyless status` and `proxyless dump`, and how it is found.

A Unix socket of mode 0600 in a private directory, one per process and mesh, served by one daemon thread that sleeps
until somebody connects. The protocol is lines of JSON: a request (`{"command": "status"}`), then the lines of its
answer. It can be read only by the user whose process it is.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import selectors
import socket
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Thread, current_thread
from typing import Any

log = logging.getLogger("proxyless.status")

SWITCH = "PROXYLESS_STATUS_SOCKET"
OFF = ("0", "false", "no", "off")
CLIENT_TIMEOUT_S = 5.0
"""A client that neither reads nor writes for so long is let go: the next one waits."""

MAX_REQUEST = 64 * 1024
MAX_MESHES = 64
"""Meshes of one process that can be asked."""

MESH, PLANE = "", ".plane"
"""Whose socket it is, as the end of its name says."""

Answer = Callable[[dict[str, Any]], Iterable[dict[str, Any]]]


class PrivateDirectoryError(OSError):
    """The directory for sockets is not this user's alone."""


def directories() -> list[Path]:
    """Where sockets may be, the preferred place first."""
    named = os.environ.get("XDG_RUNTIME_DIR")
    own = [Path(named) / "proxyless"] if named else []
    return [*own, Path(tempfile.gettempdir()) / f"proxyless-{os.getuid()}"]


def private_directory() -> Path:
    """The first place that can be made and is this user's alone.

    Raises:
        OSError: there is none.
    """
    problem: OSError = PrivateDirectoryError("no directory for sockets")
    for path in directories():
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            check_private(path)
        except OSError as error:
            problem = error
        else:
            return path
    raise problem


def check_private(path: Path) -> None:
    """Raises:
    PrivateDirectoryError: others own the directory or may look into it, or it is no directory.
    """
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PrivateDirectoryError(f"{path} is not a directory that belongs to this user alone")


class StatusServer:
    """Serves one mesh, or a control plane (`kind` is PLANE). Nothing of it runs before `start`."""

    def __init__(self, answer: Answer, kind: str = MESH) -> None:
        self._answer = answer
        self._kind = kind
        self.path: Path | None = None
        self._wake: socket.socket | None = None
        self._inherited: tuple[socket.socket, ...] = ()
        """What a forked child finds open."""
        self._thread: Thread | None = None

    def start(self) -> None:
        """Bind and serve. A process that cannot have a socket works without one, and says so in the log."""
        try:
            directory = private_directory()
            forget_dead(directory)
            listening, self.path = _bind(directory, self._kind)
        except OSError as error:
            log.warning("no status socket: %s", error)
            return
        self._wake, asleep = socket.socketpair()
        self._inherited = (listening, asleep, self._wake)
        self._thread = Thread(
            target=self._serve, args=(listening, asleep, self.path), name="proxyless-status", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving and remove the socket."""
        thread, self._thread = self._thread, None
        self.let_go()
        if thread is not None and thread is not current_thread():
            thread.join(1.0)
        path, self.path = self.path, None
        if path is not None:
            # The thread does so too, unless a client still keeps it.
            path.unlink(missing_ok=True)

    def let_go(self) -> None:
        """The same without waiting for it, and without any lock."""
        if self._wake is not None:
            # Nothing else is ever written, so there is room; a pair that is closed already needs no waking.
            with contextlib.suppress(OSError):
                self._wake.send(b"x")

    def forked(self) -> None:
        """In a child: what is open belongs to the parent, and so does the path. Serve one's own."""
        for each in self._inherited:
            each.close()
        self._inherited = ()
        self._thread = self._wake = self.path = None
        self.start()

    # -- the thread ----------------------------------------------------------------------------------------------

    def _serve(self, listening: socket.socket, asleep: socket.socket, path: Path) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(listening, selectors.EVENT_READ)
                selector.register(asleep, selectors.EVENT_READ)
                while asleep not in {key.fileobj for key, _ in selector.select()}:
                    self._accept(listening)
        finally:
            path.unlink(missing_ok=True)
            for each in self._inherited:
                each.close()

    def _accept(self, listening: socket.socket) -> None:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        with client:
            client.settimeout(CLIENT_TIMEOUT_S)
            # Whatever a client does is its own business.
            with contextlib.suppress(OSError):
                self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        with client.makefile("rb") as lines:
            while line := lines.readline(MAX_REQUEST):
                for part in self._lines(line):
                    client.sendall(json.dumps(part, default=str).encode() + b"\n")

    def _lines(self, line: bytes) -> Iterator[dict[str, Any]]:
        try:
            request = json.loads(line)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            yield {"error": "a request is a JSON object on one line"}
            return
        try:
            yield from self._answer(request)
        except Exception as error:
            log.exception("status request %r", request.get("command"))
            yield {"error": f"{type(error).__name__}: {error}"}


def _bind(directory: Path, kind: str) -> tuple[socket.socket, Path]:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        for number in range(1, MAX_MESHES + 1):
            path = directory / f"{os.getpid()}.{number}{kind}.sock"
            try:
                made.bind(str(path))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                if _alive(path):
                    continue
                # A process that had this number before.
                path.unlink(missing_ok=True)
                made.bind(str(path))
            # Until here the directory alone keeps others out.
            path.chmod(0o600)
            made.listen(8)
            made.setblocking(False)
            return made, path
        raise OSError(errno.EMFILE, "too many meshes in this process")
    except BaseException:
        made.close()
        raise


# -- the other side --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Process:
    """A process that can be asked; `number` tells its meshes apart."""

    pid: int
    number: int
    path: Path
    kind: str = MESH


def processes(kind: str = MESH) -> list[Process]:
    """All of a kind that answer, by process id. Sockets of dead processes are removed."""
    found = []
    for directory in directories():
        try:
            check_private(directory)
        except OSError:
            continue
        forget_dead(directory)
        found += [each for each in _sockets(directory) if each.kind == kind and _alive(each.path)]
    return sorted(found, key=lambda each: (each.pid, each.number))


def forget_dead(directory: Path) -> None:
    """Remove the sockets that nobody serves any more."""
    for each in _sockets(directory):
        # A process of another container may not be seen, but its socket answers.
        if not _exists(each.pid) and not _alive(each.path):
            each.path.unlink(missing_ok=True)


def _sockets(directory: Path) -> Iterator[Process]:
    for path in directory.glob("*.sock"):
        kind = PLANE if path.stem.endswith(PLANE) else MESH
        pid, _, number = path.stem.removesuffix(kind).partition(".")
        if pid.isdecimal() and number.isdecimal():
            yield Process(int(pid), int(number), path, kind)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        return True


def ask(path: Path, request: dict[str, Any], timeout_s: float = 60.0) -> Iterator[dict[str, Any]]:
    """The lines of the answer to one request.

    Raises:
        OSError: nobody answers there.
        ValueError: what answers speaks something else.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        client.connect(str(path))
        client.sendall(json.dumps(request).encode() + b"\n")
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as lines:
            for line in lines:
                part = json.loads(line)
                if not isinstance(part, dict):
                    raise ValueError("not an object")  # noqa: TRY004  # what came over the wire has a bad value
                yield part
