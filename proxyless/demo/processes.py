"""The processes of a demo: started with what they need, ended by their ids, and nothing of them left.

Each is a session of its own, so that Ctrl-C reaches the demo alone; its standard input is a pipe of the demo's, which
ends with the demo, however that ends (see `family`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..errors import MeshError

GRACE_S = 4.0
"""How long a process may take to end before it is killed."""

OTHERS = ("PROXYLESS_", "ISTIO_META", "GRPC_", "POD_", "PROMETHEUS_MULTIPROC_DIR", "PROXY_CONFIG")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class DemoError(MeshError):
    """The demo cannot go on; the text is for people."""


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """Of a child: this process's, without what would make it another workload or send it elsewhere."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(OTHERS) and name.lower() not in PROXIES
    }
    # A child imports what this process imports, wherever that was found.
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100  # no links are followed
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **values}


@dataclass(slots=True)
class Process:
    """One child. `log` holds what it says, unless somebody listens to its standard output."""

    name: str
    arguments: Sequence[str]
    environ: Mapping[str, str]
    log: Path
    listened: bool = False
    popen: subprocess.Popen[str] | None = None
    _open: list[IO[str]] = field(default_factory=list)

    def start(self) -> None:
        """Runs it, again if it ran before."""
        self.forget()
        log = self.log.open("a", encoding="utf-8")
        self._open.append(log)
        self.popen = subprocess.Popen(  # noqa: S603  # the demo's own modules
            [sys.executable, "-P", *self.arguments],
            env=environment(self.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if self.listened else log,
            stderr=log,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self.popen.pid if self.popen is not None else 0

    @property
    def ended(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self.popen.poll() if self.popen is not None else 0

    def send(self, what: signal.Signals) -> None:
        """A signal, if it still runs."""
        if self.popen is not None and self.popen.poll() is None:
            self.popen.send_signal(what)

    def kill(self) -> None:
        """End it at once, and wait for that."""
        self.send(signal.SIGKILL)
        if self.popen is not None:
            self.popen.wait()

    def forget(self) -> None:
        """Close what belongs to a process that has ended."""
        popen = self.popen
        for each in (*self._open, *((popen.stdin, popen.stdout) if popen is not None else ())):
            if each is not None:
                try:
                    each.close()
                except OSError:
                    pass  # a pipe whose reader is gone
        self._open.clear()

    def said(self, lines: int = 12) -> str:
        """The end of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def end(processes: Iterable[Process]) -> None:
    """Ends them all: SIGTERM, and what has not ended after a while is killed."""
    running = [each for each in processes if each.popen is not None]
    for each in running:
        each.send(signal.SIGCONT)
        each.send(signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline and any(each.ended is None for each in running):
        time.sleep(0.02)
    for each in running:
        each.kill()
        each.forget()
