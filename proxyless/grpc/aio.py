"""gRPC on an event loop, governed.

channel = proxyless.grpc.aio.channel("recommend.shop:50051", mesh)
server = grpc.aio.server(interceptors=[proxyless.grpc.aio.ServerInterceptor(mesh, port=50051)])
"""

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
import grpc.aio

from .._composing import policies_of
from .._fitness import refuse_forked, refuse_no_port
from ..governance.suites.grpc_aio import channel_to
from ..governance.suites.grpc_aio_server import GovernedAioServer
from ..mesh import Mesh, runtime_of
from ..tls import server_context

__all__ = ["ServerInterceptor", "channel"]


def channel(
    target: str,
    mesh: Mesh | None = None,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    options: Sequence[tuple[str, Any]] = (),
    compression: grpc.Compression | None = None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] | None = None,
    policies: Iterable[object] = (),
) -> grpc.aio.Channel:
    """A `grpc.aio.Channel` whose calls the mesh governs: stubs take it as any other.

    Args:
        target: whom the calls are for, as for `grpc.aio.insecure_channel`: `recommend.shop:50051`.
        mesh: the mesh; by default the process-wide one, from the environment.
        credentials: the program's own TLS; then a call is opaque to the mesh, as behind a sidecar.
        options: of grpcio's channels, to endpoints as to the target.
        compression: of requests, as for `grpc.aio.insecure_channel`.
        interceptors: of grpcio's kinds; they see a call before the mesh decides where it goes.
        policies: own policies, fallbacks and switches (docs/composition.md).

    Raises:
        UnsupportedError: by a call in a forked child, where the channel has made calls before the fork.
    """
    runtime = runtime_of(mesh)
    own = policies_of(runtime, policies, "proxyless.grpc.aio.channel", blocking=False)
    return channel_to(runtime, target, credentials, options, compression, interceptors, own, refuse_forked)


class ServerInterceptor(GovernedAioServer):
    """Governs a `grpc.aio.server` by the inbound chain of its port: the first of its interceptors.

    `add_port(server, "0.0.0.0:50051")` instead of the server's `add_insecure_port` takes part in the mesh's mTLS.

    Args:
        mesh: the mesh; by default the process-wide one, from the environment.
        port: the app's port as the mesh knows it (the Service's targetPort).
        policies: own policies, fallbacks and switches (docs/composition.md).
    """

    def __init__(self, mesh: Mesh | None = None, *, port: int, policies: Iterable[object] = ()) -> None:
        refuse_no_port(port)
        runtime = runtime_of(mesh)
        own = policies_of(runtime, policies, "proxyless.grpc.aio.ServerInterceptor", blocking=False, incoming=True)
        super().__init__(runtime, lambda: server_context(mesh, port=port, alpn=("h2",)), port, own)


def govern_own() -> GovernedAioServer:
    """`proxyless run`: an interceptor for a server of the program's; whoever gives that a port says so here, too."""
    runtime = runtime_of(None)
    own = policies_of(runtime, (), "proxyless.grpc.aio.ServerInterceptor", blocking=False, incoming=True)
    made = GovernedAioServer(runtime, lambda: server_context(port=made.port, alpn=("h2",)), 0, own)
    return made
