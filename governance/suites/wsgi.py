"""The WSGI suite: middleware (PEP 3333) for servers of processes, threads and greenlets.

Every request to the app's port goes through the filters of the inbound chain that istiod made for it. What they refuse
is answered here; what they let through reaches the app with its headers as Envoy would have left them. The thread of
the request waits for what a filter waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import Context
from functools import lru_cache, partial
from http import HTTPStatus
from types import TracebackType
from typing import Any

from ..composition.compose import Policies
from ..headers import HeaderList
from ..hello import ISTIO
from ..inbound import InboundRequest
from ..peer import PROBE, SERVED, Served
from ..replies import LocalReply, reply_body, reply_headers
from ..runtime import Runtime
from ._current import context_of, made_in, run_in
from ._environ import Counted, Environ, Names, hold, number, put_headers, put_target, view_of
from ._incoming import driven_sync
from ._layers import GOVERNED, Governs, Layer

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Headers = list[tuple[str, str]]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailers transfer-encoding upgrade".split()
)
"""What an app of WSGI may not say, and so nobody for it."""

REASONS = {each.value: f"{each.value} {each.phrase}" for each in HTTPStatus}
CODES = {line: code for code, line in REASONS.items()}

SOCKETS = ("gunicorn.socket", "werkzeug.socket")
"""Where servers tell of the connection: a thread of theirs may have read another one last."""


class WsgiMiddleware(Governs):
    """Governs a WSGI app. `port`: the app's port in the pod; by default the one the server says."""

    def __init__(
        self, app: App, runtime: Runtime | None, port: int | None = None, policies: Policies | None = None
    ) -> None:
        self.app = app
        self.runtime = runtime
        self.port = port
        self.policies = policies
        self._names = Names()
        self._layer = Layer("proxyless.wsgi.Middleware")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        runtime = self.runtime
        if runtime is None:
            return self.app(environ, start_response)
        if GOVERNED in environ:
            self._layer.inner()
            return self.app(environ, start_response)
        port = self.port
        if port is None:  # a Unix socket has none: what servers say then is what the client has written into Host
            port = number(environ.get("SERVER_PORT")) if environ.get("REMOTE_ADDR") else 0
        served = _connection(environ)
        if served is None or not served.open or served.port != port:
            if served is PROBE:
                return self.app(environ, start_response)
            served = None  # a connection that no context of the mesh's has let in
        elif not served.unseen:  # else the server knows of no TLS, and says what it did without
            environ["wsgi.url_scheme"] = "http" if served.peer is None else "https"
        view = view_of(environ, self._names)
        if served is not None and served.unseen:
            view.scheme = b"http" if served.peer is None else b"https"
        sent, kept, target = view.raw_headers, view.without_hop().copy(), view.path
        inbound = InboundRequest(
            runtime,
            view,
            port,
            served.peer if served is not None else None,
            served.hello if served is not None else ISTIO,
            "",
            number(environ.get("REMOTE_PORT")),
            environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            self.policies,
        )
        try:
            reply = inbound.start()
            if reply is not None and not isinstance(reply, LocalReply):  # it has to wait for something
                reply = driven_sync(reply, partial(hold, environ))
        except BaseException:
            inbound.ended(0, ("DC",))
            raise
        if reply is not None:
            return _answer(inbound, reply, start_response)
        if view.raw_headers is not sent:
            put_headers(environ, self._names, sent, kept, view.raw_headers)
        if view.path is not target:
            put_target(environ, view.path)
        environ[GOVERNED] = True
        return _serve(self.app, inbound, environ, start_response)


def _connection(environ: Environ) -> Served | None:
    for key in SOCKETS:
        connection = environ.get(key)
        if connection is not None:
            served: Served | None = getattr(connection, "served", None)
            return served
    return SERVED.get()


def _answer(inbound: InboundRequest, reply: LocalReply, start_response: StartResponse) -> list[bytes]:
    head = inbound.request.method == b"HEAD"
    body = reply_body(reply, head=head)
    status = REASONS.get(reply.status, f"{reply.status} Unknown")
    start_response(status, _text(reply_headers(reply, head=head)))
    inbound.sent = len(body)
    inbound.ended(reply.status)
    return [body]


def _text(headers: HeaderList) -> Headers:
    """Headers of the mesh's, as WSGI has them."""
    return [each for pair in headers if (each := _line(pair)) is not None]


@lru_cache(maxsize=64)
def _line(pair: tuple[bytes, bytes]) -> tuple[str, str] | None:
    """One of them; most are the same for each response."""
    name, value = pair
    return None if name.lower() in HOP_BY_HOP else (name.decode("latin-1"), value.decode("latin-1"))


def _serve(app: App, inbound: InboundRequest, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    if environ.get("CONTENT_LENGTH", "0") not in ("", "0") or environ.get("wsgi.input_terminated"):
        environ["wsgi.input"] = Counted(environ["wsgi.input"], inbound)
    context = context_of(inbound) if inbound.trace is not None else None
    response = Response(inbound, start_response, context)
    try:
        result = app(environ, response.start) if context is None else context.run(app, environ, response.start)
    except BaseException as error:
        response.failed(error)
        raise
    if isinstance(result, (list, tuple)):
        return SizedBody(response, result)
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type) and isinstance(result, wrapper) and response.of_file(result):
        return result
    return Body(response, result)


class Response:
    """What the app answers: looked at when it begins, told about once when it is over."""

    __slots__ = ("_headers", "_start", "_write", "complete", "context", "inbound", "over", "status")

    def __init__(self, inbound: InboundRequest, start_response: StartResponse, context: Context | None) -> None:
        self.inbound = inbound
        self.context = context
        self._start = start_response
        self._write: Write | None = None
        self._headers: Headers = []
        self.status = 0
        self.complete = False
        self.over = False

    def start(self, status: str, headers: Headers, exc_info: ExcInfo | None = None) -> Write:
        """`start_response` for the app."""
        code = CODES.get(status) or int(status[:3])
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        changed = self.inbound.response(code, raw)
        size = len(raw)
        if changed is not raw:
            if changed[:size] == raw:  # the mesh only adds to them, as it mostly does
                headers = [*headers, *_text(changed[size:])]
            else:
                headers = _changed(headers, raw, changed)
        write = self._start(status, headers, exc_info) if exc_info is not None else self._start(status, headers)
        self.status, self._write = code, write
        self._headers = headers
        return self._counting

    def _counting(self, data: bytes) -> None:
        if self._write is not None:
            self._write(data)
        self.inbound.sent += len(data)

    def of_file(self, result: Any) -> bool:
        """Whether the server may send a file by its own means: it closes it then."""
        close = getattr(result, "close", None)

        def closed() -> None:
            lengths = (number(value) for name, value in self._headers if name.lower() == "content-length")
            self.inbound.sent, self.complete = next(lengths, 0), True
            self.end(close)

        try:
            result.close = closed
        except AttributeError:
            return False
        return True

    def failed(self, error: BaseException) -> None:
        """The app has raised; the server answers."""
        if not self.over:
            self.over = True
            if isinstance(error, Exception):
                self.inbound.ended(self.status or 500)
            else:
                self.inbound.ended(self.status, ("DC",))

    def end(self, close: Callable[[], object] | None) -> None:
        """The server needs no more of it."""
        try:
            if close is not None:
                run_in(self.context, close)
        finally:
            if not self.over:
                self.over = True
                self.inbound.ended(self.status, () if self.complete else ("DC",))


def _changed(headers: Headers, raw: HeaderList, changed: HeaderList) -> Headers:
    """The app's own headers stay as they are, those of one hop too, which are between it and its server."""
    own = dict(zip(raw, headers, strict=True))
    return [pair for each in changed for pair in ([own[each]] if each in own else _text([each]))]


class Body:
    """The body of a response, as the app makes it."""

    __slots__ = ("_response", "_result")

    def __init__(self, response: Response, result: Iterable[bytes]) -> None:
        self._response = response
        self._result = result

    def __iter__(self) -> Iterator[bytes]:
        response = self._response
        context = response.context
        try:
            for data in self._result if context is None else made_in(context, self._result):
                response.inbound.sent += len(data)
                yield data
        except GeneratorExit:
            raise
        except BaseException as error:
            response.failed(error)
            raise
        response.complete = True

    def close(self) -> None:
        """By the server, however it ends."""
        self._response.end(getattr(self._result, "close", None))

    def __del__(self) -> None:
        response = self._response
        if not response.over:
            response.end(None)


class SizedBody(Body):
    """One that is there already: servers ask how many parts it has, and may look at it more than once."""

    __slots__ = ()
    _result: list[bytes] | tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self._result)

    def __iter__(self) -> Iterator[bytes]:
        response = self._response
        response.inbound.sent = sum(map(len, self._result))
        yield from self._result
        response.complete = True
