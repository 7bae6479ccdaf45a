"""gRPC, governed: channels and servers in threads (`proxyless.grpc.aio` for those on an event loop).

channel = proxyless.grpc.channel("recommend.shop:50051", mesh)
server = grpc.server(ThreadPoolExecutor(), interceptors=[proxyless.grpc.ServerInterceptor(mesh, port=50051)])
"""

from collections.abc import Iterable, Sequence
from typing import Any

import grpc

from .._composing import policies_of
from .._fitness import refuse_forked, refuse_no_port
from ..governance.suites.grpc import channel_to
from ..governance.suites.grpc_server import GovernedServer
from ..mesh import Mesh, runtime_of
from ..tls import server_context
from ..xds.transport.grpc_stream import fit_for_gevent

__all__ = ["ServerInterceptor", "channel"]


def channel(
    target: str,
    mesh: Mesh | None = None,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
    compression: grpc.Compression | None = None,
    policies: Iterable[object] = (),
) -> grpc.Channel:
    """A `grpc.Channel` whose calls the mesh governs: stubs and interceptors take it as any other.

    Args:
        target: whom the calls are for, as for `grpc.insecure_channel`: `recommend.shop:50051`.
        mesh: the mesh; by default the process-wide one, from the environment.
        credentials: the program's own TLS; then a call is opaque to the mesh, as behind a sidecar.
        options: of grpcio's channels, to endpoints as to the target.
        compression: of requests, as for `grpc.insecure_channel`.
        policies: own policies, fallbacks and switches (docs/composition.md).

    Raises:
        UnsupportedError: by a call in a forked child, where the channel has made calls before the fork.
    """
    runtime = runtime_of(mesh)
    own = policies_of(runtime, policies, "proxyless.grpc.channel", blocking=True)
    fit_for_gevent()
    return channel_to(runtime, target, credentials, options, compression, own, refuse_forked)


class ServerInterceptor(GovernedServer):
    """Governs a `grpc.server` by the inbound chain of its port: the first of its interceptors.

    `add_port(server, "0.0.0.0:50051")` instead of the server's `add_insecure_port` takes part in the mesh's mTLS.

    Args:
        mesh: the mesh; by default the process-wide one, from the environment.
        port: the app's port as the mesh knows it (the Service's targetPort).
        policies: own policies, fallbacks and switches (docs/composition.md).
    """

    def __init__(self, mesh: Mesh | None = None, *, port: int, policies: Iterable[object] = ()) -> None:
        refuse_no_port(port)
        runtime = runtime_of(mesh)
        own = policies_of(runtime, policies, "proxyless.grpc.ServerInterceptor", blocking=True, incoming=True)
        super().__init__(runtime, lambda: server_context(mesh, port=port, alpn=("h2",)), port, own)


def govern_own() -> GovernedServer:
    """`proxyless run`: an interceptor for a server of the program's; whoever gives that a port says so here, too."""
    runtime = runtime_of(None)
    own = policies_of(runtime, (), "proxyless.grpc.ServerInterceptor", blocking=True, incoming=True)
    made = GovernedServer(runtime, lambda: server_context(port=made.port, alpn=("h2",)), 0, own)
    return made
