"""An outgoing call as `%...%` formats see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .admission import request_id
from .subject import Subject

if TYPE_CHECKING:
    from .call import OutgoingCall


def subject_of(call: OutgoingCall) -> Subject:
    """What formats may ask about, as far as the call has come."""
    runtime, destination, cluster = call.runtime, call.destination, call.cluster
    now, elapsed_s = runtime.wall(), runtime.clock() - call.started
    chain = destination.chain if destination is not None else None
    return Subject(
        call.request,
        flags=call.flags,
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
