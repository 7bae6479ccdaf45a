"""Own policies at work: on the way in, in order, as far as they let a request pass; on the way back in reverse."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..actions import Action, Ask, Head
from ..balancing.digest import xx_hash
from ..bodies import whole
from ..passing import DIRECT
from ..replies import LocalReply, framed_headers
from ..request import RequestView
from .compose import Own, Policies
from .items import PolicyError
from .messages import Request, Response

if TYPE_CHECKING:
    from ..call import OutgoingCall
    from ..headers import HeaderList
    from ..inbound import InboundRequest

Steps = Generator[Any, Any, LocalReply | None]
FOREVER_S = 3600.0
"""Of a coroutine of a policy nobody but its caller says how long it may take."""


class Waiting:
    """What a policy's coroutine returns, as a service that the driver of a suite asks."""

    def __init__(self, own: Own, method: str) -> None:
        self._own = own
        self._method = method

    def ask(self, request: Awaitable[Any], timeout_s: float) -> Any:
        """Nothing can be awaited here."""
        del timeout_s
        if inspect.iscoroutine(request):
            request.close()
        text = f"{self._method} of policy {self._own.name} ({self._own.origin}) is to be awaited, and this code is sync"
        raise PolicyError(text)

    async def ask_async(self, request: Awaitable[Any], timeout_s: float) -> Any:
        """Await it."""
        del timeout_s
        return await request


class Passage:
    """One request on its way through the own policies."""

    __slots__ = ("original", "passed", "request", "sent")

    def __init__(self, stream: OutgoingCall | InboundRequest) -> None:
        self.original: RequestView = stream.request.having(stream.request.raw_headers)
        """As the program has made it: the mesh changes its own."""
        self.request = Request(stream, stream.request)
        self.passed: list[Own] = []
        self.sent: RequestView | None = None
        """What goes out where the mesh changes nothing; None where it is the program's own request."""

    def leaving(self) -> RequestView:
        """What goes out where the mesh changes nothing, the program's own request included."""
        return self.original if self.sent is None else self.sent


def _answer(own: Own, method: str, found: Any) -> Generator[Action, Any, Response | None]:
    if inspect.isawaitable(found):
        found = yield Ask(Waiting(own, method), found, FOREVER_S)
    if found is not None and not isinstance(found, Response):
        raise PolicyError(f"{method} of policy {own.name} ({own.origin}) has returned {found!r}: a Response or None")
    return found


def _ask(owns: Sequence[Own], passage: Passage, stream: OutgoingCall | InboundRequest) -> Steps:
    for own in owns:
        if own.on_request is not None:
            if own.max_request_bytes is not None:
                body = yield from whole(stream, own.max_request_bytes)
                if isinstance(body, LocalReply):
                    return body
                passage.request.body = body
            found = yield from _answer(own, "on_request", own.on_request(passage.request))
            if found is not None:
                return found.reply(f"policy{{{own.name}}}")
        passage.passed.append(own)
    return None


def enter(stream: Any, policies: Policies) -> Steps:
    """The policies before the mesh's: what they change is what routes are matched by."""
    if policies.routing == "off" and not stream.incoming:
        stream.bypass = DIRECT
    if not (policies.own or policies.elsewhere):
        return None
    passage = stream.passage = Passage(stream)
    reply = yield from _ask(policies.before, passage, stream)
    request = passage.request
    if request.changed:
        passage.sent = stream.request.having(stream.request.raw_headers)
    if request.hash_key is not None and not stream.incoming:
        stream.hash = xx_hash(request.hash_key.encode())
    return reply


def leave_call(call: OutgoingCall, policies: Policies) -> Steps:
    """The policies behind the mesh's: what they change is what is sent."""
    passage = call.passage
    if passage is None or not policies.after:
        return None
    request, upstream = passage.request, call.upstream
    request.changed = False
    if upstream is not None:
        request.over(upstream)
    else:
        passage.sent = passage.leaving()
        request.over(passage.sent)
    reply = yield from _ask(policies.after, passage, call)
    if request.hash_key is not None:
        call.hash = xx_hash(request.hash_key.encode())
    return reply


def leave_inbound(inbound: InboundRequest, policies: Policies) -> Steps:
    """The same of an incoming request: what they change is what the app gets."""
    passage = inbound.passage
    return (yield from _ask(policies.after, passage, inbound)) if passage is not None else None


def come_back(stream: OutgoingCall, head: Head) -> Steps:
    """The response of an endpoint; what is returned takes its place."""
    passage = stream.passage
    if passage is None:
        raise AssertionError("a response that nobody has asked for")
    response = Response.passing(head.status, head.headers, None, stream.flags)
    found = yield from _back(passage, response)
    if found is response:
        head.headers = response.raw_headers
        return None
    return found.reply("policy")


def come_back_local(stream: OutgoingCall | InboundRequest, reply: LocalReply) -> Generator[Any, Any, LocalReply]:
    """A reply of the mesh's, or of a policy's."""
    passage = stream.passage
    if passage is None or not passage.passed:
        return reply
    response = Response.passing(reply.status, framed_headers(reply), reply.body, (*stream.flags, *reply.flags))
    found = yield from _back(passage, response)
    if found is response:
        return replace(reply, headers=tuple(response.raw_headers), framed=True)
    return found.reply("policy")


def _back(passage: Passage, response: Response) -> Generator[Any, Any, Response]:
    while passage.passed:
        own = passage.passed.pop()
        if own.on_response is not None:
            found = yield from _answer(own, "on_response", own.on_response(passage.request, response))
            response = response if found is None else found
    return response


def come_back_app(inbound: InboundRequest, status: int, headers: HeaderList) -> HeaderList:
    """The headers of an app's response; the list given is not changed."""
    passage = inbound.passage
    if passage is None or not passage.passed:
        return headers
    response = Response.passing(status, headers, None, inbound.flags)
    while passage.passed:
        own = passage.passed.pop()
        if own.on_response is not None and own.on_response(passage.request, response) is not None:
            raise PolicyError(f"on_response of policy {own.name} ({own.origin}) cannot replace the response of an app")
    return response.raw_headers
