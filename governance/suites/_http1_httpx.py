"""HTTP/1.1 for httpx, which brings httpcore and with it h11: ordinary requests go past both, by llhttp.

Of a governed call over httpcore's own connection that connection would be two fifths. What is out of the ordinary is
left to it, on the same socket: headers that h11 has to look at, uploads in chunks, upgrades and CONNECT, requests that
somebody traces (httpcore's `trace` extension, or its logger at DEBUG).
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

from ..headers import HeaderList
from ..spelling import lower
from ._http1 import READ_BYTES, Http1, Http1Connection, Reply
from ._httpcore import Library
from ._tokens import Tokens

_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]{1,18})(?=\r\n|\Z)")
_TOKENS = Tokens(b"connection", b"expect", b"transfer-encoding", b"upgrade")
_METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
_PRINTABLE = bytes(range(0x20, 0x7F))
_VISIBLE = bytes(range(0x21, 0x7F))


class Ordinary(HeaderList):
    """Headers that nobody need look at again: as they go out, and how long the body is that they announce."""

    __slots__ = ("length", "text")

    text: bytes
    length: int


def ordinary(pairs: HeaderList, *, in_lower_case: bool = False) -> HeaderList:
    """The headers of a request, `Ordinary` where they are: names are tokens, values printable ASCII without spaces at
    their ends, one Host comes first, nothing asks for more than an exchange with a body of a known length.

    Names are written as they are spelled, or in lower case.
    """
    return _ordinary(pairs, in_lower_case) or (lower(pairs) if in_lower_case else pairs)


def _ordinary(pairs: HeaderList, in_lower_case: bool) -> Ordinary | None:
    known = _TOKENS.lower
    try:
        made = Ordinary([(known[name], value) for name, value in pairs])
    except KeyError:
        if not all(known.get(name) or _TOKENS.learn(name) for name, _ in pairs):
            return None
        made = Ordinary([(name.lower(), value) for name, value in pairs])
    text = small = b"\r\n".join([b"%b: %b" % pair for pair in made])
    if not in_lower_case:
        text = b"\r\n".join([b"%b: %b" % pair for pair in pairs])
    if (
        text.translate(None, _PRINTABLE) != b"\r\n" * (len(made) - 1)
        or b":  " in text
        or b" \r\n" in text
        or text[-1:] == b" "
        or not small.startswith(b"host: ")
        or b"\r\nhost: " in small
    ):
        return None
    made.length = 0
    if b"\r\ncontent-length: " in small:
        found = _LENGTH.findall(small)
        if len(found) != 1 or small.count(b"\r\ncontent-length: ") != 1:
            return None
        made.length = int(found[0])
    if not in_lower_case:
        made[:] = pairs
    made.text = text
    return made


class _Quick(Http1):
    """What sync and async have in common: which requests are left to the library's connection, `_own`."""

    _log: logging.Logger
    _kind: Any
    """The library's own connection."""

    def __init__(self, origin: Any, stream: Any) -> None:
        super().__init__(origin, stream)
        self._own: Any = None
        self._lent = False
        """Whether a request is with the library's own connection."""

    def is_available(self) -> bool:
        if self._lent and self._own.is_available():
            self._lent, self._idle = False, True
        return self._idle

    def is_closed(self) -> bool:
        return self._closed or (self._lent and self._own.is_closed())

    def _is_ordinary(self, request: Any) -> bool:
        return (
            type(request.headers) is Ordinary
            and request.method in _METHODS
            and not request.url.target.translate(None, _VISIBLE)
            and "trace" not in request.extensions
            and not self._log.isEnabledFor(logging.DEBUG)
        )

    def _lend(self) -> Any:
        """The library's own connection, for one request."""
        if not self.is_available():
            raise self._core.ConnectionNotAvailable
        self._idle, self._lent = False, True
        self._own = self._kind(origin=self._origin, stream=self._stream)
        return self._own

    def _encoded(self, request: Any) -> tuple[bytes, int, bool]:
        headers = request.headers
        return (
            b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (request.method, request.url.target, headers.text),
            headers.length,
            False,
        )

    def _unannounced(self, chunk: bytes) -> None:
        """A part of a body that no header announces."""
        if chunk:
            raise self._core.LocalProtocolError("Too much data for declared Content-Length")

    def _take(self) -> None:
        self.is_available()
        super()._take()


class QuickConnection(_Quick, Http1Connection):
    """For sync code."""

    def handle_request(self, request: Any) -> Any:
        """Send it and wait for the headers of the response. Raises httpcore's errors."""
        if self._is_ordinary(request):
            return super().handle_request(request)
        return self._lend().handle_request(request)

    def _without_content(self, request: Any) -> None:
        for chunk in request.stream:
            self._unannounced(chunk)


class AsyncParts:
    """The body of a response, and the end of what it holds."""

    __slots__ = ("_connection", "_open", "_timeout_s")

    def __init__(self, connection: AsyncQuickConnection, timeout_s: float | None) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._open = True

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._connection.parts(self._timeout_s):
                yield part
        except BaseException:
            from anyio import CancelScope  # httpcore has it by now

            with CancelScope(shield=True):
                await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            await self._connection.ended()


class AsyncReply(Reply):
    """A response whose connection its event loop gives back."""

    __slots__ = ()

    async def aclose(self) -> None:
        """Give the connection back; one whose body has not been read is closed."""
        await self._body.aclose()


class AsyncQuickConnection(_Quick):
    """For asyncio."""

    async def aclose(self) -> None:
        self._closed, self._idle = True, False
        self._parser = None  # which refers to this
        await self._stream.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """Send it and wait for the headers of the response. Raises httpcore's errors."""
        if not self._is_ordinary(request):
            return await self._lend().handle_async_request(request)
        self._take()
        timeouts = request.extensions.get("timeout", {})
        try:
            try:
                await self._send(request, timeouts.get("write"))
                self._whole = True
            except self._core.WriteError:
                pass  # it may have answered, and closed then
            read_s = timeouts.get("read")
            while not self._head:
                self._hear(await self._stream.read(READ_BYTES, read_s))
            return self._reply(request, AsyncParts(self, read_s), AsyncReply)
        except BaseException:
            from anyio import CancelScope  # httpcore has it by now

            with CancelScope(shield=True):
                await self.aclose()
            raise

    async def _send(self, request: Any, timeout_s: float | None) -> None:
        head, length, _ = self._encoded(request)
        if not length:
            await self._stream.write(head, timeout_s)
            async for chunk in request.stream:
                self._unannounced(chunk)
            return
        if not getattr(request.stream, "at_hand", False):
            await self._stream.write(head, timeout_s)
            head = b""
        sent = 0
        async for chunk in request.stream:
            if chunk:
                sent += len(chunk)
                await self._stream.write(head + self._part(chunk, sent, length, False), timeout_s)
                head = b""
        self._end(sent, length, False)

    async def parts(self, timeout_s: float | None) -> AsyncIterator[bytes]:
        """The body as it comes."""
        while True:
            parts = self._parts
            if parts:
                self._parts = []
                for part in parts:
                    yield part
            if self._complete:
                return
            self._hear_body(await self._stream.read(READ_BYTES, timeout_s))

    async def ended(self) -> None:
        """The body has been read, or nobody wants it."""
        if self._may_go_on():
            self._idle = True
        elif not self._closed:
            await self.aclose()


class QuickLibrary(Library):
    """httpcore's parts, with these in place of its connections over HTTP/1.1."""

    def __init__(self, core: ModuleType, byte_stream: type) -> None:
        super().__init__(core, byte_stream)
        log = logging.getLogger(f"{core.__name__}.http11")
        self.checked = ordinary
        self.http1_connection = type(
            "QuickConnection", (QuickConnection,), {"_log": log, "_kind": core.HTTP11Connection}
        )
        self.async_http1_connection = type(
            "AsyncQuickConnection", (AsyncQuickConnection,), {"_log": log, "_kind": core.AsyncHTTP11Connection}
        )
