"""What an authorization service is shown of a request (envoy source: filters/common/ext_authz/check_request_utils).

Header names are in lower case, pseudo headers among them, repeated ones joined by commas. Envoy takes the headers of a
connection off before filters see a request; the program or the server has them still.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..xds.model.authorization_service import CheckQuery, Headers, HttpCheck, Party
from ..xds.model.ext_authz import ExtAuthz, HttpAuthorizer
from ..xds.model.values import FilterMetadata
from .headers import Level
from .peer import Peer
from .request import RequestView

if TYPE_CHECKING:
    from .filters.stream import Stream

PARTIAL = b"x-envoy-auth-partial-body"
SERVICE = b"x-envoy-downstream-service-cluster"
LENGTH = b"content-length"
HOP = frozenset({b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", PARTIAL})
UPGRADE = b"upgrade"
URL_ENCODED = str.maketrans({"\n": "%0A", " ": "%20", "+": "%2B", "/": "%2F", "=": "%3D"})

NameTest = Callable[[bytes], bool]
Body = tuple[bytes, int]
"""What is shown of it, and how long it is as far as that is known."""


def check_query(
    stream: Stream, config: ExtAuthz, shown: NameTest, context: Mapping[str, str], body: Body | None, as_bytes: bool
) -> CheckQuery:
    """The question about a request. `shown`: of header names."""
    request, runtime, peer = stream.request, stream.runtime, stream.peer
    lines = [pair for pair in header_lines(request) if shown(pair[0])]
    headers = tuple(lines) if config.raw_headers else joined(lines)
    if body is not None:
        headers = (*headers, (PARTIAL, b"true" if body[1] > len(body[0]) else b"false"))
    host, port = stream.local()
    of_route = stream.route.route.metadata if stream.route is not None else {}
    return CheckQuery(
        source=Party(
            request.source,
            stream.source_port,
            _principal(peer.uri_sans, peer.dns_sans, peer.subject) if peer is not None and peer.validated else "",
            (request.header(SERVICE) or b"").decode("latin-1"),
            pem(peer) if peer is not None and config.peer_certificate and peer.presented else "",
        ),
        destination=Party(
            host, port, _principal(peer.local_uri_sans, peer.local_dns_sans, "") if peer is not None else ""
        ),
        time_s=runtime.wall(),
        id=str(runtime.rng.getrandbits(64)),
        method=request.method,
        path=request.path,
        host=request.header(b":authority") or b"",
        scheme=request.scheme,
        protocol=stream.protocol,
        size=body[1] if body is not None else 0,
        headers=headers,
        raw_headers=config.raw_headers,
        body=body[0] if body is not None else None,
        raw_body=as_bytes,
        context=context,
        metadata=_picked(stream.dynamic, config.namespaces),
        route_metadata=_picked(of_route, config.route_namespaces),
        server_name=(peer.server_name if peer is not None else "") if config.tls_session else None,
    )


def _principal(uri: tuple[str, ...], dns: tuple[str, ...], subject: str) -> str:
    return (uri or dns or (subject,))[0]


def pem(peer: Peer) -> str:
    """A certificate as PEM, URL-encoded."""
    text = b64encode(peer.certificate).decode()
    lines = "".join(text[at : at + 64] + "\n" for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n".translate(URL_ENCODED)


def _picked(metadata: FilterMetadata, names: tuple[str, ...]) -> FilterMetadata:
    return {name: metadata[name] for name in names if name in metadata}


def header_lines(request: RequestView) -> list[tuple[bytes, bytes]]:
    """All headers as filters of Envoy's see them."""
    found = [
        (b":authority", request.header(b":authority") or b""),
        (b":path", request.path),
        (b":method", request.method),
    ]
    found.append((b":scheme", request.scheme))
    keeps = b"upgrade" in request.headers and b"upgrade" in request.headers.get(b"connection", b"").lower()
    for raw, value in request.raw_headers:
        name = raw.lower()
        if (name not in HOP and name != UPGRADE) or (keeps and name in (UPGRADE, b"connection")):
            found.append((name, value))
    return found


def joined(lines: list[tuple[bytes, bytes]]) -> Headers:
    """One value for each name."""
    found: dict[bytes, bytes] = {}
    for name, value in lines:
        found[name] = found[name] + b"," + value if name in found else value
    return tuple(found.items())


def http_check(query: CheckQuery, config: HttpAuthorizer, extra: Level, request: RequestView) -> HttpCheck:
    """The same question to a service that speaks plain HTTP; the headers are those that it may see.

    `extra` are headers of the configuration, which replace those of the request.
    """
    body = query.body or b""
    own: list[tuple[bytes, bytes]] = [(LENGTH, b"%d" % len(body))]
    method, authority = b"", b""
    path = b""
    for name, value in query.headers:
        if name == b":method":
            method = value
        elif name == b":authority":
            authority = value
        elif name == b":path":
            path = config.override.encode() or config.prefix.encode() + value
        elif name != LENGTH and name != b":scheme":
            own.append((name, value))
    headers = extra.apply(own, request)
    return HttpCheck(method, authority, path, tuple(headers), body)
