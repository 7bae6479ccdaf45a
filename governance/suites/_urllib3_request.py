"""What a caller of urllib3 gives, as the bytes that go out: what `http.client` would make of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache, lru_cache
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
    headers: Mapping[Any, Any], host: bytes, length: int | None, streamed: bool, chunked: bool, without: Collection[str]
) -> HeaderList:
    """The headers in the order in which `http.client` writes them: its own, how the body is framed, the caller's."""
    given: HeaderList = []
    names = set()
    for name, value in headers.items():
        text, raw, small = _name(name)
        names.add(small)
        if value == SKIP_HEADER:
            if small not in _SKIPPABLE:
                told = "', '".join(str.title(each) for each in sorted(_SKIPPABLE))
                raise ValueError(f"urllib3.util.SKIP_HEADER only supports '{told}'")
        elif not without or text not in without:
            given.append((raw, _value(value)))
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
        made.append((b"User-Agent", _default_user_agent()))
    made += given
    return made


@cache
def _default_user_agent() -> bytes:
    return default_user_agent().encode()


@lru_cache(1024)
def _name(name: str | bytes) -> tuple[str, bytes, str]:
    """As it is given, as it is sent, and in lower case."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    raw = text.encode("ascii")
    if _NAME.fullmatch(raw) is None:
        raise ValueError(f"Invalid header name {raw!r}")
    return text, raw, text.lower()


def _value(value: Any) -> bytes:
    if isinstance(value, str):
        value = value.encode("latin-1")
    elif isinstance(value, int):
        value = str(value).encode("ascii")
    if (b"\n" in value or b"\r" in value) and _BAD_VALUE.search(value) is not None:
        raise ValueError(f"Invalid header value {value!r}")
    return value.strip(b" \t")  # type: ignore[no-any-return]
