"""Probes: what is asked of a container, how often, and what its answers come to."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc
import httpx

from .rest import Document

Run = Callable[[Sequence[str], float], int]
"""A command in the container; its exit status."""

SERVING = b"\x08\x01"
"""grpc.health.v1.HealthCheckResponse with status SERVING."""


def port_of(container: Document, said: int | str) -> int:
    """By number or by name."""
    if isinstance(said, int):
        return said
    return next(int(each["containerPort"]) for each in container.get("ports", ()) if each.get("name") == said)


def ask(handler: Document, container: Document, address: str, run: Run, patience_s: float) -> str:
    """Nothing where the answer is good, else what is wrong. Of probes and of lifecycle hooks."""
    try:
        if said := handler.get("httpGet"):
            host, port = said.get("host", address), port_of(container, said["port"])
            url = f"{said.get('scheme', 'HTTP').lower()}://{host}:{port}{said.get('path', '/')}"
            headers = [(each["name"], each["value"]) for each in said.get("httpHeaders", ())]
            # A kubelet does not verify certificates either, and it follows no redirect to another host.
            answer = httpx.get(url, headers=headers, timeout=patience_s, trust_env=False, verify=False)
            return "" if 200 <= answer.status_code < 400 else f"HTTP probe failed with statuscode: {answer.status_code}"
        if said := handler.get("tcpSocket"):
            with socket.create_connection((said.get("host", address), port_of(container, said["port"])), patience_s):
                return ""
        if said := handler.get("grpc"):
            name = (said.get("service") or "").encode()
            request = b"\x0a" + bytes([len(name)]) + name if name else b""
            with grpc.insecure_channel(f"{address}:{said['port']}") as channel:
                reply = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(request, timeout=patience_s)
            return "" if reply == SERVING else "service unhealthy"
        if said := handler.get("exec"):
            status = run(said["command"], patience_s)
            return "" if status == 0 else f"exit status {status}"
    except (OSError, httpx.HTTPError, grpc.RpcError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    return f"a handler with {', '.join(handler)} is not known here"


@dataclass(slots=True)
class Probe:
    """One of a container's three; `good` is None until thresholds say something."""

    said: Document
    due: float
    good: bool | None = None
    message: str = ""
    _row: int = field(default=0)
    """How many answers of the same kind in a row: good ones above zero, bad ones below."""

    @classmethod
    def of(cls, said: Document, started: float) -> Probe:
        return cls(said, started + said.get("initialDelaySeconds", 0))

    def answered(self, message: str, now: float) -> None:
        """Counts an answer; the next is due a period after this one."""
        self.due = now + self.said.get("periodSeconds", 10)
        self._row = min(self._row, 0) - 1 if message else max(self._row, 0) + 1
        if self._row >= self.said.get("successThreshold", 1):
            self.good = True
        elif -self._row >= self.said.get("failureThreshold", 3):
            self.good, self.message = False, message
