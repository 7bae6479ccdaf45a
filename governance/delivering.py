"""The response of an endpoint on its way to the caller: what the mesh changes in it, and how long its body may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .actions import Deliver, Head
from .headers import apply_levels, formats
from .upstream import counted

if TYPE_CHECKING:
    from .call import OutgoingCall

SWITCHED = 101
"""The status of a response that begins a WebSocket."""


def delivery(call: OutgoingCall, head: Head) -> Deliver:
    """The last action of a call, with the mesh's mutations made."""
    target, cookies = call.target, call.cookies
    if cookies is not None and not cookies.late:
        head.headers = [*head.headers, *cookies.headers(call.attempts)]
    if target is not None and target.response_levels:
        levels = target.response_levels
        if formats(levels):
            subject = call.subject()
            subject.status, subject.response, subject.host = head.status, head.headers, call.host
            subject.details, subject.attempts = "via_upstream", call.attempts
            head.headers = apply_levels(levels, head.headers, call.as_sent(), subject=subject)
        else:
            head.headers = apply_levels(levels, head.headers, call.request)
    if call.route is not None and call.route.tells_attempts:
        head.headers = counted(head.headers, call.attempts)
    if cookies is not None and cookies.late:
        head.headers = [*head.headers, *cookies.headers()]
    if call.filters is not None:
        head.headers = call.filters.response(call, head.status, head.headers) + call.response_headers
    if call.answering is not None:
        head.headers = call.answering(head.headers, call.as_sent())
    call.response = head.headers
    if call.trace is not None or (call.destination is not None and call.destination.http is not None):
        call.headed = call.runtime.clock()
    request = call.request
    if request.is_grpc and request.method == b"POST":
        said = (value for name, value in head.headers if name.lower() == b"grpc-status") if head.headers else None
        call.grpc_status = None if said is None else next(said, None)
    if head.status == SWITCHED:
        call.deadline = None  # the route's timeout ends with the handshake
    limits = call.limits
    times = call.route.retry if call.route is not None else None
    own = call.idle_s() if call.uploading or (times is not None and times.timed) else None
    if limits is None:
        return Deliver(head, call.deadline, own)
    limits.answered()
    idle_s = limits.idle_s if own is None or (limits.idle_s is not None and limits.idle_s < own) else own
    return Deliver(head, limits.first(call.deadline)[0], idle_s)
