"""The clients that the httpx suite governs, behind one face: httpx and httpx2, sync and async.

An async client lives in an event loop on a thread of its own, so that a test may have several calls under way, of
either kind, and wait for what it wants to see.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType, TracebackType
from typing import Any, Self

import httpx
import httpx2

import proxyless.httpx
import proxyless.httpx2
from proxyless import Mesh
from tests.support.in_thread import Loop

WAIT_S = 30.0
KINDS = ("httpx", "httpx-async", "httpx2", "httpx2-async")


class Caller:
    """A governed client. `library` is where its exceptions are; options are those of the client."""

    def __init__(self, kind: str, mesh: Mesh, *, errors: Any = "response", **options: Any) -> None:
        name, _, asynchronous = kind.partition("-")
        self.library: ModuleType = {"httpx": httpx, "httpx2": httpx2}[name]
        self.asynchronous = bool(asynchronous)
        suite: Any = {"httpx": proxyless.httpx, "httpx2": proxyless.httpx2}[name]
        options = {"timeout": WAIT_S, **options}
        self._threads = ThreadPoolExecutor(32)
        self._loop = Loop()
        if self.asynchronous:
            self.client = self.library.AsyncClient(
                transport=suite.AsyncTransport(mesh, errors=errors, trust_env=False), **options
            )
        else:
            self.client = self.library.Client(
                transport=suite.Transport(mesh, errors=errors, trust_env=False), **options
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait(self.client.aclose if self.asynchronous else self.client.close)
        self._loop.close()
        self._threads.shutdown()

    def start(self, function: Callable[..., Any], *arguments: Any, **more: Any) -> Future[Any]:
        """Call something of the client's; the result when it is there."""
        if not self.asynchronous:
            return self._threads.submit(function, *arguments, **more)

        async def work() -> Any:
            return await function(*arguments, **more)

        return self._loop.begin(work())

    def wait(self, function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """The same, waited for."""
        return self.start(function, *arguments, **more).result(WAIT_S)

    def send(self, url: str, method: str = "GET", **request: Any) -> Future[Any]:
        """A request under way; iterators of bytes may be its content."""
        content = request.get("content")
        if content is not None and not isinstance(content, bytes | str) and self.asynchronous:
            request["content"] = _awaited(content)
        return self.start(self.client.request, method, url, **request)

    def get(self, url: str, backend: str = "", method: str = "GET", **request: Any) -> Any:
        """The whole response. `backend`: what the backend shall do (tests.support.behaviour)."""
        if backend:
            request["headers"] = {**request.get("headers", {}), "x-backend": backend}
        return self.send(url, method, **request).result(WAIT_S)

    def open(self, url: str, backend: str = "") -> Any:
        """A response whose body has not been read."""
        request = self.client.build_request("GET", url, headers={"x-backend": backend} if backend else {})
        return self.wait(self.client.send, request, stream=True)

    def read(self, response: Any) -> bytes:
        """The rest of the body."""
        found: bytes = self.wait(response.aread if self.asynchronous else response.read)
        return found

    def close(self, response: Any) -> None:
        """Give the response back."""
        self.wait(response.aclose if self.asynchronous else response.close)


async def _awaited(content: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in content:
        yield chunk
