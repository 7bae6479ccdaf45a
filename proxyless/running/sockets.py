"""The mesh's mTLS under servers that know nothing of it: a context for the port that a server listens on.

It is for TLS alone. What comes in the clear is decided about by the app's layer, request by request, as without it; so
a server gets a context only where `run` has given its app that layer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from .._variables import names

if TYPE_CHECKING:
    from socket import socket
    from ssl import SSLContext

SKIP = "PROXYLESS_RUN_SKIP"
"""Libraries that are left alone, by commas."""
MTLS = "mtls"
"""What the mTLS of all servers is called there."""


def skipped() -> bool:
    """Whether servers' sockets are left alone."""
    return MTLS in names(os.environ.get(SKIP, ""))


def port_of(sock: socket) -> int:
    """Where a socket listens; 0 for one without a port."""
    return int(sock.getsockname()[1]) if sock.family.name.startswith("AF_INET") else 0


def number(port: object) -> int:
    """A port that may be written as a text; 0 where it is a name."""
    return int(str(port)) if str(port).isdecimal() else 0


def context(server: str, ports: Iterable[int], alpn: Sequence[str] = ("http/1.1",)) -> SSLContext | None:
    """What a server on an event loop is to accept connections by; None where it is left as it is.

    Such a context is not told where a connection has come to, so it is for one port.
    """
    listening = sorted(set(ports))
    if skipped() or not any(listening):
        return None
    if len(listening) > 1:
        left_alone(server, f"listens on ports {', '.join(map(str, listening))} with one context for them all")
        return None
    made: SSLContext = import_module("proxyless.tls").beneath(listening[0], alpn)
    return made


def around(server: str, sock: socket) -> socket:
    """A socket that listens for a blocking server; what it accepts takes mTLS, unless it is left as it is."""
    made = context(server, [port_of(sock)])
    return sock if made is None else made.wrap_socket(sock, server_side=True)


def left_alone(server: str, why: str = "speaks TLS of its own") -> None:
    """Tells of a server whose socket stays as it is, unless that is on purpose."""
    if not skipped():
        import logging  # costs too much for each interpreter

        logging.getLogger("proxyless").warning("%s %s: its socket is left as it is", server, why)
