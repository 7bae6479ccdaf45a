"""Clients of other libraries than httpx on the same cases: what they can send, and sending it exactly."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from types import TracebackType
from typing import Any, Self

import aiohttp
import requests
import urllib3
from urllib3.util import SKIP_HEADER, parse_url
from urllib3.util.url import _encode_target
from yarl import URL

import proxyless.aiohttp
import proxyless.requests
import proxyless.urllib3
from proxyless.mesh import Mesh
from tests.differential.governed import Said
from tests.differential.requests import Request

PATIENCE_S = 10.0
OWN = ("accept-encoding", "user-agent")
"""What urllib3 adds unless it is told not to."""


class Sender(ABC):
    """A governed client of one library."""

    @abstractmethod
    def __init__(self, mesh: Mesh) -> None: ...

    @staticmethod
    @abstractmethod
    def sends(request: Request) -> bool:
        """Whether the library can send it as it is."""

    @abstractmethod
    def send(self, request: Request) -> Said:
        """One call."""

    @abstractmethod
    def close(self) -> None:
        """Close the client."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _said(response: Any) -> Said:
    headers = tuple((str(name), str(value)) for name, value in response.headers.items())
    return Said(response.proxyless, response.status, headers, response.data.decode())


def _plain(request: Request) -> bool:
    """Whether urllib3 leaves method, target and headers alone."""
    pairs = request.all_headers()
    try:
        for name, value in pairs:
            name.encode("ascii")
            value.encode("latin-1")
        same: bool = _encode_target(request.target) == request.target
    except (UnicodeError, ValueError):
        return False
    ascii_values = all(value.isascii() for _, value in pairs)
    framed = request.header("content-length") is None and request.header("transfer-encoding") is None
    token = request.method.isascii() and request.method.replace("-", "").isalnum()
    bodily = bool(request.body) or request.method in ("GET", "HEAD", "DELETE", "TRACE", "OPTIONS", "CONNECT")
    return same and ascii_values and framed and token and bodily


class Urllib3(Sender):
    """urllib3, by the pool of the host."""

    def __init__(self, mesh: Mesh) -> None:
        self._manager = proxyless.urllib3.PoolManager(mesh)

    @staticmethod
    def sends(request: Request) -> bool:
        return _plain(request)

    def send(self, request: Request) -> Said:
        headers = urllib3.HTTPHeaderDict(list(request.all_headers()))
        for name in OWN:
            if name not in headers:
                headers[name] = SKIP_HEADER
        pool = self._manager.connection_from_host(request.host, request.port)
        response = pool.urlopen(
            request.method,
            request.target,
            body=request.body or None,
            headers=headers,
            redirect=False,
            assert_same_host=False,
            timeout=PATIENCE_S,
            decode_content=False,
        )
        return _said(response)

    def close(self) -> None:
        self._manager.clear()


class Aiohttp(Sender):
    """aiohttp, by a session in an event loop of its own."""

    AUTOMATIC = ("accept", "accept-encoding", "content-type", "user-agent")
    BARE = ("GET", "HEAD", "OPTIONS", "TRACE")
    """Methods that it sends without a length where there is no body."""

    def __init__(self, mesh: Mesh) -> None:
        self._runner = asyncio.Runner()
        self._session = self._runner.run(self._made(mesh))

    async def _made(self, mesh: Mesh) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            middlewares=[proxyless.aiohttp.middleware(mesh)],
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=self.AUTOMATIC,
            timeout=aiohttp.ClientTimeout(PATIENCE_S),
        )

    @staticmethod
    def sends(request: Request) -> bool:
        if not _plain(request) or request.header("expect") is not None or request.method != request.method.upper():
            return False
        names = {name for name, _ in request.all_headers()}
        if len({name.lower() for name in names}) < len(names):
            return False  # of a name in two spellings the session keeps the last
        url = Aiohttp._url(request)
        same = url.raw_path_qs == request.target and url.raw_host == request.host
        return same and (bool(request.body) or request.method in Aiohttp.BARE)

    @staticmethod
    def _url(request: Request) -> URL:
        return URL(f"http://{request.host}:{request.port}{request.target}", encoded=True)

    def send(self, request: Request) -> Said:
        return self._runner.run(self._sent(request))

    async def _sent(self, request: Request) -> Said:
        url, headers = self._url(request), list(request.all_headers())
        async with self._session.request(
            request.method, url, headers=headers, data=request.body or None, allow_redirects=False
        ) as response:
            body = await response.read()
            told = tuple((str(name), str(value)) for name, value in response.headers.items())
            return Said(proxyless.aiohttp.call(response), response.status, told, body.decode())

    def close(self) -> None:
        self._runner.run(self._session.close())
        self._runner.close()


class Requests(Sender):
    """requests, by a prepared request, which has each header once."""

    def __init__(self, mesh: Mesh) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", proxyless.requests.Adapter(mesh))

    @staticmethod
    def sends(request: Request) -> bool:
        once = max(Counter(name.lower() for name, _ in request.all_headers()).values()) == 1
        if not once or not _plain(request):
            return False
        prepared = _prepared(request)
        return prepared.path_url == request.target and parse_url(prepared.url or "").host == request.host

    def send(self, request: Request) -> Said:
        response = self._session.send(
            _prepared(request),
            stream=True,
            allow_redirects=False,
            timeout=PATIENCE_S,
        )
        return _said(response.raw)

    def close(self) -> None:
        self._session.close()


def _prepared(request: Request) -> requests.PreparedRequest:
    made = requests.Request("GET", "http://a/").prepare()
    headers: Any = dict(request.all_headers())
    lower = {name.lower() for name in headers}
    headers.update({name: SKIP_HEADER for name in OWN if name not in lower})
    if request.body:
        headers["content-length"] = str(len(request.body))
    made.method, made.body = request.method, request.body or None
    made.headers = requests.structures.CaseInsensitiveDict(headers)
    made.url = f"http://{request.host}:{request.port}{request.target}"
    return made


SENDERS: dict[str, type[Sender]] = {"aiohttp": Aiohttp, "requests": Requests, "urllib3": Urllib3}
