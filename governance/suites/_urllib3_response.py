"""A governed response as urllib3's: its own class around a body that the mesh hands on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from http.client import IncompleteRead, responses
from typing import Any, NoReturn, Self

import httpcore
import urllib3
from urllib3._collections import HTTPHeaderDict

from ..call import Machine, OutgoingCall
from ._httpcore import Body, Clamp, Library

VERSIONS = {b"HTTP/1.1": 11, b"HTTP/1.0": 10, b"HTTP/2": 20}
PART_BYTES = 65536
CODING = "transfer-encoding"


class Readable(Body):
    """A body as a file: what `http.client.HTTPResponse` is to urllib3."""

    __slots__ = ("_parts", "_rest", "closed")

    def __init__(self, inner: Any, machine: Machine, call: OutgoingCall, clamp: Clamp | None, library: Library) -> None:
        super().__init__(inner, machine, call, clamp, library)
        self._parts: Iterator[bytes] = iter(inner)
        self._rest = b""
        self.closed = False

    @classmethod
    def of_reply(cls, body: Any, machine: Machine, call: OutgoingCall, library: Library) -> Self:
        """Of a reply of the mesh's own, whose call is over."""
        made = cls(body, machine, call, None, library)
        made._open = False
        return made

    def isclosed(self) -> bool:
        return self.closed

    def _next(self) -> bytes:
        """A part, or nothing at the end. Raises what `http.client` and its socket would."""
        try:
            for part in self._parts:
                if part:
                    self.received += len(part)
                    return part
        except BaseException as error:
            self._fail(error)
        if self._open:
            self._inner.close()
            self._end(True)
        self.closed = True
        return b""

    def _fail(self, error: BaseException) -> NoReturn:
        cut = self._cut(error)
        if isinstance(cut, httpcore.TimeoutException):
            raise TimeoutError(str(cut)) from cut
        if isinstance(cut, httpcore.RemoteProtocolError):
            raise IncompleteRead(b"", None) from cut
        if isinstance(cut, httpcore.NetworkError):
            raise ConnectionResetError(str(cut)) from cut
        raise cut from None

    def read(self, amt: int | None = None) -> bytes:
        """So many bytes, or all: fewer only at the end."""
        if self.closed:
            return b""
        parts, size = [self._rest], len(self._rest)
        while (amt is None or size < amt) and (part := self._next()):
            parts.append(part)
            size += len(part)
        data = b"".join(parts)
        if amt is None:
            self._rest = b""
            self.closed = True
            return data
        return self._taken(data, amt)

    def read1(self, amt: int | None = None) -> bytes:
        """What is there, at least a byte; nothing at the end."""
        if amt == 0:
            return b""
        data = self._rest or (b"" if self.closed else self._next())
        return self._taken(data, len(data) if amt is None or amt < 0 else amt)

    def _taken(self, data: bytes, amt: int) -> bytes:
        self._rest = data[amt:]
        if self._rest:
            self.closed = False
        return data[:amt]

    def close(self) -> None:
        """Give the connection back; one whose body has not been read is closed."""
        self.closed = True
        self._rest = b""
        super().close()


class Original:
    """What requests and cookie jars take for `http.client`'s response."""

    __slots__ = ("fp", "msg", "version")

    fp: Readable
    version: int
    """Both when the head of the response is there."""

    def __init__(self, msg: HTTPHeaderDict) -> None:
        self.msg = msg

    def isclosed(self) -> bool:
        return self.fp.closed

    def close(self) -> None:
        self.fp.close()


class Response(urllib3.HTTPResponse):
    """`urllib3.HTTPResponse` of a governed call. `proxyless`: the call, how it went."""

    proxyless: Any = None

    def release_conn(self) -> None:
        """The connection is the mesh's: one whose body has not been read is closed."""
        fp: Any = self._fp
        if fp is not None and not fp.closed:
            fp.close()

    def stream(self, amt: int | None = PART_BYTES, decode_content: bool | None = None) -> Generator[bytes, None, None]:
        """Parts of at most so many bytes. As they come, where nothing says how many will."""
        if self.length_remaining is not None:
            yield from super().stream(amt, decode_content)
            return
        while data := self.read1(amt, decode_content):
            yield data

    def read_chunked(self, amt: int | None = None, decode_content: bool | None = None) -> Generator[bytes, None, None]:
        """The same."""
        while data := self.read1(amt, decode_content):
            yield data


class Awaited:
    """urllib3's response to a request of the mesh's.

    What the endpoint does not say of it is made while that is at work: between the sending and the reading a thread
    would only wait. `options`: of the call, such as `preload_content`.
    """

    __slots__ = ("_made", "_method", "_options", "_url")

    def __init__(self, method: str, url: str, options: dict[str, Any]) -> None:
        self._method = method
        self._url = url
        self._options = options
        self._made: Response | None = None

    def prepare(self) -> None:
        """The request has been sent, perhaps not for the first time."""
        if self._made is None:
            self._made = self._empty()

    def _empty(self) -> Response:
        headers = HTTPHeaderDict()
        return Response(
            headers=headers,
            original_response=Original(headers),  # type: ignore[arg-type]
            request_method=self._method,
            request_url=self._url,
            **{**self._options, "preload_content": False},
        )

    def filled(self, core: Any, fp: Readable, call: Any) -> Response:
        """With what one of the mesh's connections has brought."""
        made, self._made = self._made or self._empty(), None
        headers = made.headers
        for name, value in core.headers:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        extensions = core.extensions
        said: bytes = extensions.get("http_version", b"HTTP/1.1")
        reason = extensions.get("reason_phrase")
        original: Any = made._original_response
        made.status = core.status
        made.version = VERSIONS.get(said, 11)
        made.version_string = said.decode()
        made.reason = responses.get(core.status, "") if reason is None else reason.decode("latin-1")
        made.chunked = CODING in headers and "chunked" in map(str.strip, headers[CODING].lower().split(","))
        made.length_remaining = made._init_length(self._method)
        made._fp = fp  # type: ignore[assignment]
        original.fp, original.version = fp, made.version
        made.proxyless = call
        if self._options.get("preload_content", True):
            made._body = made.read(decode_content=self._options.get("decode_content", True))
        return made
