"""A request as WSGI tells it (PEP 3333), for the policies and back: the environ, the target, the body.

An environ has lost how names of headers were written and which of them were repeated; policies see what the app sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from operator import itemgetter
from typing import Any
from urllib.parse import quote, unquote

from ..actions import Collect
from ..entrance import plain
from ..inbound import InboundRequest
from ..request import HeaderList, RawHeaders, RequestView
from ._incoming import SAFE

Environ = dict[str, Any]

BODY = {"CONTENT_LENGTH": b"content-length", "CONTENT_TYPE": b"content-type"}
"""The headers that an environ holds by a name of their own."""

MOST_NAMES = 1000
"""Names of headers that are remembered: clients choose them."""

MOST_SHAPES = 100
"""The same of environs: each takes about a kilobyte."""

PIECE = 65536
"""Bytes that are read at once of a body that is held."""


def number(said: str | int | None) -> int:
    """Of a variable, which some servers say as a number (werkzeug's REMOTE_PORT); 0 where it says none."""
    text = said if isinstance(said, str) else str(said)
    return int(text) if text.isdecimal() else 0


class Shape:
    """Environs of the same variables in the same order, as all requests of a client's are: what can be known of them.

    `names` of the headers, where their `values` are, which of the headers are those of this `hop`, the last first;
    `body`: a variable is among them that says nothing where it is empty.
    """

    __slots__ = ("body", "hop", "names", "values")

    def __init__(self, headers: dict[str, bytes]) -> None:
        self.names = tuple(headers.values())
        self.values: Callable[[Environ], tuple[str, ...]] = itemgetter(*headers)
        self.hop = [place for place, name in enumerate(self.names) if name in (b"host", b"connection")][::-1]
        self.body = not BODY.keys().isdisjoint(headers)


class Names:
    """Names of headers, and of the variables that hold them.

    `odd`: a variable has come that is not the one its header goes to, or a value that is no header's. From then on all
    are written anew, as the policies have seen them.
    """

    __slots__ = ("_headers", "_variables", "odd", "shapes")

    def __init__(self) -> None:
        self.odd = False
        self.shapes: dict[tuple[str, ...], Shape] = {}
        """Of environs by their variables."""
        self._headers: dict[str, bytes] = dict(BODY)
        self._variables: dict[bytes, str] = {name: key for key, name in BODY.items()}

    def remember(self, keys: tuple[str, ...]) -> None:
        """The shape of an environ, if all its variables are remembered."""
        known = self._headers
        if self.odd or len(self.shapes) >= MOST_SHAPES or not known.keys() >= set(keys):
            return
        headers = {key: known[key] for key in keys if known[key]}
        if len(headers) > 1:
            self.shapes[keys] = Shape(headers)

    def header(self, key: str) -> bytes:
        """The header that a variable holds; empty where it is something else."""
        known = self._headers.get(key)
        if known is not None:
            return known
        name = key[5:].lower().replace("_", "-").encode("latin-1", "replace") if key[:5] == "HTTP_" else b""
        if name and self.variable(name) != key:
            self.odd = True
        if len(self._headers) < MOST_NAMES:
            self._headers[key] = name
        return name

    def value(self, text: str) -> bytes:
        """That of a header, which need not be ASCII."""
        value = text.encode("latin-1", "replace")
        if value.decode("latin-1") != text:
            self.odd = True
        return value

    def variable(self, name: bytes) -> str:
        """Where a header goes to."""
        key = self._variables.get(name)
        if key is None:
            low = name.lower()
            own = next((each for each, header in BODY.items() if header == low), None)
            key = own or "HTTP_" + low.decode("latin-1").upper().replace("-", "_")
            if len(self._variables) < MOST_NAMES:
                self._variables[name] = key
        return key


def view_of(environ: Environ, names: Names) -> RequestView:
    """The request as the policies see it."""
    method: bytes = environ["REQUEST_METHOD"].encode("latin-1", "replace")
    scheme = b"https" if environ.get("wsgi.url_scheme") == "https" else b"http"
    target = _target(environ)
    source = plain(environ.get("REMOTE_ADDR", ""))
    keys = tuple(environ)
    shape = names.shapes.get(keys)
    if shape is not None:
        values = shape.values(environ)
        if "".join(values).isascii() and not (shape.body and "" in values):
            raw = list(zip(shape.names, map(str.encode, values), strict=True))
            others = raw.copy()
            for place in shape.hop:
                del others[place]
            return RequestView.of_distinct(method, scheme, target, raw, others, source)
    headers: HeaderList = []
    for key, value in environ.items():
        name = names.header(key)
        if name and (value or key not in BODY):
            headers.append((name, names.value(value)))
    if shape is None:
        names.remember(keys)
    view = RequestView(method, scheme, b"", target, headers, source)
    view.authority = view.headers.get(b"host", b"")
    return view


def _target(environ: Environ) -> bytes:
    """The path as it was written where the server tells it (which no standard asks for), with the app's query.

    What counts is what the app is asked: a target that does not lead to its path (a proxy or a middleware has
    rewritten that) is not believed.
    """
    path: str = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query: str = environ.get("QUERY_STRING", "")
    target: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if target == path and not query and path and "?" not in path:
        return target.encode("latin-1", "replace")
    written = target.partition("?")[0]
    if not written or not (written == path or unquote(written, "latin-1") == path):
        written = quote(path.encode("latin-1", "replace"), SAFE) or "/"
    return (f"{written}?{query}" if query else written).encode("latin-1", "replace")


def put_headers(environ: Environ, names: Names, before: RawHeaders, kept: HeaderList, headers: RawHeaders) -> None:
    """Tell the app these, in the place of those that have come: as a rule few are others.

    `kept` are those that have come but Host and Connection.
    """
    size = len(kept) + 1
    if headers[1:size] == kept and headers[0] in before and not names.odd:
        added: dict[str, str] = {}
        for name, value in headers[size:]:
            added[names.variable(name)] = value.decode("latin-1")
        if len(added) == len(headers) - size and environ.keys().isdisjoint(added):
            environ.pop("HTTP_CONNECTION", None)
            environ.update(added)
            return
    left = dict(before)
    odd = names.odd or len(left) != len(before)
    told: dict[str, str] = {}
    for name, value in headers:
        known = left.pop(name, None)
        if known != value:
            key = names.variable(name)
            if known is None and (key in environ or key in told):
                odd = True  # more than one line of a name, or another spelling
                break
            told[key] = value.decode("latin-1")
    if odd:
        _put_all(environ, names, before, headers)
        return
    for name in left:
        environ.pop(names.variable(name), None)
    environ.update(told)


def _put_all(environ: Environ, names: Names, before: RawHeaders, headers: RawHeaders) -> None:
    """The same, where a variable may be of several headers."""
    told: dict[str, str] = {}
    for name, value in headers:
        key = names.variable(name)
        text = value.decode("latin-1")
        if key in told:
            text = f"{told[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        told[key] = text
    for name, _ in before:
        key = names.variable(name)
        if key not in told:
            environ.pop(key, None)
    environ.update(told)


def put_target(environ: Environ, target: bytes) -> None:
    """Tell the app another path; it stays mounted where it is, if the path still leads there."""
    written, _, query = target.decode("latin-1").partition("?")
    path = unquote(written, "latin-1")
    script: str = environ.get("SCRIPT_NAME", "")
    if script and path.startswith(script) and path[len(script) : len(script) + 1] in ("", "/"):
        path = path[len(script) :]
    else:
        environ["SCRIPT_NAME"] = ""
    environ["PATH_INFO"] = path
    environ["QUERY_STRING"] = query
    for key in ("RAW_URI", "REQUEST_URI"):
        if key in environ:
            environ[key] = f"{written}?{query}" if query else written


def hold(environ: Environ, action: Collect) -> int:
    """Read the body as far as it may be long; the app reads it again from the beginning. Its length."""
    source = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        left = action.most + 1
    else:
        left = min(number(environ.get("CONTENT_LENGTH")), action.most + 1)
    pieces: list[bytes] = []
    while left > 0 and (piece := source.read(min(left, PIECE))):
        pieces.append(piece)
        left -= len(piece)
    action.body = b"".join(pieces)
    length = len(action.body)
    if length <= action.most:
        environ["wsgi.input"] = BytesIO(action.body)
    else:
        environ["wsgi.input"] = Joined(action.body, source)
    return length


class Joined:
    """What was read of a body that is longer than a filter wants, then the rest of it."""

    def __init__(self, begun: bytes, rest: Any) -> None:
        self._begun = BytesIO(begun)
        self._rest = rest

    def read(self, size: int | None = -1) -> bytes:
        """As of a file."""
        if size is None or size < 0:
            whole: bytes = self._begun.read() + self._rest.read()
            return whole
        return self._begun.read(size) or self._more(self._rest.read, size)

    def readline(self, size: int | None = -1) -> bytes:
        """As of a file."""
        most = -1 if size is None else size
        line = self._begun.readline(most)
        if line.endswith(b"\n") or (most >= 0 and len(line) == most):
            return line
        return line + self._more(self._rest.readline, most - len(line) if most >= 0 else -1)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """As of a file; the hint counts nothing."""
        del hint
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    @staticmethod
    def _more(read: Any, size: int) -> bytes:
        data: bytes = read(size) if size >= 0 else read()
        return data


class Counted:
    """`wsgi.input`, whose bytes are counted."""

    def __init__(self, source: Any, inbound: InboundRequest) -> None:
        self._source = source
        self._inbound = inbound

    def _count(self, data: bytes) -> bytes:
        self._inbound.received += len(data)
        return data

    def read(self, *size: int) -> bytes:
        """As of a file."""
        return self._count(self._source.read(*size))

    def readline(self, *size: int) -> bytes:
        """As of a file."""
        return self._count(self._source.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """As of a file."""
        return [self._count(each) for each in self._source.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return map(self._count, self._source)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)
