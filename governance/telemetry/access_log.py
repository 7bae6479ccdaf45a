"""Lines of access logs to files, the standard streams or a logger, by a thread: no request waits for a disk or a pipe.

What cannot be written in time is dropped and counted (at most `MOST` bytes wait). A file is opened for appending, and
anew when another one has taken its name (rotation by renaming). In a forked child a thread of its own starts with its
first line.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from ...xds.model.access_log import STDERR, STDOUT

log = logging.getLogger("proxyless.telemetry")
lines_log = logging.getLogger("proxyless.access")

MOST = 8 * 1024 * 1024
"""Bytes that may wait to be written."""

LINGER_S = 0.2
"""How long lines are gathered."""

STREAMS = {STDOUT: 1, STDERR: 2}


@dataclass(slots=True)
class _File:
    descriptor: int
    identity: tuple[int, int] | None


@dataclass(slots=True)
class Counts:
    """What became of the lines so far; `errors` by path."""

    written: int = 0
    dropped: int = 0
    errors: dict[str, str] = field(default_factory=dict)


class AccessLogWriter:
    """Takes lines from any thread. `to_logger`: they go to the logger `proxyless.access` instead of their paths."""

    def __init__(self, *, to_logger: bool = False, most: int = MOST, linger_s: float = LINGER_S) -> None:
        self._to_logger, self._most, self._linger_s = to_logger, most, linger_s
        self.counts = Counts()
        self._begin()

    def _begin(self) -> None:
        self._lines: deque[tuple[str, bytes]] = deque()
        self._waiting = 0
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._files: dict[str, _File] = {}
        self._closed = False

    def write(self, path: str, line: bytes) -> None:
        """One line, as soon as may be. Never waits."""
        with self._lock:
            if self._waiting + len(line) > self._most:
                self.counts.dropped += 1
                return
            first = not self._lines
            self._waiting += len(line)
            self._lines.append((path, line))
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="proxyless-access-log", daemon=True)
                self._thread.start()
        if first:  # whoever has taken what there was is told of more, once
            self._wake.set()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            if not self._closed:
                threading.Event().wait(self._linger_s)  # what else comes goes with it
            self.flush()

    def flush(self) -> None:
        """Write what there is, now, in this thread."""
        with self._writing:
            with self._lock:
                taken, self._lines, self._waiting = self._lines, deque(), 0
            together: dict[str, list[bytes]] = {}
            for path, line in taken:
                together.setdefault(path, []).append(line)
            for path, lines in together.items():
                try:
                    self._deliver(path, lines)
                    self.counts.written += len(lines)
                except (OSError, ValueError) as error:
                    self._failed(path, len(lines), error)

    def _deliver(self, path: str, lines: list[bytes]) -> None:
        if self._to_logger:
            for line in lines:
                lines_log.info("%s", line.decode("utf-8", "backslashreplace").removesuffix("\n"))
            return
        descriptor = STREAMS.get(path)
        if descriptor is None:
            descriptor = self._open(path)
        rest = memoryview(b"".join(lines))
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def _open(self, path: str) -> int:
        known = self._files.get(path)
        if known is not None and known.identity == _identity(path):
            return known.descriptor
        if known is not None:
            os.close(self._files.pop(path).descriptor)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._files[path] = _File(descriptor, _identity(path))
        return descriptor

    def _failed(self, path: str, lines: int, error: Exception) -> None:
        self.counts.dropped += lines
        text = str(error)
        if self.counts.errors.get(path) != text:
            self.counts.errors[path] = text
            log.warning("access log %s cannot be written: %s", path, text)

    def forked(self) -> None:
        """In a child: what waits is the parent's to write, and so are its counts."""
        self.counts = Counts()
        self._begin()

    def close(self) -> None:
        """Write what is left, and stop."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)
        self.flush()
        with self._writing:
            for each in self._files.values():
                with suppress(OSError):
                    os.close(each.descriptor)
            self._files.clear()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # once for each batch
    except OSError:
        return None
    return found.st_dev, found.st_ino
