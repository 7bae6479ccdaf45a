"""`proxyless.aiohttp`: outgoing calls of aiohttp sessions, and requests to aiohttp applications, governed.

async with aiohttp.ClientSession(middlewares=[proxyless.aiohttp.middleware(mesh)]) as session: ...
app = aiohttp.web.Application(middlewares=[proxyless.aiohttp.server(mesh)])
"""

from collections.abc import Iterable, Sequence
from typing import Any

try:
    import aiohttp
    from aiohttp import web
except ModuleNotFoundError as error:
    text = f"proxyless.aiohttp needs aiohttp ({error}): pip install 'proxyless[aiohttp]'"
    raise ModuleNotFoundError(text, name=error.name) from error

from ._composing import policies_of
from ._fitness import refuse_no_port
from ._versions import require
from .errors import UnsupportedError
from .governance.suites._layers import governs_itself
from .governance.suites._underway import ErrorMode
from .governance.suites.aiohttp import Middleware, call_of, client, governor_of
from .governance.suites.aiohttp import server as serving
from .mesh import Mesh, runtime_of

__all__ = ["call", "middleware", "server"]


def middleware(
    mesh: Mesh | None = None, *, errors: ErrorMode = "response", policies: Iterable[object] = ()
) -> Middleware:
    """A client middleware that governs the requests of a session. Put it last: the others then see what it does.

    `policies`: own policies, fallbacks and switches (docs/composition.md).

    Raises:
        UnsupportedError: another version of aiohttp is installed.
    """
    require("aiohttp", "3.12.15", "4")
    runtime = runtime_of(mesh)
    return client(runtime, errors, policies_of(runtime, policies, "proxyless.aiohttp.middleware", blocking=False))


def govern_own(session: aiohttp.ClientSession) -> None:
    """`proxyless run`: a session of the program's is governed by the mesh of the process, unless it is governed.

    A connector that leads elsewhere (a Unix socket, a test's) is left alone.
    """
    if governor_of(session._middlewares) is None and isinstance(session.connector, aiohttp.TCPConnector):
        session._middlewares = (*session._middlewares, middleware())


def governing(session: aiohttp.ClientSession, own: Sequence[Middleware]) -> Sequence[Middleware]:
    """`proxyless run`: middlewares that one request has in place of its session's, with what governs that."""
    governor = governor_of(session._middlewares)
    return own if governor is None or governor_of(own) is not None else (*own, governor)


def call(response: aiohttp.ClientResponse) -> Any:
    """What became of the call that this is the response of: route, endpoint, tries, flags; None if not governed."""
    return call_of(response)


def server(mesh: Mesh | None = None, *, port: int | None = None, policies: Iterable[object] = ()) -> Any:
    """A middleware of an `aiohttp.web.Application` that lets in what the mesh lets in. Put it first.

    `port`: the app's port in the pod; by default the one of the socket that a request came to. `policies`: own
    policies, fallbacks and switches (docs/composition.md).

    Raises:
        UnsupportedError: another version of aiohttp is installed.
    """
    require("aiohttp", "3.12.15", "4")
    refuse_no_port(port)
    runtime = runtime_of(mesh)
    own = policies_of(runtime, policies, "proxyless.aiohttp.server", blocking=False, incoming=True)
    return serving(runtime, port, own)


def govern_application(app: web.Application) -> None:
    """`proxyless run`: an application that is about to be served, governed by the mesh of the process, unless it is.

    Raises:
        UnsupportedError: it takes no middleware any more.
    """
    if governs_itself(app):
        return
    if app.middlewares.frozen:
        raise UnsupportedError(
            "an aiohttp application that is frozen before it is served cannot be governed "
            "(or leave it alone: --skip aiohttp.web)"
        )
    made = server()
    made.beneath = True
    app.middlewares.insert(0, made)


def is_governed_by_run(app: web.Application | None) -> bool:
    """`proxyless run`: whether an application has got its layer by `govern_application`."""
    return app is not None and any(getattr(each, "beneath", False) for each in app.middlewares)
