"""The statuses of gRPC: their numbers, how formats spell them, and which of them an HTTP status stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .subject import Subject

CAMEL = (
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
)
SNAKE = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""Their names, each at the place of its number."""

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED, RESOURCE_EXHAUSTED = 0, 1, 2, 4, 7, 8
UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED = 12, 13, 14, 15, 16

BY_HTTP: Mapping[int, int] = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}
"""What an HTTP status stands for where no gRPC status is said (grpc: http-grpc-status-mapping.md)."""

MOST_DIGITS = 9


def of_http(status: int) -> int:
    """What stands for an HTTP status; UNKNOWN for all that have none of their own."""
    return BY_HTTP.get(status, UNKNOWN)


def number_in(said: bytes | None) -> int | None:
    """The number in a `grpc-status` header, whether or not gRPC has such a status; None for anything else."""
    return int(said) if said is not None and said.isdigit() and len(said) <= MOST_DIGITS else None


def status_of(said: bytes | None, http: int) -> int:
    """What the header says, or else what stands for the HTTP status."""
    number = number_in(said)
    return of_http(http) if number is None else number


def known(number: int) -> int:
    """The number; UNKNOWN where gRPC has no such status."""
    return number if number < len(SNAKE) else UNKNOWN


def name_of(number: int, names: tuple[str, ...]) -> str:
    """Its name among these; the number itself where gRPC has no such status."""
    return names[number] if number < len(names) else str(number)


def grpc_status(subject: Subject) -> int:
    """As the response's headers say it, else what goes with its status."""
    said = next((value for name, value in subject.response or () if name.lower() == b"grpc-status"), None)
    return status_of(said, subject.status)
