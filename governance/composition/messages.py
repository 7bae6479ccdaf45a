"""Requests and responses as own policies see them: text in place of bytes, and only what they may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from ..headers import HeaderList
from ..replies import LocalReply
from ..request import RawHeaders, RequestView

if TYPE_CHECKING:
    from ..call import OutgoingCall
    from ..filters.stream import Stream
    from ..inbound import InboundRequest

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")
_TARGET = re.compile(rb"(/|\*$)[\x21-\x7e\x80-\xff]*")
_AUTHORITY = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=:@%\[\]]*")


def _bytes(text: str, shape: re.Pattern[bytes], what: str) -> bytes:
    value = text.encode("utf-8", "surrogateescape")
    if not shape.fullmatch(value):
        raise ValueError(f"{text!r} is no {what}")
    return value


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


class Headers(MutableMapping[str, str]):
    """Headers by name, in any case. What repeats is one value here, joined by commas; `each` gives single ones."""

    __slots__ = ("_read", "_write")

    def __init__(self, read: Callable[[], RawHeaders], write: Callable[[HeaderList], None]) -> None:
        self._read = read
        self._write = write

    def __getitem__(self, name: str) -> str:
        found = self.each(name)
        if not found:
            raise KeyError(name)
        return ", ".join(found)

    def __setitem__(self, name: str, value: str) -> None:
        """One value in place of all there are, where the first stood."""
        key, new = _bytes(name, _NAME, "name of a header").lower(), _bytes(value, _VALUE, "value of a header")
        headers: HeaderList = []
        done = False
        for pair in self._read():
            if pair[0].lower() != key:
                headers.append(pair)
            elif not done:
                headers.append((pair[0], new))
                done = True
        self._write(headers if done else [*headers, (key, new)])

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        key = name.lower().encode()
        self._write([pair for pair in self._read() if pair[0].lower() != key])

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(_text(name.lower()) for name, _ in self._read()))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._read()})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.each(name))

    def each(self, name: str) -> list[str]:
        """All values of a header."""
        key = name.lower().encode()
        return [_text(value) for own, value in self._read() if own.lower() == key]

    def add(self, name: str, value: str) -> None:
        """One value more."""
        key, new = _bytes(name, _NAME, "name of a header").lower(), _bytes(value, _VALUE, "value of a header")
        self._write([*self._read(), (key, new)])

    def __repr__(self) -> str:
        return f"<Headers: {', '.join(self)}>"  # without their values, which may be secret


class Request:
    """A request on its way. What a policy sets here is what those behind it see, and what is sent.

    `method`, `host` (the Host header or authority), `path` (with its query), `headers`; `incoming`: whether it comes to
    this process. `principal`: who sends it, where its connection has shown a certificate. `route` and `cluster`: names,
    once the mesh has decided. `hash_key`: what a balancer that goes by a hash goes by. `context`: anything that
    policies keep for this one request, until its response. `body`: all of it, for who has `max_request_bytes`; None for
    others, and in a dry run.
    """

    __slots__ = ("_stream", "_view", "body", "changed", "context", "hash_key", "headers")

    def __init__(self, stream: OutgoingCall | InboundRequest | Stream, view: RequestView) -> None:
        self._stream = stream
        self._view: Any = view
        self.changed = False
        self.body: bytes | None = None
        self.context: dict[str, Any] = {}
        self.hash_key: str | None = None
        self.headers = Headers(self._raw, self._take)

    def over(self, view: Any) -> None:
        """From now on it is about this view of the request: what goes to the endpoint, say."""
        self._view = view

    def _raw(self) -> RawHeaders:
        view = self._view
        return view.raw_headers if isinstance(view, RequestView) else view.headers

    def _take(self, headers: HeaderList) -> None:
        self.changed = True
        if isinstance(self._view, RequestView):
            self._view.replace_headers(headers)
        else:
            self._view.headers = headers

    @property
    def incoming(self) -> bool:
        """Whether it comes to this process."""
        return self._stream.incoming

    @property
    def method(self) -> str:
        """GET, POST ..."""
        return _text(self._view.method)

    @property
    def host(self) -> str:
        """The authority, by which a virtual host is found."""
        return _text(self._view.authority)

    @host.setter
    def host(self, value: str) -> None:
        self._view.authority = _bytes(value, _AUTHORITY, "authority")
        self.changed = True

    @property
    def path(self) -> str:
        """The path with its query."""
        return _text(self._view.path)

    @path.setter
    def path(self, value: str) -> None:
        path = _bytes(value, _TARGET, "path")
        self.changed = True
        if isinstance(self._view, RequestView):
            self._view.replace_path(path)
        else:
            self._view.path = path

    @property
    def principal(self) -> str | None:
        """The SPIFFE identity that the connection of an incoming request has shown."""
        peer = self._stream.peer
        return peer.principals.peer if peer is not None and peer.principals.peer else None

    @property
    def route(self) -> str | None:
        """The name of the route; None before the mesh has decided, and where there is none."""
        route = self._stream.route
        return route.route.name if route is not None else None

    @property
    def cluster(self) -> str | None:
        """The name of the cluster."""
        target = self._stream.target
        return target.cluster if target is not None else None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.host}{self.path.partition('?')[0]}>"


class Response:
    """A response: one that a policy makes in place of the request's, or one that passes.

    Of one that passes, `headers` may be changed, `body` is None (it streams), and `flags` are Envoy's response flags.
    """

    __slots__ = ("_body", "_headers", "_status", "flags", "headers")

    def __init__(
        self,
        status: int = 200,
        body: str | bytes | None = b"",
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        flags: tuple[str, ...] = (),
    ) -> None:
        if status not in range(200, 600):
            raise ValueError(f"status={status!r}: it is a number from 200 to 599")
        self._status = status
        self._body = body.encode() if isinstance(body, str) else body
        self._headers: HeaderList = []
        self.flags = flags
        self.headers = Headers(lambda: self._headers, self._take)
        for name, value in headers.items() if isinstance(headers, Mapping) else headers:
            self.headers.add(name, value)

    @classmethod
    def passing(cls, status: int, headers: RawHeaders, body: bytes | None, flags: tuple[str, ...]) -> Response:
        """One that is on its way."""
        made = cls(200, body, flags=flags)
        made._status, made._headers = status, list(headers)
        return made

    def _take(self, headers: HeaderList) -> None:
        self._headers = headers

    @property
    def raw_headers(self) -> HeaderList:
        """As they are sent."""
        return self._headers

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self._status

    @property
    def body(self) -> bytes | None:
        """All of it; None where it streams."""
        return self._body

    def reply(self, details: str) -> LocalReply:
        """As the machines answer it. `details`: who has made it."""
        return LocalReply(self._status, self._body or b"", headers=tuple(self._headers), details=details)

    def __repr__(self) -> str:
        return f"<Response {self._status}>"
