"""What a caller gets in place of a failure."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ..actions import Discard, Head
from ..internal_redirects import REDIRECTED, Redirected
from ..replies import LocalReply
from .items import Fallback, PolicyError
from .messages import Request, Response

if TYPE_CHECKING:
    from ..call import OutgoingCall
    from ..inbound import InboundRequest
    from .compose import Policies


def instead(
    stream: OutgoingCall | InboundRequest, policies: Policies, response: Response, status: int = 0
) -> tuple[Fallback, LocalReply | None] | None:
    """The fallback for a failure, and its answer; without an answer it is another host. None where there is none.

    `status`: of the response of an endpoint; 0 where it is the mesh's own.
    """
    fallbacks = policies.fallbacks
    while stream.fallen < len(fallbacks):
        each, origin = fallbacks[stream.fallen]
        if each.statuses.isdisjoint((status,)) if status else each.flags.isdisjoint(response.flags):
            stream.fallen += 1
            continue
        stream.fallen += 1
        if each.kind == "host":
            if stream.incoming or stream.spent or stream.passage is None:
                continue  # there is nobody else, or the body has gone and is not here any more
            _tell(stream, each)
            return each, None
        answer: Any = each.answer
        if each.kind == "function":
            passage = stream.passage
            answer = answer(passage.request if passage is not None else Request(stream, stream.request), response)
            if answer is None:
                continue
            if not isinstance(answer, Response):
                raise PolicyError(f"{origin}: the function of a fallback has returned {answer!r}: a Response or None")
        _tell(stream, each)
        return each, answer.reply("fallback")
    return None


def _tell(stream: Any, fallback: Fallback) -> None:
    stream.fallback = fallback.kind


def fall_back(call: OutgoingCall, policies: Policies, reply: LocalReply) -> LocalReply | None:
    """In place of a reply of the mesh's: another, or that one; None where the call begins anew, with another host."""
    failed = Response.passing(reply.status, reply.headers, reply.body, reply.flags)
    found = instead(call, policies, failed)
    if found is None:
        return reply
    fallback, answer = found
    if answer is None:
        begin_again(call, fallback, reply.flags)
        return None
    call.flags = (*call.flags, *reply.flags)
    return answer


def fall_back_from(
    call: OutgoingCall, policies: Policies, head: Head
) -> Generator[Any, Any, LocalReply | Redirected | None]:
    """In place of an endpoint's response; None: it goes to the caller."""
    call.spent = call.spent or not head.replayable
    found = instead(call, policies, Response.passing(head.status, head.headers, None, call.flags), head.status)
    if found is None:
        return None
    fallback, answer = found
    yield Discard(head)
    if answer is None:
        begin_again(call, fallback, ())
        return REDIRECTED
    return answer


def begin_again(call: OutgoingCall, fallback: Fallback, flags: tuple[str, ...]) -> None:
    """The same request to another host; what has happened so far stays told."""
    passage = call.passage
    if passage is None:
        raise AssertionError("a request that nobody has kept")
    flags = (*call.flags, *flags)
    before = passage.leaving()
    host = b"[%b]" % fallback.host if b":" in fallback.host else fallback.host
    authority = host if fallback.port == 80 else b"%b:%d" % (host, fallback.port)
    headers = [(name, authority) if name.lower() == b"host" else (name, value) for name, value in before.raw_headers]
    request = before.having(headers)
    request.authority = authority
    call.url_host, call.port = fallback.host, fallback.port
    call.begin(request)
    call.flags = flags
    passage.request.over(request)


def refuse_otherwise(inbound: InboundRequest, policies: Policies, reply: LocalReply) -> LocalReply:
    """In place of a refusal of an incoming request."""
    found = instead(inbound, policies, Response.passing(reply.status, reply.headers, reply.body, reply.flags))
    if found is None or found[1] is None:
        return reply
    inbound.flags = (*inbound.flags, *reply.flags)
    return found[1]
