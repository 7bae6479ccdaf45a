"""envoy.extensions.filters.http.fault.v3.HTTPFault."""

from __future__ import annotations

from ....model.filters import Fault, UnenforceableFilter
from ...refused import NotUnderstoodError
from ...schema import types as pb
from ..matchers import header_matcher
from ..values import fraction, seconds


def fault(message: pb.http_fault_v3.HTTPFault) -> Fault | UnenforceableFilter:
    """What to inject, how often and into which requests."""
    delay, abort = message.delay, message.abort
    try:
        headers = tuple(header_matcher(each) for each in message.headers)
    except NotUnderstoodError as error:
        return UnenforceableFilter("envoy.extensions.filters.http.fault.v3.HTTPFault", str(error))
    return Fault(
        delay=fraction(delay.percentage) if message.HasField("delay") else None,
        delay_s=seconds(delay.fixed_delay) if delay.HasField("fixed_delay") else None,
        delay_by_header=delay.HasField("header_delay"),
        abort=fraction(abort.percentage) if message.HasField("abort") else None,
        abort_status=abort.http_status or None,
        abort_grpc_status=abort.grpc_status if abort.WhichOneof("error_type") == "grpc_status" else None,
        abort_by_header=abort.HasField("header_abort"),
        upstream_cluster=message.upstream_cluster,
        headers=headers,
        downstream_nodes=frozenset(message.downstream_nodes),
        max_active=message.max_active_faults.value if message.HasField("max_active_faults") else None,
    )
