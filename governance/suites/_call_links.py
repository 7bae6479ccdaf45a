"""Connections of `Mesh.call` as the pools of the mesh see them, for threads and for tasks."""

from __future__ import annotations

import asyncio
import select
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from ..actions import Failure, OpenConnection
from ..peer import Peer, Principals
from ..waiting import call_in
from ._steps import handshake_of, principals_of, run, run_async, speaks_http2
from ._underway import Underway
from .tcp import ERRORS, LIMIT, Sockets, TaskSockets

NAME = "mesh.call"


class Owner(NamedTuple):
    """Whose connections they are, in one event loop."""

    loop: asyncio.AbstractEventLoop
    suite: str = NAME

    def is_closed(self) -> bool:
        """Whether nobody can use them any more."""
        return self.loop.is_closed()


class Link(ABC):
    """A connection as the pools of the mesh see it (governance.pool.Connection)."""

    def __init__(self) -> None:
        self.idle = True
        self.principals: Principals | None = None
        self.handshake: Callable[[], Peer] | None = None

    def peer(self) -> Peer | None:
        """Who has completed its handshake."""
        return None if self.handshake is None else self.handshake()

    def usable(self) -> bool:
        """Whether the response before has been read, and who read it says that another may follow."""
        return self.idle

    @abstractmethod
    def fresh(self) -> bool:
        """Usable, and the other side has not closed it meanwhile."""

    @abstractmethod
    def shut(self) -> None:
        """End what is under way on it, from any thread: whoever reads has the end."""

    @abstractmethod
    def close(self) -> None:
        """Close it."""


class SocketLink(Link):
    """For threads."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.sock = sock

    def fresh(self) -> bool:
        if not self.idle or self.sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)

    def shut(self) -> None:
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        self.idle = False
        self.sock.close()


class StreamLink(Link):
    """For tasks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self.reader = reader
        self.writer = writer
        self._loop = asyncio.get_running_loop()

    def fresh(self) -> bool:
        return self.idle and not self.reader.at_eof() and not self.writer.is_closing()

    def shut(self) -> None:
        self.writer.transport.abort()

    def close(self) -> None:
        self.idle = False
        call_in(self._loop, self.shut)


def _secured(link: Link, stream: Any, action: OpenConnection) -> Link:
    if action.pool.secure is not None:
        if action.negotiates and speaks_http2(stream):
            link.close()
            raise _by_http2(action)
        link.principals, link.handshake = principals_of(stream), handshake_of(stream)
    return link


def _by_http2(action: OpenConnection) -> Exception:
    return ERRORS.connect_error(f"UF: cluster {action.pool.host.cluster} speaks HTTP/2, mesh.call does not")


def open_link(call: Underway, action: OpenConnection) -> Link | Failure:
    if action.http2:
        raise _by_http2(action)
    stream = run(call.opening(action), Sockets(None))
    if isinstance(stream, Failure):
        return stream
    stream.sock.settimeout(None)
    return _secured(SocketLink(stream.sock), stream, action)


async def open_link_async(call: Underway, action: OpenConnection) -> Link | Failure:
    if action.http2:
        raise _by_http2(action)
    stream = await run_async(call.opening(action), TaskSockets(LIMIT))
    if isinstance(stream, Failure):
        return stream
    transport = await stream.made()
    writer = asyncio.StreamWriter(transport, stream.protocol, stream.reader, asyncio.get_running_loop())
    return _secured(StreamLink(stream.reader, writer), stream, action)
