"""aiohttp's client."""

from __future__ import annotations

from typing import Any

import aiohttp
from yarl import URL

import proxyless.aiohttp
from proxyless import Mesh
from tests.governance.suites.conformance.adapter import (
    WAIT_S,
    Answer,
    Asked,
    AsyncAdapter,
    Opened,
    Raises,
    awaited,
    streamed,
)

PART = 65536


class AiohttpOpened(Opened):
    def __init__(self, adapter: AsyncAdapter, response: aiohttp.ClientResponse) -> None:
        self._adapter = adapter
        self._response = response
        self.status = response.status
        self.call = proxyless.aiohttp.call(response)

    def part(self) -> bytes:
        part: bytes = self._adapter.wait(self._response.content.read(PART))
        return part

    def read(self) -> bytes:
        rest: bytes = self._adapter.wait(self._response.content.read())
        return rest

    def close(self) -> None:
        async def closed() -> None:
            self._response.close()

        self._adapter.wait(closed())


class Aiohttp(AsyncAdapter):
    name = "aiohttp"
    raises = Raises(
        connect=(aiohttp.ClientConnectorError,),
        connect_timeout=(aiohttp.ConnectionTimeoutError,),
        read_timeout=(aiohttp.SocketTimeoutError,),
        broken=(aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError),
    )

    def make(self, mesh: Mesh | None, errors: Any, trust_env: bool) -> None:
        async def made() -> aiohttp.ClientSession:
            governed = proxyless.aiohttp.middleware(mesh, errors=errors)
            return aiohttp.ClientSession(
                middlewares=[governed], trust_env=trust_env, auto_decompress=False, skip_auto_headers=["content-type"]
            )

        self.session: aiohttp.ClientSession = self.wait(made())

    async def _sent(self, asked: Asked) -> aiohttp.ClientResponse:
        parts = streamed(asked.body)
        timeout = aiohttp.ClientTimeout(connect=asked.connect_s or WAIT_S, sock_read=asked.read_s or WAIT_S)
        return await self.session.request(
            asked.method,
            URL(asked.url, encoded=True),
            headers=list(asked.headers),
            data=asked.body if parts is None else awaited(parts),
            timeout=timeout,
            allow_redirects=asked.follow,
        )

    async def performed(self, asked: Asked) -> Answer:
        async with await self._sent(asked) as response:
            body = await response.read()
            headers = tuple((name, value) for name, value in response.headers.items())
            return Answer(response.status, headers, body, proxyless.aiohttp.call(response))

    def open(self, asked: Asked) -> Opened:
        return AiohttpOpened(self, self.wait(self._sent(asked)))

    def dispose(self) -> None:
        self.wait(self.session.close())


ADAPTERS = (Aiohttp,)
