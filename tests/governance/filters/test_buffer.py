"""Bodies are held until they are whole, and answered where they are too long."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.actions import Collect
from proxyless.governance.filters.buffer import BufferFilter
from proxyless.governance.request import RequestView
from proxyless.governance.routing import Target
from proxyless.xds.model.filters import Buffer
from tests.governance.filters.places import target
from tests.support.streams import FakeStream, Ran, run

CHUNKED = (b"transfer-encoding", b"chunked")


def ran(*headers: tuple[bytes, bytes], place: Target | None = None, collected: int | None = None) -> tuple[Ran, str]:
    request = RequestView(b"POST", b"http", b"shop", b"/", list(headers))
    found = run(BufferFilter("b", Buffer(5)), FakeStream(request, target=place), collected)
    return found, str(found.reply.status if found.reply is not None else request.raw_headers)


@pytest.mark.parametrize("headers", [(), ((b"content-length", b"0"),)])
def test_without_a_body_there_is_nothing_to_hold(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert ran(*headers)[0] == Ran(None, [])


def test_an_incoming_request_need_not_say_that_it_has_a_body() -> None:
    request = RequestView(b"GET", b"http", b"shop", b"/", [])
    found = run(BufferFilter("b", Buffer(5)), FakeStream(request, incoming=True), 0)
    assert (found.reply, len(found.actions), request.raw_headers) == (None, 1, [])


def test_neither_need_a_call_of_grpc() -> None:
    grpc = (b"content-type", b"application/grpc")
    found, said = ran(grpc, collected=6)
    assert ([type(each) for each in found.actions], said) == ([Collect], "413")


def test_what_came_at_once_may_be_as_long_as_it_likes() -> None:
    request = RequestView(b"POST", b"http", b"shop", b"/", [CHUNKED])
    steps: Any = BufferFilter("b", Buffer(5)).on_request(FakeStream(request))
    next(steps).whole = True
    with pytest.raises(StopIteration) as ended:
        steps.send(6)
    assert (ended.value.value, request.raw_headers) == (None, [(b"content-length", b"6")])


def test_a_length_that_is_known_to_be_too_great_is_answered_at_once() -> None:
    found, said = ran((b"content-length", b"6"))
    assert (found.actions, said) == ([], "413")


@pytest.mark.parametrize(
    ("headers", "collected", "expected"),
    [
        (((b"content-length", b"5"),), 5, "[(b'content-length', b'5')]"),
        ((CHUNKED,), 5, "[(b'content-length', b'5')]"),
        ((CHUNKED,), 0, "[(b'transfer-encoding', b'chunked')]"),
        ((CHUNKED,), None, "[(b'transfer-encoding', b'chunked')]"),
        ((CHUNKED,), 6, "413"),
    ],
)
def test_others_are_waited_for(headers: tuple[tuple[bytes, bytes], ...], collected: int, expected: str) -> None:
    found, said = ran(*headers, collected=collected)
    assert [type(each) for each in found.actions] == [Collect]
    assert said == expected


def test_a_route_may_say_otherwise() -> None:
    long = (b"content-length", b"6")
    assert ran(long, place=target(b=Buffer(None)))[0] == Ran(None, [])
    assert ran(long, place=target(b=Buffer(6)), collected=6)[0].reply is None


def test_it_is_left_out_where_it_holds_nothing() -> None:
    filter_ = BufferFilter("b", None)
    assert not filter_.applies(None)
    assert filter_.applies(target(b=Buffer(1)))
    assert not BufferFilter("b", Buffer(1)).applies(target(b=Buffer(None)))
