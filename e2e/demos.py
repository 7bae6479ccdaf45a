"""A demo as somebody starts it at a shell: a process of its own, with all that it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Any, Self

import psutil

COMMAND = Path(sys.executable).with_name("proxyless")
PATIENCE_S = 120.0
PROCESSES = 10
"""Eight services, a control plane, a load generator."""


def until(true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """What it says as soon as it says anything."""
    deadline = time.monotonic() + patience_s
    while not (found := true()):
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        time.sleep(0.05)
    return found


class RunningDemo:
    """`with RunningDemo(tmp_path, "--keep") as demo:`; its folders are made below the path that it is given."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.environ = {**os.environ, "TMPDIR": str(folder)}
        self.out: list[str] = []
        self.err: list[str] = []
        self.family: dict[int, psutil.Process] = {}
        self._lines: Queue[None] = Queue()
        self.process = subprocess.Popen(
            [COMMAND, "demo", *options],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            Thread(target=self._read, args=each, daemon=True)
            for each in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for each in self._readers:
            each.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        for line in stream:
            lines.append(line.rstrip("\n"))
            self._lines.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.meet()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for each in self.family.values():
            if each.is_running():
                each.kill()

    def meet(self) -> dict[int, psutil.Process]:
        """Everything that it has started so far, by id."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self.family.update({each.pid: each for each in found})
        return self.family

    def says(self, text: str, lines: list[str] | None = None) -> str:
        """The first line with that text, on standard error unless others are meant."""
        wanted = self.err if lines is None else lines
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for line in list(wanted):
                if text in line:
                    return line
            self.meet()
            assert self.process.poll() is None or any(each.is_alive() for each in self._readers), self.told()
            assert time.monotonic() < deadline, self.told()
            try:
                self._lines.get(timeout=0.5)
            except Empty:
                continue

    def told(self) -> str:
        """All that it said."""
        return "\n".join([*self.out, *self.err])

    def send(self, what: signal.Signals) -> None:
        self.meet()
        self.process.send_signal(what)

    def ends(self, patience_s: float = PATIENCE_S) -> int:
        """Its exit status; nothing of it is left then."""
        deadline = time.monotonic() + patience_s
        while self.process.poll() is None:
            self.meet()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.05)
        for each in self._readers:
            each.join(10)
        return self.process.returncode

    def alone(self) -> None:
        """Nobody that it started is left."""
        assert len(self.family) >= PROCESSES
        until(lambda: not [each for each in self.family.values() if each.is_running()], "everything has ended", 30)

    def clean(self) -> None:
        """The same, and no file."""
        self.alone()
        assert not list(self.folder.rglob("*"))

    def document(self) -> dict[str, Any]:
        """What `--json` printed."""
        found: dict[str, Any] = json.loads("\n".join(self.out))
        return found
