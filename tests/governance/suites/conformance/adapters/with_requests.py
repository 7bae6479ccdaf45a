"""requests."""

from __future__ import annotations

from typing import Any

import requests
import urllib3

import proxyless.requests
from proxyless import Mesh
from tests.governance.suites.conformance.adapter import WAIT_S, Adapter, Answer, Asked, Opened, Raises


class RequestsOpened(Opened):
    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self._parts = response.iter_content(65536)
        self.status = response.status_code
        self.call = getattr(response.raw, "proxyless", None)

    def part(self) -> bytes:
        return next(self._parts, b"")

    def read(self) -> bytes:
        return b"".join(self._parts)

    def close(self) -> None:
        self._response.close()


class Requests(Adapter):
    name = "requests"
    raises = Raises(
        connect=(requests.ConnectionError,),
        connect_timeout=(requests.ConnectTimeout,),
        read_timeout=(requests.ReadTimeout, requests.ConnectionError),  # the latter in the middle of a body
        broken=(requests.ConnectionError, requests.exceptions.ChunkedEncodingError),
    )

    def make(self, mesh: Mesh | None, errors: Any, trust_env: bool) -> None:
        self.client = requests.Session()
        self.client.trust_env = trust_env
        adapter = proxyless.requests.Adapter(mesh, errors=errors)
        self.client.mount("http://", adapter)
        self.client.mount("https://", adapter)

    def _send(self, asked: Asked, **more: Any) -> requests.Response:
        headers: Any = urllib3.HTTPHeaderDict(list(asked.headers))
        return self.client.request(
            asked.method,
            asked.url,
            headers=headers,
            data=asked.body,
            allow_redirects=asked.follow,
            timeout=(asked.connect_s or WAIT_S, asked.read_s or WAIT_S),
            **more,
        )

    def perform(self, asked: Asked) -> Answer:
        response = self._send(asked)
        headers = tuple(response.headers.items())
        return Answer(response.status_code, headers, response.content, getattr(response.raw, "proxyless", None))

    def open(self, asked: Asked) -> Opened:
        return RequestsOpened(self._send(asked, stream=True))

    def dispose(self) -> None:
        self.client.close()


ADAPTERS = (Requests,)
