"""The context of a span in the headers of a request: W3C's traceparent and tracestate, Zipkin's B3 in both its forms.

As Envoy's tracers read and write them (docs/envoy-facts.md, "Tracing").
"""

from __future__ import annotations

import re

from ..xds.model.records import dataclass
from ..xds.model.tracing import Tracer
from .headers import HeaderList
from .request import RawHeaders, RequestView

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"
SINGLE = b"b3"
TRACE_ID = b"x-b3-traceid"
SPAN_ID = b"x-b3-spanid"
PARENT_ID = b"x-b3-parentspanid"
SAMPLED = b"x-b3-sampled"
FLAGS = b"x-b3-flags"
NAMES = frozenset({TRACEPARENT, TRACESTATE, SINGLE, TRACE_ID, SPAN_ID, PARENT_ID, SAMPLED})

_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.IGNORECASE)
_B3 = re.compile(rb"([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d])(?:-([0-9a-f]{16}))?)?", re.IGNORECASE)
_LONG = re.compile(rb"[0-9a-f]{16}|[0-9a-f]{32}", re.IGNORECASE)
_SHORT = re.compile(rb"[0-9a-f]{16}", re.IGNORECASE)
_DECISIONS = {b"0": False, b"1": True, b"d": True, b"true": True, b"false": False}


class MalformedContextError(ValueError):
    """The headers are no context of a span: the request goes on with them as they are, and has no span."""


@dataclass(frozen=True, slots=True)
class Context:
    """A span as headers tell of it. `sampled` is None where they do not say; without ids they say only that."""

    trace_id: int = 0
    span_id: int = 0
    sampled: bool | None = None
    state: bytes = b""
    parent_id: int = 0
    wide: bool = True
    """Whether the id of the trace has 128 bits."""
    single: bool = False
    """Whether B3 came as one header."""


def extract(tracer: Tracer, request: RequestView) -> Context | None:
    """What a request says; None where it says nothing.

    Raises:
        MalformedContextError: it says something else.
    """
    found = _b3(request) if tracer.b3 else None
    if tracer.w3c and (found is None or not found.trace_id):
        found = _w3c(request) or found
    return found


def _w3c(request: RequestView) -> Context | None:
    said = request.headers.get(TRACEPARENT)
    if said is None:
        return None
    match = _PARENT.fullmatch(said)
    trace_id, span_id = (int(match[1], 16), int(match[2], 16)) if match is not None else (0, 0)
    if match is None or not trace_id or not span_id:
        raise MalformedContextError
    state = b",".join(request.values(TRACESTATE))
    return Context(trace_id, span_id, bool(int(match[3], 16) & 1), state)


def _b3(request: RequestView) -> Context | None:
    headers = request.headers
    single = headers.get(SINGLE)
    if single is not None:
        if single in _DECISIONS:
            return Context(sampled=_DECISIONS[single], single=True)
        match = _B3.fullmatch(single)
        if match is None:
            raise MalformedContextError
        sampled = None if match[3] is None else _DECISIONS[match[3].lower()]
        return Context(int(match[1], 16), int(match[2], 16), sampled, wide=len(match[1]) > 16, single=True)
    sampled = _DECISIONS.get(headers.get(SAMPLED, b""))
    if headers.get(FLAGS) == b"1":
        sampled = True
    trace, span = headers.get(TRACE_ID), headers.get(SPAN_ID)
    if trace is None or span is None:
        return None if sampled is None else Context(sampled=sampled)
    if _LONG.fullmatch(trace) is None or _SHORT.fullmatch(span) is None:
        raise MalformedContextError
    return Context(int(trace, 16), int(span, 16), sampled, wide=len(trace) > 16)


def lines(tracer: Tracer, context: Context) -> HeaderList:
    """The headers that tell of a span."""
    sampled = b"1" if context.sampled else b"0"
    trace, span = b"%032x" % context.trace_id, b"%016x" % context.span_id
    made: HeaderList = []
    if tracer.b3:
        own = trace if context.wide else trace[16:]
        parent = b"%016x" % context.parent_id
        if context.single:
            made.append((SINGLE, b"-".join([own, span, sampled, *([parent] if context.parent_id else [])])))
        else:
            made += [(TRACE_ID, own), (SPAN_ID, span)]
            made += [(PARENT_ID, parent)] if context.parent_id else []
            made.append((SAMPLED, sampled))
    if tracer.w3c:
        made.append((TRACEPARENT, b"00-%b-%b-0%b" % (trace, span, sampled)))
        if not tracer.b3:
            made.append((TRACESTATE, context.state))
    return made


def carrying(headers: HeaderList, context: RawHeaders) -> HeaderList:
    """The headers with these at their end, in the place of any of the same names."""
    names = {name for name, _ in context}
    return [*(pair for pair in headers if pair[0].lower() not in names), *context]
