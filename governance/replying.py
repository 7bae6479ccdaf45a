"""From what the mesh has to say to what the caller gets (source: Utility::prepareLocalReply).

Route and router add their headers, then the connection manager may rewrite it all (governance.rewriting); a gRPC client
is told in its own way; what filters and the manager add to any response comes last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .describing import subject_of_refusal, subject_of_reply
from .replies import CLOSE, DOWNSTREAM_ERROR, LocalReply, as_grpc, framed_headers
from .subject import Subject
from .upstream import counted

if TYPE_CHECKING:
    from .call import OutgoingCall
    from .inbound import InboundRequest
    from .rewriting import Rewriting


def own_reply(call: OutgoingCall, reply: LocalReply) -> LocalReply:
    """A reply of the mesh's own to an outgoing call as the caller gets it."""
    route, request = call.route, call.as_sent()
    if call.steering is not None:
        reply = call.steering.reply(reply)
    if route is not None:
        request = route.as_answered(request, call.subject)
        reply = route.mutated(reply, call.target, request, lambda: subject_of_reply(call, reply, request))
        if route.tells_attempts and call.attempts:
            reply = replace(reply, headers=tuple(counted(reply.headers, call.attempts)))
    if call.cookies is not None and call.cookies.late:
        reply = replace(reply, headers=(*reply.headers, *call.cookies.headers()))
    http = call.destination.http if call.destination is not None else None
    rewriting = http.rewriting if http is not None else None
    reply = _told(call, reply, rewriting, lambda: subject_of_reply(call, reply, request))
    if call.filters is not None:
        headers = call.filters.response(call, reply.status, framed_headers(reply))
        reply = replace(reply, headers=(*headers, *call.response_headers), framed=True)
    if call.answering is not None:
        headers = call.answering(framed_headers(reply), call.as_sent())
        reply = replace(reply, headers=tuple(headers), framed=True)
    return reply


def refusal(inbound: InboundRequest, reply: LocalReply) -> LocalReply:
    """A reply of the mesh's own to an incoming request as the client gets it."""
    route, request = inbound.route, inbound.request
    if route is not None:
        request = route.as_answered(request, inbound.subject)
        reply = route.mutated(reply, inbound.target, request, lambda: subject_of_refusal(inbound, reply, request))
    http = inbound.http
    rewriting = http.rewriting if http is not None else None
    reply = _told(inbound, reply, rewriting, lambda: subject_of_refusal(inbound, reply, request))
    headers = framed_headers(reply)
    if inbound.filters is not None:
        headers = [*inbound.filters.response(inbound, reply.status, headers), *inbound.response_headers]
    return replace(reply, headers=tuple(inbound.answered(headers)), framed=True)


def _told(
    stream: OutgoingCall | InboundRequest,
    reply: LocalReply,
    rewriting: Rewriting | None,
    describe: Callable[[], Subject],
) -> LocalReply:
    """Rewritten, and as gRPC wants it. Envoy's codec refuses before it knows of gRPC."""
    if rewriting is not None and not reply.as_it_is:
        subject = describe()
        subject.status = reply.status
        closes = CLOSE in reply.headers  # the codec says so, at the end
        if closes:
            reply = replace(reply, headers=tuple(pair for pair in reply.headers if pair != CLOSE))
        reply = rewriting(reply, subject)
        if closes:
            reply = replace(reply, headers=(*reply.headers, CLOSE))
    if stream.request.is_grpc and reply.flags != DOWNSTREAM_ERROR:
        return as_grpc(reply, head=stream.request.method == b"HEAD")
    return reply
