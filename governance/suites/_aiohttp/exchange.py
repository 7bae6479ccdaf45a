"""One call under way in the aiohttp client suite: the machine's actions, performed by aiohttp's own parts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from copy import copy
from time import monotonic
from typing import TYPE_CHECKING, Any

from aiohttp import (
    ClientConnectorError,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    HttpVersion,
    ServerDisconnectedError,
    hdrs,
)
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.payload import BytesPayload
from yarl import URL

from ...actions import (
    Bypass,
    Collect,
    Deliver,
    Discard,
    Failure,
    Head,
    OpenConnection,
    Run,
    Send,
    Start,
)
from ...call import OutgoingCall
from ...copies import CopyCall
from ...driver import step
from ...headers import HeaderList
from ...mirroring import Copy
from ...replies import LocalReply
from ...request import RequestView
from ...spelling import lower, spell
from .._awaiting import Task, ask, await_config, await_race, await_slot, beside, sleep
from .._steps import handshake_of, principals_of, run_async, speaks_http2
from .._underway import DEFAULT_PORTS, NO_TIMEOUTS, Underway
from .._upload import Begun, Upload, upload_of
from .altering import change, cloned, going_out, rewrite, tell
from .attempt import Attempt, DeadlineError, IdleError
from .canned import answering
from .connecting import Backend, Connection, Handler, Library, Stream
from .http2 import Link, StreamError, StreamHandler
from .uploading import Body, Whole, source_of
from .writing import write

if TYPE_CHECKING:
    from .governing import Governor

Handle = Callable[[ClientRequest], Awaitable[ClientResponse]]
"""What a middleware sends a request with."""

SCHEMES = {"http": b"http", "https": b"https", "ws": b"http", "wss": b"https"}
LIBRARY = Library()
BACKEND = Backend()
HTTP2 = HttpVersion(2, 0)
ANSWERS = (Send, Bypass, Deliver, LocalReply)
"""What the first leg can do something with."""
OUTCOMES = (Deliver, LocalReply)
"""What a call comes to in the end."""
KINDS: dict[type[Exception], str] = {DeadlineError: "timeout", IdleError: "idle"}
CALL = "_proxyless_call"
"""Where a response says what call it is of."""
LEG = "_proxyless"
"""Where a request says to which leg of a call it belongs."""


class Settled(BaseException):  # no error: nobody in between shall take it for one
    """The call is over without the connection that aiohttp has asked for."""


class Leg:
    """One way of a request through aiohttp: from the mesh's middleware to the connection that it asks for."""

    __slots__ = ("_send", "_used", "attempt", "exchange")

    def __init__(self, exchange: Exchange, send: Send | Bypass | LocalReply | None) -> None:
        """`send`: what is known of it already; None for the first, on which that is found out."""
        self.exchange = exchange
        self.attempt: Attempt | None = None
        self._send = send
        self._used = False

    async def connect(self, request: ClientRequest, own: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109
        """In place of the connector's `connect`, which is `own`."""
        if self._used:
            raise RuntimeError(
                "a middleware inside proxyless.aiohttp.middleware has sent one request twice: put it before that one"
            )
        self._used = True
        exchange, send = self.exchange, self._send
        if send is None:
            send = await exchange.begin(request, timeout, traces)
        if isinstance(send, Send):
            attempt = self.attempt = exchange.prepare(request, send)
            if traces and not exchange.opened:
                for trace in traces:
                    await trace.send_connection_reuseconn()
            return attempt.connection(request.connection_key)
        if isinstance(send, Bypass):
            attempt = self.attempt = Attempt(exchange, None, plain=True)
            if send.changed is not None:
                change(request, send.changed)
            elif send.told:
                tell(request, send.told)
            if isinstance(exchange.source, Whole | Begun) and not isinstance(request._body, BytesPayload):
                request._body = Body(exchange.source, attempt)  # type: ignore[assignment]  # somebody has read it
            try:
                connection = await exchange.pool.bypassed(send, own, request, traces, timeout)
            except ClientConnectorError as error:
                raise exchange.not_connected(error) from error
            connection.add_callback(attempt.over)
            return connection
        head = exchange.call.request.method == b"HEAD"
        request._body = request._continue = None
        attempt = self.attempt = Attempt(exchange, answering(send, head=head, loop=exchange.loop), plain=True)
        return attempt.connection(request.connection_key)


class Exchange(Underway):
    """One call under way."""

    __slots__ = (
        "broken",
        "copies",
        "given",
        "handle",
        "loop",
        "opened",
        "original",
        "read_s",
        "reply",
        "sent",
        "source",
        "traces",
        "upload",
    )

    def __init__(self, pool: Governor, request: ClientRequest, handle: Handle, loop: asyncio.AbstractEventLoop) -> None:
        self.pool = pool
        self.library = LIBRARY
        self.loop = loop
        self.original = request
        self.handle = handle
        self.timeouts = NO_TIMEOUTS
        self.caller_deadline = None
        self.read_s: float | None = None
        """The caller's `sock_read`."""
        self.broken: Exception | None = None
        """What the program's own body has raised."""
        self.reply: LocalReply | None = None
        self.upload: Upload | None = None
        self.source: Any = None
        self.copies: list[Copy] = []
        self.traces: Any = ()
        self.opened = False
        """Whether a connection was made for this try."""
        self.given: HeaderList = []
        self.sent = 0

    # -- the first leg -------------------------------------------------------------------------------------------

    async def begin(self, request: ClientRequest, timeout: Any, traces: Any) -> Send | Bypass | LocalReply:  # noqa: ASYNC109
        """Decide what becomes of a request, as it is once all middlewares have seen it."""
        headers = request.headers
        if (
            request.method in ClientRequest.POST_METHODS
            and hdrs.CONTENT_TYPE not in headers
            and hdrs.CONTENT_TYPE not in request.skip_auto_headers
        ):
            headers[hdrs.CONTENT_TYPE] = "application/octet-stream"  # as aiohttp does later
        url = request.url
        given = self.given = [(name.encode(), value.encode()) for name, value in headers.items()]
        scheme = SCHEMES[url.scheme]
        host = (url.raw_host or "").encode()
        view = RequestView(request.method.encode(), scheme, host, url.raw_path_qs.encode(), given)
        known = view.headers
        view.authority = known.get(b"host", host)
        self.timeouts = {"connect": timeout.connect or None, "sock_connect": timeout.sock_connect or None}
        self.read_s = timeout.sock_read
        self.traces = traces
        pool = self.pool
        call = self.call = OutgoingCall(
            pool.runtime, pool.owner(self.loop), view, host, url.port or DEFAULT_PORTS[scheme], pool.policies
        )
        body = request._body
        if body is not None:
            self.source = source_of(body)
            call.uploading = b"transfer-encoding" in known or known.get(b"content-length", b"0") != b"0"
        machine = self.machine = call.run()
        action = step(machine)
        while not isinstance(action, ANSWERS):
            action = step(machine, await PERFORM[action.kind](self, action))
        if isinstance(action, Deliver):
            raise Settled(action)
        if isinstance(action, LocalReply):
            self.reply = action
            self.pool.refuse(action, request)
        return action

    def patience_to_connect(self) -> float | None:
        patience, own = super().patience_to_connect(), self.timeouts.get("sock_connect")
        return own if patience is None or (own is not None and own < patience) else patience

    def reads(self) -> float | None:
        """How long the next try may wait for its head."""
        if self.read_s is None or self.caller_deadline is None:
            return self.read_s
        return max(0.001, self.caller_deadline - monotonic())

    def waits(self) -> None:
        """The request has been sent whole: from now on the caller waits for the head, all tries together."""
        if self.caller_deadline is None and self.read_s is not None:
            self.caller_deadline = monotonic() + self.read_s

    # -- a try ---------------------------------------------------------------------------------------------------

    async def go(self, send: Send | Bypass | LocalReply | None) -> Head | Failure | LocalReply:
        """Send the request by the library's own means."""
        request = cloned(self.original)
        leg = Leg(self, send)
        request.__dict__[LEG] = leg
        try:
            response = await self.handle(request)
        except (DeadlineError, IdleError, ServerDisconnectedError, ClientOSError, ClientResponseError) as error:
            return await self._failed(error, request, leg)
        return self._answered(response, leg)

    def _answered(self, response: ClientResponse, leg: Leg) -> Head:
        attempt = leg.attempt
        if attempt is None:
            raise RuntimeError("a middleware inside proxyless.aiohttp.middleware has answered: put it before that one")
        if self.read_s is not None:
            self.waits()
        attempt.response = response
        if not attempt.at_once:
            response._request_info = self.original.request_info
        setattr(response, CALL, self.call)  # by way of its dictionary all of its attributes would be slower
        handler = attempt.handler
        if isinstance(handler, StreamHandler):
            response.version = HTTP2
            if handler.lane.framed:
                rewrite(response, list(response.raw_headers)[:-1])
        if handler is not None and handler.read_timeout != self.read_s and not attempt.plain:
            handler.read_timeout = self.read_s
        return Head(response.status, list(response._raw_headers), attempt, self._replayable())

    async def _failed(self, error: Exception, request: ClientRequest, leg: Leg) -> Failure:
        attempt = leg.attempt
        own = attempt is None or attempt.plain or self.broken is not None
        malformed = isinstance(error.__cause__, HttpProcessingError)
        if own or (isinstance(error, ClientResponseError) and not malformed):
            raise error
        self.waits()
        await request.close()  # whoever writes its body has been told
        kind = error.kind if isinstance(error, StreamError) else KINDS.get(type(error), "reset")
        return Failure(kind, str(error), error, self._replayable())

    def _replayable(self) -> bool:
        return self.upload is None or self.upload.replayable

    def prepare(self, request: ClientRequest, send: Send) -> Attempt:
        """Aim a request at the endpoint, and set the deadlines."""
        connection: Any = send.slot.connection  # of this suite: what its pools hold
        call = self.call
        handler = connection.handler
        headers = [(b"Host", send.authority), *send.headers]
        spelled = spell(call, send, headers, self.given)
        if connection.http2:
            request.chunked = None  # HTTP/2 frames a body itself
            handler = handler.lane(_fields(send))
        else:
            written = write(self, request, send, handler, headers, spelled)
            if written is not None:
                return written
        attempt = Attempt(self, handler)
        request.headers = going_out(headers, spelled)
        request.proxy = None
        path = send.path.decode("utf-8", "surrogateescape")
        if path != request.url.raw_path_qs:
            request.url = URL(f"http://{send.host.host.decode()}{path}", encoded=True)
        method = send.method.decode()
        if method != request.method:
            request.method = method
            if call.redirects:  # one of them has made it a GET
                self.source = self.upload = request._body = request._continue = None
                request.chunked = None
        if self.source is None:
            request._body = None
        if call.uploading:
            attempt.until(send.deadline, send.idle_s)
            upload = self.uploaded_by(attempt)
            request._body = Body(upload, attempt)  # type: ignore[assignment]  # the part of a payload that is used
        else:
            if send.deadline is not None or send.idle_s is not None:
                attempt.until(send.deadline, send.idle_s)
            if self.source is not None:
                request._body = Body(self.uploaded_by(attempt), attempt)  # type: ignore[assignment]
        return attempt

    def uploaded_by(self, attempt: Attempt) -> Upload:
        """The request's body, which says when it has been sent."""
        upload = self.upload
        if upload is None:
            again = isinstance(self.source, Whole)
            upload = self.upload = upload_of(self.call, self.source, again=again, copied=bool(self.copies))
        upload.on_end = lambda: self._uploaded(attempt)
        return upload

    def _uploaded(self, attempt: Attempt) -> None:
        self.waits()
        if self.call.uploading:
            attempt.until(self.call.uploaded(replayable=self._replayable()), self.call.idle_s())
        upload, copies = self.upload, self.copies
        if copies and upload is not None:
            self.copies = []
            body = upload.kept()
            for each in copies:
                if body is None:
                    self.pool.runtime.background.drop()
                else:
                    self.launch(each, body)

    def launch(self, copied: Copy, body: bytes | None) -> None:
        """Begin a copy of the request."""
        if self.pool.runtime.background.begin():
            self.pool.launch(self, copied, body)

    def branch(self) -> Exchange:
        """The same request for a try that runs beside others: what it changes is its own."""
        if self.source is not None and self.upload is None:
            again = isinstance(self.source, Whole)
            self.upload = upload_of(self.call, self.source, again=again, copied=bool(self.copies))
        return copy(self)

    def of_copy(self, copied: Copy, body: bytes | None, handle: Handle) -> Exchange:
        """A copy of this request on its way: nobody waits for it, and so nobody loses patience."""
        made = Exchange(self.pool, cloned(self.original), handle, self.loop)
        made.call = CopyCall(self.pool.runtime, self.pool.owner(self.loop), copied)
        made.machine = made.call.run()
        made.original._traces = []
        made.original._continue = None
        made.original._body = None
        made.source = Whole(body) if body is not None else None
        return made

    # -- the end -------------------------------------------------------------------------------------------------

    def not_connected(self, error: ClientConnectorError) -> ClientConnectorError:
        """The library's own error about a host that the mesh does not govern, saying so: a name may be misspelt."""
        said = self.unreached(getattr(error, "flag", "UF"))
        if not said:
            return error
        why = error.os_error
        return type(error)(error._conn_key, OSError(why.errno, f"{why.strerror or why} {said}"))

    def respond(self, deliver: Deliver) -> ClientResponse:
        """The library's response with the mesh's mutations."""
        attempt: Attempt = deliver.head.handle
        response = attempt.response
        if response is None:
            raise AssertionError("a head without a response")
        headers = deliver.head.headers
        if tuple(headers) != response._raw_headers:
            rewrite(response, headers)
        attempt.deliver(deliver)
        return response

    # -- actions -------------------------------------------------------------------------------------------------

    @staticmethod
    async def open_connection(exchange: Exchange, action: OpenConnection) -> Any:
        for trace in exchange.traces:
            await trace.send_connection_create_start()
        stream: Stream | Failure = await run_async(exchange.opening(action), BACKEND)
        if isinstance(stream, Failure):
            return stream
        secure = action.pool.secure is not None
        http2 = action.http2 or (secure and action.negotiates and speaks_http2(stream))
        try:
            handler = await _speaking(stream, exchange.loop, http2=http2)
        except OSError as error:
            return Failure("connect-failure", str(error), error)
        for trace in exchange.traces:
            await trace.send_connection_create_end()
        exchange.opened = True
        made = Connection(handler, exchange.loop, http2=http2)
        if secure:
            made.principals, made.handshake = principals_of(stream), handshake_of(stream)
        return made

    @staticmethod
    async def send(exchange: Exchange, action: Send | Bypass) -> Any:
        return await exchange.go(action)

    @staticmethod
    async def discard(exchange: Exchange, action: Discard) -> None:
        del exchange
        attempt: Attempt = action.head.handle
        if attempt.response is not None:
            attempt.response.close()

    @staticmethod
    async def collect(exchange: Exchange, action: Collect) -> int:
        source = exchange.source
        if source is None:
            return 0
        body = b""
        parts = aiter(source)
        async for chunk in parts:
            body += chunk
            if len(body) > action.most:
                exchange.source = Begun(body, parts)
                break
        else:
            exchange.source = Whole(body)
        action.body = body
        return len(body)

    @staticmethod
    async def start(exchange: Exchange, action: Start) -> None:
        source = exchange.source
        if isinstance(source, Whole):
            exchange.launch(action.copy, source.body)
        elif exchange.call.uploading:
            exchange.copies.append(action.copy)
        else:
            exchange.launch(action.copy, None)

    @staticmethod
    async def run(exchange: Exchange, action: Run) -> Task:
        return beside(action, PERFORM, exchange.branch())


async def _speaking(stream: Stream, loop: asyncio.AbstractEventLoop, *, http2: bool) -> Handler | Link:
    """What reads a connection from now on."""
    first = stream.handler
    if not http2:
        return first if first is not None else await stream.opened(lambda: Handler(loop))  # an empty one is false
    if first is None:
        return await stream.opened(lambda: Link(loop))
    transport = first.transport
    if transport is None:
        raise ConnectionResetError("the other side has closed the connection")
    link = Link(loop)
    transport.set_protocol(link)
    link.connection_made(transport)
    if first._tail:  # what came before it was known who reads
        link.data_received(first._tail)
    return link


def _fields(send: Send) -> HeaderList:
    """The headers of a request over HTTP/2."""
    return [
        (b":method", send.method),
        (b":scheme", b"http"),
        (b":authority", send.authority),
        (b":path", send.path),
        *lower(send.headers),
    ]


PERFORM: tuple[Callable[[Any, Any], Awaitable[Any]], ...] = (
    await_config,
    Exchange.open_connection,
    await_slot,
    Exchange.send,
    Exchange.discard,
    sleep,
    Exchange.send,
    ask,
    Exchange.start,
    Exchange.run,
    await_race,
    Exchange.collect,
)
