"""`proxyless.httpx2.Transport` and `AsyncTransport`: outgoing calls of httpx2, governed.

client = httpx2.Client(transport=proxyless.httpx2.Transport(mesh))
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

try:
    import httpcore2
    import httpx2
except ModuleNotFoundError as error:
    text = f"proxyless.httpx2 needs httpx2 ({error}): pip install 'proxyless[httpx2]'"
    raise ModuleNotFoundError(text, name=error.name) from error

from ._composing import policies_of
from .governance.suites._underway import ErrorMode
from .governance.suites.httpx import transports
from .mesh import Mesh, runtime_of

__all__ = ["AsyncTransport", "Transport"]

if TYPE_CHECKING:

    class Transport(httpx2.HTTPTransport):
        """`httpx2.HTTPTransport`, governed. Takes its options too; they serve what the mesh does not govern."""

        def __init__(
            self,
            mesh: Mesh | None = None,
            *,
            errors: ErrorMode = "response",
            policies: Iterable[object] = (),
            **options: Any,
        ) -> None: ...

    class AsyncTransport(httpx2.AsyncHTTPTransport):
        """`httpx2.AsyncHTTPTransport`, governed, under asyncio."""

        def __init__(
            self,
            mesh: Mesh | None = None,
            *,
            errors: ErrorMode = "response",
            policies: Iterable[object] = (),
            **options: Any,
        ) -> None: ...

else:
    Transport, AsyncTransport, govern = transports(httpx2, httpcore2, runtime_of, policies_of)
