"""What an attempt says about the host it went to (envoy source: Outlier::Result, Grpc::Utility::grpcToHttpStatus)."""

from typing import Literal

from ..grpc_statuses import number_in

Result = Literal["connected", "connected-finally", "connect-failed", "timeout"]
"""Of local origin. `connected`: HTTP follows, which has an outcome of its own; `connected-finally`: nothing follows."""

STATUSES: dict[str, int | None] = {
    "connected": None,
    "connected-finally": 200,
    "connect-failed": 503,
    "timeout": 504,
}
"""What stands for a result where local and external origin are not told apart; None for nothing."""

GATEWAY_ERRORS = frozenset({502, 503, 504})

_GRPC = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)


def status_of_grpc(value: bytes) -> int:
    """The HTTP status that stands for a `grpc-status` header; what is no known status counts as 500."""
    number = number_in(value)
    return _GRPC[number] if number is not None and number < len(_GRPC) else 500
