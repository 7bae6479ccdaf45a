"""What the mesh adds to requests that it lets out to hosts it does not know (Envoy: ALLOW_ANY, PassthroughCluster).

They go by the library's own means and stay the program's own: its target, its headers, its body. Where tracing is on
they carry the request's id and the context of its span, in the place of any of the same names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .admission import REQUEST_ID
from .headers import HeaderList
from .passing import PASSTHROUGH
from .request import RequestView
from .trace_context import carrying

if TYPE_CHECKING:
    from .call import OutgoingCall
    from .tracing import Trace


def let_out(call: OutgoingCall) -> None:
    """A call is let out: what its request says of its trace."""
    trace = _trace(call)
    if trace is not None:
        told = trace.lines()
        said = call.request.headers.get(REQUEST_ID)
        _tell(call, [(REQUEST_ID, said), *told] if said else told)


def begin_try(call: OutgoingCall) -> None:
    """It is sent now: where tries have spans, the next hop is told of that one."""
    trace = _trace(call)
    if trace is not None:
        known = call.runtime.plan.configured(PASSTHROUGH)
        _tell(call, trace.attempt((known.alt_stat_name if known is not None else "") or PASSTHROUGH))


def let_out_as(call: OutgoingCall) -> RequestView:
    """The request with what it says of its trace."""
    request, told = call.request, call.told
    return request.having(carrying(list(request.raw_headers), told)) if told else request


def _trace(call: OutgoingCall) -> Trace | None:
    """None where nothing is told: no span is asked for, or routing is only tried."""
    return None if call.policies is not None and call.policies.routing == "shadow" else call.trace


def _tell(call: OutgoingCall, told: HeaderList) -> None:
    if not told:
        return
    passage, policies = call.passage, call.policies
    if passage is None or (passage.sent is None and (policies is None or not policies.after)):
        call.told = carrying(list(call.told), told)
    else:  # policies of the user's behind the mesh's see it, and may take it out
        sent = passage.leaving()
        passage.sent = sent.having(carrying(list(sent.raw_headers), told))
