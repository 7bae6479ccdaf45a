"""Filters of access logs as closures: which replies a mapper takes (envoy.config.accesslog.v3.AccessLogFilter)."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..xds.model.local_reply import (
    Comparison,
    Decided,
    Expression,
    GrpcStatuses,
    Joined,
    LogFilter,
    ResponseFlags,
    Share,
)
from .grpc_statuses import grpc_status
from .matching import header_test
from .subject import Subject

Test = Callable[[Subject], bool]


class UnsupportedFilterError(ValueError):
    """A filter that cannot be asked here; the text says why."""


REQUEST_ID = b"x-request-id"

_NUMBER = re.compile(rb"(?:0[xX])?[0-9a-fA-F]+")
ID_DIGITS = 8
"""What of a request id decides whether the request belongs to a share."""

OPS: dict[str, Callable[[int, int], bool]] = {
    "EQ": lambda found, value: found == value,
    "GE": lambda found, value: found >= value,
    "LE": lambda found, value: found <= value,
    "NE": lambda found, value: found != value,
}


def log_test(wanted: LogFilter, uniform: Callable[[], float]) -> Test:
    """Whether a filter takes what is known of a request. `uniform` draws where its id does not decide.

    Raises:
        UnsupportedFilterError: it has an expression that cannot be evaluated here.
    """
    match wanted:
        case Decided(matches):
            return lambda subject: matches
        case Comparison(what, op, value):
            holds = OPS[op]
            if what == "status":
                return lambda subject: holds(subject.status, value)
            return lambda subject: holds(subject.elapsed_ms, value)
        case Share():
            return _share(wanted, uniform)
        case Joined(how, filters):
            joined, tests = all if how == "all" else any, [log_test(each, uniform) for each in filters]
            return lambda subject: joined(test(subject) for test in tests)
        case ResponseFlags(flags):
            return lambda subject: not flags.isdisjoint(subject.flags) if flags else bool(subject.flags)
        case GrpcStatuses(statuses, exclude):
            return lambda subject: (grpc_status(subject) in statuses) != exclude
        case Expression():
            return _expression(wanted)
        case _:
            test = header_test(wanted)
            return lambda subject: test(subject.request)


def _expression(wanted: Expression) -> Test:
    from .expressions import ExpressionError, expression_test  # CEL: who has no expression does not load it

    try:
        return expression_test(wanted)
    except ExpressionError as error:
        raise UnsupportedFilterError(str(error)) from None


def _share(wanted: Share, uniform: Callable[[], float]) -> Test:
    fraction, independent = wanted.fraction, wanted.independent

    def test(subject: Subject) -> bool:
        said = b"" if independent else (subject.request.header(REQUEST_ID) or b"")
        digits = said[:ID_DIGITS]
        if len(digits) == ID_DIGITS and _NUMBER.fullmatch(digits):
            return fraction.hit(int(digits, 16))
        return fraction.hit(int(uniform() * fraction.denominator))

    return test
