"""The kubelet's probes, asked at the listener of `proxyless.probes`, as Istio's injector rewrites them."""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from typing import Any

PATHS = {"livenessProbe": "livez", "readinessProbe": "readyz", "startupProbe": "startupz"}
HANDLERS = ("httpGet", "tcpSocket", "grpc")
VARIABLE = "ISTIO_KUBE_APP_PROBERS"
READY = "/healthz/ready"


class ProbeError(ValueError):
    """A probe cannot be asked there; the text says why."""


def rewritten(container: MutableMapping[str, Any], listener: int) -> str:
    """Points the probes at the listener and gives what the variable says of them; empty where there are none.

    A probe that asks the listener already stays. Without a readiness probe the container gets the mesh's own.

    Raises:
        ProbeError: a probe names a port that the container has not.
    """
    name = container.get("name")
    known = _known(container)
    found: dict[str, Any] = {}
    for kind, word in PATHS.items():
        probe = container.get(kind)
        if not isinstance(probe, dict):
            continue
        handler = next((each for each in HANDLERS if isinstance(probe.get(each), dict)), None)
        if handler is None:
            continue
        path = f"/app-health/{name}/{word}"
        asked = probe[handler]
        port = _port(container, asked.get("port"), kind)
        if port == listener:
            if asked.get("path") == path and path in known:
                found[path] = known[path]
            continue
        headers = asked.get("httpHeaders")
        said = {key: value for key, value in asked.items() if key != "httpHeaders"} | {"port": port}
        found[path] = {handler: said}
        if probe.get("timeoutSeconds"):
            found[path]["timeoutSeconds"] = probe["timeoutSeconds"]
        at = list(probe).index(handler)
        del probe[handler]
        new = {"path": path, "port": listener} | ({"httpHeaders": headers} if headers else {})
        _put(probe, at, "httpGet", new)
    if not container.get("readinessProbe"):
        container["readinessProbe"] = {"httpGet": {"path": READY, "port": listener}, "periodSeconds": 2}
    return json.dumps(found, separators=(",", ":")) if found else ""


def _put(value: MutableMapping[str, Any], at: int, key: str, new: object) -> None:
    """Where the old handler was, so that what follows keeps its comments."""
    insert = getattr(value, "insert", None)
    if insert is not None:
        insert(at, key, new)
    else:
        value[key] = new


def _known(container: Mapping[str, Any]) -> dict[str, Any]:
    """What a run before this one has said of the app's own probes."""
    for each in container.get("env") or ():
        if isinstance(each, dict) and each.get("name") == VARIABLE:
            try:
                value = json.loads(str(each.get("value")))
            except ValueError:
                raise ProbeError(f"{VARIABLE} is not JSON") from None
            return value if isinstance(value, dict) else {}
    return {}


def _port(container: Mapping[str, Any], port: object, kind: str) -> int:
    if isinstance(port, int) or (isinstance(port, str) and port.isdecimal()):
        return int(port)
    for each in container.get("ports") or ():
        if isinstance(each, dict) and port is not None and each.get("name") == port:
            return int(each.get("containerPort", 0))
    if port is None:  # of grpc and httpGet it is needed; the API server says so itself
        raise ProbeError(f"{kind} names no port")
    raise ProbeError(f"{kind}: the container has no port {port!r}")
