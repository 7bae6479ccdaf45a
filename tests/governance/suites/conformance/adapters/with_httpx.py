"""httpx, sync and async. httpx2 is the same code: tests/governance/suites/test_clients.py has all four."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

import proxyless.httpx
from proxyless import Mesh
from tests.governance.suites.conformance.adapter import (
    WAIT_S,
    Adapter,
    Answer,
    Asked,
    AsyncAdapter,
    Opened,
    Raises,
    awaited,
    streamed,
)

RAISES = Raises(
    connect=(httpx.ConnectError,),
    connect_timeout=(httpx.ConnectTimeout,),
    read_timeout=(httpx.ReadTimeout,),
    broken=(httpx.RemoteProtocolError, httpx.ReadError),
)


def answer(response: Any) -> Answer:
    headers = tuple((name, value) for name, value in response.headers.multi_items())
    return Answer(response.status_code, headers, response.content, response.extensions.get("proxyless"))


def request(client: Any, asked: Asked, *, asynchronous: bool) -> Any:
    parts = streamed(asked.body)
    content = asked.body if parts is None else awaited(parts) if asynchronous else parts
    connect_s, read_s = asked.connect_s or WAIT_S, asked.read_s or WAIT_S
    timeout = {"connect": connect_s, "read": read_s, "write": WAIT_S, "pool": WAIT_S}
    made = client.build_request(asked.method, asked.url, headers=list(asked.headers), content=content)
    made.extensions = {**made.extensions, "timeout": timeout}
    return made


class SyncOpened(Opened):
    def __init__(self, response: Any) -> None:
        self._response = response
        self._parts: Iterator[bytes] = response.iter_raw()
        self.status = response.status_code
        self.call = response.extensions.get("proxyless")

    def part(self) -> bytes:
        return next(self._parts, b"")

    def read(self) -> bytes:
        return b"".join(self._parts)

    def close(self) -> None:
        self._response.close()


class Httpx(Adapter):
    name = "httpx"
    raises = RAISES

    def make(self, mesh: Mesh | None, errors: Any, trust_env: bool) -> None:
        self.client = httpx.Client(transport=proxyless.httpx.Transport(mesh, errors=errors, trust_env=trust_env))

    def perform(self, asked: Asked) -> Answer:
        made = request(self.client, asked, asynchronous=False)
        return answer(self.client.send(made, follow_redirects=asked.follow))

    def open(self, asked: Asked) -> Opened:
        return SyncOpened(self.client.send(request(self.client, asked, asynchronous=False), stream=True))

    def dispose(self) -> None:
        self.client.close()


class AsyncOpened(Opened):
    def __init__(self, adapter: AsyncAdapter, response: Any) -> None:
        self._adapter = adapter
        self._response = response
        self._parts: AsyncIterator[bytes] = response.aiter_raw()
        self.status = response.status_code
        self.call = response.extensions.get("proxyless")

    async def _part(self) -> bytes:
        return await anext(self._parts, b"")

    async def _read(self) -> bytes:
        return b"".join([part async for part in self._parts])

    def part(self) -> bytes:
        part: bytes = self._adapter.wait(self._part())
        return part

    def read(self) -> bytes:
        rest: bytes = self._adapter.wait(self._read())
        return rest

    def close(self) -> None:
        self._adapter.wait(self._response.aclose())


class HttpxAsync(AsyncAdapter):
    name = "httpx-async"
    raises = RAISES

    def make(self, mesh: Mesh | None, errors: Any, trust_env: bool) -> None:
        transport = proxyless.httpx.AsyncTransport(mesh, errors=errors, trust_env=trust_env)
        self.client = httpx.AsyncClient(transport=transport)

    async def performed(self, asked: Asked) -> Answer:
        made = request(self.client, asked, asynchronous=True)
        return answer(await self.client.send(made, follow_redirects=asked.follow))

    def open(self, asked: Asked) -> Opened:
        made = request(self.client, asked, asynchronous=True)
        return AsyncOpened(self, self.wait(self.client.send(made, stream=True)))

    def dispose(self) -> None:
        self.wait(self.client.aclose())


ADAPTERS = (Httpx, HttpxAsync)
