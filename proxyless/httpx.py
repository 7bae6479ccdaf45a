"""`proxyless.httpx.Transport` and `AsyncTransport`: outgoing calls of httpx, governed.

client = httpx.Client(transport=proxyless.httpx.Transport(mesh))
"""

from typing import TYPE_CHECKING, Any

try:
    import httpcore
    import httpx
except ModuleNotFoundError as error:
    text = f"proxyless.httpx needs httpx ({error}): pip install 'proxyless[httpx]'"
    raise ModuleNotFoundError(text, name=error.name) from error

from .governance.suites._exchange import ErrorMode
from .governance.suites.httpx import transports
from .mesh import Mesh, runtime_of

__all__ = ["AsyncTransport", "Transport"]

if TYPE_CHECKING:

    class Transport(httpx.HTTPTransport):
        """`httpx.HTTPTransport`, governed. Takes its options too; they serve what the mesh does not govern."""

        def __init__(self, mesh: Mesh | None = None, *, errors: ErrorMode = "response", **options: Any) -> None: ...

    class AsyncTransport(httpx.AsyncHTTPTransport):
        """`httpx.AsyncHTTPTransport`, governed, under asyncio."""

        def __init__(self, mesh: Mesh | None = None, *, errors: ErrorMode = "response", **options: Any) -> None: ...

else:
    Transport, AsyncTransport = transports(httpx, httpcore, runtime_of)
