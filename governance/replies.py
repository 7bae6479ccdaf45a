"""What Envoy answers itself: status, body and response flag (envoy source: Router, CoreResponseFlag).

One table, so that a suite, `explain`, the metrics and the documentation cannot differ.
"""

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from ..xds.model.records import dataclass
from .grpc_statuses import DEADLINE_EXCEEDED, of_http

CONTENT_TYPE = b"content-type"
CONTENT_LENGTH = b"content-length"
TEXT = b"text/plain"
JSON = b"application/json"

_RESET = "upstream connect error or disconnect/reset before headers. "


@dataclass(frozen=True, slots=True)
class LocalReply:
    """A response that no upstream gave. `flags` are Envoy's short names, joined by commas in the order of the list."""

    status: int
    body: bytes = b""
    flags: tuple[str, ...] = ()
    headers: tuple[tuple[bytes, bytes], ...] = ()
    details: str = ""
    grpc_status: int | None = None
    """What a gRPC client is told; None: what goes with the status."""
    plain: bool = False
    """Whether the response headers of the route stay away from it."""
    as_it_is: bool = False
    """Whether a gRPC client gets it like any other."""
    content_type: bytes = TEXT
    """Of the body; the headers may say another, unless `retyped`."""
    retyped: bool = False
    framed: bool = False
    """Whether the headers describe the body already."""
    transport: str = ""
    """What was wrong with the TLS of a connection, where it was that; the body does not say it."""

    def flagged(self, flag: str) -> "LocalReply":
        """The same with one flag more, before the others."""
        return replace(self, flags=(flag, *self.flags))

    @property
    def flag(self) -> str:
        """As the access log prints it: `UF,URX`, or `-`."""
        return ",".join(self.flags) or "-"


BODILESS = (204, 304)
"""Statuses whose responses have no body and no length."""


def last_of_connection(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The same with word that the connection ends; one that becomes something else (an upgrade) stays as it is."""
    said = {value.lower() for name, value in headers if name.lower() == b"connection"}
    return headers if b"upgrade" in said else [*(pair for pair in headers if pair[0].lower() != b"connection"), CLOSE]


def reply_headers(reply: LocalReply, *, head: bool = False) -> list[tuple[bytes, bytes]]:
    """The headers of a local reply as they are sent: its own, then what describes the body.

    Nobody overrides the length; a content type that a mutation set stays, if there is a body at all.
    `head`: in answer to HEAD, where Envoy says no length of an empty body.
    """
    own = framed_headers(reply)
    return own if reply.body or head or reply.status in BODILESS else [*own, (CONTENT_LENGTH, b"0")]


def framed_headers(reply: LocalReply) -> list[tuple[bytes, bytes]]:
    """Its headers with what describes its body, if there is one: what is added from now on comes behind it."""
    if reply.framed:
        return list(reply.headers)
    if not reply.body:
        own = [pair for pair in reply.headers if pair[0] not in (CONTENT_LENGTH, CONTENT_TYPE)]
    else:
        own = [pair for pair in reply.headers if pair[0] != CONTENT_LENGTH]
        own.append((CONTENT_LENGTH, b"%d" % len(reply.body)))
        if reply.retyped or not any(name == CONTENT_TYPE for name, _ in own):
            own = _with_content_type(own, reply.content_type)
    return own


def _with_content_type(headers: Iterable[tuple[bytes, bytes]], value: bytes) -> list[tuple[bytes, bytes]]:
    """The headers with this content type: where one is already, else at the end."""
    result: list[tuple[bytes, bytes]] = []
    done = False
    for name, own in headers:
        if name != CONTENT_TYPE:
            result.append((name, own))
        elif not done:
            result.append((name, value))
            done = True
    return result if done else [*result, (CONTENT_TYPE, value)]


def reply_body(reply: LocalReply, *, head: bool = False) -> bytes:
    """The body as it is sent: none in answer to HEAD, and none with a status that has none."""
    return b"" if head or reply.status in BODILESS else reply.body


OVERLOADED = (b"x-envoy-overloaded", b"true")
CLOSE = (b"connection", b"close")


def no_route() -> LocalReply:
    """No virtual host or route takes the request."""
    return LocalReply(404, flags=("NR",), details="route_not_found")


def no_cluster(status: int) -> LocalReply:
    """The route's cluster is not in CDS."""
    return LocalReply(status, flags=("NC",), details="cluster_not_found")


def payload_too_large() -> LocalReply:
    """A body that a filter holds is longer than it may be."""
    return LocalReply(413, b"Payload Too Large", details="request_payload_too_large")


def no_healthy_upstream() -> LocalReply:
    """The cluster has no endpoint to offer."""
    return LocalReply(503, b"no healthy upstream", ("UH",), details="no_healthy_upstream")


def drop_overload(*, unconditional: bool) -> LocalReply:
    """The control plane has some or all requests of the cluster dropped (ClusterLoadAssignment.Policy)."""
    if unconditional:
        headers = ((b"x-envoy-unconditional-drop-overload", b"true"),)
        return LocalReply(503, b"unconditional drop overload", ("UDO",), headers, "unconditional_drop_overload")
    return LocalReply(503, b"drop overload", ("DO",), ((b"x-envoy-drop-overload", b"true"),), "drop_overload")


def overflow(*, retried: bool = False) -> LocalReply:
    """A threshold of the cluster is reached; no endpoint was touched."""
    body = (_RESET + ("retried and the latest " if retried else "") + "reset reason: overflow").encode()
    return LocalReply(503, body, ("UO",), (OVERLOADED,), details="upstream_reset_before_response_started{overflow}")


def route_timeout() -> LocalReply:
    """The route's timeout passed before the response began."""
    return LocalReply(504, b"upstream request timeout", ("UT",), details="response_timeout")


def per_try_timeout() -> LocalReply:
    """The last attempt's own timeout passed."""
    return LocalReply(504, b"upstream request timeout", ("UT",), details="upstream_per_try_timeout")


def per_try_idle_timeout() -> LocalReply:
    """The last attempt had no byte for too long."""
    return replace(per_try_timeout(), details="upstream_per_try_idle_timeout")


def stream_idle_timeout() -> LocalReply:
    """The whole call had no byte for too long."""
    return LocalReply(504, b"stream timeout", ("SI",), details="stream_idle_timeout")


def duration_timeout() -> LocalReply:
    """The call has lasted too long."""
    body, details = b"downstream duration timeout", "max_duration_timeout"
    return LocalReply(504, body, details=details, grpc_status=DEADLINE_EXCEEDED)


def request_timeout() -> LocalReply:
    """The request took too long to be sent."""
    return LocalReply(408, b"request timeout", details="request_overall_timeout")


def upstream_duration_timeout() -> LocalReply:
    """The last attempt has lasted too long."""
    details = "upstream_max_stream_duration_reached"
    return LocalReply(504, b"upstream max stream duration reached", ("UMSDR",), details=details)


RESETS = {
    "connect-failure": ("UF", "remote connection failure"),
    "connect-timeout": ("UF", "connection timeout"),
    "refused-stream": ("UR", "remote refused stream reset"),
    "remote-reset": ("UR", "remote reset"),
    "reset": ("UC", "connection termination"),
}
"""Kinds of failure to flag and Envoy's words for it."""


def upstream_reset(kind: str, *, retried: bool = False, transport: str = "") -> LocalReply:
    """The connection could not be made (UF), or the stream ended before the response began (UC, UR).

    `transport`: what was wrong with its TLS.
    """
    flag, what = RESETS[kind]
    details = f"upstream_reset_before_response_started{{{what.replace(' ', '_')}}}"
    latest = "retried and the latest " if retried else ""
    if transport:
        details = f"{details[:-1]}|{'_'.join(transport.split())}}}"
    body = f"{_RESET}{latest}reset reason: {what}".encode()
    return LocalReply(503, body, (flag,), details=details, transport=transport)


def as_grpc(reply: LocalReply, *, head: bool = False) -> LocalReply:
    """What a gRPC client is told: HTTP 200, and the reason as a gRPC status; `head`: in answer to HEAD, no message.

    A status that the headers say already stays.
    """
    if reply.as_it_is:
        return reply
    headers = _with_content_type(reply.headers, b"application/grpc")
    if not any(name == b"grpc-status" and value for name, value in headers):
        status = reply.grpc_status if reply.grpc_status is not None else of_http(reply.status)
        headers.append((b"grpc-status", b"%d" % status))
    body = reply.body.removesuffix(b"\n") if reply.content_type == JSON else reply.body
    if body and not head:
        headers.append((b"grpc-message", quote(body, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}~").encode()))
    own = tuple(pair for pair in headers if pair[0] != CONTENT_LENGTH)
    return replace(reply, status=200, body=b"", headers=own, framed=True)


DOWNSTREAM_ERROR = ("DPE",)
"""Flags of what Envoy's codec refuses; it does so before it knows of gRPC."""


def bad_request(details: str) -> LocalReply:
    """No proper HTTP."""
    return LocalReply(400, b"Bad Request", DOWNSTREAM_ERROR, (CLOSE,), details)


def bad_authority() -> LocalReply:
    """A Host with characters that no authority may hold."""
    return bad_request("http.invalid_authority")


def too_many_headers() -> LocalReply:
    """More header lines than Envoy takes."""
    body = b"Request Header Fields Too Large"
    return LocalReply(431, body, DOWNSTREAM_ERROR, (CLOSE,), "http1.too_many_headers")


def headers_too_large() -> LocalReply:
    """More bytes of header lines than the connection manager takes."""
    body = b"Request Header Fields Too Large"
    return LocalReply(431, body, DOWNSTREAM_ERROR, (CLOSE,), "http1.headers_too_large")


def bad_path() -> LocalReply:
    """The path cannot be normalized."""
    return LocalReply(400, details="path_normalization_failed")


def refused(reason: str) -> LocalReply:
    """An incoming request that no chain takes, or whose chain cannot be enforced: nothing reaches the app."""
    return LocalReply(503, reason.encode(), ("NR",), details="refused")


def closed(reason: str) -> LocalReply:
    """Something in the way cannot be enforced here, so nothing goes through."""
    return LocalReply(503, reason.encode(), ("UF",), details="closed")
