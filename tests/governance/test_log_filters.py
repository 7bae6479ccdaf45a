"""Filters of access logs: what they take."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.log_filters import log_test
from proxyless.governance.request import RequestView
from proxyless.governance.subject import Subject
from proxyless.xds.model.local_reply import Comparison, Decided, GrpcStatuses, Joined, LogFilter, ResponseFlags, Share
from proxyless.xds.model.matchers import HeaderMatcher
from proxyless.xds.model.values import Fraction

YES, NO = Decided(True), Decided(False)


def takes(wanted: LogFilter, *headers: tuple[bytes, bytes], draw: float = 0.0, **known: Any) -> bool:
    request = RequestView(b"GET", b"http", b"shop", b"/", list(headers))
    return log_test(wanted, lambda: draw)(Subject(request, **known))


@pytest.mark.parametrize(("op", "taken"), [("EQ", [503]), ("GE", [503, 504]), ("LE", [502, 503]), ("NE", [502, 504])])
def test_statuses_and_durations_are_compared(op: Any, taken: list[int]) -> None:
    known = (502, 503, 504)
    assert [each for each in known if takes(Comparison("status", op, 503), status=each)] == taken
    assert [each for each in known if takes(Comparison("duration", op, 503), now=each / 1000 + 0.0001)] == taken


@pytest.mark.parametrize(
    ("how", "filters", "taken"),
    [("all", (YES, NO), False), ("all", (YES, YES), True), ("any", (NO, YES), True), ("any", (NO, NO), False)],
)
def test_filters_are_joined(how: Any, filters: tuple[LogFilter, ...], taken: bool) -> None:
    assert takes(Joined(how, filters)) is taken


def test_flags() -> None:
    some = ResponseFlags(frozenset({"UH", "NC"}))
    assert [takes(some, flags=each) for each in ((), ("UF", "NC"), ("UF",))] == [False, True, False]
    assert [takes(ResponseFlags(frozenset()), flags=each) for each in ((), ("UF",))] == [False, True]


def test_headers() -> None:
    assert takes(HeaderMatcher("x-a", True), (b"X-A", b"1"))
    assert not takes(HeaderMatcher("x-a", True))


@pytest.mark.parametrize(
    ("known", "taken"),
    [
        ({"status": 503}, True),
        ({"status": 404}, False),
        ({"status": 404, "response": [(b"Grpc-Status", b"14")]}, True),
        ({"status": 503, "response": [(b"grpc-status", b"x")]}, True),
        ({"status": 200}, False),
    ],
)
def test_grpc_statuses(known: dict[str, Any], taken: bool) -> None:
    unavailable = frozenset({14})
    assert takes(GrpcStatuses(unavailable), **known) is taken
    assert takes(GrpcStatuses(unavailable, exclude=True), **known) is not taken


@pytest.mark.parametrize(
    ("name", "draw", "taken"),
    [
        (b"00000031-0000-4000-8000-000000000000", 0.9, True),
        (b"00000032-0000-4000-8000-000000000000", 0.0, False),
        (b"0x000031-and so on", 0.9, True),
        (b"word", 0.0, True),
        (b"some words", 0.9, False),
        (b"", 0.9, False),
    ],
)
def test_ids_say_whether_a_request_belongs_to_a_share_and_draws_where_they_do_not(
    name: bytes, draw: float, taken: bool
) -> None:
    own = (b"x-request-id", name)
    assert takes(Share(Fraction(50)), own, draw=draw) is taken
    assert takes(Share(Fraction(50), independent=True), own, draw=draw) is (draw < 0.5)
