"""A call or a request is over: its span ends, and its lines go to the access logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..xds.model.listener import FilterChain
from .access_logs import Logs
from .describing import subject_of_ended_call, subject_of_ended_request

if TYPE_CHECKING:
    from .call import OutgoingCall
    from .http_runtime import HttpRuntime
    from .inbound import InboundRequest
    from .runtime import Runtime
    from .subject import Subject
    from .tracing import Trace


def end_span(call: OutgoingCall) -> None:
    """A call begins anew elsewhere: what was traced of it is over."""
    trace, call.trace = call.trace, None
    if trace is None:
        raise AssertionError("nothing is traced")
    trace.end(subject_of_ended_call(call))


def tell_of_call(call: OutgoingCall) -> None:
    """Of an outgoing call."""
    destination = call.destination
    chain, http = (destination.chain, destination.http) if destination is not None else (None, None)
    logs = _logs(call.runtime, chain, http)
    trace, call.trace = call.trace, None
    if trace is not None or logs:
        _tell(subject_of_ended_call(call), trace, logs)


def tell_of_request(inbound: InboundRequest) -> None:
    """Of an incoming request."""
    logs = _logs(inbound.runtime, inbound.chain, inbound.http)
    trace, inbound.trace = inbound.trace, None
    if trace is not None or logs:
        _tell(subject_of_ended_request(inbound), trace, logs)


def _tell(subject: Subject, trace: Trace | None, logs: Logs | None) -> None:
    if trace is not None:
        subject.trace_id, subject.span_id = trace.ids
        trace.end(subject)
    if logs:
        logs.write(subject)


def _logs(runtime: Runtime, chain: FilterChain | None, http: HttpRuntime | None) -> Logs | None:
    """Of the manager, else of the TCP proxy; what a proxy has is compiled once."""
    if http is not None:
        return http.logs
    if chain is None or chain.tcp is None or not chain.tcp.access_logs:
        return None
    configs, scope = chain.tcp.access_logs, chain.name
    return runtime.lasting(("logs", configs), lambda: Logs(configs, scope, runtime))
