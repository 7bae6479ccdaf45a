"""What makes a connection pool invalid beyond the types of its fields, as Istio's own admission refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .destination_rule import ConnectionPoolSettings
from .problems import Problem

_SHORTEST_S = 0.001
_COUNTS = (
    ("http", "http1_max_pending_requests", "http1MaxPendingRequests"),
    ("http", "http2_max_requests", "http2MaxRequests"),
    ("http", "max_requests_per_connection", "maxRequestsPerConnection"),
    ("http", "max_retries", "maxRetries"),
    ("http", "max_concurrent_streams", "maxConcurrentStreams"),
    ("tcp", "max_connections", "maxConnections"),
)


def connection_pool(made: ConnectionPoolSettings) -> Iterator[Problem]:
    if made.http is None and made.tcp is None:
        yield (), "must have one of http, tcp"
    for part, name, key in _COUNTS:
        held: Any = getattr(made, part)
        if held is not None and getattr(held, name) < 0:
            yield (part, key), f"must be at least 0, not {getattr(held, name)}"
    yield from _durations(made)
    if made.http is not None and made.http.h2_upgrade_policy == "UPGRADE" and made.http.use_client_protocol:
        yield ("http", "useClientProtocol"), "cannot be set where h2UpgradePolicy is UPGRADE"


def _durations(made: ConnectionPoolSettings) -> Iterator[Problem]:
    """At least a millisecond, and whole ones; TCP's idle timeout may be 0, which is none."""
    http, tcp = made.http, made.tcp
    said: list[tuple[tuple[str, ...], float | None]] = []
    if http is not None:
        said.append((("http", "idleTimeout"), http.idle_timeout))
        alive = http.http2_keep_alive
        if alive is not None:
            for key, value in (("interval", alive.interval), ("timeout", alive.timeout)):
                if value is None:
                    yield ("http", "http2KeepAlive", key), "is required"
                said.append((("http", "http2KeepAlive", key), value))
    if tcp is not None:
        said.append((("tcp", "connectTimeout"), tcp.connect_timeout))
        said.append((("tcp", "maxConnectionDuration"), tcp.max_connection_duration))
        said.append((("tcp", "idleTimeout"), tcp.idle_timeout or None))
        if tcp.tcp_keepalive is not None:
            said.append((("tcp", "tcpKeepalive", "time"), tcp.tcp_keepalive.time))
            said.append((("tcp", "tcpKeepalive", "interval"), tcp.tcp_keepalive.interval))
    for keys, seconds in said:
        if seconds is not None and seconds < _SHORTEST_S:
            yield keys, "must be at least 1ms"
        elif seconds is not None and round(seconds * 1e9) % 1_000_000:
            yield keys, "must be a whole number of milliseconds"
