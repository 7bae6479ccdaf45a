"""Calls, incoming requests, and what the mesh says of them itself, as `%...%` formats see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..xds.model.cluster import Cluster
from ..xds.model.endpoint import LbEndpoint
from ..xds.model.resource import ResourceError
from ..xds.model.values import Address
from .admission import request_id
from .balancing.host import Host, HostState
from .replies import DOWNSTREAM_ERROR, LocalReply
from .request import RequestView
from .subject import Subject

if TYPE_CHECKING:
    from .call import OutgoingCall
    from .inbound import InboundRequest

NOTHING = RequestView(b"", b"", b"", b"")
"""What is known of a request whose headers were refused as they came."""


def subject_of(call: OutgoingCall) -> Subject:
    """What formats may ask about, as far as the call has come."""
    runtime, destination, cluster = call.runtime, call.destination, call.cluster
    now, elapsed_s = runtime.wall(), runtime.clock() - call.started
    chain = destination.chain if destination is not None else None
    return Subject(
        call.request,
        flags=call.flags,
        vhost=call.vhost.config if call.vhost is not None else None,
        route=call.route,
        cluster=cluster.config if cluster is not None else None,
        http2=cluster is not None and cluster.http2,
        attempts=max(1, call.attempts) if cluster is not None else 0,
        started=now - elapsed_s,
        now=now,
        local=call.dialled(),
        listener=(destination.listener if destination is not None else None) or "",
        chain=chain.name if chain is not None else "",
        workload=runtime.options.workload,
        new_id=lambda: request_id(runtime.rng.getrandbits(128)),
    )


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


def subject_of_request(inbound: InboundRequest) -> Subject:
    """What formats may ask about an incoming request. The app is where Envoy would have sent it."""
    runtime, target, chain = inbound.runtime, inbound.target, inbound.chain
    now, elapsed_s = runtime.wall(), runtime.clock() - inbound.started
    workload = runtime.options.workload
    entrance = runtime.plan.entrance(inbound.port) if chain is not None else None
    cluster = None
    if target is not None:
        cluster = _inbound_cluster(
            inbound, target.name_for(inbound.request) if target.cluster_header else target.cluster
        )
    return Subject(
        inbound.request,
        flags=inbound.flags,
        vhost=inbound.vhost.config if inbound.vhost is not None else None,
        route=inbound.route,
        cluster=cluster,
        attempts=0 if cluster is None else 1,
        started=now - elapsed_s,
        now=now,
        local=str(Address(workload.address, inbound.port)),
        listener=entrance.name if entrance is not None else "",
        chain=chain.name if chain is not None else "",
        workload=workload,
        dynamic=inbound.dynamic,
        peer=inbound.peer,
        new_id=lambda: request_id(runtime.rng.getrandbits(128)),
    )


def subject_of_refusal(inbound: InboundRequest, reply: LocalReply, request: RequestView) -> Subject:
    """The same with what the mesh says itself."""
    return _with_reply(subject_of_request(inbound), reply, request)


def subject_of_response(inbound: InboundRequest, status: int, headers: list[tuple[bytes, bytes]]) -> Subject:
    """The same with the response of the app."""
    subject = subject_of_request(inbound)
    subject.status, subject.response, subject.details = status, headers, "via_upstream"
    if subject.cluster is not None:
        subject.host = _app(subject.cluster, inbound)
    return subject


def _inbound_cluster(inbound: InboundRequest, name: str) -> Cluster | None:
    resource = inbound.runtime.plan.snapshot.clusters.get(name)
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
