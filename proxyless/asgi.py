"""`proxyless.asgi.Middleware`: incoming requests of an ASGI app, governed.

app = proxyless.asgi.Middleware(app, mesh)
"""

from collections.abc import Iterable

from ._composing import policies_of
from ._fitness import refuse_no_port, refuse_own_tls
from .governance.suites._layers import governs_itself
from .governance.suites.asgi import App, AsgiMiddleware
from .mesh import Mesh, runtime_of

__all__ = ["Middleware"]


class Middleware(AsgiMiddleware):
    """Governs an ASGI app by the inbound chain of its port.

    Args:
        app: the app.
        mesh: the mesh; by default the process-wide one, from the environment.
        port: the app's port as the mesh knows it; by default the port that the server says it listens on.
        policies: own policies, fallbacks and switches (docs/composition.md).

    Raises:
        TypeError, ValueError: an argument makes no sense.
        UnsupportedError: the server terminates TLS where the mesh cannot (granian).
    """

    def __init__(
        self, app: App, mesh: Mesh | None = None, *, port: int | None = None, policies: Iterable[object] = ()
    ) -> None:
        refuse_no_port(port)
        runtime = runtime_of(mesh)
        if runtime is not None:
            refuse_own_tls()
        own = policies_of(runtime, policies, "proxyless.asgi.Middleware", blocking=False, incoming=True)
        super().__init__(app, runtime, port, own)


def govern_own(app: App) -> App:
    """`proxyless run`: an app that a server has loaded, governed by the mesh of the process, unless it is governed."""
    return app if governs_itself(app) else Middleware(app)
