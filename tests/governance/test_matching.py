"""docs/envoy-facts.md, "Matchers": every kind matched and missed."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.matching import (
    all_of,
    cookie_test,
    header_test,
    path_test,
    query_test,
    range_test,
    string_test,
    tls_test,
)
from proxyless.governance.regex import BadRegexError
from proxyless.governance.request import RequestView
from proxyless.xds.model.matchers import (
    CookieMatcher,
    HeaderMatcher,
    PathMatcher,
    QueryParameterMatcher,
    Range,
    StringMatcher,
    TlsMatcher,
)


def request(*headers: tuple[str, str], path: str = "/", method: str = "GET", authority: str = "shop") -> RequestView:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return RequestView(method.encode(), b"http", authority.encode(), path.encode(), raw)


STRINGS: list[tuple[str, str, bool, str, bool]] = [
    ("exact", "Abc", False, "Abc", True),
    ("exact", "Abc", False, "abc", False),
    ("exact", "Abc", False, "Abcd", False),
    ("exact", "Abc", True, "aBC", True),
    ("exact", "Abc", True, "abcd", False),
    ("exact", "", False, "", True),
    ("prefix", "Ab", False, "Abc", True),
    ("prefix", "Ab", False, "abc", False),
    ("prefix", "Ab", True, "aBc", True),
    ("prefix", "Ab", True, "xab", False),
    ("suffix", "bC", False, "abC", True),
    ("suffix", "bC", False, "abc", False),
    ("suffix", "bC", True, "aBc", True),
    ("suffix", "bC", True, "bcx", False),
    ("contains", "b", False, "abc", True),
    ("contains", "b", False, "aBc", False),
    ("contains", "b", True, "aBc", True),
    ("contains", "b", True, "acd", False),
    ("safe_regex", "a.c", False, "abc", True),
    ("safe_regex", "a.c", False, "abcd", False),
    ("safe_regex", "a.c", True, "ABC", False),
    ("safe_regex", "[ab]c", False, "bc", True),
    ("safe_regex", "[ab]c", False, "bcx", False),
    ("exact", "é", True, "É", False),  # case is folded for ASCII only
]


@pytest.mark.parametrize(("kind", "wanted", "ignore_case", "value", "matches"), STRINGS)
def test_a_string_matcher(kind: Any, wanted: str, ignore_case: bool, value: str, matches: bool) -> None:
    assert string_test(StringMatcher(kind, wanted, ignore_case))(value.encode()) == matches


def test_a_pattern_that_re2_refuses_never_comes_into_force() -> None:
    with pytest.raises(BadRegexError):
        string_test(StringMatcher("safe_regex", "("))


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("3", True),
        ("9", True),
        ("10", False),
        ("2", False),
        ("+3", True),
        ("03", True),
        ("0000000000000000000000003", True),
        ("-3", False),
        ("9.5", False),
        ("0x3", False),
        ("3 3", False),
        ("", False),
        ("+", False),
        ("x", False),
        ("9223372036854775808", False),
        ("9" * 5000, False),
        ("0" * 5000 + "3", True),
    ],
)
def test_a_range_takes_whole_decimal_integers_with_the_end_left_out(value: str, matches: bool) -> None:
    assert range_test(Range(3, 10))(value.encode()) == matches


@pytest.mark.parametrize(("value", "matches"), [("-5", True), ("-1", False), ("-9223372036854775808", True)])
def test_a_range_may_be_negative(value: str, matches: bool) -> None:
    assert range_test(Range(-(2**63), -1))(value.encode()) == matches


EXACT = StringMatcher("exact", "v")
HEADERS: list[tuple[str, HeaderMatcher, list[str], bool]] = [
    ("present", HeaderMatcher("x"), ["v"], True),
    ("present and empty", HeaderMatcher("x"), [""], True),
    ("present missed", HeaderMatcher("x"), [], False),
    ("absent", HeaderMatcher("x", False), [], True),
    ("absent missed", HeaderMatcher("x", False), ["v"], False),
    ("not present", HeaderMatcher("x", True, invert=True), [], True),
    ("not present missed", HeaderMatcher("x", True, invert=True), ["v"], False),
    ("not absent", HeaderMatcher("x", False, invert=True), ["v"], True),
    ("not absent missed", HeaderMatcher("x", False, invert=True), [], False),
    ("value", HeaderMatcher("x", EXACT), ["v"], True),
    ("value missed", HeaderMatcher("x", EXACT), ["w"], False),
    ("value of an absent header", HeaderMatcher("x", EXACT), [], False),
    ("inverted", HeaderMatcher("x", EXACT, invert=True), ["w"], True),
    ("inverted missed", HeaderMatcher("x", EXACT, invert=True), ["v"], False),
    ("inverted, absent: still needs the header", HeaderMatcher("x", EXACT, invert=True), [], False),
    ("the second of two values", HeaderMatcher("x", EXACT), ["u", "v"], True),
    ("neither of two values", HeaderMatcher("x", EXACT), ["u", "w"], False),
    ("not the two joined", HeaderMatcher("x", StringMatcher("exact", "v,w")), ["v", "w"], False),
    ("inverted over any value", HeaderMatcher("x", EXACT, invert=True), ["u", "v"], False),
    ("inverted, none of two", HeaderMatcher("x", EXACT, invert=True), ["u", "w"], True),
    ("missing as empty, empty", HeaderMatcher("x", StringMatcher("exact", ""), treat_missing_as_empty=True), [], True),
    ("missing as empty, value", HeaderMatcher("x", EXACT, treat_missing_as_empty=True), [], False),
    ("missing as empty, inverted", HeaderMatcher("x", EXACT, True, True), [], True),
    ("missing as empty, there", HeaderMatcher("x", EXACT, treat_missing_as_empty=True), ["v"], True),
    ("missing as empty, present", HeaderMatcher("x", True, treat_missing_as_empty=True), [], True),
    ("missing as empty, absent", HeaderMatcher("x", False, treat_missing_as_empty=True), [], False),
    ("missing as empty, range", HeaderMatcher("x", Range(0, 9), treat_missing_as_empty=True), [], False),
    ("range", HeaderMatcher("x", Range(0, 9)), ["5"], True),
    ("range missed", HeaderMatcher("x", Range(0, 9)), ["9"], False),
    ("range, not a number", HeaderMatcher("x", Range(0, 9)), ["five"], False),
    ("range inverted, not a number", HeaderMatcher("x", Range(0, 9), invert=True), ["five"], True),
    ("range, the second of two values", HeaderMatcher("x", Range(0, 9)), ["five", "5"], True),
]


@pytest.mark.parametrize(("matcher", "values", "matches"), [pytest.param(*row[1:], id=row[0]) for row in HEADERS])
def test_a_header_matcher(matcher: HeaderMatcher, values: list[str], matches: bool) -> None:
    assert header_test(matcher)(request(*(("X", value) for value in values), ("y", "v"))) == matches


@pytest.mark.parametrize(
    ("name", "value", "matches"),
    [
        (":method", "GET", True),
        (":method", "get", False),
        (":path", "/a?b", True),
        (":authority", "shop:80", True),
        ("host", "shop:80", True),
        ("Host", "shop", False),
        (":scheme", "http", True),
        (":other", "x", False),
    ],
)
def test_pseudo_headers_are_what_the_request_says(name: str, value: str, matches: bool) -> None:
    view = request(path="/a?b", authority="shop:80")
    assert header_test(HeaderMatcher(name, StringMatcher("exact", value)))(view) == matches
    assert header_test(HeaderMatcher(name, StringMatcher("exact", value), invert=True))(view) == (
        not matches and name != ":other"
    )


def test_the_names_of_headers_have_no_case() -> None:
    assert header_test(HeaderMatcher("X-Any", EXACT))(request(("x-aNY", "v")))


def test_a_header_that_envoy_joins_is_one_value() -> None:
    view = request(("Accept", "a"), ("accept", "b"))
    assert header_test(HeaderMatcher("accept", StringMatcher("exact", "a,b")))(view)
    assert not header_test(HeaderMatcher("accept", StringMatcher("exact", "b")))(view)


def test_two_cookies_are_two_values() -> None:
    view = request(("cookie", "a=1"), ("cookie", "b=2"))
    assert header_test(HeaderMatcher("cookie", StringMatcher("exact", "b=2")))(view)


QUERIES: list[tuple[str, Any, str, bool]] = [
    ("q", True, "/?q=1", True),
    ("q", True, "/?q", True),
    ("q", True, "/?q=", True),
    ("q", True, "/", False),
    ("q", True, "/?", False),
    ("q", False, "/", True),
    ("q", False, "/?q", False),
    ("q", StringMatcher("exact", "v"), "/?q=v", True),
    ("q", StringMatcher("exact", "v"), "/?q=w", False),
    ("q", StringMatcher("exact", "v"), "/?x", False),
    ("q", StringMatcher("exact", ""), "/?q", True),
    ("q", StringMatcher("exact", ""), "/", False),
    ("q", StringMatcher("exact", "v"), "/?q=%76", False),
    ("q", StringMatcher("exact", "a b"), "/?q=a+b", False),
    ("q", StringMatcher("exact", "1"), "/?q=1&q=2", True),
    ("q", StringMatcher("exact", "2"), "/?q=1&q=2", False),
    ("Q", StringMatcher("exact", "1"), "/?q=1", False),
    ("q", StringMatcher("exact", "1;r=2"), "/?q=1;r=2", True),
    ("?q", StringMatcher("exact", "1"), "/??q=1", True),
    ("q", StringMatcher("exact", "a=b"), "/?q=a=b", True),
    ("q", StringMatcher("safe_regex", "[0-9]+"), "/?q=42", True),
    ("q", StringMatcher("safe_regex", "[0-9]+"), "/?q=42x", False),
    ("", True, "/?=1", False),
    ("q", True, "/?&&q", True),
]


@pytest.mark.parametrize(("name", "spec", "path", "matches"), QUERIES)
def test_a_query_parameter_matcher(name: str, spec: Any, path: str, matches: bool) -> None:
    assert query_test(QueryParameterMatcher(name, spec))(request(path=path)) == matches


PATHS: list[tuple[str, str, bool, str, bool]] = [
    ("prefix", "/", True, "/anything", True),
    ("prefix", "/", True, "*", False),
    ("prefix", "/", False, "/anything", True),
    ("prefix", "/svc", True, "/svcx", True),
    ("prefix", "/svc/", True, "/svc/x", True),
    ("prefix", "/svc/", True, "/svc", False),
    ("prefix", "/svc", True, "/SVC", False),
    ("prefix", "/svc", False, "/SVC/x", True),
    ("path", "/a", True, "/a", True),
    ("path", "/a", True, "/a/", False),
    ("path", "/a", True, "/A", False),
    ("path", "/a", False, "/A", True),
    ("safe_regex", "/a/[0-9]+", True, "/a/1", True),
    ("safe_regex", "/a/[0-9]+", True, "/a/1/", False),
    ("safe_regex", "/a", True, "/b/a", False),
    ("path_separated_prefix", "/a", True, "/a", True),
    ("path_separated_prefix", "/a", True, "/a/b", True),
    ("path_separated_prefix", "/a", True, "/ab", False),
    ("path_separated_prefix", "/a", True, "/a;b", False),
    ("path_separated_prefix", "/a", True, "/a%2Fb", False),
    ("path_separated_prefix", "/a", True, "/A/b", False),
    ("path_separated_prefix", "/a", False, "/A/b", True),
    ("path_separated_prefix", "/a", True, "/", False),
]


@pytest.mark.parametrize(("kind", "value", "case", "path", "matches"), PATHS)
def test_a_path_matcher(kind: Any, value: str, case: bool, path: str, matches: bool) -> None:
    assert path_test(PathMatcher(kind, value, case))(path.encode()) == matches


@pytest.mark.parametrize("kind", ["connect"])
def test_a_path_matcher_that_is_not_there_says_so(kind: Any) -> None:
    with pytest.raises(ValueError, match=f"path matcher {kind} is not supported"):
        path_test(PathMatcher(kind, ""))


def test_all_tests_must_agree() -> None:
    yes, no = header_test(HeaderMatcher("x")), header_test(HeaderMatcher("x", False))
    view = request(("x", "1"))
    assert all_of([]) is None
    assert all_of([no]) is no
    for tests, expected in [([yes, yes], True), ([yes, no], False), ([no, yes, yes], False)]:
        both = all_of(tests)
        assert both is not None
        assert both(view) == expected


@pytest.mark.parametrize(
    ("lines", "matches"),
    [
        ([], False),
        (["c=va"], True),
        (["d=1; c=va"], True),
        (["c=w; c=va"], False),
        (["d=1", "c=va"], True),
        (['c="va"'], True),
        (["c"], False),
        (["C=va"], False),
        (["c =va"], False),
    ],
)
def test_a_cookie_matches_by_its_first_value(lines: list[str], matches: bool) -> None:
    view = request(*(("cookie", line) for line in lines))
    exact = StringMatcher("exact", "va")
    assert cookie_test(CookieMatcher("c", exact))(view) == matches
    assert cookie_test(CookieMatcher("c", exact, invert=True))(view) != matches


@pytest.mark.parametrize(
    ("presented", "validated", "matches"),
    [(None, None, True), (True, None, False), (False, None, True), (None, True, False), (False, False, True)],
)
def test_nobody_comes_with_a_certificate(presented: bool | None, validated: bool | None, matches: bool) -> None:
    assert tls_test(TlsMatcher(presented, validated))(request()) == matches
