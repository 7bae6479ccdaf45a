"""A request as the suites hand it on, for libraries that do not bring httpcore: its Request, but light.

httpcore's own classes check and convert what they are given; this comes from a library that has done so already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpcore

from ..headers import HeaderList


class Url:
    """Where a request goes; the suite aims it at an endpoint."""

    __slots__ = ("host", "port", "scheme", "target")

    def __init__(self, scheme: bytes, host: bytes, port: int, target: bytes) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.target = target

    @property
    def origin(self) -> httpcore.Origin:
        """As a connection of httpcore's is named by."""
        return httpcore.Origin(self.scheme, self.host, self.port or 80)


class ByteStream:
    """A body that is at hand."""

    __slots__ = ("_content",)

    at_hand = True

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    def close(self) -> None:
        """There is nothing to give back."""


class Request:
    """Method, URL, headers, body and the caller's timeouts."""

    __slots__ = ("extensions", "headers", "method", "stream", "url")

    def __init__(self, method: bytes, url: Url, headers: HeaderList, stream: Any, timeouts: Any) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.stream = stream
        self.extensions = {"timeout": timeouts}
