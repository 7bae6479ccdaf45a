"""What a caller of urllib3 gives, as the bytes that go out: what `http.client` would make of it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from urllib3.util import SKIP_HEADER
from urllib3.util.request import body_to_chunks

from ..headers import HeaderList
from ._message import ByteStream

try:
    from urllib3.connection import _get_default_user_agent as default_user_agent
except ImportError:

    def default_user_agent() -> str:
        """With another urllib3."""
        return f"python-urllib3/{version('urllib3')}"


_NAME = re.compile(rb"[^:\s][^:\r\n]*")
_BAD_VALUE = re.compile(rb"\n(?![ \t])|\r(?![ \t\n])")
_SKIPPABLE = frozenset({"accept-encoding", "host", "user-agent"})
_NONE = ByteStream(b"")


class Chunks:
    """A body that comes in parts."""

    __slots__ = ("_parts",)

    at_hand = False

    def __init__(self, parts: Iterable[Any]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            yield part.encode() if isinstance(part, str) else bytes(part)


def body_of(body: Any, method: str, blocksize: int) -> tuple[ByteStream | Chunks, int | None]:
    """The body, and its length where that is known or, for a method that expects a body, 0."""
    if body is None:
        return _NONE, _length_without_body(method)
    found = body_to_chunks(body, method, blocksize)
    chunks: Any = found.chunks
    if found.content_length is None:
        return Chunks(chunks), None
    return ByteStream(bytes(chunks[0])), found.content_length


@lru_cache(64)
def _length_without_body(method: str) -> int | None:
    return body_to_chunks(None, method, 0).content_length


def headers_of(
    headers: Mapping[Any, Any], host: bytes, length: int | None, streamed: bool, chunked: bool, without: Container[str]
) -> HeaderList:
    """The headers in the order in which `http.client` writes them: its own, how the body is framed, the caller's."""
    given = [(name.decode("latin-1") if isinstance(name, bytes) else name, value) for name, value in headers.items()]
    names = {name.lower() for name, _ in given}
    made: HeaderList = [] if "host" in names else [(b"Host", host)]
    if "accept-encoding" not in names:
        made.append((b"Accept-Encoding", b"identity"))
    if "transfer-encoding" in names:
        pass
    elif chunked or ("content-length" not in names and streamed):
        made.append((b"Transfer-Encoding", b"chunked"))
    elif "content-length" not in names and length is not None:
        made.append((b"Content-Length", b"%d" % length))
    if "user-agent" not in names:
        made.append((b"User-Agent", default_user_agent().encode()))
    for name, value in given:
        if value == SKIP_HEADER:
            if name.lower() not in _SKIPPABLE:
                told = "', '".join(str.title(each) for each in sorted(_SKIPPABLE))
                raise ValueError(f"urllib3.util.SKIP_HEADER only supports '{told}'")
        elif name not in without:
            made.append(_pair(name, value))
    return made


@lru_cache(1024)
def _name(name: str) -> bytes:
    raw = name.encode("ascii")
    if _NAME.fullmatch(raw) is None:
        raise ValueError(f"Invalid header name {raw!r}")
    return raw


def _pair(name: str, value: Any) -> tuple[bytes, bytes]:
    raw = _name(name)
    if isinstance(value, str):
        value = value.encode("latin-1")
    elif isinstance(value, int):
        value = str(value).encode("ascii")
    if (b"\n" in value or b"\r" in value) and _BAD_VALUE.search(value) is not None:
        raise ValueError(f"Invalid header value {value!r}")
    return raw, value.strip(b" \t")
