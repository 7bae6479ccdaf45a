"""What an authorization service has done to headers, queries and answers."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.check_answer import HttpReader, change_request, change_response, encoded
from proxyless.governance.request import RequestView
from proxyless.xds.model.authorization_service import CheckAnswer, HeaderChange, HttpVerdict
from proxyless.xds.model.ext_authz import HttpAuthorizer
from proxyless.xds.model.matchers import StringMatcher
from tests.support.streams import FakeStream

SENT = ((b"host", b"shop"), (b"X-A", b"1"), (b"x-b", b"2"), (b"x-a", b"3"))


def changed(**fields: Any) -> RequestView:
    request = RequestView(b"GET", b"http", b"shop", b"/p?b=2&a=1&b=3&c#f", SENT)
    change_request(FakeStream(request), CheckAnswer("ok", **fields))
    return request


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([HeaderChange(b"x-a", b"9")], [SENT[0], (b"x-a", b"9"), SENT[2]]),
        ([HeaderChange(b"x-new", b"9")], [*SENT, (b"x-new", b"9")]),
        ([HeaderChange(b"x-a", b"9", "append")], [SENT[0], (b"x-a", b"1,3,9"), SENT[2]]),
        ([HeaderChange(b"x-new", b"9", "append")], [*SENT]),
        ([HeaderChange(b"x-a", b"9", "add")], [*SENT, (b"x-a", b"9")]),
        (
            [HeaderChange(b"x-n", b"b", "append"), HeaderChange(b"x-n", b"a")],
            [*SENT, (b"x-n", b"a,b")],
        ),
    ],
)
def test_headers_are_set_then_added_then_appended_to(changes: Any, expected: Any) -> None:
    assert list(changed(headers=tuple(changes)).raw_headers) == expected


def test_headers_are_removed_but_for_those_that_make_a_request() -> None:
    request = changed(remove=(b"x-a", b"host", b":path"))
    assert list(request.raw_headers) == [SENT[0], SENT[2]]
    assert request.path.startswith(b"/p")


def test_pseudo_headers_are_changed() -> None:
    wanted = {b":path": b"/new path", b":method": b"PUT", b":scheme": b"https", b":authority": b"other"}
    request = changed(headers=tuple(HeaderChange(name, value) for name, value in wanted.items()))
    assert (request.path, request.method, request.scheme) == (b"/new%20path", b"PUT", b"https")
    assert (request.authority, request.raw_headers[0]) == (b"other", (b"host", b"other"))
    assert changed(headers=(HeaderChange(b":path", b"x", "append"),)).path == b"/p?b=2&a=1&b=3&c#f,x"


def test_queries_are_changed() -> None:
    assert changed(set_parameters=((b"b", b"9"), (b"n", b"8"))).path == b"/p?a=1&b=9&c=&n=8"
    assert changed(remove_parameters=(b"b", b"none", b"a", b"c")).path == b"/p"
    assert encoded(((b"a", b"%20+~"),))
    assert not encoded(((b"a", b"&"),))


def test_responses_are_changed_in_the_order_of_what_is_done() -> None:
    headers = [(b"a", b"1"), (b"B", b"1")]
    wanted = (
        HeaderChange(b"b", b"4", "overwrite if exists"),
        HeaderChange(b"c", b"4", "overwrite if exists"),
        HeaderChange(b"a", b"3", "add if absent"),
        HeaderChange(b"d", b"3", "add if absent"),
        HeaderChange(b"a", b"2", "set"),
        HeaderChange(b"a", b"5", "add"),
    )
    assert change_response(headers, wanted) == [(b"a", b"2"), (b"b", b"4"), (b"d", b"3")]


def names(*given: str) -> tuple[StringMatcher, ...]:
    return tuple(StringMatcher("exact", each) for each in given)


SAID = (
    (b"host", b"h"),
    (b"x-up", b"1"),
    (b"x-app", b"1"),
    (b"x-meta", b"1"),
    (b"location", b"/"),
    (b"connection", b"close"),
    (b"x-envoy-auth-headers-to-remove", b"X-A, , x-b"),
)


def test_what_plain_http_says_is_read() -> None:
    read = HttpReader(
        HttpAuthorizer(
            "c",
            upstream=names("x-up"),
            upstream_append=names("x-app"),
            client=names("x-up"),
            client_on_success=names("location"),
            metadata=names("x-meta"),
        )
    )
    ok = read(HttpVerdict(200, SAID))
    assert ok.headers == (HeaderChange(b"x-up", b"1"), HeaderChange(b"x-app", b"1", "add"))
    assert ok.response_headers == (HeaderChange(b"location", b"/", "add"),)
    assert (ok.remove, ok.metadata) == ((b"x-a", b"x-b"), {"x-meta": "1"})
    denied = read(HttpVerdict(302, SAID, b"go"))
    assert [each.name for each in denied.headers] == [b"x-up", b"location"]
    assert (denied.verdict, denied.status, denied.body, denied.remove) == ("denied", 302, b"go", ())
    assert read(HttpVerdict(503)).verdict == "error"


def test_a_client_gets_all_of_a_denial_unless_it_is_said_what() -> None:
    denied = HttpReader(HttpAuthorizer("c"))(HttpVerdict(403, SAID))
    assert [each.name for each in denied.headers] == [b"x-up", b"x-app", b"x-meta", b"location"]
