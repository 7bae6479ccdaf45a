"""What sockets of a cluster's connections are told (envoy source: SocketOptionFactory::buildTcpKeepaliveOptions)."""

from __future__ import annotations

import socket
from typing import TypeAlias

from ..xds.model.cluster import Cluster

SocketOptions: TypeAlias = tuple[tuple[int, int, int], ...]
"""(level, name, value), as `setsockopt` takes them."""

IDLE = getattr(socket, "TCP_KEEPIDLE", None) or socket.TCP_KEEPALIVE  # type: ignore[attr-defined]  # macOS's name


def socket_options(cluster: Cluster) -> SocketOptions:
    """Of each connection to an endpoint of the cluster."""
    keepalive = cluster.keepalive
    if keepalive is None:
        return ()
    told = (
        (socket.TCP_KEEPCNT, keepalive.probes),
        (IDLE, keepalive.time_s),
        (socket.TCP_KEEPINTVL, keepalive.interval_s),
    )
    return (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *((socket.IPPROTO_TCP, name, value) for name, value in told if value is not None),
    )
