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

    __slots__ = ("_fp", "msg", "version")

    def __init__(self, fp: Readable, msg: HTTPHeaderDict, version: int) -> None:
        self._fp = fp
        self.msg = msg
        self.version = version

    def isclosed(self) -> bool:
        return self._fp.closed

    def close(self) -> None:
        self._fp.close()


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


def response_of(core: Any, fp: Readable, call: Any, method: str, url: str, options: dict[str, Any]) -> Response:
    """urllib3's response from one of the mesh's connections. `options`: of the call, such as `preload_content`."""
    headers = HTTPHeaderDict()
    for name, value in core.headers:
        headers.add(name.decode("latin-1"), value.decode("latin-1"))
    extensions = core.extensions
    version_said: bytes = extensions.get("http_version", b"HTTP/1.1")
    version = VERSIONS.get(version_said, 11)
    reason = extensions.get("reason_phrase")
    preload = options.pop("preload_content", True)
    made = Response(
        body=fp,
        headers=headers,
        status=core.status,
        version=version,
        reason=responses.get(core.status, "") if reason is None else reason.decode("latin-1"),
        preload_content=False,
        original_response=Original(fp, headers, version),  # type: ignore[arg-type]
        request_method=method,
        request_url=url,
        **options,
    )
    made.version_string = version_said.decode()
    made.proxyless = call
    if preload:
        made._body = made.read(decode_content=options.get("decode_content", True))
    return made
