"""What the answer of an endpoint means (envoy source: HttpHealthCheckerImpl, PayloadMatcher)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ...xds.model.health_check import HttpCheck
from ...xds.model.matchers import Range
from ...xds.model.records import dataclass
from ..matching import string_test
from ..request import RequestView

IMMEDIATE = b"x-envoy-immediate-health-check-fail"

FailureKind = Literal["network", "network timeout", "active", "passive"]
"""envoy.data.core.v3.HealthCheckFailureType."""


@dataclass(frozen=True, slots=True)
class Passed:
    """The endpoint is well; `degraded`: it says that it is only just."""

    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """`retriable`: one alone does not count, as none of the network does. `exclude`: it wants to be left out."""

    kind: FailureKind
    reason: str = ""
    retriable: bool = False
    exclude: bool = False


Answer = Passed | Failed


def holds(data: bytes, segments: Sequence[bytes]) -> bool:
    """Whether the segments stand in the data, one after the other; anything may be between them."""
    start = 0
    for each in segments:
        found = data.find(each, start)
        if found < 0:
            return False
        start = found + len(each)
    return True


def of_response(check: HttpCheck, response: RequestView, body: bytes) -> Answer:
    """What an HTTP response means; `:status` stands among its headers."""
    headers = response.headers
    status = int(headers[b":status"])
    exclude = IMMEDIATE in headers
    if check.receive and not holds(body[: check.buffer] if check.buffer else body, check.receive):
        return Failed("active", "the body is not what is expected", exclude=exclude)
    if not _within(status, check.expected):
        return Failed("active", f"status {status}", _within(status, check.retriable), exclude)
    if check.service_name is not None:
        name = headers.get(b"x-envoy-upstream-healthchecked-cluster", b"")
        if not string_test(check.service_name)(name):
            return Failed("active", f"it is the service {name.decode('latin-1')!r}")
    return Passed(b"x-envoy-degraded" in headers)


def _within(status: int, ranges: Sequence[Range]) -> bool:
    return any(each.start <= status < each.end for each in ranges)
