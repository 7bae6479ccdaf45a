"""Where a channel leads, as its target and its options say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import grpc

from ..request import RequestView
from ._grpc_rpc import Place

DEFAULT_PORT = 443
"""Of a target without one: grpcio asks for `https` then."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(?://[^/]*/)?", re.IGNORECASE)
_RESOLVED = frozenset({"dns", "ipv4", "ipv6"})


def place_of(target: str, options: Sequence[tuple[str, Any]], *, secure: bool) -> Place | None:
    """None for a target that the mesh has nothing to say of: a Unix socket, several addresses, another resolver."""
    rest, scheme = target, _SCHEME.match(target)
    if scheme is not None and scheme[1].lower() in _RESOLVED:
        rest = target[scheme.end() :]
    if not rest or "," in rest or "/" in rest:
        return None
    host, port = rest, ""
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    if port and not (port.isascii() and port.isdigit() and int(port) < 65536):
        return None
    given = dict(options)
    authority = given.get("grpc.default_authority") or given.get("grpc.ssl_target_name_override") or rest
    agent = f"grpc-python/{grpc.__version__}"
    if given.get("grpc.primary_user_agent"):
        agent = f"{given['grpc.primary_user_agent']} {agent}"
    spoken = b"https" if secure else b"http"
    says = [
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"user-agent", agent.encode()),
        (b"grpc-accept-encoding", b"identity, deflate, gzip"),
    ]
    name = str(authority).encode()
    return Place(host.encode(), int(port or DEFAULT_PORT), name, RequestView(b"POST", spoken, name, b"", says))


def told(options: Sequence[tuple[str, Any]], place: Place) -> list[tuple[str, Any]]:
    """The same options for a channel that leads to that place by another target."""
    kept = [pair for pair in options if pair[0] != "grpc.default_authority"]
    return [*kept, ("grpc.default_authority", place.authority.decode()), ("grpc.use_local_subchannel_pool", 1)]
