"""The ASGI suite: pure middleware, so that context variables stay the app's own.

Every request to the app's port goes through the filters of the inbound chain that istiod made for it. What they refuse
is answered here; what they let through reaches the app with its headers as Envoy would have left them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from ssl import DER_cert_to_PEM_cert
from typing import Any
from urllib.parse import quote, unquote

from ..actions import Collect
from ..composition.compose import Policies
from ..entrance import plain
from ..headers import HeaderList
from ..hello import ISTIO
from ..inbound import InboundRequest
from ..peer import PROBE, SERVED, Served
from ..replies import LocalReply, reply_body, reply_headers
from ..request import RequestView
from ..runtime import Runtime
from ._current import current
from ._incoming import PROTOCOLS, SAFE, driven
from ._layers import GOVERNED, Governs, Layer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

WEBSOCKET_REFUSED = 1008
"""Policy violation (RFC 6455): for servers without the `websocket.http.response` extension."""

BODY = frozenset(
    f"{kind}.response.{part}" for kind in ("http", "websocket.http") for part in ("body", "pathsend", "zerocopysend")
)
"""The messages that hold a body, or a part of it: a file's name or descriptor too, where the server takes one."""

IN_THE_CLEAR = {"https": "http", "wss": "ws", "ws": "ws"}
"""The scheme of a plaintext connection, which a server with a context takes for TLS."""

VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
SCHEMES = {"http": b"http", "https": b"https", "ws": b"http", "wss": b"https"}


class AsgiMiddleware(Governs):
    """Governs an ASGI app. `port`: the app's port in the pod; by default the one the server says."""

    def __init__(
        self, app: App, runtime: Runtime | None, port: int | None = None, policies: Policies | None = None
    ) -> None:
        self.app = app
        self.runtime = runtime
        self.port = port
        self.policies = policies
        self._layer = Layer("proxyless.asgi.Middleware")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        runtime = self.runtime
        if runtime is None or (kind != "http" and kind != "websocket"):
            await self.app(scope, receive, send)
            return
        if GOVERNED in scope:
            self._layer.inner()
            await self.app(scope, receive, send)
            return
        client, server = scope.get("client"), scope.get("server")
        port = self.port
        if port is None:
            port = int(server[1]) if server and server[1] else 0
        served = SERVED.get()
        if served is None or not served.open or served.port != port:
            if served is PROBE:
                await self.app(scope, receive, send)
                return
            served = None  # a connection that no context of the mesh's has let in
        else:
            scope = told(scope, served)
        view = _view(scope)
        target = view.path
        inbound = InboundRequest(
            runtime,
            view,
            port,
            served.peer if served is not None else None,
            served.hello if served is not None else ISTIO,
            plain(server[0]) if server and server[1] else "",
            client[1] or 0 if client else 0,
            PROTOCOLS.get(scope.get("http_version", ""), "HTTP/1.1"),
            self.policies,
        )
        try:
            reply = inbound.start()
            if reply is not None and not isinstance(reply, LocalReply):  # it has to wait for something
                held = Held(receive)
                reply = await driven(reply, held.collect if kind == "http" else nothing)
                if held.messages:
                    receive = held
        except BaseException:
            inbound.ended(0, ("DC",))
            raise
        if reply is not None:
            await (_answer(inbound, reply, send) if kind == "http" else _refuse(scope, inbound, reply, receive, send))
            return
        headers = scope["headers"]
        scope = {**scope, GOVERNED: True}  # the server's own may serve other requests
        if served is not None and served.unseen:
            scope["scheme"] = "http" if kind == "http" else "ws"
        if view.raw_headers is not headers:
            scope["headers"] = list(view.raw_headers)
        if view.path is not target:
            scope.update(_path(view.path))
        response = _Response(inbound, receive, send)
        try:
            if inbound.trace is None:
                await self.app(scope, response.receive, response.send)
            else:
                with current(inbound):
                    await self.app(scope, response.receive, response.send)
        except Exception:
            inbound.ended(response.status or 500)
            raise
        except BaseException:
            inbound.ended(response.status, ("DC",))
            raise
        inbound.ended(response.status, () if response.complete else ("DC",))


def told(scope: Scope, served: Served) -> Scope:
    """The scope with what is known of its connection: the scheme, and the `tls` extension of ASGI."""
    peer = served.peer
    if peer is None:
        return {**scope, "scheme": IN_THE_CLEAR.get(scope.get("scheme", "http"), "http")}
    extension = {
        "server_cert": None,
        "client_cert_chain": [DER_cert_to_PEM_cert(each) for each in peer.chain],
        "client_cert_name": peer.subject if peer.presented else None,
        "client_cert_error": None,
        "tls_version": VERSIONS.get(peer.version),
        "cipher_suite": None,
    }
    return {**scope, "extensions": {**(scope.get("extensions") or {}), "tls": extension}}


class Held:
    """What has been received of a request before the app is asked: the app receives it then."""

    __slots__ = ("_receive", "messages")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.messages: list[Message] = []

    async def collect(self, action: Collect) -> int:
        """The length of the body, read as far as its `most` bytes."""
        messages = self.messages
        length = sum(len(each.get("body", b"")) for each in messages)
        more = messages[-1].get("more_body", False) if messages else True
        while more and length <= action.most:
            message = await self._receive()
            messages.append(message)
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        action.body = b"".join(each.get("body", b"") for each in messages)
        return length

    async def __call__(self) -> Message:
        return self.messages.pop(0) if self.messages else await self._receive()


async def nothing(action: Collect) -> int:  # noqa: ARG001
    """The body of a request to upgrade, which begins without one."""
    return 0


def _view(scope: Scope) -> RequestView:
    path = scope.get("raw_path") or quote(scope["path"], SAFE).encode()
    query = scope.get("query_string")
    client = scope.get("client")
    view = RequestView(
        scope.get("method", "GET").encode(),
        SCHEMES.get(scope.get("scheme", "http"), b"http"),
        b"",
        path + b"?" + query if query else path,
        scope["headers"],
        plain(client[0]) if client else "",
    )
    view.authority = view.headers.get(b"host", b"")
    return view


def _path(target: bytes) -> dict[str, Any]:
    """The parts of a scope that a target goes to."""
    path, _, query = target.partition(b"?")
    return {"path": unquote(path.decode("ascii")), "raw_path": path, "query_string": query}


class _Response:
    """What the app says and hears: looked at on its way."""

    __slots__ = ("_inbound", "_receive", "_send", "complete", "status")

    def __init__(self, inbound: InboundRequest, receive: Receive, send: Send) -> None:
        self._inbound = inbound
        self._receive = receive
        self._send = send
        self.status = 0
        self.complete = False

    def send(self, message: Message) -> Awaitable[None]:
        """`send` for the app, which awaits what the server's own makes of it: one coroutine less for each message."""
        kind = message["type"]
        if kind == "http.response.start" or kind == "websocket.http.response.start":
            self.status = status = message["status"]
            headers: HeaderList = message.get("headers", [])
            changed = self._inbound.response(status, headers)
            if changed is not headers:
                message = {**message, "headers": changed}
        elif kind in BODY:
            self._inbound.sent += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
        elif kind == "websocket.accept":
            self.status, self.complete = 101, True
        elif kind == "websocket.close" and not self.status:
            self.status, self.complete = 403, True
        return self._send(message)

    async def receive(self) -> Message:
        """`receive` for the app."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._inbound.received += len(message.get("body", b""))
        return message


async def _answer(inbound: InboundRequest, reply: LocalReply, send: Send) -> None:
    head = inbound.request.method == b"HEAD"
    headers, body = reply_headers(reply, head=head), reply_body(reply, head=head)
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    inbound.sent = len(body)
    inbound.ended(reply.status)


async def _refuse(scope: Scope, inbound: InboundRequest, reply: LocalReply, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    if "websocket.http.response" in (scope.get("extensions") or {}):
        headers = reply_headers(reply)
        await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": reply.body})
    else:
        await send({"type": "websocket.close", "code": WEBSOCKET_REFUSED})
    inbound.ended(reply.status)
