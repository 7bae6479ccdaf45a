"""Where tokens are found, and how they go."""

from __future__ import annotations

import pytest

from proxyless.governance.request import RequestView
from proxyless.governance.tokens.locations import Found, Locations
from proxyless.xds.model.jwt import JwtProvider

Pairs = tuple[tuple[bytes, bytes], ...]

DEFAULT = JwtProvider("one", headers=(("authorization", "Bearer "),), parameters=("access_token",))


def request(*headers: tuple[bytes, bytes], path: bytes = b"/") -> RequestView:
    return RequestView(b"GET", b"http", b"app", path, headers)


def found(*headers: tuple[bytes, bytes], path: bytes = b"/", provider: JwtProvider = DEFAULT) -> list[bytes]:
    return [each.token for each in Locations([provider]).find(request(*headers, path=path))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Bearer a.b.c", [b"a.b.c"]),
        (b"Bearer   a.b.c more", [b"a.b.c more"]),
        (b"Basic x, Bearer a", [b"a"]),
        (b"Bearer ==a", [b"a"]),
        (b"Bearer ==", [b"Bearer =="]),
        (b"bearer a", []),
        (b"Bearer", []),
        (b"Bearer ", []),
        (b"", []),
    ],
)
def test_a_token_stands_behind_its_prefix(value: bytes, expected: list[bytes]) -> None:
    assert found((b"Authorization", value)) == expected


def test_a_header_without_a_prefix_is_the_token_whatever_it_is() -> None:
    own = JwtProvider(headers=(("x-t", ""),))
    assert found((b"x-t", b"a"), (b"X-T", b""), provider=own) == [b"", b"a"]
    assert found(provider=own) == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/?access_token=a.b", [b"a.b"]),
        (b"/?x=1&access%5Ftoken=a%2Eb&access_token=c", [b"a.b"]),
        (b"/?access_token", [b""]),
        (b"/?x=1", []),
        (b"/", []),
    ],
)
def test_parameters_are_decoded_and_the_first_counts(path: bytes, expected: list[bytes]) -> None:
    assert found(path=path) == expected


def test_cookies() -> None:
    own = JwtProvider(cookies=("a", "b"))
    assert found((b"cookie", b"b=2; a=1"), provider=own) == [b"2", b"1"]
    assert found((b"cookie", b"c=2"), provider=own) == []


def test_the_last_place_comes_first() -> None:
    own = JwtProvider(headers=(("x-b", ""), ("x-a", "")), parameters=("p",), cookies=("c",))
    headers = ((b"x-a", b"1"), (b"x-b", b"2"), (b"cookie", b"c=4"))
    assert found(*headers, path=b"/?p=3", provider=own) == [b"4", b"3", b"2", b"1"]


def test_each_place_knows_its_issuers() -> None:
    providers = (
        JwtProvider("one", headers=(("x-a", ""),), parameters=("p",)),
        JwtProvider("two", headers=(("x-a", ""), ("x-b", ""))),
        JwtProvider("", parameters=("p",)),
    )
    view = request((b"x-a", b"1"), (b"x-b", b"2"), path=b"/?p=3")
    assert [each.issuers for each in Locations(providers).find(view)] == [
        None,
        frozenset({"two"}),
        frozenset({"one", "two"}),
    ]


def test_a_token_goes_with_its_header() -> None:
    view = request((b"X-A", b"1"), (b"x-b", b"2"), (b"x-a", b"3"))
    Found(b"1", None, header=b"x-a").remove(view)
    assert view.raw_headers == [(b"x-b", b"2")]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/a?t=1", b"/a"),
        (b"/a?t=1&b=2&a=%41&c&t=3", b"/a?a=A&b=2&c="),
        (b"/a?b=%20&t=1&b=1", b"/a?b=%20&b=1"),
    ],
)
def test_a_token_goes_with_its_parameter(path: bytes, expected: bytes) -> None:
    view = request(path=path)
    Found(b"1", None, parameter=b"t").remove(view)
    assert view.path == expected


def test_a_cookie_stays() -> None:
    view = request((b"cookie", b"t=1"), path=b"/?t=1")
    Found(b"1", None).remove(view)
    assert (view.raw_headers, view.path) == (((b"cookie", b"t=1"),), b"/?t=1")


def test_what_only_a_token_may_say_is_removed() -> None:
    locations = Locations([JwtProvider(payload_header="x-p", claims=(("x-c", "sub"),))])
    view = request((b"X-P", b"1"), (b"x-c", b"2"), (b"x-d", b"3"))
    locations.sanitize(view)
    assert view.raw_headers == [(b"x-d", b"3")]
    locations.sanitize(view)
    assert view.raw_headers == [(b"x-d", b"3")]


def test_tokens_are_in_no_text() -> None:
    assert "secret" not in repr(Found(b"secret", None, b"x"))
