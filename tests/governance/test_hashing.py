"""What requests are hashed by."""

from __future__ import annotations

from typing import Any

import pytest
from xxhash import xxh64_hexdigest, xxh64_intdigest

from proxyless.governance.hashing import Caller, HashPolicies, compile_hashing
from proxyless.governance.request import RequestView
from proxyless.xds.model.matchers import RegexRewrite
from proxyless.xds.model.route import HashPolicy

MASK = (1 << 64) - 1


def xx(text: str) -> int:
    return xxh64_intdigest(text.encode())


def caller(address: str = "10.0.0.9") -> Caller:
    return Caller(address, "10.96.0.1:80", lambda: 40000)


def hashed(policies: list[HashPolicy], *headers: tuple[str, str], path: str = "/") -> int | None:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return HashPolicies(policies).hash(RequestView(b"GET", b"http", b"a.example", path.encode(), pairs), caller())


KEY = HashPolicy("header", "X-Key")


@pytest.mark.parametrize(
    ("policy", "headers", "path", "text"),
    [
        (KEY, (("x-key", "v"),), "/", "v"),
        (KEY, (("X-KEY", ""),), "/", ""),
        (KEY, (), "/", None),
        (HashPolicy("header", ":path"), (), "/a?q=1", "/a?q=1"),
        (HashPolicy("header", ":authority"), (), "/", "a.example"),
        (HashPolicy("header", "x-key", regex=RegexRewrite("^/(.).*", r"\1")), (("x-key", "/abc"),), "/", "a"),
        (HashPolicy("query_parameter", "q"), (), "/a?p=2&q=1&q=3", "1"),
        (HashPolicy("query_parameter", "q"), (), "/a?q", ""),
        (HashPolicy("query_parameter", "q"), (), "/a?Q=1", None),
        (HashPolicy("source_ip"), (), "/", "10.0.0.9"),
        (HashPolicy("filter_state", "k"), (), "/", None),
        (HashPolicy("cookie", "c"), (("cookie", "a=1; c=2; c=3"),), "/", "2"),
        (HashPolicy("cookie", "c"), (("cookie", "a=1"), ("cookie", "c=2")), "/", "2"),
        (HashPolicy("cookie", "c"), (("cookie", 'c="2"'),), "/", "2"),
        (HashPolicy("cookie", "c"), (("cookie", 'c="2'),), "/", '"2'),
        (HashPolicy("cookie", "c"), (("cookie", 'c="'),), "/", '"'),
        (HashPolicy("cookie", "c"), (("cookie", "   c=2=3 "),), "/", "2=3 "),
        (HashPolicy("cookie", "c"), (("cookie", "c; C=1; c =2"),), "/", None),
        (HashPolicy("cookie", "c"), (("cookie", "c=; c=2"),), "/", None),
        (HashPolicy("cookie", "c"), (), "/", None),
    ],
)
def test_each_policy_hashes_the_bytes_that_it_names(
    policy: HashPolicy, headers: tuple[tuple[str, str], ...], path: str, text: str | None
) -> None:
    assert hashed([policy], *headers, path=path) == (None if text is None else xx(text))


def test_each_value_of_a_header_is_hashed_with_the_hash_of_the_one_before_as_its_seed() -> None:
    sent = (("x-key", "b"), ("x-key", "ac"), ("x-key", "a"))
    expected = 0
    for value in (b"a", b"ac", b"b"):
        expected = xxh64_intdigest(value, expected)
    assert hashed([KEY], *sent) == expected
    rewritten = HashPolicy("header", "x-key", regex=RegexRewrite("b", ""))
    assert hashed([rewritten], ("x-key", "ba"), ("x-key", "b")) == xxh64_intdigest(b"a", xx(""))


def test_the_hash_of_no_bytes_is_the_one_that_xx_hash_says() -> None:
    assert hashed([KEY], ("x-key", "")) == 0xEF46DB3751D8E999


def test_several_are_rotated_and_xored_in_their_order() -> None:
    a, b, c = xx("a"), xx("b"), xx("c")

    def rotated(value: int) -> int:
        return (value << 1 & MASK) | value >> 63

    policies = [HashPolicy("header", name) for name in ("x-a", "x-b", "x-c")]
    sent = (("x-c", "c"), ("x-b", "b"), ("x-a", "a"))
    assert hashed(policies, *sent) == rotated(rotated(a) ^ b) ^ c
    assert hashed(policies, *sent[:2]) == rotated(b) ^ c
    assert hashed([policies[0]] * 2, *sent) == rotated(a) ^ a != 0


def test_a_terminal_policy_ends_it_once_there_is_a_hash() -> None:
    first, last = HashPolicy("header", "x-a", terminal=True), HashPolicy("header", "x-b")
    assert hashed([first, last], ("x-a", "a"), ("x-b", "b")) == xx("a")
    assert hashed([first, last], ("x-b", "b")) == xx("b")
    # one that finds nothing itself ends it all the same
    assert hashed([last, first, last], ("x-b", "b")) == xx("b")


@pytest.mark.parametrize(
    ("fields", "about"),
    [
        ({"ttl_s": 3600.0}, "; Max-Age=3600; HttpOnly"),
        ({"ttl_s": 0.0}, "; HttpOnly"),
        ({"ttl_s": 0.9}, "; HttpOnly"),
        ({"ttl_s": 60.0, "cookie_path": "/a"}, "; Max-Age=60; Path=/a; HttpOnly"),
        (
            {"ttl_s": 0.0, "cookie_path": "/", "cookie_attributes": (("SameSite", "Strict"), ("Secure", ""))},
            "; Path=/; SameSite=Strict; Secure; HttpOnly",
        ),
    ],
)
def test_a_cookie_with_a_ttl_is_made_where_there_is_none(fields: dict[str, Any], about: str) -> None:
    asks = caller()
    found = HashPolicies([HashPolicy("cookie", "c", **fields)]).hash(RequestView(b"GET", b"http", b"a", b"/"), asks)
    value = xxh64_hexdigest(b"10.0.0.9:4000010.96.0.1:80")
    assert found == xx(value)
    assert asks.cookies == [f'c="{value}"{about}'.encode()]


def test_an_address_of_ipv6_is_hashed_bare_and_written_with_brackets() -> None:
    asks = caller("fd00::9")
    request = RequestView(b"GET", b"http", b"a", b"/")
    assert HashPolicies([HashPolicy("source_ip")]).hash(request, asks) == xx("fd00::9")
    assert asks.token() == xxh64_hexdigest(b"[fd00::9]:4000010.96.0.1:80").encode()


def test_nothing_to_hash_is_nothing_at_all() -> None:
    assert compile_hashing(()) is None
    assert compile_hashing((KEY,)) is not None
