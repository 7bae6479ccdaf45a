"""`proxyless.tls.server_context`: what a server needs to take part in a STRICT or PERMISSIVE mesh.

server = await asyncio.start_server(serve, port=8080, ssl=proxyless.tls.server_context(mesh, port=8080))
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ._fitness import refuse_no_port
from .errors import UnsupportedError
from .governance.peer import SERVED, Peer
from .governance.suites.tls import MeshContext
from .mesh import Mesh, default_mesh, runtime_of

if TYPE_CHECKING:
    from .xds.identity.server import ServerContext, ServerContexts
    from .xds.model.tls import DownstreamTls

__all__ = ["gunicorn", "hypercorn", "peer", "server_context", "uvicorn"]

C = TypeVar("C")

NO_WORKER = (
    "proxyless.tls.gunicorn is for workers of class sync and gthread, not {!r}: "
    "there a client that says nothing would keep all others waiting"
)

NO_QUIC = (
    "quic_bind {}: HTTP/3 cannot be served by the mesh's mTLS: Istio has none between Pods, and aioquic's server asks "
    "clients for no certificate (docs/servers.md)"
)


class _Terminators:
    """Contexts by the identity of a mesh, which is asked for with the first connection."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._contexts: ServerContexts | None = None

    def terminator(self, tls: DownstreamTls, spoken: frozenset[str]) -> ServerContext:
        from .xds.identity.server import ServerContexts

        if self._contexts is None:
            self._contexts = ServerContexts(self._mesh.identity)
        return self._contexts.terminator(tls, spoken)


def server_context(mesh: Mesh | None = None, *, port: int, alpn: Sequence[str] | None = None) -> ssl.SSLContext:
    """A context for the server of an app: mTLS as the mesh's inbound filter chains of `port` want it, or plaintext.

    Any server that takes an `ssl.SSLContext` takes it: those on asyncio, uvloop, trio or anyio, and blocking ones. It
    tells TLS from plaintext by the first bytes of a connection and follows PeerAuthentication (STRICT, PERMISSIVE,
    DISABLE) as it changes; new connections use new certificates, those under way live on.

    Args:
        mesh: the mesh; by default the process-wide one, from the environment.
        port: the app's port as the mesh knows it.
        alpn: what the server can speak. A server that sets ALPN protocols itself says so; else it is HTTP/1.1, and
            HTTP/2 too on event loops.

    Raises:
        RuntimeError: governance is switched off (PROXYLESS_DISABLE=1), so nobody would terminate TLS.
        TypeError, ValueError: an argument makes no sense.
    """
    refuse_no_port(port)
    runtime = runtime_of(mesh)
    if runtime is None:
        raise RuntimeError("PROXYLESS_DISABLE=1: serve without a context")
    return MeshContext(runtime, _Terminators(mesh if mesh is not None else default_mesh()), port, alpn)


def beneath(port: int, alpn: Sequence[str]) -> ssl.SSLContext:
    """`proxyless run`: a context of the mesh of the process, under an app that has been given a layer."""
    mesh = default_mesh()
    return MeshContext(mesh.runtime, _Terminators(mesh), port, alpn, beneath=True)


def uvicorn(config: C, mesh: Mesh | None = None, *, port: int | None = None) -> C:
    """A `uvicorn.Config` that serves by `server_context`: `uvicorn.Server(proxyless.tls.uvicorn(config, mesh)).run()`.

    `port` is the app's port as the mesh knows it, by default the config's. The config is changed, loaded and returned.
    """
    any_config: Any = config
    if not any_config.loaded:
        any_config.load()
    any_config.ssl = server_context(mesh, port=any_config.port if port is None else port, alpn=("http/1.1",))
    return config


def hypercorn(config: C, mesh: Mesh | None = None, *, port: int | None = None) -> C:
    """A copy of a `hypercorn.config.Config` that serves by `server_context`.

    `port` is the app's port as the mesh knows it, by default that of the first address that the config binds.

    Raises:
        UnsupportedError: the config binds QUIC. Istio speaks no HTTP/3 to a Pod, and aioquic's server asks clients for
            no certificate: nobody could say who calls.
    """
    any_config: Any = config
    if any_config.quic_bind:
        raise UnsupportedError(NO_QUIC.format(", ".join(any_config.quic_bind)))
    own: int = int(any_config.bind[0].rpartition(":")[2]) if port is None else port
    return secured(config, lambda alpn: server_context(mesh, port=own, alpn=alpn))


def secured(config: C, context: Callable[[Sequence[str]], ssl.SSLContext]) -> C:
    """A copy of a configuration of hypercorn's that serves by a context for protocols of ALPN."""
    any_config: Any = config

    class Governed(type(any_config)):  # type: ignore[misc]  # the class of the config that was given
        ssl_enabled = True

        def create_ssl_context(self) -> ssl.SSLContext:
            return context(self.alpn_protocols)

    made: Any = Governed()
    made.__dict__.update(any_config.__dict__)
    copied: C = made
    return copied


class _ByPort:
    """What gunicorn asks of a context: that of the port which a connection has come to."""

    def __init__(self, mesh: Mesh | None) -> None:
        self._mesh = mesh
        self._made: dict[int, ssl.SSLContext] = {}

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:
        """As of an `ssl.SSLContext`. Raises ValueError for a Unix socket, which has no port."""
        where = sock.getsockname()
        if sock.family not in (socket.AF_INET, socket.AF_INET6):
            raise ValueError("a Unix socket has no port: proxyless.tls.gunicorn(mesh, port=...) says the app's")
        port = int(where[1])
        context = self._made.get(port)
        if context is None:
            context = self._made[port] = server_context(self._mesh, port=port)
        return context.wrap_socket(sock, **options)


def gunicorn(mesh: Mesh | None = None, *, port: int | None = None) -> Callable[..., ssl.SSLContext | _ByPort]:
    """What `ssl_context` is set to in gunicorn's configuration, for its sync and gthread workers.

    `port` is the app's port as the mesh knows it, by default the one that a connection has come to; a server on a Unix
    socket has to say it. `certfile` has to be set to any file that exists: gunicorn speaks TLS only then, and the file
    is not read. Other workers do not start.
    """
    made: dict[int, ssl.SSLContext | _ByPort] = {}  # by process: workers are forked

    def hook(config: Any, default: object = None) -> ssl.SSLContext | _ByPort:  # noqa: ARG001  # gunicorn's own
        process = os.getpid()
        context = made.get(process)
        if context is None:
            _worker_is_fit(config)
            context = _ByPort(mesh) if port is None else server_context(mesh, port=port)
            config.set("pre_request", telling(config.pre_request))
            made.clear()
            made[process] = context
        return context

    return hook


def _worker_is_fit(config: Any) -> None:
    """Raises gunicorn's AppImportError, which stops all of it and tells why."""
    from gunicorn.errors import AppImportError  # type: ignore[import-untyped]
    from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]
    from gunicorn.workers.sync import SyncWorker  # type: ignore[import-untyped]

    if not issubclass(config.worker_class, (SyncWorker, ThreadWorker)):
        raise AppImportError(NO_WORKER.format(config.worker_class_str))


def telling(then: Callable[[Any, Any], object]) -> Callable[[Any, Any], None]:
    """gunicorn's `pre_request` that says first whose request a thread is about to serve.

    A thread of a pool need not have read it: it may have come with the one before, which another thread has served.
    """

    def before(worker: Any, request: Any) -> None:
        connection = getattr(getattr(request, "unreader", None), "sock", None)
        SERVED.set(getattr(connection, "served", None))
        then(worker, request)

    return before


def peer(connection: ssl.SSLSocket | None = None) -> Peer | None:
    """The other side of the connection whose request this task or thread serves; None where it came in the clear.

    `connection`: one of a blocking server's that serves no requests.
    """
    served = getattr(connection, "served", None) if connection is not None else SERVED.get()
    return served.peer if served is not None and served.open else None
