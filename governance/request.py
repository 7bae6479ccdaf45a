"""A request as the policies see it: bytes, as they travel, parsed no further than somebody asks.

Both httpx and ASGI speak bytes, Envoy compares bytes, and `bytes.lower` folds ASCII only, exactly as Envoy does.
"""

from collections.abc import Sequence

RawHeaders = Sequence[tuple[bytes, bytes]]
HeaderList = list[tuple[bytes, bytes]]

JOINED = frozenset(
    b"accept accept-encoding access-control-request-headers access-control-request-method "
    b"access-control-request-private-network authorization cache-control content-encoding content-type expect "
    b"grpc-accept-encoding grpc-timeout if-match if-modified-since if-none-match if-range if-unmodified-since origin "
    b"pragma proxy-status referer user-agent via x-client-trace-id x-envoy-attempt-count "
    b"x-envoy-decorator-operation x-envoy-downstream-service-cluster "
    b"x-envoy-downstream-service-node x-envoy-external-address x-envoy-is-timeout-retry x-envoy-original-host "
    b"x-envoy-original-path x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id".split()
)
"""Headers whose repetitions Envoy joins by commas when they arrive; all others are matched one value at a time."""

PSEUDO = frozenset({b":method", b":path", b":authority", b":scheme", b"host"})


def _says_grpc(headers: dict[bytes, bytes]) -> bool:
    kind = headers[b"content-type"]
    return kind == b"application/grpc" or kind.startswith(b"application/grpc+")


class RequestView:
    """What routing and rate limiting may look at.

    `path` is the request target in origin form with its query; header names keep the case they came in.
    `source` is the peer's address where there is one, `remote` that of the client as far as the mesh believes it, where
    that is somebody else. `internal`: the mesh listens to its `x-envoy-*` headers (governance.forwarding).
    """

    __slots__ = (
        "_more",
        "_others",
        "_query",
        "authority",
        "headers",
        "internal",
        "is_grpc",
        "method",
        "path",
        "raw_headers",
        "remote",
        "scheme",
        "source",
    )

    def __init__(
        self,
        method: bytes,
        scheme: bytes,
        authority: bytes,
        path: bytes,
        raw_headers: RawHeaders = (),
        source: str = "",
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.source = source
        self.remote = ""
        self.internal = False
        self._query: dict[bytes, bytes] | None = None
        self.replace_headers(raw_headers)

    @classmethod
    def of_distinct(
        cls, method: bytes, scheme: bytes, path: bytes, raw_headers: HeaderList, others: HeaderList, source: str
    ) -> "RequestView":
        """One whose headers have lower-case names that come once each; `others` are those but Host and Connection."""
        view = cls.__new__(cls)
        view.method = method
        view.scheme = scheme
        view.path = path
        view.source = source
        view.remote = ""
        view.internal = False
        view._query = None
        view.raw_headers = raw_headers
        view._more = None
        view.headers = headers = dict(raw_headers)
        view._others = others
        view.authority = headers.get(b"host", b"")
        view.is_grpc = b"content-type" in headers and _says_grpc(headers)
        return view

    def replace_headers(self, raw_headers: RawHeaders) -> None:
        """Forget the headers and take these."""
        self.raw_headers = raw_headers
        self._more: dict[bytes, tuple[bytes, ...]] | None = None
        headers: dict[bytes, bytes] = {}
        self.headers = headers
        """Lower-case names to values; those that Envoy joins on arrival are one value, of others this is the first.
        Known from the beginning: a property that finds out would be asked ten times for one request."""
        others: HeaderList = []
        self._others = others
        for pair in raw_headers:
            name, value = pair
            name = name.lower()
            if name != b"host" and name != b"connection":
                others.append(pair)
            if name not in headers:
                headers[name] = value
            elif name in JOINED:
                if value:
                    headers[name] = headers[name] + b"," + value if headers[name] else value
            elif self._more is None:
                self._more = {name: (headers[name], value)}
            else:
                self._more[name] = (*self._more.get(name, (headers[name],)), value)
        self.is_grpc = b"content-type" in headers and _says_grpc(headers)
        """Whether the content type says gRPC (to Envoy, one with parameters does not)."""

    def without_hop(self) -> list[tuple[bytes, bytes]]:
        """The headers as they came but for Host and Connection, in a list that is the caller's own."""
        return self._others

    def restore_host(self) -> None:
        """Put Host before all other headers, which hold none (governance.admission); what is known of them stays."""
        authority, known = self.authority, self.headers
        raw = [(b"host", authority), *self.raw_headers] if authority else self.raw_headers
        if self._more is not None:
            self.replace_headers(raw)
            return
        self.raw_headers = raw
        if authority:
            known[b"host"] = authority
        else:
            known.pop(b"host", None)

    def replace_path(self, path: bytes) -> None:
        """Take another target."""
        self.path = path
        self._query = None

    def towards(self, path: bytes) -> "RequestView":
        """The same request with this target; its headers are not read again."""
        view = object.__new__(RequestView)
        view.method, view.scheme, view.authority, view.path = self.method, self.scheme, self.authority, path
        view.source, view.remote, view.internal, view.is_grpc = self.source, self.remote, self.internal, self.is_grpc
        view._query = None
        view.raw_headers, view._more = self.raw_headers, self._more
        view.headers, view._others = self.headers.copy(), self._others.copy()
        return view

    def having(self, headers: RawHeaders) -> "RequestView":
        """The same request with these headers."""
        view = RequestView(self.method, self.scheme, self.authority, self.path, headers, self.source)
        view.remote = self.remote
        view.internal = self.internal
        return view

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """All values of a header or pseudo header by its lower-case name; empty where it is absent."""
        value = self.header(name)
        if value is None:
            return ()
        return (value,) if self._more is None else self._more.get(name, (value,))

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header or pseudo header by its lower-case name."""
        if name in PSEUDO:
            if name == b":method":
                return self.method
            if name == b":path":
                return self.path
            if name == b":scheme":
                return self.scheme
            return self.authority or None
        return self.headers.get(name)

    def cookie(self, name: bytes) -> bytes | None:
        """The first cookie of that name, without quotes around its value (envoy source: Utility::parseCookies)."""
        for line in self.values(b"cookie"):
            for pair in line.split(b";"):
                key, mark, value = pair.partition(b"=")
                if mark and key.lstrip() == name:
                    value = value.strip()
                    return value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
        return None

    @property
    def query(self) -> dict[bytes, bytes]:
        """Query parameters, undecoded, first value of each."""
        query = self._query
        if query is None:
            query = self._query = parse_query(self.path)
        return query


def strip_query(path: bytes) -> bytes:
    """A path without its query and fragment."""
    cut = path.find(b"?")
    if cut >= 0:
        path = path[:cut]
    cut = path.find(b"#")
    return path[:cut] if cut >= 0 else path


def parse_query(path: bytes) -> dict[bytes, bytes]:
    """First value of each query parameter, undecoded (Envoy's QueryParamsMulti, getFirstValue)."""
    query: dict[bytes, bytes] = {}
    _, mark, rest = path.partition(b"?")
    if not mark:
        return query
    fragment = rest.find(b"#")
    if fragment >= 0:
        rest = rest[:fragment]
    for pair in rest.split(b"&"):
        key, _, value = pair.partition(b"=")
        if key:
            query.setdefault(key, value)
    return query
