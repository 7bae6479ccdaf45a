"""`proxyless.asgi.Middleware`: incoming requests of an ASGI app, governed.

app = proxyless.asgi.Middleware(app, mesh)
"""

from .governance.suites.asgi import App, AsgiMiddleware
from .mesh import Mesh, runtime_of

__all__ = ["Middleware"]


class Middleware(AsgiMiddleware):
    """Governs an ASGI app by the inbound chain of its port.

    Args:
        app: the app.
        mesh: the mesh; by default the process-wide one, from the environment.
        port: the app's port as the mesh knows it; by default the port that the server says it listens on.
    """

    def __init__(self, app: App, mesh: Mesh | None = None, *, port: int | None = None) -> None:
        super().__init__(app, runtime_of(mesh), port)
