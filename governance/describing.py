"""Calls, incoming requests, and what the mesh says of them itself, as `%...%` formats see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from ..xds.model.cluster import Cluster
from ..xds.model.endpoint import LbEndpoint
from ..xds.model.resource import Resource, ResourceError
from ..xds.model.values import Address
from .admission import request_id
from .balancing.host import Host, HostState
from .passing import DIRECT, PASSTHROUGH
from .replies import DOWNSTREAM_ERROR, LocalReply, reply_body, reply_headers
from .request import HeaderList, RequestView
from .subject import Subject

if TYPE_CHECKING:
    from .call import OutgoingCall
    from .inbound import InboundRequest


class NoRequest(RequestView):
    """Where there is none."""

    __slots__ = ()

    def header(self, name: bytes) -> bytes | None:
        """None."""
        del name
        return None


NO_REQUEST = NoRequest(b"", b"", b"", b"")
GONE = "downstream_remote_disconnect"
"""Why a response is not whole, or is none: nobody waits for it any more."""
SERVICE_TIME = b"x-envoy-upstream-service-time"
MOST_LANDINGS = 256

NOTHING = RequestView(b"", b"", b"", b"")
"""What is known of a request whose headers were refused as they came."""


def subject_of(call: OutgoingCall) -> Subject:
    """What formats may ask about, as far as the call has come."""
    runtime, destination, cluster = call.runtime, call.destination, call.cluster
    config = cluster.config if cluster is not None else _let_out_by(call)
    now, elapsed_s = runtime.wall(), runtime.clock() - call.started
    chain = destination.chain if destination is not None else None
    return Subject(
        call.request,
        flags=call.flags,
        vhost=call.vhost.config if call.vhost is not None else None,
        route=call.route,
        cluster=config,
        http2=cluster.http2 if cluster is not None else call.protocol == "HTTP/2",
        attempts=max(1, call.attempts) if config is not None else 0,
        started=now - elapsed_s,
        now=now,
        local=call.dialled(),
        listener=(destination.listener if destination is not None else None) or "",
        chain=chain.name if chain is not None else "",
        workload=runtime.options.workload,
        upstream=call.secured_by.peer if call.secured_by is not None else None,
        new_id=lambda: request_id(runtime.rng.getrandbits(128)),
    )


def _let_out_by(call: OutgoingCall) -> Cluster | None:
    """What CDS says of the cluster of hosts that the mesh does not know, where a call goes to one."""
    known = call.destination is not None and call.bypass is DIRECT
    return call.runtime.plan.configured(PASSTHROUGH) if known else None


def subject_of_attempt(call: OutgoingCall) -> Subject:
    """The same for a try that is over, and that another follows."""
    subject = subject_of(call)
    subject.request, subject.host, subject.log_type = call.as_sent(), call.host, "UpstreamEnd"
    return subject


def subject_of_ended_call(call: OutgoingCall) -> Subject:
    """All that is known in the end."""
    subject = subject_of_attempt(call)
    reply, destination = call.reply, call.destination
    subject.log_type = "DownstreamEnd"
    subject.attempts, subject.status, subject.protocol = call.attempts, call.status, call.protocol
    subject.received, subject.sent = call.sent, call.received
    subject.dynamic = call.dynamic if call.filters is not None else subject.dynamic
    if reply is not None:
        _replied(subject, reply)
    elif call.response is not None:
        subject.response, subject.details = call.response, "via_upstream"
    elif "DC" in call.flags:
        subject.details = GONE
    subject.tried, host = call.tried, call.host
    if host is not None and subject.connected and host.address not in subject.tried:
        subject.tried = (*subject.tried, host.address)
    if call.headed is not None and call.response is not None:
        subject.headed_ms = max(0, int((call.headed - call.started) * 1000))
        if destination is not None and destination.http is not None and not destination.http.quiet:
            subject.response = _timed(call.response, subject.headed_ms)
    if destination is not None and destination.http is None:
        _as_connection(subject)
    elif subject.flags == DOWNSTREAM_ERROR:
        subject.request = NO_REQUEST
    return subject


def _timed(headers: HeaderList, took_ms: int) -> HeaderList:
    """The headers of a response with what Envoy's router adds to them for the caller."""
    return [*(pair for pair in headers if pair[0].lower() != SERVICE_TIME), (SERVICE_TIME, b"%d" % took_ms)]


def _as_connection(subject: Subject) -> None:
    """Of a connection that nobody looks into, nothing of HTTP is known."""
    subject.log_type = "TcpConnectionEnd"
    source, subject.request = subject.request.source, NoRequest(b"", b"", b"", b"")
    subject.request.source = source
    subject.response, subject.status, subject.details, subject.protocol = None, 0, "", ""


def _replied(subject: Subject, reply: LocalReply) -> None:
    head = subject.request.method == b"HEAD"
    subject.details, subject.local_status, subject.transport = reply.details, reply.status, reply.transport
    subject.connected = "UF" not in reply.flags
    subject.response, subject.sent = reply_headers(reply, head=head), len(reply_body(reply, head=head))


def subject_of_reply(call: OutgoingCall, reply: LocalReply, request: RequestView) -> Subject:
    """The same with what the mesh says itself. `request` is the request as it was going out."""
    subject = subject_of(call)
    subject.host = call.host
    return _with_reply(subject, reply, request)


def _with_reply(subject: Subject, reply: LocalReply, request: RequestView) -> Subject:
    refused = reply.flags == DOWNSTREAM_ERROR
    subject.request = NOTHING if refused else request
    if not refused:
        subject.flags = (*subject.flags, *reply.flags)
    subject.details, subject.local_status, subject.connected = reply.details, reply.status, "UF" not in reply.flags
    subject.transport = reply.transport
    subject.response = list(reply.headers)
    return subject


@final
class Landing:
    """What formats may ask about where requests land: the listener and its address, the cluster and the endpoint that
    stand for the app. The same for all requests as long as the cluster is, so it is made once."""

    __slots__ = ("cluster", "host", "listener", "local", "resource")

    def __init__(self, inbound: InboundRequest, name: str) -> None:
        plan, port = inbound.runtime.plan, inbound.port
        self.resource = plan.snapshot.clusters.get(name)
        entrance = plan.entrance(port) if inbound.chain is not None else None
        self.listener = entrance.name if entrance is not None else ""
        self.local = str(Address(inbound.runtime.options.workload.address, port))
        self.cluster = _cluster_of(self.resource)
        self.host = None if self.cluster is None else _app(self.cluster, inbound)


def _landing(inbound: InboundRequest) -> Landing:
    http, target = inbound.http, inbound.target
    name = "" if target is None else target.name_for(inbound.request)
    if http is None:
        return Landing(inbound, name)
    key, landings = (inbound.port, name), http.landings
    kept = landings.get(key)
    if kept is None or kept.resource is not inbound.runtime.plan.snapshot.clusters.get(name):
        if len(landings) > MOST_LANDINGS:
            landings.clear()  # a header may name any cluster
        kept = landings[key] = Landing(inbound, name)
    return kept


def subject_of_request(inbound: InboundRequest) -> Subject:
    """What formats may ask about an incoming request. The app is where Envoy would have sent it."""
    return _subject_of(inbound, _landing(inbound))


def _subject_of(inbound: InboundRequest, landing: Landing) -> Subject:
    runtime, chain, cluster = inbound.runtime, inbound.chain, landing.cluster
    now, elapsed_s = runtime.wall(), runtime.clock() - inbound.started
    return Subject(
        inbound.request,
        flags=inbound.flags,
        vhost=inbound.vhost.config if inbound.vhost is not None else None,
        route=inbound.route,
        cluster=cluster,
        attempts=0 if cluster is None else 1,
        started=now - elapsed_s,
        now=now,
        local=landing.local,
        listener=landing.listener,
        chain=chain.name if chain is not None else "",
        workload=runtime.options.workload,
        dynamic=inbound.dynamic,
        peer=inbound.peer,
        new_id=lambda: request_id(runtime.rng.getrandbits(128)),
    )


def subject_of_ended_request(inbound: InboundRequest) -> Subject:
    """All that is known in the end."""
    landing = _landing(inbound)
    subject = _subject_of(inbound, landing)
    reply = inbound.reply
    subject.status, subject.protocol = inbound.status, inbound.protocol
    subject.log_type, subject.source_port = "DownstreamEnd", inbound.source_port
    subject.received, subject.sent = inbound.received, inbound.sent
    if reply is not None:
        subject.attempts = 0
        _replied(subject, reply)
    else:
        subject.response = inbound.response_line
        subject.details = GONE if inbound.response_line is None else "via_upstream"
        if inbound.headed is not None:
            subject.headed_ms = max(0, int((inbound.headed - inbound.started) * 1000))
        subject.host = landing.host
        subject.tried = () if landing.host is None else (landing.host.address,)
    if inbound.chain is not None and inbound.http is None:
        _as_connection(subject)
    return subject


def subject_of_refusal(inbound: InboundRequest, reply: LocalReply, request: RequestView) -> Subject:
    """The same with what the mesh says itself."""
    return _with_reply(subject_of_request(inbound), reply, request)


def subject_of_response(inbound: InboundRequest, status: int, headers: list[tuple[bytes, bytes]]) -> Subject:
    """The same with the response of the app."""
    landing = _landing(inbound)
    subject = _subject_of(inbound, landing)
    subject.status, subject.response, subject.details = status, headers, "via_upstream"
    subject.host = landing.host
    return subject


def _cluster_of(resource: Resource[Cluster] | None) -> Cluster | None:
    try:
        return None if resource is None else resource.get()
    except ResourceError:
        return None


def _app(cluster: Cluster, inbound: InboundRequest) -> Host:
    """The endpoint that stands for the app: the cluster's own, else where the request was going."""
    assignment = cluster.load_assignment
    groups = assignment.localities if assignment is not None else ()
    own = next((endpoint for group in groups for endpoint in group.endpoints), None)
    return Host(own or LbEndpoint(Address(inbound.runtime.options.workload.address, inbound.port)), HostState())
