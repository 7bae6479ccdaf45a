"""Incoming requests of aiohttp's server: a middleware on the same machine as all servers' suites."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

from aiohttp import HttpVersion10, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ...actions import Collect
from ...composition.compose import Policies
from ...entrance import plain
from ...headers import HeaderList
from ...hello import ISTIO
from ...inbound import InboundRequest
from ...peer import Served
from ...replies import CLOSE, LocalReply, reply_body, reply_headers
from ...request import RawHeaders, RequestView
from ...runtime import Runtime
from .._current import current
from .._incoming import driven
from .._layers import Governs, Layer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

DECIDED = "proxyless_decided"
"""Where a request says who has let it in already: it comes here again where its path has become another one."""


class ServerMiddleware(Governs):
    """Governs the requests of an application. `port`: the app's port in the pod; by default the one of its socket."""

    __middleware_version__ = 1

    def __init__(self, runtime: Runtime, port: int | None, policies: Policies | None = None) -> None:
        self.runtime = runtime
        self.port = port
        self.policies = policies
        self._layer = Layer("proxyless.aiohttp.server")

    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request in, or answer it."""
        decided_by = request.__dict__.get(DECIDED)
        if decided_by is not None:
            if decided_by is not self:
                self._layer.inner()
            return await handler(request)
        inbound, view = self._came(request)
        target, headers = view.path, view.raw_headers
        try:
            reply = inbound.start()
            if reply is not None and not isinstance(reply, LocalReply):  # it has to wait for something
                held = _Held(request)
                reply = await driven(reply, held.collect)
                held.give_back()
        except BaseException:
            inbound.ended(0, ("DC",))
            raise
        if reply is not None:
            return await _answer(request, inbound, reply)
        moved = request if view.raw_headers is headers else _with_headers(request, view.raw_headers)
        if view.path is not target:
            moved = moved.clone(rel_url=URL(view.path.decode(), encoded=True))
            moved._transport_sslcontext = request._transport_sslcontext
        request.__dict__[DECIDED] = moved.__dict__[DECIDED] = self
        if view.path is target:
            return await _serve(request, moved, inbound, handler)
        # aiohttp has looked for a handler by the path that came; what was let in is another one.
        again: Handler = request.app._handle
        return await _serve(request, moved, inbound, again)

    def _came(self, request: web.Request) -> tuple[InboundRequest, RequestView]:
        transport = request.transport
        info = transport.get_extra_info if transport is not None else _nothing
        peer_name, own = info("peername"), info("sockname")
        address, source_port = (peer_name[0], peer_name[1]) if isinstance(peer_name, tuple) else ("", 0)
        local, port = (own[0], own[1]) if isinstance(own, tuple) else ("", 0)
        if self.port is not None:
            port = self.port
        served: Served | None = getattr(info("ssl_object"), "served", None)
        if served is not None and (not served.open or served.port != port):
            served = None  # a connection that no context of the mesh's has let in
        if served is not None and (served.unseen or served.peer is None):
            request._transport_sslcontext = None  # which the scheme that the app is told goes by
        secure = request.scheme == "https" if served is None else served.peer is not None
        path = request.raw_path
        view = RequestView(
            request.method.encode(),
            b"https" if secure else b"http",
            b"",
            path.encode("utf-8", "surrogateescape") if path[:1] == "/" else request.rel_url.raw_path_qs.encode(),
            list(request.raw_headers),
            plain(address) if address else "",
        )
        view.authority = view.headers.get(b"host", b"")
        inbound = InboundRequest(
            self.runtime,
            view,
            port,
            served.peer if served is not None else None,
            served.hello if served is not None else ISTIO,
            plain(local) if local else "",
            source_port,
            "HTTP/1.0" if request.version == HttpVersion10 else "HTTP/1.1",
            self.policies,
        )
        return inbound, view


def _nothing(name: str) -> None:
    del name


class _Held:
    """What is read of a body before the app is asked; the app reads it again."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._body = b""

    async def collect(self, action: Collect) -> int:
        """The length of the body, read as far as its `most` bytes."""
        content = self._request.content
        while len(self._body) <= action.most:
            part = await content.readany()
            if not part:
                break
            self._body += part
        action.body = self._body
        return len(self._body)

    def give_back(self) -> None:
        """The request is as if nobody had read of it."""
        body, content = self._body, self._request.content
        if body:
            content._buffer.appendleft(body)
            content._size += len(body)
            content._cursor -= len(body)


def _with_headers(request: web.Request, raw_headers: RawHeaders) -> web.Request:
    """What its `clone` makes, which takes twice as long; it also goes on where its body has been read."""
    headers = CIMultiDictProxy(
        CIMultiDict([(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in raw_headers])
    )
    message = request._message
    if message.url.absolute:  # what is known of it then is more than the message says
        cloned = request.clone(headers=headers)
        cloned._match_info = request._match_info
        return cloned
    made = object.__new__(type(request))
    made.__dict__.update(
        request.__dict__,
        _message=message._replace(headers=headers, raw_headers=tuple(raw_headers)),
        _headers=headers,
        _cache={},
        _state=request._state.copy(),
    )
    return made


async def _serve(
    request: web.Request, moved: web.Request, inbound: InboundRequest, handler: Handler
) -> web.StreamResponse:
    """Have the app answer, and send that: the call lasts until it is sent. `moved`: the request as the app gets it."""
    status = 0

    async def prepared(response: web.StreamResponse) -> None:
        nonlocal status
        await type(request)._prepare_hook(moved, response)
        status = response.status
        headers: HeaderList = [(_lower(name), value.encode()) for name, value in response.headers.items()]
        changed = inbound.response(status, headers)
        if changed is not headers:
            _change(response, headers, changed)

    request.__dict__["_prepare_hook"] = moved.__dict__["_prepare_hook"] = prepared
    flags: tuple[str, ...] = ()
    sent = False
    try:
        with current(inbound):
            try:
                response = await handler(moved)
            except web.HTTPException as answer:
                sent = await _send(request, answer)
                raise
            sent = await _send(request, response)
        return response
    except web.HTTPException:
        raise
    except ConnectionError:
        flags = ("DC",)
        raise
    except Exception:
        status = status or 500
        raise
    except BaseException:
        flags = ("DC",)
        raise
    finally:
        if sent:  # nobody asks again: without this, each request would wait for the collector of cycles
            request.__dict__.pop("_prepare_hook", None)
            moved.__dict__.pop("_prepare_hook", None)
        inbound.received = getattr(request.content, "total_bytes", 0)
        inbound.ended(status, flags)


@lru_cache(maxsize=256)
def _lower(name: str) -> bytes:
    """A header's name as policies have it; an app says the same few again and again."""
    return name.lower().encode()


async def _send(request: web.Request, response: Any) -> bool:
    """The whole response, if it is one; aiohttp, which would do so afterwards, finds it done."""
    kind = type(response)
    if kind is not web.Response and (
        not isinstance(response, web.StreamResponse) or isinstance(response, web.WebSocketResponse)
    ):
        return False
    await response.prepare(request)
    await response.write_eof()
    return True


def _change(response: web.StreamResponse, headers: HeaderList, changed: HeaderList) -> None:
    size = len(headers)
    if changed[:size] != headers:
        _replace(response, changed)
        return
    own = response.headers  # the mesh only adds to them, as it mostly does
    for name, value in changed[size:]:
        own.add(name.decode(), value.decode("utf-8", "surrogateescape"))
    if CLOSE in changed:
        response.force_close()


def _replace(response: web.StreamResponse, headers: HeaderList) -> None:
    own = response.headers
    own.clear()
    own.extend([(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in headers])
    if CLOSE in headers:
        response.force_close()


async def _answer(request: web.Request, inbound: InboundRequest, reply: LocalReply) -> web.StreamResponse:
    head = inbound.request.method == b"HEAD"
    headers, body = reply_headers(reply, head=head), reply_body(reply, head=head)
    response = web.Response(status=reply.status, body=body or None)

    async def prepared(made: web.StreamResponse) -> None:
        kept = [name for name in (hdrs.DATE, hdrs.SERVER) if name in made.headers]
        own = [(name.encode(), made.headers[name].encode()) for name in kept]
        _replace(made, [*headers, *own])

    request.__dict__["_prepare_hook"] = prepared
    try:
        await _send(request, response)
    finally:
        inbound.sent = len(body)
        inbound.ended(reply.status)
    return response
