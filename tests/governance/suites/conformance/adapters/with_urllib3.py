"""urllib3."""

from __future__ import annotations

from typing import Any

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

import proxyless.urllib3
from proxyless import Mesh
from tests.governance.suites.conformance.adapter import WAIT_S, Adapter, Answer, Asked, Opened, Raises


class Urllib3Opened(Opened):
    def __init__(self, response: Any) -> None:
        self._response = response
        self._parts = response.stream(65536)
        self.status = response.status
        self.call = getattr(response, "proxyless", None)

    def part(self) -> bytes:
        return next(self._parts, b"")

    def read(self) -> bytes:
        return b"".join(self._parts)

    def close(self) -> None:
        self._response.close()
        self._response.release_conn()


class Urllib3(Adapter):
    name = "urllib3"
    cookies = False
    proxies = False
    raises = Raises(
        connect=(NewConnectionError,),
        connect_timeout=(ConnectTimeoutError,),
        read_timeout=(ReadTimeoutError,),
        broken=(ProtocolError,),
    )

    def make(self, mesh: Mesh | None, errors: Any, trust_env: bool) -> None:
        self.client = proxyless.urllib3.PoolManager(mesh, errors=errors)

    def _send(self, asked: Asked, **more: Any) -> Any:
        try:
            return self.client.request(
                asked.method,
                asked.url,
                headers=urllib3.HTTPHeaderDict(list(asked.headers)),
                body=asked.body,
                redirect=asked.follow,
                timeout=urllib3.Timeout(connect=asked.connect_s or WAIT_S, read=asked.read_s or WAIT_S),
                retries=None if asked.read_s is None else urllib3.Retry(3, read=False),
                **more,
            )
        except MaxRetryError as error:  # around what urllib3 tries again
            raise error.reason or error from error

    def perform(self, asked: Asked) -> Answer:
        response = self._send(asked)
        headers = tuple(response.headers.items())
        return Answer(response.status, headers, response.data, getattr(response, "proxyless", None))

    def open(self, asked: Asked) -> Opened:
        return Urllib3Opened(self._send(asked, preload_content=False))

    def dispose(self) -> None:
        self.client.clear()


ADAPTERS = (Urllib3,)
