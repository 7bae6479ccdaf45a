"""What sockets are told of keepalive."""

from __future__ import annotations

import socket

import pytest

from proxyless.governance.sockets import IDLE, SocketOptions, socket_options
from proxyless.xds.model.cluster import Cluster, TcpKeepalive

ON = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
TCP = socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("keepalive", "told"),
    [
        (None, ()),
        (TcpKeepalive(), (ON,)),
        (TcpKeepalive(time_s=60), (ON, (TCP, IDLE, 60))),
        (
            TcpKeepalive(3, 60, 10),
            (ON, (TCP, socket.TCP_KEEPCNT, 3), (TCP, IDLE, 60), (TCP, socket.TCP_KEEPINTVL, 10)),
        ),
    ],
)
def test_what_is_not_said_is_left_to_the_operating_system(keepalive: TcpKeepalive | None, told: SocketOptions) -> None:
    assert socket_options(Cluster("a", keepalive=keepalive)) == told
