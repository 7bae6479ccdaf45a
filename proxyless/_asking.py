"""What probes ask over loopback: servers of this pod, as the kubelet would."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

MOST_BODY = 10 << 10
"""Bytes of an answer that are passed on, as Istio's agent does it."""


def ask_http(url: str, headers: dict[str, str], timeout_s: float) -> tuple[int, str, bytes]:
    """GET from loopback: (status, location, the beginning of the body)."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=timeout_s)
    if parts.scheme == "https":  # the kubelet verifies nothing either
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", parts.port or 443, timeout=timeout_s, context=context)
    try:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("location", ""), answer.read(MOST_BODY)
    finally:
        connection.close()


def ask_health(said: Mapping[str, Any], timeout_s: float) -> tuple[int, str]:
    """The health service behind a port of loopback: (status as of HTTP, why)."""
    from .governance.checking.answers import Passed
    from .governance.services.reaching import dial
    from .governance.services.wire import Wire
    from .governance.suites._health_grpc import ask_grpc
    from .xds.model.health_check import GrpcCheck
    from .xds.model.values import Address

    where, until = Address("127.0.0.1", said["port"]), monotonic() + timeout_s
    check = GrpcCheck(said.get("service") or "")
    found = ask_grpc(check, lambda: Wire(dial(where, until), None, until), "localhost", timeout_s)
    return (200, "") if isinstance(found, Passed) else (500, f"{found}\n")
