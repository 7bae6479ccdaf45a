"""envoy.extensions.filters.http.fault.v3.HTTPFault."""

from __future__ import annotations

from ....model.filters import Fault
from ...schema import types as pb
from ..values import fraction, seconds


def fault(message: pb.http_fault_v3.HTTPFault) -> Fault:
    """What to inject, and how often."""
    delay, abort = message.delay, message.abort
    return Fault(
        delay_s=seconds(delay.fixed_delay) if delay.HasField("fixed_delay") else None,
        delay=fraction(delay.percentage) if message.HasField("delay") else None,
        abort_status=abort.http_status or None,
        abort_grpc_status=abort.grpc_status if abort.WhichOneof("error_type") == "grpc_status" else None,
        abort=fraction(abort.percentage) if message.HasField("abort") else None,
    )
