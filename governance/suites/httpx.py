"""The httpx suite: transports that govern in place of the library's connection pool.

They are httpx's own transports with another pool inside, so whatever hooks into `HTTPTransport` (OpenTelemetry,
pytest-httpx ...) works as before. A governed request goes over a connection of the mesh to the endpoint that was
picked; one that the mesh does not govern (passthrough, TLS, TCP) takes the own pool of the library.

The same code serves httpx and its fork httpx2, whose classes have no common base: `transports` builds both.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._httpcore import Library
from ._sync import GovernedPool
from ._underway import ErrorMode

if TYPE_CHECKING:
    from ._async import AsyncGovernedPool

try:
    from ._http1_httpx import QuickLibrary as Parts
except ImportError:  # without httptools the library's own connections do, and take longer
    Parts = Library  # type: ignore[misc,assignment]


def _proxied(transport: Any, options: dict[str, Any]) -> Callable[[str], Any] | None:
    """How a transport with these options would reach a proxy of the environment; None where it would not ask for one.

    httpx leaves the environment's proxies aside as soon as a client is given a transport, so this suite looks for them.
    """
    if options.get("proxy") is not None or not options.get("trust_env", True):
        return None
    return lambda proxy: transport(**{**options, "proxy": proxy})._pool


def _for_tasks() -> type[AsyncGovernedPool]:
    # With asyncio, which takes 2 MB: for clients that have tasks, when they are made.
    from ._async import AsyncGovernedPool

    return AsyncGovernedPool


def transports(
    library: ModuleType, core: ModuleType, runtime_of: Any, policies_of: Any
) -> tuple[type, type, Callable[[Any], None]]:
    """(Transport, AsyncTransport, govern) for httpx or httpx2. `runtime_of`: of a mesh, or of the process's;
    `policies_of`: of a suite.

    `govern` is for a transport of the library's own (`proxyless run`), which then is what Transport would be.
    """
    parts = Parts(core, library.ByteStream)

    class Plain(library.HTTPTransport):  # type: ignore[name-defined,misc]
        """One that is inside a governed one."""

    class AsyncPlain(library.AsyncHTTPTransport):  # type: ignore[name-defined,misc]
        """The same for tasks."""

    class Transport(library.HTTPTransport):  # type: ignore[name-defined,misc]
        """`httpx.HTTPTransport`, governed by a mesh. `errors="raise"` turns UF, UC and UT into httpx's exceptions."""

        def __init__(
            self, mesh: Any = None, *, errors: ErrorMode = "response", policies: Any = (), **options: Any
        ) -> None:
            super().__init__(**options)
            self._pool: Any = self._pool
            runtime = runtime_of(mesh)
            own = policies_of(runtime, policies, f"proxyless.{library.__name__}.Transport", blocking=True)
            if runtime is not None:
                proxied = _proxied(Plain, options)
                self._pool = GovernedPool(runtime, self._pool, parts, errors, proxied, own)

    class AsyncTransport(library.AsyncHTTPTransport):  # type: ignore[name-defined,misc]
        """`httpx.AsyncHTTPTransport`, governed by a mesh, under asyncio."""

        def __init__(
            self, mesh: Any = None, *, errors: ErrorMode = "response", policies: Any = (), **options: Any
        ) -> None:
            super().__init__(**options)
            self._pool: Any = self._pool
            runtime = runtime_of(mesh)
            own = policies_of(runtime, policies, f"proxyless.{library.__name__}.AsyncTransport", blocking=False)
            if runtime is not None:
                proxied = _proxied(AsyncPlain, options)
                self._pool = _for_tasks()(runtime, self._pool, parts, errors, proxied, own)

    def govern(transport: Any) -> None:
        if isinstance(transport, (Transport, AsyncTransport, Plain, AsyncPlain)):
            return
        runtime = runtime_of(None)
        if runtime is not None:
            # A client that was given no transport has asked the environment for proxies by itself.
            kind = GovernedPool if isinstance(transport, library.HTTPTransport) else _for_tasks()
            transport._pool = kind(runtime, transport._pool, parts, "response")

    return Transport, AsyncTransport, govern
