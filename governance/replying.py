"""From what the mesh has to say to what the caller gets (source: Utility::prepareLocalReply)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .replies import DOWNSTREAM_ERROR, LocalReply, as_grpc
from .upstream import counted

if TYPE_CHECKING:
    from .call import OutgoingCall


def own_reply(call: OutgoingCall, reply: LocalReply) -> LocalReply:
    """A reply of the mesh's own to an outgoing call as the caller gets it."""
    if call.steering is not None:
        reply = call.steering.reply(reply)
    if call.route is not None:
        reply = call.route.mutated(reply, call.target, call.as_sent(), call.subject)
        if call.route.tells_attempts and call.attempts:
            reply = replace(reply, headers=tuple(counted(reply.headers, call.attempts)))
    if call.cookies is not None and call.cookies.late:
        reply = replace(reply, headers=(*reply.headers, *call.cookies.headers()))
    if call.filters is not None:
        headers = call.filters.response(call, reply.status, list(reply.headers))
        reply = replace(reply, headers=(*headers, *call.response_headers))
    if call.request.is_grpc and reply.flags != DOWNSTREAM_ERROR:
        reply = as_grpc(reply, head=call.request.method == b"HEAD")
    if call.answering is not None:
        reply = replace(reply, headers=tuple(call.answering(list(reply.headers), call.as_sent())))
    return reply
