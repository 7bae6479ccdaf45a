"""A port of the mesh's in front of a gRPC server: it tells TLS from plaintext, terminates what its filter chain says,
and hands the bytes on to the server over a Unix socket that nobody else may open.

grpcio takes one kind of connection at a port, verifies peers by one set of roots, and does not say what a connection
began with. So connections are taken here, by the context that any other server is given (`MeshContext`), in one thread
with a loop of its own. Each goes on from a Unix socket with a name of its own, by which the interceptor finds out who
is at the other end of a call: grpcio names it as the call's peer.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..composition.compose import Policies
from ..entrance import Source, plain
from ..runtime import Runtime
from ._grpc_inbound import Came, LostError
from ._layers import Governs, Layer
from ._tls_wrapped import Wrapped

if TYPE_CHECKING:
    import ssl

    from .tls import MeshContext

log = logging.getLogger("proxyless")

BACKLOG = 128
AFTER_FAILURE_S = 0.5
"""Before connections are accepted again when the process has no file descriptor left."""


class _Knowing:
    """A context that knows who connects. An event loop asks nothing else of it."""

    def __init__(self, context: MeshContext, source: Source) -> None:
        self._context = context
        self._source = source

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **_: Any) -> ssl.SSLObject:
        return Wrapped.of(self._context, incoming, outgoing, self._source)


class _Half(asyncio.Protocol):
    """One side of a connection that is handed on; what it reads the other side writes."""

    transport: asyncio.Transport

    def __init__(self, front: Front) -> None:
        self._front = front
        self.other: _Half | None = None
        self.name = ""
        """That of the Unix socket; of the outer side only."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.pause_reading()
        self._front.halves.add(self)

    def join(self, other: _Half) -> None:
        """From now on bytes go both ways."""
        for one, another in ((self, other), (other, self)):
            one.other = another
        for each in (self, other):
            if each.transport.is_closing():
                self.end()
                return
        self.transport.resume_reading()
        other.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # asyncio's
        self._front.halves.discard(self)
        self.end()

    def end(self) -> None:
        """Both sides; what was read is still written."""
        self._front.came.pop(self.name, None)
        self.transport.close()
        if self.other is not None:
            self._front.came.pop(self.other.name, None)
            self.other.transport.close()


class Front:
    """Listens until `close`. `came`: the connections that are open now, by the name that grpcio calls their peer."""

    def __init__(self, context: MeshContext, listening: socket.socket, came: dict[str, Came]) -> None:
        self.context = context
        self.listening = listening
        self.came = came
        self.folder = tempfile.mkdtemp(prefix="proxyless-")  # nobody else may look into it
        self.inner = f"{self.folder}/s"
        self.halves: set[_Half] = set()
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._stopped = self._loop.create_future()
        self._closed = False
        listening.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="proxyless-grpc-port", daemon=True)

    @property
    def prefix(self) -> str:
        """How the names of its connections begin."""
        return f"unix:{self.folder}/"

    def start(self) -> None:
        """Accept."""
        self._thread.start()

    def close(self) -> None:
        """No connection more, and those that are open end."""
        self.let_go()
        if self._thread.is_alive():
            self._thread.join()

    def let_go(self) -> None:
        """The same without waiting for it."""
        if self._closed:
            return
        self._closed = True
        if self._thread.ident is None:
            self._end()
        else:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stopped.set_result, None)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._end()

    def _end(self) -> None:
        self._loop.close()
        self.listening.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _serve(self) -> None:
        accepting = asyncio.ensure_future(self._accept())
        await self._stopped
        tasks = [accepting, *self._tasks]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for half in list(self.halves):
            half.transport.abort()
        await asyncio.sleep(0)  # connections are told that they are lost

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self.listening)
            except OSError as error:
                log.warning("port %d: a connection could not be accepted: %s", self.context.port, error)
                await asyncio.sleep(AFTER_FAILURE_S)
                continue
            task = loop.create_task(self._take(sock))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, sock: socket.socket) -> None:
        """Let a connection in, or not: then the log has said why."""
        loop = asyncio.get_running_loop()
        outer = _Half(self)
        try:
            source = _source(sock)
            context: Any = _Knowing(self.context, source)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport, _ = await loop.connect_accepted_socket(lambda: outer, sock, ssl=context)
        except OSError:
            sock.close()
            return
        served = transport.get_extra_info("ssl_object").served
        try:
            await self._hand_on(outer, Came(served, source))
        except OSError as error:
            log.warning("port %d: the server does not take a connection: %s", self.context.port, error)
            outer.end()

    async def _hand_on(self, outer: _Half, came: Came) -> None:
        loop = asyncio.get_running_loop()
        self._count += 1
        path = f"{self.folder}/{self._count}"
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.setblocking(False)
            sock.bind(path)
            outer.name = f"unix:{path}"
            self.came[outer.name] = came
            await loop.sock_connect(sock, self.inner)
            inner = _Half(self)
            await loop.create_connection(lambda: inner, sock=sock)
        except BaseException:
            sock.close()
            self.came.pop(outer.name, None)
            raise
        finally:
            _forget(path)
        outer.join(inner)


def _forget(path: str) -> None:
    """The kernel goes on calling the connection by its name."""
    with suppress(OSError):
        Path(path).unlink()


def _source(sock: socket.socket) -> Source:
    there, here = sock.getpeername(), sock.getsockname()
    return Source(plain(there[0]), there[1], plain(here[0]))


def listen(address: str, *, reuse_port: bool) -> socket.socket:
    """A socket that listens at `host:port`, spelled as for grpcio.

    Raises:
        ValueError: it is not spelled so.
        OSError: nobody can listen there.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"address {address!r} is not HOST:PORT, such as 0.0.0.0:50051 or [::]:50051")
    host = host.strip("[]")
    six = ":" in host
    return socket.create_server(
        (host, int(port)),
        family=socket.AF_INET6 if six else socket.AF_INET,
        backlog=BACKLOG,
        reuse_port=reuse_port,
        dualstack_ipv6=six and host == "::" and socket.has_dualstack_ipv6(),
    )


def open_front(
    server: Any, address: str, context: MeshContext, came: dict[str, Came], *, reuse_port: bool
) -> tuple[Front, int]:
    """A port in front of a gRPC server; it is closed when nobody has the server any more."""
    listening = listen(address, reuse_port=reuse_port)
    try:
        front = Front(context, listening, came)
    except BaseException:
        listening.close()
        raise
    try:
        if not server.add_insecure_port(f"unix:{front.inner}"):
            raise OSError(f"the server cannot listen at {front.inner}")
        front.start()
    except BaseException:
        front.close()
        raise
    weakref.finalize(server, front.let_go)
    return front, int(listening.getsockname()[1])


class Governing(Governs):
    """What the interceptors of both kinds of servers share: a mesh, the app's port, and ports in front of servers."""

    def __init__(
        self,
        runtime: Runtime | None,
        context: Callable[[], ssl.SSLContext],
        port: int,
        policies: Policies | None = None,
    ) -> None:
        self.runtime = runtime
        self.policies = policies
        self.port = port
        self.came: dict[str, Came] = {}
        self.layer = Layer("proxyless.grpc.ServerInterceptor")
        self._context = context
        self._fronts: list[Front] = []

    def add_port(self, server: Any, address: str, *, reuse_port: bool = False) -> int:
        """Serve at `host:port` as the mesh's inbound filter chains want it: by mTLS, in the clear, or both.

        Instead of the server's `add_insecure_port`, and like it: returns the port, which may have been given as 0.
        It is closed with `close`, or when nobody has the server any more.

        Raises:
            ValueError: the address is not HOST:PORT.
            OSError: nobody can listen there.
        """
        if self.runtime is None:
            bound: int = server.add_insecure_port(address)
            return bound
        context: Any = self._context()
        front, bound = open_front(server, address, context, self.came, reuse_port=reuse_port)
        self._fronts.append(front)
        return bound

    def close(self) -> None:
        """Close the ports that were added, with their connections: after the server's own `stop`."""
        while self._fronts:
            self._fronts.pop().close()

    def came_by(self, peer: str) -> Came | None:
        """The connection of a port of ours that brought a call; None for one of the server's own ports.

        Raises:
            LostError: it has ended meanwhile.
        """
        came = self.came.get(peer)
        if came is None and any(peer.startswith(each.prefix) for each in self._fronts):
            raise LostError
        return came
