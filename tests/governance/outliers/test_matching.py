"""Which status stands for a response."""

from __future__ import annotations

import pytest

from proxyless.governance.outliers.matching import response_test, status_of, view_of
from proxyless.xds.model.matchers import HeaderMatcher, ResponsePredicate, StringMatcher

GOOD, BAD = ResponsePredicate("never"), ResponsePredicate("always")
HEADER = ResponsePredicate("headers", headers=(HeaderMatcher("x-a"), HeaderMatcher("x-b")))
TEAPOT = ResponsePredicate("headers", headers=(HeaderMatcher(":status", StringMatcher("exact", "418")),))


@pytest.mark.parametrize(
    ("predicate", "matches"),
    [
        (BAD, True),
        (GOOD, False),
        (ResponsePredicate("not", (GOOD,)), True),
        (ResponsePredicate("not", (BAD,)), False),
        (ResponsePredicate("any", (GOOD, BAD)), True),
        (ResponsePredicate("any", (GOOD, GOOD)), False),
        (ResponsePredicate("all", (BAD, BAD)), True),
        (ResponsePredicate("all", (BAD, GOOD)), False),
        (TEAPOT, True),
        (HEADER, False),
        (ResponsePredicate("headers", headers=HEADER.headers[:1]), True),
        (ResponsePredicate("headers"), True),
    ],
)
def test_a_predicate_looks_at_the_head_of_a_response(predicate: ResponsePredicate, matches: bool) -> None:
    assert response_test(predicate)(view_of(418, [(b"X-A", b"1")])) is matches


@pytest.mark.parametrize(
    ("status", "error", "stands_for"),
    [(200, None, 200), (503, None, 503), (200, True, 500), (404, True, 500), (503, True, 503), (503, False, 200)],
)
def test_a_cluster_may_say_which_responses_are_errors(status: int, error: bool | None, stands_for: int) -> None:
    test = None if error is None else response_test(BAD if error else GOOD)
    assert status_of(view_of(status, []), is_grpc=False, is_error=test) == stands_for


@pytest.mark.parametrize("error", [None, True, False])
def test_a_grpc_status_comes_before_what_the_cluster_says(error: bool | None) -> None:
    test = None if error is None else response_test(BAD if error else GOOD)
    view = view_of(200, [(b"grpc-status", b"14")])
    assert status_of(view, is_grpc=True, is_error=test) == 503
    assert status_of(view_of(200, [(b"grpc-status", b"0")]), is_grpc=True, is_error=test) == 200
