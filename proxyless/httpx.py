"""`proxyless.httpx.Transport` and `AsyncTransport`: outgoing calls of httpx, governed.

client = httpx.Client(transport=proxyless.httpx.Transport(mesh))
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

try:
    import httpcore
    import httpx
except ModuleNotFoundError as error:
    text = f"proxyless.httpx needs httpx ({error}): pip install 'proxyless[httpx]'"
    raise ModuleNotFoundError(text, name=error.name) from error

from ._composing import policies_of
from ._versions import require
from .governance.suites._underway import ErrorMode
from .governance.suites.httpx import transports
from .mesh import Mesh, runtime_of

__all__ = ["AsyncTransport", "Transport"]

if TYPE_CHECKING:

    class Transport(httpx.HTTPTransport):
        """`httpx.HTTPTransport`, governed. Takes its options too; they serve what the mesh does not govern.

        Raises:
            UnsupportedError: another version of httpx is installed.
        """

        def __init__(
            self,
            mesh: Mesh | None = None,
            *,
            errors: ErrorMode = "response",
            policies: Iterable[object] = (),
            **options: Any,
        ) -> None: ...

    class AsyncTransport(httpx.AsyncHTTPTransport):
        """`httpx.AsyncHTTPTransport`, governed, under asyncio.

        Raises:
            UnsupportedError: another version of httpx is installed.
        """

        def __init__(
            self,
            mesh: Mesh | None = None,
            *,
            errors: ErrorMode = "response",
            policies: Iterable[object] = (),
            **options: Any,
        ) -> None: ...

else:

    def _runtime_of(mesh: Mesh | None) -> Any:
        require("httpx", "0.27", "0.29")
        return runtime_of(mesh)

    Transport, AsyncTransport, govern = transports(httpx, httpcore, _runtime_of, policies_of)
