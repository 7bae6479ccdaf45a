"""As much of a web framework as the shop needs: a request, a response, and an ASGI app around a table of handlers."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` by lower-case name."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer in JSON."""

    document: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]
Handlers = Mapping[tuple[str, str], Handler]


def key_of(scope: Scope) -> str:
    """What requests are counted by: `GET /items`."""
    return f"{scope['method']} {scope['path']}"


def headers_of(scope: Scope) -> dict[str, str]:
    """By lower-case name; of a repeated one the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


class Application:
    """Calls the handler of method and path; `start` and `stop` run with the server."""

    def __init__(
        self,
        handlers: Handlers,
        start: Callable[[], Awaitable[None]] | None = None,
        stop: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._handlers = handlers
        self._hooks = {"lifespan.startup": start, "lifespan.shutdown": stop}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            handler = self._handlers.get((scope["method"], scope["path"]))
            if handler is None:
                await answer(send, Response({"error": f"no {key_of(scope)} here"}, 404))
            else:
                body = await body_of(receive)
                await answer(send, await handler(Request(scope["method"], scope["path"], headers_of(scope), body)))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            hook = self._hooks.get(kind)
            if hook is not None:
                await hook()
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return


async def body_of(receive: Receive) -> bytes:
    """The whole body."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def answer(send: Send, response: Response) -> None:
    """Sends one response."""
    body = json.dumps(response.document).encode() + b"\n"
    headers = {"content-type": "application/json", "content-length": str(len(body)), **response.headers}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
