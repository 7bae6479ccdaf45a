"""Addresses that carry traffic: a bridge, and for each Pod a network namespace with a leg on it."""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from e2e.tools import installed, missing

BRIDGE, GATEWAY = "proxyless0", "10.244.0.1"
PODS, SERVICES = "10.244.0.0/16", "10.96.0.0/16"
LOCK = Path("/run/lock/proxyless-e2e")


def command(*arguments: str, text: str | None = None, ok: bool = True) -> str:
    done = subprocess.run(arguments, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 or not ok, f"{' '.join(arguments)}: {done.stderr}"
    return done.stdout


def needed() -> None:
    """Skips (or fails, under CI) by name where Pods cannot be had."""
    if os.geteuid() != 0:
        missing("root, which addresses and namespaces of Pods need,")
    installed("ip", "iproute2")
    for each in ("unshare", "nsenter", "setpriv", "mount", "chroot"):
        if shutil.which(each) is None:
            missing(each)
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False, timeout=60)
    if tried.returncode:
        missing("the right to make namespaces (CAP_SYS_ADMIN, CAP_NET_ADMIN)")


class Network:
    """One at a time on a machine: others wait. What it made is gone after `close`."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._next = itertools.count(1)

    def __enter__(self) -> Self:
        lock = self._stack.enter_context(LOCK.open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        self._clean()  # what a run that was killed left
        # An address of its own: else it has the lowest of its legs', and when that one goes, Pods call the old one.
        command("ip", "link", "add", BRIDGE, "address", "02:00:0a:f4:00:01", "type", "bridge")
        self._stack.callback(self._clean)
        command("ip", "address", "add", f"{GATEWAY}/16", "dev", BRIDGE)
        command("ip", "link", "set", BRIDGE, "up")
        # Services' addresses are this machine's own: services.py listens on them.
        command("ip", "route", "replace", "local", SERVICES, "dev", "lo")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @staticmethod
    def _clean() -> None:
        for each in command("ip", "netns", "list").split():
            if each.startswith("proxyless-"):
                for process in command("ip", "netns", "pids", each, ok=False).split():
                    with suppress(ProcessLookupError):
                        os.kill(int(process), signal.SIGKILL)
                command("ip", "netns", "delete", each, ok=False)
        command("ip", "link", "delete", BRIDGE, ok=False)
        command("ip", "route", "delete", "local", SERVICES, "dev", "lo", ok=False)

    def leg(self) -> Leg:
        """A new address."""
        return Leg(next(self._next))


class Leg:
    """A Pod's network."""

    def __init__(self, number: int) -> None:
        # No address is used twice in a run: who still calls a Pod that is gone reaches nobody.
        self.address = f"10.244.{1 + number // 250}.{1 + number % 250}"
        self.namespace = f"proxyless-{number}"
        # Those of a run that has just ended may still be there: the kernel takes them away when it comes to it.
        self._link = f"pxl{os.getpid()}-{number}"
        command("ip", "netns", "add", self.namespace)
        command(
            "ip", "link", "add", self._link, "master", BRIDGE, "type", "veth",
            "peer", "name", "eth0", "netns", self.namespace,
        )  # fmt: skip
        command("ip", "link", "set", self._link, "up")
        inside = (f"address add {self.address}/16 dev eth0", "link set eth0 up", "link set lo up")
        text = "\n".join((*inside, f"route add default via {GATEWAY}"))
        command("ip", "-netns", self.namespace, "-batch", "-", text=text)

    def plug(self, *, connected: bool) -> None:
        """Whether packets go through; without, they vanish as on a machine that has lost its power."""
        command("ip", "link", "set", self._link, "up" if connected else "down")

    def close(self) -> None:
        command("ip", "netns", "delete", self.namespace, ok=False)
        command("ip", "link", "delete", self._link, ok=False)
