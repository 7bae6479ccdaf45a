"""One container of a Pod: its process, started again as the Pod's policy says, its probes, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import probes, sandbox
from .environment import Waiting, expanded
from .rest import Document
from .status import now

IMAGES: Mapping[str, Sequence[str]] = {
    "proxyless": ("proxyless",),
    "proxyless-shop": (),
    "proxyless-controller": ("proxyless",),
}
"""The last part of an image's name, without its tag, and its entry point. All of them have this checkout inside."""

IMAGE_USER = 1337
BACKOFF_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
HOOK_S = 60.0


class Container:
    """Driven by the one thread of its Pod; `wake` is called when its process has ended."""

    def __init__(self, said: Document, log: Path, wake: Callable[[], None]) -> None:
        self.said, self.name = said, str(said["name"])
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self.waiting: tuple[str, str] | None = ("ContainerCreating", "")
        self.ended: Document | None = None
        """The terminated state of its last process."""
        self.started_at = ""
        self.start_due = 0.0
        self._wake = wake
        self._probes: dict[str, probes.Probe] = {}
        self._sandbox: sandbox.Sandbox | None = None
        self._environment: dict[str, str] = {}

    @property
    def running(self) -> bool:
        return self.process is not None

    @property
    def started(self) -> bool:
        """The startup probe has nothing against it."""
        probe = self._probes.get("startupProbe")
        return self.running and (probe is None or bool(probe.good))

    @property
    def ready(self) -> bool:
        probe = self._probes.get("readinessProbe")
        return self.started and (probe is None or bool(probe.good))

    @property
    def failed(self) -> bool:
        """Its last process did."""
        return self.ended is not None and self.ended["exitCode"] != 0

    def start(self, place: sandbox.Sandbox, environment: dict[str, str]) -> None:
        """
        Raises:
            Waiting: the image is not known, or the Pod's rules forbid it.
        """
        image = self.said["image"].rpartition("/")[2].partition("@")[0].partition(":")[0]
        if image not in IMAGES:
            raise Waiting(f'image "{self.said["image"]}" is none of {", ".join(IMAGES)}', "ErrImagePull")
        command = [*(self.said.get("command") or IMAGES[image]), *(self.said.get("args") or ())]
        if not command:
            raise Waiting("no command", "CreateContainerError")
        self._sandbox, self._environment = replace(place, folder=self.said.get("workingDir", "/")), environment
        arguments = [expanded(each, environment) for each in command]
        with self.log.open("ab") as output:
            process = self._sandbox.start(arguments, environment, output)
        self.process, self.waiting, self.started_at = process, None, now()
        began = time.monotonic()
        self._probes = {
            name: probes.Probe.of(self.said[name], began)
            for name in ("startupProbe", "readinessProbe", "livenessProbe")
            if name in self.said
        }
        threading.Thread(target=self._wait, args=(process,), name=f"wait {self.name}", daemon=True).start()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        self._wake()

    def reap(self) -> bool:
        """Whether its process has ended since the last look."""
        process = self.process
        if process is None or process.returncode is None:
            return False
        _kill_group(process)  # what it left behind in its session
        status = sandbox.document_of(process)
        reason = "Completed" if status["exitCode"] == 0 else "Error"
        self.ended = {**status, "reason": reason, "startedAt": self.started_at, "finishedAt": now()}
        self.process = None
        return True

    def again(self) -> None:
        """It is to be started once more, later each time."""
        delay = BACKOFF_S[min(self.restarts, len(BACKOFF_S) - 1)]
        self.restarts += 1
        self.start_due = time.monotonic() + delay
        self.waiting = ("CrashLoopBackOff", f"back-off {delay:g}s restarting failed container")

    def probe(self, address: str, *, readiness_only: bool = False) -> str:
        """Asks what is due. What is wrong, if it is to be killed for it."""
        for name, probe in self._asked():
            if time.monotonic() < probe.due or (readiness_only and name != "readinessProbe"):
                continue
            patience_s = float(probe.said.get("timeoutSeconds", 1))
            probe.answered(probes.ask(probe.said, self.said, address, self._run, patience_s), time.monotonic())
            if probe.good is False and name != "readinessProbe":
                return f"{name}: {probe.message}"
        return ""

    def next_probe(self) -> float:
        """When, by the monotonic clock."""
        return min((probe.due for _, probe in self._asked()), default=float("inf"))

    def _asked(self) -> Iterator[tuple[str, probes.Probe]]:
        """The startup probe until it is good, the others from then on."""
        for name, probe in self._probes.items():
            if not probe.good if name == "startupProbe" else self.started:
                yield name, probe

    def hook(self, name: str, address: str) -> None:
        """postStart or preStop, if it has one; how it ends changes nothing."""
        handler: dict[str, Any] | None = self.said.get("lifecycle", {}).get(name)
        if handler is None or not self.running:
            return
        if "sleep" in handler:
            time.sleep(handler["sleep"]["seconds"])
        else:
            probes.ask(handler, self.said, address, self._run, HOOK_S)

    def _run(self, command: Sequence[str], patience_s: float) -> int:
        started, environment = self.entered(command)
        done = subprocess.run(
            started, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=patience_s
        )
        return done.returncode

    def entered(self, command: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """What to start, with which environment, to have that command in the container."""
        process, place = self.process, self._sandbox
        assert process is not None, f"container {self.name} does not run"
        assert place is not None
        return place.entered(process.pid, command, self._environment)

    def stop(self, how: signal.Signals) -> None:
        process = self.process
        if process is None or process.returncode is not None:
            return
        if how == signal.SIGKILL:
            _kill_group(process)
        else:
            process.send_signal(how)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
