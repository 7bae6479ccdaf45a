"""One call to a gRPC server as the mesh sees it: POST of the method's path, metadata as headers, a status at the end.

What sync and aio servers share. Nothing here knows grpcio: a status is its number, metadata are pairs.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote, unquote_to_bytes

from ...xds.model.records import dataclass
from ...xds.model.resource import ResourceError, ResourceType
from ..actions import Collect
from ..admission import REMOVED
from ..composition.compose import Policies
from ..entrance import NOWHERE, Source, plain
from ..framing import PREFIX, framed
from ..grpc_statuses import UNKNOWN, number_in, of_http
from ..headers import HeaderList
from ..hello import ISTIO
from ..inbound import InboundRequest
from ..peer import Served
from ..replies import LocalReply, as_grpc, refused
from ..request import RequestView
from ..route_table import RouteTable
from ..runtime import Runtime
from ._grpc_metadata import BINARY, padded
from ._grpc_metadata import headers_of as as_headers

CONTENT_TYPE = (b"content-type", b"application/grpc")
IMPLIED = (CONTENT_TYPE, (b"te", b"trailers"))
"""What every call over gRPC says, and grpcio keeps to itself."""
NOT_METADATA = frozenset(
    {b"host", b"content-type", b"content-length", b"te", b"grpc-status", b"grpc-message", b"connection"}
)

UNREADABLE = "Exception deserializing request!"
NOT_FOUND = "Method not found!"
"""As grpcio says it."""

NAMELESS = (
    "something in the inbound configuration asks for the authority of a call, which grpcio's aio server does not tell: "
    "it cannot be decided here"
)

Value: TypeAlias = str | bytes


class Metadatum(NamedTuple):
    """As grpcio has it."""

    key: str
    value: Value


Metadata: TypeAlias = tuple[Metadatum, ...]


class LostError(Exception):
    """The connection that brought a call has ended, and nobody knows any more who was there."""

    def __str__(self) -> str:
        return "the connection that brought this call has ended"


def undecidable() -> ResourceError:
    """What to say where the authority is asked for and not known."""
    return ResourceError(ResourceType.LISTENER, "virtualInbound", NAMELESS)


class Nameless(RequestView):
    """A call whose authority nobody tells. What asks for it while the call is decided cannot be decided."""

    __slots__ = ("decided",)

    def header(self, name: bytes) -> bytes | None:
        if name in (b":authority", b"host") and not getattr(self, "decided", False):
            self.decided = True  # whatever tells of the refusal may ask
            raise undecidable()
        return super().header(name)


@dataclass(frozen=True, slots=True)
class Came:
    """A connection that a port of the mesh's has let in, and from where."""

    served: Served
    source: Source


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call ends that does not reach the app."""

    status: int
    details: str = ""
    trailing: Metadata = ()


def headers_of(metadata: Iterable[tuple[str, Value]] | None) -> HeaderList:
    """Metadata as they travel: binary values in base64."""
    return as_headers([each for each in metadata or () if not each[0].startswith(":")])


def _one_cookie(headers: HeaderList) -> HeaderList:
    """Crumbs of HTTP/2 are one cookie (RFC 9113, section 8.2.3), as Envoy's codec joins them."""
    crumbs = [value for name, value in headers if name == b"cookie"]
    if len(crumbs) < 2:
        return headers
    place = next(number for number, (name, _) in enumerate(headers) if name == b"cookie")
    others = [pair for pair in headers if pair[0] != b"cookie"]
    return [*others[:place], (b"cookie", b"; ".join(crumbs)), *others[place:]]


def metadata_of(headers: Iterable[tuple[bytes, bytes]]) -> Metadata:
    """The other way; what grpcio has no metadata for is left out."""
    return tuple(_decoded(name.lower(), value) for name, value in headers if name.lower() not in NOT_METADATA)


def _decoded(name: bytes, value: bytes) -> Metadatum:
    key = name.decode("latin-1")
    if key.endswith(BINARY):
        try:
            return Metadatum(key, b64decode(padded(value), validate=True))
        except ValueError:
            return Metadatum(key, value)
    return Metadatum(key, value.decode("utf-8", "replace"))


class Unvouched(Metadatum):
    """One that interceptors see of a call that is not decided yet."""

    __slots__ = ()


def unvouched(metadata: Iterable[tuple[str, Value]] | None) -> Metadata:
    """What interceptors may see of a call that is not decided yet: nothing that only the mesh may say."""
    return tuple(Unvouched(key, value) for key, value in metadata or () if key.encode() not in REMOVED)


def further_in(metadata: Iterable[object] | None) -> bool:
    """Whether an interceptor of ours has seen them already."""
    return any(isinstance(each, Unvouched) for each in metadata or ())


def source_of(peer: str) -> Source:
    """`ipv4:127.0.0.1:50` and `ipv6:%5B::1%5D:50` as grpcio spells them; nowhere for a Unix socket."""
    family, _, rest = peer.partition(":")
    if family not in ("ipv4", "ipv6"):
        return NOWHERE
    address, _, port = unquote(rest).rpartition(":")
    return Source(plain(address.strip("[]")), int(port) if port.isdigit() else 0)


def peer_text(source: Source) -> str:
    """The other way."""
    if ":" in source.address:
        return f"ipv6:%5B{source.address}%5D:{source.port}"
    return f"ipv4:{source.address}:{source.port}"


def refusal_of(reply: LocalReply) -> Refusal:
    """What a gRPC client makes of a reply of the mesh's own: one that is no gRPC counts by its HTTP status."""
    said = dict(reply.headers)
    status = number_in(said.get(b"grpc-status"))
    trailing = metadata_of(reply.headers)
    if status is not None:
        return Refusal(status, unquote_to_bytes(said.get(b"grpc-message", b"")).decode("utf-8", "replace"), trailing)
    return Refusal(of_http(reply.status), reply.body.decode("utf-8", "replace"), trailing)


class Incoming:
    """One call: the request as the mesh takes it, and how far it has come."""

    __slots__ = ("came", "code", "complete", "ended", "failed", "held", "inbound", "opened", "view")

    def __init__(
        self,
        runtime: Runtime,
        port: int,
        method: str,
        metadata: Sequence[tuple[str, Value]] | None,
        peer: str,
        came: Came | None,
        authority: bytes | None,
        policies: Policies | None = None,
    ) -> None:
        """`authority`: None where the server does not tell it."""
        self.came = came
        served = came.served if came is not None else None
        source = came.source if came is not None else source_of(peer)
        secure = served is not None and served.peer is not None
        view = (RequestView if authority is not None else Nameless)(
            b"POST",
            b"https" if secure else b"http",
            authority or b"",
            method.encode(),
            [*_one_cookie(headers_of(metadata)), *IMPLIED],
            source.address,
        )
        self.view = view
        self.inbound = InboundRequest(
            runtime,
            view,
            served.port if served is not None else port,
            served.peer if served is not None else None,
            served.hello if served is not None else ISTIO,
            source.local,
            source.port,
            "HTTP/2",
            policies,
        )
        self.held: list[bytes] = []
        """Messages that were read before the app asked for them."""
        self.code = 0
        self.opened = False
        self.failed = False
        self.complete = False
        self.ended = False

    def collected(self, action: Collect) -> int:
        """The length of what is held of the body; it goes into the action."""
        action.body = b"".join(map(framed, self.held))
        return len(action.body)

    def refuse(self, reply: LocalReply) -> Refusal:
        """It ends here."""
        self._known()
        self.complete = True
        self._end(reply.status)
        return refusal_of(reply)

    def undecidable(self, error: ResourceError) -> Refusal:
        """So does one about which something was asked that is not known."""
        reply = self.inbound.reply = as_grpc(refused(str(error)))
        self.inbound.flags = reply.flags
        return self.refuse(reply)

    def let_through(self) -> Metadata:
        """It goes to the app, with these metadata.

        Raises:
            ResourceError: its authority would have chosen the virtual host, and nobody tells it.
        """
        if isinstance(self.view, Nameless) and self._hosts() > 1:
            raise undecidable()
        self._known()
        return metadata_of(self.view.raw_headers)

    def _hosts(self) -> int:
        """Of how many virtual hosts one was chosen."""
        http = self.inbound.http
        table = http.table(self.inbound.runtime.plan) if http is not None else None
        return len(table.config.virtual_hosts) if isinstance(table, RouteTable) else 0

    def _known(self) -> None:
        if isinstance(self.view, Nameless):
            self.view.decided = True

    def opening(self, own: Iterable[tuple[str, Value]] | None = ()) -> Metadata | None:
        """The initial metadata of the response, after the mesh's mutations; None where there are none to send.

        Once: `opened` says that it was asked.
        """
        self.opened = True
        headers: HeaderList = [CONTENT_TYPE, *headers_of(own)]
        changed = self.inbound.response(200, headers)
        return None if changed is headers and not own else metadata_of(changed)

    def closing(self, own: Iterable[tuple[str, Value]] | None) -> Metadata:
        """The trailing metadata of a response that has failed before it began: its trailers are its headers (gRPC's
        "Trailers-Only"), and the mesh's mutations act on them. `own`: the server's."""
        self.opened = True
        status = (b"grpc-status", b"%d" % (self.code or UNKNOWN))
        return metadata_of(self.inbound.response(200, [CONTENT_TYPE, status, *headers_of(own)]))

    def received(self, message: bytes) -> None:
        """One message has come."""
        self.inbound.received += len(message) + PREFIX

    def sent(self, message: bytes) -> None:
        """One message goes."""
        self.inbound.sent += len(message) + PREFIX

    def over(self) -> None:
        """The call has ended, whoever has ended it."""
        self._end(200)

    def _end(self, status: int) -> None:
        if self.ended:
            return
        self.ended = True
        inbound = self.inbound
        if inbound.reply is None and self.complete:
            inbound.grpc_status = b"%d" % (self.code or (UNKNOWN if self.failed else 0))
        inbound.ended(status if self.complete else 0, () if self.complete else ("DC",))


def auth_context(came: Came) -> Mapping[str, Sequence[bytes]]:
    """What grpcio says of a connection of its own TLS, of one that the mesh has terminated."""
    peer = came.served.peer
    if peer is None:
        return {"transport_security_type": [b"insecure"]}
    found = {"transport_security_type": [b"ssl"]}
    if peer.validated:
        found["x509_subject_alternative_name"] = identities(came)
        if peer.uri_sans and peer.uri_sans[0].startswith("spiffe://"):
            found["peer_spiffe_id"] = [peer.uri_sans[0].encode()]
    return found


IDENTITY_KEY = "x509_subject_alternative_name"


def identities(came: Came) -> list[bytes]:
    """The names that the other side's certificate holds, if it was verified."""
    peer = came.served.peer
    if peer is None or not peer.validated:
        return []
    return [each.encode() for each in (*peer.uri_sans, *peer.dns_sans)]
