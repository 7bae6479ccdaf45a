"""A suite for httplib2: what it asks of its connections goes through the mesh, over the pools of proxyless.urllib3.

    http = proxyless_httplib2.Http(mesh)
    response, content = http.request("http://catalog.shop/items")

Under `proxyless run` every `httplib2.Http` is governed. https goes as ever: to the mesh it is opaque.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, ClassVar

import httplib2
import urllib3

import proxyless.urllib3
from proxyless import Mesh

__all__ = ["Http", "patch"]


class Answer:
    """A response as httplib2 takes it."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response

    def read(self) -> bytes:
        """The body, as it was sent: httplib2 decompresses by itself."""
        return self._response.data

    def items(self) -> Iterable[tuple[str, str]]:
        """The headers, and the status among them."""
        return [*self._response.headers.items(), ("status", str(self._response.status))]


class Connection:
    """In place of `httplib2.HTTPConnectionWithTimeout`."""

    manager: ClassVar[urllib3.PoolManager | None] = None
    sock = True  # connections are the mesh's

    def __init__(
        self, host: str, port: int | None = None, timeout: float | None = None, proxy_info: Any = None
    ) -> None:
        del proxy_info  # where the mesh does not govern a host, urllib3 has no proxy
        self.host = host if port is None else f"{host}:{port}"
        self._timeout = timeout
        self._answer: Answer | None = None

    def request(self, method: str, uri: str, body: Any = None, headers: Any = None) -> None:
        """Send it, and have the response."""
        kind = type(self)
        if kind.manager is None:
            kind.manager = proxyless.urllib3.PoolManager()  # of the mesh of the process
        timeout = urllib3.Timeout(self._timeout) if self._timeout is not None else urllib3.Timeout()
        own: dict[str, Any] = {"redirect": False, "retries": False, "decode_content": False, "timeout": timeout}
        try:
            found = kind.manager.urlopen(method, f"http://{self.host}{uri}", body=body, headers=headers or {}, **own)
        except urllib3.exceptions.TimeoutError as error:
            raise TimeoutError(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(str(error)) from error
        self._answer = Answer(found)

    def getresponse(self) -> Answer:
        """That of the last request."""
        if self._answer is None:
            raise AssertionError("nothing was asked")
        return self._answer

    def set_debuglevel(self, level: int) -> None:
        """Connections of the mesh's say nothing."""

    def connect(self) -> None:
        """The mesh does."""

    def close(self) -> None:
        """The mesh keeps its connections."""


class Http(httplib2.Http):  # type: ignore[misc]  # httplib2 has no types
    """An `httplib2.Http` whose requests a mesh governs; by default that of the process.

    `policies`: own policies, fallbacks and switches, as of every suite.
    """

    def __init__(self, mesh: Mesh | None = None, *, policies: Iterable[object] = (), **options: Any) -> None:
        super().__init__(**options)
        own = {"manager": proxyless.urllib3.PoolManager(mesh, policies=policies)}
        self._connection = type("Connection", (Connection,), own)

    def request(self, uri: str, *arguments: Any, **options: Any) -> Any:
        """As httplib2's."""
        if uri.startswith("http:"):
            options.setdefault("connection_type", self._connection)
        return super().request(uri, *arguments, **options)


def patch(library: ModuleType) -> None:
    """What `proxyless run` calls once a program has imported httplib2."""
    library.SCHEME_TO_CONNECTION["http"] = Connection
