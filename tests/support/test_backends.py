"""The backends report exactly what arrived and misbehave exactly as told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.support import rawhttp
from tests.support.backends import Backends
from tests.support.behaviour import Behaviour, parse

ONE, TWO = ("127.0.0.1", 8080), ("127.0.0.1", 8081)


@pytest.fixture
def backends() -> Iterator[Backends]:
    with Backends([ONE, TWO]) as running:
        yield running


def _ask(backends: Backends, *headers: tuple[str, str], body: bytes = b"") -> rawhttp.Response:
    return rawhttp.exchange(backends.ports[ONE], rawhttp.request("POST", "/a?b", (("Host", "x"), *headers), body))


def test_case_order_and_duplicates_of_headers_are_reported_as_received(backends: Backends) -> None:
    response = _ask(backends, ("X-A", "1"), ("x-b", ""), ("x-A", "2"), body=b"abc")
    (arrival,) = backends.take()
    assert arrival.headers == (("Host", "x"), ("X-A", "1"), ("x-b", ""), ("x-A", "2"), ("content-length", "3"))
    assert (arrival.method, arrival.target, arrival.body, arrival.header("x-a")) == ("POST", "/a?b", b"abc", "1,2")
    assert json.loads(response.body)["backend"] == "127.0.0.1:8080"


def test_chunked_bodies_and_trailers_are_read(backends: Backends) -> None:
    _ask(backends, ("transfer-encoding", "chunked"), body=b"2\r\nab\r\n1\r\nc\r\n0\r\nx-t: 1\r\n\r\n")
    (arrival,) = backends.take()
    assert (arrival.body, arrival.trailers) == (b"abc", (("x-t", "1"),))


def test_http2_is_spoken_to_a_client_that_begins_with_it(backends: Backends) -> None:
    with httpx.Client(http1=False, http2=True, trust_env=False) as client:
        response = client.post(f"http://127.0.0.1:{backends.ports[TWO]}/x", content=b"y" * 200_000)
    assert (response.http_version, response.json()["body_length"]) == ("HTTP/2", 200_000)
    (arrival,) = backends.take()
    assert (arrival.protocol, arrival.backend, arrival.header(":path")) == ("HTTP/2", TWO, "/x")


@pytest.mark.parametrize(
    ("fault", "status", "cut"), [("reset", 0, True), ("close", 0, True), ("cut", 200, True), ("cut-reset", 200, True)]
)
def test_a_fault_ends_the_connection_where_it_should(backends: Backends, fault: str, status: int, cut: bool) -> None:
    response = _ask(backends, ("x-backend", f"fault={fault}"))
    assert (response.status, response.cut) == (status, cut)


def test_the_attempts_of_one_request_id_get_one_behaviour_each_and_the_last_repeats(backends: Backends) -> None:
    plan = (("x-backend", "status=503,status=500;x-late=1"), ("x-request-id", "r"))
    assert [_ask(backends, *plan).status for _ in range(3)] == [503, 500, 500]
    assert _ask(backends, *plan).header("x-late") == "1"


def test_an_address_behaves_as_set_until_a_request_says_otherwise(backends: Backends) -> None:
    backends.behave(ONE, Behaviour(status=418, body=b"t"))
    assert [_ask(backends).status, _ask(backends, ("x-backend", "status=200")).status] == [418, 200]


def test_a_refused_address_keeps_its_port_and_accepts_again(backends: Backends) -> None:
    backends.refuse(ONE)
    with pytest.raises(ConnectionRefusedError):
        _ask(backends)
    backends.accept(ONE)
    assert _ask(backends).status == 200


def test_behaviours_are_parsed_from_text() -> None:
    assert parse("status=503;delay=0.5,fault=reset;size=3;a=b") == [
        Behaviour(status=503, delay_s=0.5),
        Behaviour(fault="reset", body=b"xxx", headers=(("a", "b"),)),
    ]
