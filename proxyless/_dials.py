"""What a mesh opens for libraries and programs that have suites of their own: plain TCP (docs/tcp.md), and calls
(docs/extensions.md, "A suite")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    import socket

    from .governance.runtime import Runtime
    from .governance.suites.calls import Call


class Dials:
    """`Mesh.create_connection`, `Mesh.open_connection`, `Mesh.call`."""

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

    def call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        *,
        timeout: float | None = None,
        errors: tuple[type[Exception], ...] = (OSError, EOFError),
    ) -> Call:
        """A request over HTTP/1.1 whose bytes somebody else writes and reads: a suite for a library of its own.

            with mesh.call("GET", "http://catalog.shop/items", {"x-user": "alice"}) as call:
                for attempt in call:
                    with attempt:
                        ...  # send attempt.method, .target, .headers and .body over attempt.sock, read the head
                        attempt.responded(status, headers)
                if call.body is None:
                    ...  # read the body from the last attempt's connection
                    call.done(len(content), reuse=True)

        On an event loop `async with` and `async for`; an attempt has `reader` and `writer` in place of `sock` there.

        Args:
            timeout: seconds to wait for configuration and for each connection; None: no limit of the caller's.
            errors: exceptions that say that an attempt has failed; a TimeoutError before the route's own is the
                caller's.

        Raises:
            ValueError: `url` is no http:// URL that can be sent.
            ConnectionError: within the loop: a host that the mesh does not govern cannot be reached, or the cluster
                speaks HTTP/2.
            TimeoutError: within the loop: `timeout` has passed.
        """
        from .governance.suites.calls import Call

        return Call(self._governing(), method, url, headers, body, timeout, errors)

    def _governing(self) -> Runtime | None:
        from .mesh import Mesh, runtime_of

        return runtime_of(self) if isinstance(self, Mesh) else None
