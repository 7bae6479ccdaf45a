"""Ordinary requests, written in one piece as soon as the mesh has chosen an endpoint.

What aiohttp makes for a request (its parser, its response, its timers) is made while the endpoint works, and not before
it begins. What is out of the ordinary is left to the request's own `send`: bodies that are long or not at hand, chunks,
compression, `Expect`, upgrades, traces, other classes and paths, headers that aiohttp encodes or refuses.
"""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

from aiohttp import ClientRequest, ClientResponse, ClientSession
from aiohttp.connector import Connection as LibraryConnection
from aiohttp.http import HttpVersion11

from ...actions import Send
from ...headers import HeaderList
from .altering import going_out
from .attempt import Attempt
from .connecting import Handler
from .uploading import Whole

if TYPE_CHECKING:
    from .exchange import Exchange

LONGEST = 32 * 1024
"""Bytes of a body that go out with the head: a transport takes as much without asking its writer to wait."""

_OWN = ClientRequest.send
_LAST: object = next(
    (
        code
        for code in getattr(getattr(ClientSession._request, "__code__", None), "co_consts", ())
        if "_and_send_" in getattr(code, "co_name", "")
    ),
    object(),
)
"""What a session sends a request with when no middleware is left that would see it again; nothing is that where
somebody has replaced the session's function by something without code."""

_PRINTABLE = bytes(range(0x20, 0x7F))
_TELLS_SIZE = "stream_writer" in signature(ClientResponse.__init__).parameters
"""Whether a response says how much was sent for it (aiohttp 3.14)."""


class Written:
    """What a response is given for the writer of its request."""

    __slots__ = ("output_size",)

    def __init__(self, size: int) -> None:
        self.output_size = size


def write(
    exchange: Exchange,
    request: ClientRequest,
    send: Send,
    handler: Handler,
    headers: HeaderList,
    spelled: HeaderList | None,
) -> Attempt | None:
    """A try whose request is on its way; None for one that is out of the ordinary.

    `spelled`: its headers as they are written, where that is not in lower case.
    """
    body = b""
    source = exchange.source
    if source is not None:
        body = source.body if type(source) is Whole else b""
        if not 0 < len(body) <= LONGEST:
            return None
    transport = handler.transport
    if (
        transport is None
        or transport.is_closing()
        or handler.writing_paused
        or type(request) is not ClientRequest
        or ClientRequest.send is not _OWN
        or request._traces
        or request.chunked is not None
        or request.compress
        or request._continue is not None
        or request.version != HttpVersion11
        or getattr(request, "_upload_tracker", None) is not None
        or b"upgrade" in exchange.call.request.headers
        or send.method == b"CONNECT"
        or send.method != request.method.encode()
        or send.path != request.url.raw_path_qs.encode()
    ):
        return None
    text = _text(send, headers, spelled, body)
    if text is None:
        return None
    transport.write(text)
    handler._should_close = True  # whatever happens until aiohttp waits for the response
    attempt = Attempt(exchange, handler)
    attempt.at_once = True
    request.__dict__["send"] = partial(_send, exchange, request, headers, spelled, len(text))
    if body:
        exchange.sent = len(body)
        upload = exchange.uploaded_by(attempt)
        uploading = exchange.call.uploading
        upload.gone(len(body))
        if uploading:
            return attempt  # whose deadlines began with that
    if send.deadline is not None or send.idle_s is not None:
        attempt.until(send.deadline, send.idle_s)
    return attempt


def _text(send: Send, headers: HeaderList, spelled: HeaderList | None, body: bytes) -> bytes | None:
    """All of a request as aiohttp would write it; None for what it might write otherwise."""
    if spelled is None:
        lines = [b"%b: %b" % (name.lower(), value) for name, value in headers]
    else:
        lines = [b"%b: %b" % pair for pair in spelled]
    head = b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (send.method, send.path, b"\r\n".join(lines))
    if head.translate(None, _PRINTABLE) != b"\r\n" * (len(lines) + 2):
        return None
    if not body:
        return head
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    return head + body if lengths == [b"%d" % len(body)] else None


async def _send(
    exchange: Exchange,
    request: ClientRequest,
    headers: HeaderList,
    spelled: HeaderList | None,
    size: int,
    connection: LibraryConnection,
) -> ClientResponse:
    """In place of the request's own `send`: the response, as aiohttp makes it."""
    del request.__dict__["send"]
    if getattr(exchange.handle, "__code__", None) is not _LAST:
        request.headers, request.proxy = going_out(headers, spelled), None
    handler: Any = connection.protocol
    handler._should_close = False
    handler.start_timeout()
    more: dict[str, Any] = {"stream_writer": Written(size)} if _TELLS_SIZE else {}
    response = request.response_class(
        request.method,
        request.original_url,
        writer=None,
        continue100=None,
        timer=request._timer,
        request_info=exchange.original.request_info,
        traces=request._traces,
        loop=request.loop,
        session=request._session,
        **more,
    )
    request.response = response  # type: ignore[assignment]  # as the library does
    return response
