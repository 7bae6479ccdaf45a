"""`proxyless.tls.server_context`: what a server needs to take part in a STRICT or PERMISSIVE mesh.

server = await asyncio.start_server(serve, port=8080, ssl=proxyless.tls.server_context(mesh, port=8080))
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .governance.peer import SERVED, Peer
from .governance.suites.tls import MeshContext
from .mesh import Mesh, default_mesh, runtime_of

if TYPE_CHECKING:
    from .xds.identity.server import ServerContext, ServerContexts
    from .xds.model.tls import DownstreamTls

__all__ = ["gunicorn", "hypercorn", "peer", "server_context", "uvicorn"]

C = TypeVar("C")


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
    """
    runtime = runtime_of(mesh)
    if runtime is None:
        raise RuntimeError("PROXYLESS_DISABLE=1: serve without a context")
    return MeshContext(runtime, _Terminators(mesh if mesh is not None else default_mesh()), port, alpn)


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
    """
    any_config: Any = config
    own: int = int(any_config.bind[0].rpartition(":")[2]) if port is None else port

    class Governed(type(any_config)):  # type: ignore[misc]  # the class of the config that was given
        ssl_enabled = True

        def create_ssl_context(self) -> ssl.SSLContext:
            return server_context(mesh, port=own, alpn=self.alpn_protocols)

    made: Any = Governed()
    made.__dict__.update(any_config.__dict__)
    copied: C = made
    return copied


def gunicorn(mesh: Mesh | None = None, *, port: int | None = None) -> Callable[..., ssl.SSLContext]:
    """What `ssl_context` is set to in gunicorn's configuration, for its sync and gthread workers.

    `port` is the app's port as the mesh knows it, by default that of the first address that is bound. `certfile` has to
    be set to any file that exists: gunicorn speaks TLS only then, and the file is not read.
    """
    made: dict[int, ssl.SSLContext] = {}  # by process: workers are forked

    def hook(config: Any, default: object = None) -> ssl.SSLContext:  # noqa: ARG001  # gunicorn's own context
        process = os.getpid()
        context = made.get(process)
        if context is None:
            own: int = int(str(config.address[0][1])) if port is None else port
            context = server_context(mesh, port=own)
            config.set("pre_request", _telling(config.pre_request))
            made.clear()
            made[process] = context
        return context

    return hook


def _telling(then: Callable[[Any, Any], object]) -> Callable[[Any, Any], None]:
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
