"""What grpcio says of a call that failed, as the policies take it; and what the mesh itself says, as grpcio would.

grpcio tells a program a status and a text, whoever has said them. The policies need to know which it was: the server,
by a response; or the transport, because there was no connection, or because the stream or the connection has ended
before there was a response. That is found in the text, which grpcio writes in words of its own.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from ...xds.model.records import dataclass
from ..actions import Failure, Head
from ..grpc_statuses import OK, UNAVAILABLE, UNKNOWN, known, status_of
from ..headers import HeaderList
from ..http2_codes import reset_kind
from ..replies import LocalReply, reply_headers
from ._grpc_metadata import MESSAGE, STATUS, TRANSPORT, Metadata, headers_of, metadata_of

SAID = TRANSPORT | {STATUS, MESSAGE}

UNSAID = "Exception iterating requests!"
"""What grpcio makes of a stream of requests that the program fails to go on with."""
FROM_PEER = "Error received from peer"
"""How older versions of grpcio begin what they know of a status that the server has said."""
_HTTP = re.compile(r"Received http2 header with status: (\d{3})")
_RESET = re.compile(r"Received RST_STREAM with error code (\d{1,9})")
_ENDED = re.compile(
    r"Stream removed \(|Socket closed|GOAWAY received|Connection reset by peer|Broken pipe|End of TCP stream|"
    r"Transport closed|keepalive|ping timeout|Endpoint read failed|Endpoint write failed|tcp handshaker shutdown"
)
_UNREACHED = re.compile(r"failed to connect to all addresses|DNS resolution failed|Failed to connect to remote host")
_TOO_LATE = re.compile(r"[Tt]imed? ?out|[Tt]imeout|deadline exceeded", re.IGNORECASE)


@dataclass(slots=True)  # one for every call: to be frozen would take it three times as long
class Ended:
    """How a call has ended: what a program gets to see of it. `rest`: whom to ask for details and trailing metadata
    that were not looked at, an asyncio call of grpcio's that did well."""

    code: int
    details: str
    initial: Metadata = ()
    trailing: Metadata = ()
    debug: str = ""
    rest: Any = None


WELL = Ended(OK, "")
"""How a call ended of which nobody asks for more."""


def read(error: Any) -> Ended:
    """What grpcio says of a call that is over."""
    code = error.code()
    details = error.details() or ""
    cancelled = getattr(error, "cancelled", None)
    # Of a call that was ended here grpcio has nothing to say, and waits for it for ever.
    here = details == UNSAID or (cancelled is not None and cancelled())
    debug = "" if here else error.debug_error_string()
    return Ended(
        code.value[0] if code is not None else UNKNOWN,
        details,
        tuple(error.initial_metadata() or ()),
        tuple(error.trailing_metadata() or ()),
        debug or "",
    )


def failure_of(ended: Ended, error: BaseException | None, *, replayable: bool = True) -> Failure | None:
    """An end that no server has said; None for a status of the server's."""
    if ended.code == OK or ended.initial or ended.trailing or FROM_PEER in ended.debug:
        return None
    text = ended.details
    if ended.code == UNAVAILABLE and _UNREACHED.search(text):
        kind = "connect-timeout" if _TOO_LATE.search(text) else "connect-failure"
    elif reset := _RESET.search(text):
        kind = reset_kind(int(reset[1]))
    elif _ENDED.search(text):
        kind = "reset"
    else:
        return None
    return Failure(kind, text, error, replayable)


def http_status(ended: Ended) -> int:
    """The HTTP status of the response, which is 200 unless grpcio names another."""
    found = _HTTP.search(ended.details)
    return int(found[1]) if found is not None else 200


def head_of(ended: Ended, handle: Any, *, replayable: bool = True) -> Head:
    """A response that was over with its headers."""
    status = http_status(ended)
    if status != 200:
        return Head(status, headers_of(ended.trailing), handle, replayable)
    headers: HeaderList = [(STATUS, b"%d" % ended.code)]
    if ended.details:
        headers.append((MESSAGE, ended.details.encode()))
    return Head(200, [*headers, *headers_of(ended.trailing)], handle, replayable)


def local(reply: LocalReply) -> Ended:
    """A reply of the mesh's own, as a gRPC client gets it."""
    headers = reply_headers(reply)
    said = next((value for name, value in headers if name == STATUS), None)
    code = status_of(said, reply.status)
    message = next((value for name, value in headers if name == MESSAGE), reply.body)
    details = unquote(message.decode("latin-1"))
    if reply.transport:
        details = f"{details}, transport failure reason: {reply.transport}"
    debug = f"proxyless: {reply.flag} {reply.details}"
    return Ended(known(code), details, (), metadata_of(headers, SAID), debug)
