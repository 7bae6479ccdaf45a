"""A proxy beside the process: two would retry, time out and count everything twice."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .finding import ERROR, GOOD, UNKNOWN, WARNING, Finding

ADMIN, OUTBOUND, INBOUND, AGENT, HEALTH = 15000, 15001, 15006, 15020, 15021
PORTS = {
    ADMIN: "Envoy's admin",
    OUTBOUND: "outbound traffic",
    INBOUND: "inbound traffic",
    AGENT: "Istio's agent",
    HEALTH: "Istio's health",
}
CHAIN = "ISTIO_"
STATUS = "sidecar.istio.io/status"
AMBIENT = "ambient.istio.io/redirection"
DO = 'label the Pod sidecar.istio.io/inject: "false" and start it anew (`proxyless inject` does it)'
_AMBIENT_DO = "label the Pod istio.io/dataplane-mode: none: its ztunnel would encrypt what is encrypted already"

Opened = Callable[[int], bool]


def opened(port: int) -> bool:
    """Whether somebody listens there on this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def beside(annotations: Mapping[str, Any], is_open: Opened = opened, admin: int = ADMIN) -> Iterator[Finding]:
    """By what the injector writes, by ports, by what iptables say."""
    found = [*seen(annotations, is_open, admin), *redirected()]
    if not any(each.level in (ERROR, WARNING) for each in found):
        found.insert(0, Finding("sidecar", GOOD, "nothing of a sidecar is beside this process"))
    yield from found


def seen(annotations: Mapping[str, Any], is_open: Opened = opened, admin: int = ADMIN) -> Iterator[Finding]:
    """By what the injector writes and by ports: what takes no other program to see."""
    yield from annotated(annotations)
    there = [port for port in PORTS if is_open(admin if port == ADMIN else port)]
    envoy = ADMIN in there and _is_envoy(admin)
    if envoy or {OUTBOUND, INBOUND} & set(there):
        named = ", ".join(f"{port} ({PORTS[port]})" for port in there)
        yield Finding("sidecar", ERROR, f"a proxy listens here at {named}", DO)
    elif ADMIN in there or HEALTH in there:
        named = ", ".join(f"{port} ({PORTS[port]})" for port in there)
        text = f"something listens here at {named}, where a sidecar would"
        yield Finding("sidecar", WARNING, text, "look what it is: `ss -ltnp`")


def annotated(annotations: Mapping[str, Any]) -> Iterator[Finding]:
    """What Istio's injector and its CNI write onto a Pod."""
    if annotations.get(STATUS):
        try:
            containers = json.loads(annotations[STATUS]).get("containers") or []
        except (ValueError, AttributeError):
            containers = []
        named = f" ({', '.join(map(str, containers))})" if containers else ""
        yield Finding("sidecar", ERROR, f"Istio's injector has been at this Pod{named}", DO)
    if annotations.get(AMBIENT) == "enabled":
        yield Finding("sidecar", ERROR, "the Pod is in Istio's ambient mesh: a ztunnel takes its traffic", _AMBIENT_DO)


def redirected() -> Iterator[Finding]:
    """Rules of Istio's init container or CNI, where they may be read."""
    program = shutil.which("iptables-save") or shutil.which("iptables-nft-save")
    if program is None:
        return
    try:
        said = subprocess.run([program, "-t", "nat"], capture_output=True, text=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return
    if said.returncode:
        yield Finding("sidecar", UNKNOWN, "iptables may not be read here", "as root: iptables-save -t nat | grep ISTIO")
    elif f":{CHAIN}" in said.stdout:
        text = "iptables redirect this Pod's traffic to a sidecar (chains ISTIO_...)"
        yield Finding("sidecar", ERROR, text, DO)


def _is_envoy(port: int) -> bool:
    from http.client import HTTPConnection, HTTPException  # every start of a mesh comes here, hardly one further

    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/server_info")
        answer = connection.getresponse()
        return answer.status == 200 and b'"hot_restart_version"' in answer.read(1 << 16)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
