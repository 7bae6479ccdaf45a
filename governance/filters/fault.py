"""Fault injection (envoy source: extensions/filters/http/fault): a delay, then perhaps an abort.

The two are drawn apart from each other. A request may say itself how long, which status and at most how often, where
the configuration lets it (`by_header`); it can lower a configured share and not raise it.
"""

from __future__ import annotations

from threading import Lock

from ...xds.model.filters import Fault
from ...xds.model.values import Fraction
from ..actions import Sleep
from ..matching import RequestTest, all_of, decimal, header_test
from ..replies import LocalReply
from ..request import RequestView
from ..routing import CompiledRoute, Target
from .stream import Steps, Stream, of_route

DELAY = b"x-envoy-fault-delay-request"
DELAY_PERCENT = b"x-envoy-fault-delay-request-percentage"
ABORT = b"x-envoy-fault-abort-request"
ABORT_GRPC = b"x-envoy-fault-abort-grpc-request"
ABORT_PERCENT = b"x-envoy-fault-abort-request-percentage"
NODE = b"x-envoy-downstream-service-node"

BODY = b"fault filter abort"


class FaultFilter:
    """The filter in a chain; a route's own fault takes the place of the chain's."""

    __slots__ = ("_active", "_base", "_lock", "_tests", "name")

    def __init__(self, name: str, base: Fault | None) -> None:
        self.name = name
        self._base = base if base is not None and (base.delay or base.abort) else None
        self._active = 0
        self._lock = Lock()
        self._tests: dict[Fault, RequestTest | None] = {}

    def applies(self, place: Target | CompiledRoute | None) -> bool:
        """Whether there is a fault for what goes this way."""
        own = place.filters.get(self.name) if place is not None else None
        return self._base is not None or isinstance(own, Fault)

    def on_request(self, stream: Stream) -> Steps | LocalReply | None:
        """A delay is waited for (flag DI); an abort answers (flag FI)."""
        own = of_route(self.name, stream)
        fault = own if isinstance(own, Fault) else self._base
        if fault is None or not self._concerns(fault, stream):
            return None
        delay_s = self._delay_s(fault, stream)
        if delay_s:
            return self._delayed(fault, stream, delay_s)
        return self._abort(fault, stream)

    def on_end(self, stream: Stream) -> None:
        """A stream with a fault in it counts until it is over."""
        if stream.kept.pop(self, False):
            with self._lock:
                self._active -= 1

    def _delayed(self, fault: Fault, stream: Stream, delay_s: float) -> Steps:
        self._count(stream)
        stream.flags = (*stream.flags, "DI")
        yield Sleep(delay_s)
        return self._abort(fault, stream)

    def _concerns(self, fault: Fault, stream: Stream) -> bool:
        request = stream.request
        if fault.max_active is not None and self._active >= fault.max_active:
            return False
        if fault.upstream_cluster:
            target = stream.target
            if target is None or target.name_for(request) != fault.upstream_cluster:
                return False
        if fault.downstream_nodes:
            node = request.header(NODE)
            if node is None or node.decode("latin-1") not in fault.downstream_nodes:
                return False
        if not fault.headers:
            return True
        if fault not in self._tests:
            self._tests[fault] = all_of([header_test(each) for each in fault.headers])
        test = self._tests[fault]
        return test is None or test(request)

    def _delay_s(self, fault: Fault, stream: Stream) -> float:
        if fault.delay is None or not _hit(fault.delay, fault.delay_by_header, DELAY_PERCENT, stream):
            return 0.0
        if not fault.delay_by_header:
            return fault.delay_s or 0.0
        asked = _number(stream.request, DELAY, 2**64)
        return asked / 1000 if asked is not None else 0.0

    def _abort(self, fault: Fault, stream: Stream) -> LocalReply | None:
        if fault.abort is None or not _hit(fault.abort, fault.abort_by_header, ABORT_PERCENT, stream):
            return None
        status, grpc_status = fault.abort_status, fault.abort_grpc_status
        if fault.abort_by_header:
            asked = _number(stream.request, ABORT, 2**64)
            status = asked if asked is not None and 200 <= asked < 600 else None
            grpc_status = _number(stream.request, ABORT_GRPC, 2**64)
        if status is None and grpc_status is None:
            return None
        self._count(stream)
        if status is not None:
            return LocalReply(status, BODY, ("FI",), details="fault_filter_abort")
        return LocalReply(200, BODY, ("FI",), details="fault_filter_abort", grpc_status=grpc_status)

    def _count(self, stream: Stream) -> None:
        if not stream.kept.get(self):
            stream.kept[self] = True
            with self._lock:
                self._active += 1


def _hit(share: Fraction, by_header: bool, name: bytes, stream: Stream) -> bool:
    numerator = share.numerator
    if by_header:
        asked = _number(stream.request, name, 2**32)
        if asked is not None:
            numerator = min(asked, numerator)
    return numerator > 0 and stream.runtime.draw(share.denominator) < numerator


def _number(request: RequestView, name: bytes, end: int) -> int | None:
    value = request.header(name)
    number = decimal(value) if value is not None else None
    return number if number is not None and 0 <= number < end else None
