"""Statuses of gRPC: numbers, names, and what headers say of them."""

from __future__ import annotations

import grpc
import pytest

from proxyless.governance import grpc_statuses
from proxyless.governance.grpc_statuses import CAMEL, SNAKE, known, name_of, number_in, status_of


def test_the_numbers_and_names_are_those_of_grpcio() -> None:
    numbers = {each.name: each.value[0] for each in grpc.StatusCode}
    assert {name: number for number, name in enumerate(SNAKE)} == numbers
    assert len(CAMEL) == len(SNAKE)
    own = {name: value for name, value in vars(grpc_statuses).items() if name in numbers}
    assert own
    assert own.items() <= numbers.items()


@pytest.mark.parametrize(
    ("said", "http", "number", "status"),
    [
        (b"5", 200, 5, 5),
        (b"99", 503, 99, 99),
        (None, 503, None, 14),
        (None, 418, None, 2),
        (b"", 200, None, 2),
        (b"-1", 503, None, 14),
        (b"five", 404, None, 12),
        (b"9" * 9, 200, 999_999_999, 999_999_999),
        (b"9" * 10, 200, None, 2),
        (b"9" * 5000, 503, None, 14),
    ],
)
def test_a_header_comes_before_the_http_status(said: bytes | None, http: int, number: int | None, status: int) -> None:
    assert (number_in(said), status_of(said, http)) == (number, status)


def test_a_number_that_has_no_name_is_its_own() -> None:
    assert [name_of(each, SNAKE) for each in (0, 16, 17)] == ["OK", "UNAUTHENTICATED", "17"]
    assert name_of(14, ()) == "14"
    assert [known(each) for each in (0, 16, 17)] == [0, 16, 2]
