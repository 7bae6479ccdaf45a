"""What Envoy makes of a request before a route is looked for (docs/envoy-facts.md, "Order of things").

Its HTTP inspector takes what is no HTTP/1.1 for opaque TCP, its codec refuses other oddities. What is left loses the
headers that concern one hop and those of Envoy's own, gets `x-forwarded-proto` and `x-request-id`, and its path is
normalized. Route matches see the result and nothing that comes later.
"""

from __future__ import annotations

import re
from binascii import hexlify
from struct import Struct
from typing import Protocol

from ..xds.model.forwarding import SIDECAR
from ..xds.model.listener import HttpConnectionManager
from .forwarding import (
    AT_THE_EDGE,
    CLIENT_CERT,
    FOR,
    FROM_OUTSIDE,
    HOP,
    PROTO,
    Forwarder,
    Lines,
    Workload,
    forwarded_for,
    put,
)
from .headers import HeaderList
from .paths import BadPathError, EscapedSlashesError, NotHttpError, is_http, normalize
from .replies import (
    DOWNSTREAM_ERROR,
    LocalReply,
    bad_authority,
    bad_path,
    bad_request,
    headers_too_large,
    no_route,
    too_many_headers,
)
from .request import JOINED, RequestView

METHODS = frozenset(
    b"ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY OPTIONS "
    b"PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK "
    b"UNSUBSCRIBE QUERY".split()
)
"""What Envoy's parser knows, case included; CONNECT never leads to a route here."""

REMOVED = HOP | FROM_OUTSIDE | {CLIENT_CERT}
"""Hop by hop, or Envoy's own and not honoured from outside. `Host` is written anew, `Connection` is this hop's."""

REQUEST_ID = b"x-request-id"
WEBSOCKET = b"websocket"
SCHEMES = frozenset({b"http", b"https"})

MAX_NAMED = 10
"""Headers that `Connection` may name (envoy source: Utility::sanitizeConnectionHeader)."""

_NO_NAMES = frozenset(b"close keep-alive upgrade http2-settings content-length transfer-encoding".split()) | {b""}
"""What `Connection` says without naming a header to remove; the library that sends the body needs its framing."""

_FORWARDING = frozenset({b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})
_BAD_AUTHORITY = re.compile(rb"[^!$-.0-;=@-\[\]_a-z~]")
_PLAIN_CONNECTIONS = frozenset({None, b"keep-alive", b"close"})
_TE = frozenset({b"te"})


class RandomBits(Protocol):
    """The part of `random.Random` that a request id is made with."""

    def getrandbits(self, k: int, /) -> int: ...


_NOTHING: frozenset[bytes] = frozenset()


class Admission:
    """What a connection manager has to say about it, compiled."""

    __slots__ = ("config", "forwarder", "max_bytes", "max_headers", "small")

    def __init__(self, config: HttpConnectionManager, workload: Workload = Workload()) -> None:
        self.config = config
        self.max_headers = config.max_headers
        self.max_bytes = config.max_request_headers_kb * 1024
        self.small = self.max_bytes // 2
        """Values that are no longer together need not be measured."""
        self.forwarder = None if config.forwarding == SIDECAR else Forwarder(config.forwarding, workload)


def admit(
    request: RequestView,
    admission: Admission,
    rng: RandomBits,
    port: int = 80,
    internal_only: frozenset[bytes] = _NOTHING,
) -> LocalReply | None:
    """Change the request as Envoy does, or answer it.

    `internal_only`: the headers that the route table keeps from requests that are not internal; `port` is the one that
    the connection was made to.

    Raises:
        NotHttpError: to Envoy this is TCP.
    """
    try:
        refused = _admit(request, admission, rng, port, internal_only)
    except BadPathError:
        refused = bad_path()
    except EscapedSlashesError as error:
        refused = elsewhere(request, error.redirect)
    if refused is None:
        return None
    # Where several things are wrong the inspector speaks first, then the codec.
    if not is_http(request.path):
        raise NotHttpError
    if refused.flags != DOWNSTREAM_ERROR and not valid_authority(request.authority):
        return bad_authority()
    return refused


def _admit(
    request: RequestView, admission: Admission, rng: RandomBits, port: int, internal_only: frozenset[bytes]
) -> LocalReply | None:
    if request.method not in METHODS:
        return bad_request("http1.codec_error")
    forwarder = admission.forwarder
    edge = False
    known = request.headers
    if forwarder is None:
        gone = REMOVED
        if FOR in known:
            request.remote = forwarded_for(known[FOR], 0)[0]
    else:
        if _has_underscores(request) and (forwarder.rejects_underscores or forwarder.drops_underscores):
            if forwarder.rejects_underscores:
                return bad_request("http1.unexpected_underscore")
            request.replace_headers([pair for pair in request.raw_headers if b"_" not in pair[0]])
            known = request.headers
        request.authority = forwarder.authority(request.authority, port)
        edge = forwarder.locate(request)
        gone = HOP if request.internal else HOP | FROM_OUTSIDE
        if edge:
            gone |= AT_THE_EDGE
        if not forwarder.keeps_certificate:
            gone |= {CLIENT_CERT}
    if internal_only and not request.internal:
        gone |= internal_only
    raw = request.raw_headers
    if len(b"".join(known.values())) > admission.small and _size(request) > admission.max_bytes:
        return headers_too_large()
    headers: HeaderList
    if (
        len(known) == len(raw)
        and known.get(b"connection") in _PLAIN_CONNECTIONS
        and (gone.isdisjoint(known) or (known.get(b"te") == b"trailers" and gone.isdisjoint(known.keys() - _TE)))
    ):
        headers = request.without_hop()
        known.pop(b"connection", None)
    else:
        cleaned = _cleaned(request, gone)
        if cleaned is None:
            return bad_request("http1.connection_header_rejected")
        headers = cleaned
        request.replace_headers(headers)
        known = request.headers
    if len(headers) >= admission.max_headers:
        return too_many_headers()
    if request.method == b"QUERY" and not known.get(b"content-type"):
        return LocalReply(400, details="query_missing_content_type")
    request.path = normalize(request.path, admission.config)
    if forwarder is not None:
        forwarder.tell(request, Lines(headers, known), port, edge=edge)
    proto = known.get(PROTO)
    if proto is None:
        headers.append((PROTO, request.scheme))
        known[PROTO] = request.scheme
    elif not proto:
        return no_route()
    elif proto.lower() in SCHEMES:
        request.scheme = proto.lower()
    if b"upgrade" in known and known[b"upgrade"].lower() != WEBSOCKET:
        return LocalReply(403, details="upgrade_failed")
    sent = known.get(REQUEST_ID)
    if not sent if forwarder is None else forwarder.wants_id(sent, edge=edge):
        made = request_id(rng.getrandbits(128))
        if sent is None:
            headers.append((REQUEST_ID, made))
        else:
            put(headers, REQUEST_ID, made)
        known[REQUEST_ID] = made
    request.raw_headers = headers
    return None


def _size(request: RequestView) -> int:
    """The bytes of the request's lines, as Envoy's codec counts them: those of HTTP/1.1."""
    size = len(request.method) + len(request.path) + len("  HTTP/1.1\r\n\r\n")
    size += sum(len(name) + len(value) + len(": \r\n") for name, value in request.raw_headers)
    return size if b"host" in request.headers else size + len("host: \r\n") + len(request.authority)


def _has_underscores(request: RequestView) -> bool:
    return any(b"_" in name for name, _ in request.raw_headers)


def valid_authority(authority: bytes) -> bool:
    """Whether Envoy's codec takes it for a Host."""
    return _BAD_AUTHORITY.search(authority) is None


def elsewhere(request: RequestView, path: bytes | None) -> LocalReply:
    """path_with_escaped_slashes_action: REJECT_REQUEST, and UNESCAPE_AND_REDIRECT, which gRPC does not follow."""
    if path is None or request.is_grpc:
        return bad_path()
    return LocalReply(307, headers=((b"location", path),), details="path_normalization_failed")


def _cleaned(request: RequestView, removed: frozenset[bytes]) -> HeaderList | None:
    """The caller's headers without what is hop by hop or Envoy's own; what Envoy keeps as one line is one line.

    None where `Connection` names what it may not.
    """
    connection = b",".join(request.values(b"connection"))
    upgrade = b",".join(filter(None, request.values(b"upgrade")))
    tokens = {each.strip().lower() for each in connection.split(b",")}
    one_line = {name: request.headers[name] for name in JOINED & request.headers.keys()}
    gone = removed | {b"host", b"connection"}
    kept: set[bytes] = set()
    upgrading = b"upgrade" in tokens and b"upgrade" in request.headers
    if upgrading and upgrade.lower() != b"h2c":
        one_line |= {b"connection": connection, b"upgrade": upgrade}
        kept |= {b"connection", b"upgrade"}
    else:
        named = tokens - _NO_NAMES
        if connection.count(b",") >= MAX_NAMED or not _FORWARDING.isdisjoint(named):
            return None
        gone |= named
        if upgrading:
            gone |= {b"http2-settings"}
    te = b",".join(request.values(b"te"))
    if b"trailers" in [each.strip() for each in te.split(b",")]:
        one_line[b"te"] = b"trailers"
        kept |= {b"te"}
    headers: HeaderList = []
    done: set[bytes] = set()
    for name, value in request.raw_headers:
        lower = name.lower()
        if lower in one_line:
            if lower not in done and (lower not in gone or lower in kept):
                headers.append((name, one_line[lower]))
            done.add(lower)
        elif lower not in gone:
            headers.append((name, value))
    return headers


_VERSION, _VARIANT = 76, 62
"""Where a UUID has its version (4 bits) and its variant (2 bits)."""
_DRAWN = ~(0xF << _VERSION | 0x3 << _VARIANT)
_SAID = 0x4 << _VERSION | 0x2 << _VARIANT
_FIELDS = Struct("8s4s4s4s12s").unpack


def request_id(bits: int) -> bytes:
    """A version 4 UUID (RFC 9562) of 128 random bits, as Envoy's uuid request id extension makes it."""
    return b"-".join(_FIELDS(hexlify((bits & _DRAWN | _SAID).to_bytes(16, "big"))))
