"""Plain TCP for programs: `Mesh.create_connection` and `Mesh.open_connection` (docs/tcp.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import socket

    from .governance.runtime import Runtime


class Dials:
    """What a mesh opens for bytes of the program's own."""

    runtime: Runtime

    def create_connection(
        self,
        address: tuple[str, int],
        timeout: float | None = None,
        source_address: tuple[str, int] | None = None,
    ) -> socket.socket:
        """A connected socket, as `socket.create_connection` gives it, to where the mesh sends connections to `address`.

        Where the cluster asks for mTLS it is an `ssl.SSLSocket`. `timeout` (seconds; None: no limit of the caller's)
        bounds the wait for configuration and all tries, and is the socket's timeout then.

        Raises:
            ConnectionError: the mesh makes no such connection, or nobody is there; the text begins with Envoy's
                response flag.
            TimeoutError: not within `timeout`, or the cluster's connect timeout.
        """
        from .governance.suites.tcp import create_connection

        return create_connection(self._governing(), address[0], address[1], timeout, source_address)

    async def open_connection(
        self,
        host: str,
        port: int,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # as create_connection has it
        limit: int = 2**16,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The same as streams of asyncio's (`asyncio.open_connection`); raises the same."""
        from .governance.suites.tcp import open_connection

        return await open_connection(self._governing(), host, port, timeout, limit)

    def _governing(self) -> Runtime | None:
        from .mesh import Mesh, runtime_of

        return runtime_of(self) if isinstance(self, Mesh) else None
