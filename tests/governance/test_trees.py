"""Trees of matchers: where a subject is led, and what happens where a branch leads nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from proxyless.governance.request import RequestView
from proxyless.governance.trees import compile_tree, read_request, value_test
from proxyless.xds.model.extension import Config, Extension, ExtensionError
from proxyless.xds.model.matchers import StringMatcher
from proxyless.xds.model.matching import (
    Combined,
    HashedRest,
    HashedShare,
    Input,
    IpRanges,
    MatcherTree,
    OnMatch,
    RangeMatcher,
    Single,
)
from proxyless.xds.model.values import Cidr, Fraction

K = Input("request_header", "X-K")
L = Input("request_header", "x-l")
Tree = MatcherTree[str]


def to(name: str) -> OnMatch[str]:
    return OnMatch(name)


def below(tree: Tree) -> OnMatch[str]:
    return OnMatch(tree)


def is_(value: str, looked_at: Input = K) -> Single:
    return Single(looked_at, StringMatcher("exact", value))


def led(tree: Tree, *values: str, more: tuple[tuple[bytes, bytes], ...] = ()) -> str | None:
    """Where a request with these values of `x-k` is led."""
    headers = [*((b"x-k", value.encode()) for value in values), *more]
    return compile_tree(tree, read_request)(RequestView(b"GET", b"http", b"shop", b"/", headers))


NOWHERE: OnMatch[str] = below(MatcherTree("list", matchers=((is_("never"), to("never")),)))
ELSE = to("else")


def test_a_list_leads_where_its_first_match_says_and_else_elsewhere() -> None:
    tree: Tree = MatcherTree("list", matchers=((is_("1"), to("one")), (is_("1"), to("two"))), on_no_match=ELSE)
    assert (led(tree, "1"), led(tree, "2"), led(tree)) == ("one", "else", "else")
    assert led(MatcherTree("list")) is None


def test_a_branch_that_leads_nowhere_does_not_end_a_list() -> None:
    tree: Tree = MatcherTree("list", matchers=((is_("1"), NOWHERE), (is_("1"), to("two"))))
    assert led(tree, "1") == "two"


def test_what_keeps_matching_counts_as_no_match() -> None:
    kept: OnMatch[str] = OnMatch("one", keep_matching=True)
    tree: Tree = MatcherTree("list", matchers=((is_("1"), kept), (is_("1"), to("two"))), on_no_match=kept)
    assert (led(tree, "1"), led(tree, "2")) == ("two", None)


def test_several_values_are_one() -> None:
    assert led(MatcherTree("list", matchers=((is_("1,2"), to("both")),)), "1", "2") == "both"


def test_predicates_combine() -> None:
    both = (is_("1"), is_("2", L))
    l2 = ((b"x-l", b"2"),)
    either: Tree = MatcherTree("list", matchers=((Combined("any", both), to("x")),))
    assert (led(either, "1"), led(either, more=l2), led(either, "3")) == ("x", "x", None)
    together: Tree = MatcherTree("list", matchers=((Combined("all", both), to("x")),))
    assert (led(together, "1"), led(together, "1", more=l2)) == (None, "x")
    not_: Tree = MatcherTree("list", matchers=((Combined("not", both[:1]), to("x")),))
    assert (led(not_, "1"), led(not_, "2"), led(not_)) == (None, "x", "x")


def test_a_map_goes_by_the_whole_value() -> None:
    tree: Tree = MatcherTree("exact", K, entries=(("1", to("one")), ("2", NOWHERE)), on_no_match=ELSE)
    assert [led(tree, each) for each in ("1", "12", "2")] == ["one", "else", "else"]
    assert led(tree) == "else"


def test_a_map_of_prefixes_goes_by_the_longest_that_leads_anywhere() -> None:
    tree: Tree = MatcherTree("prefix", K, entries=(("a", to("a")), ("aa", NOWHERE), ("aaa", to("aaa"))))
    assert [led(tree, each) for each in ("a", "aa", "aab", "aaa", "ba", "")] == ["a", "a", "a", "aaa", None, None]
    assert led(tree) is None


def test_domains_widen_one_label_at_a_time() -> None:
    entries = (("a.test", to("a")), ("*.test", to("any")), ("*.a.test", NOWHERE), ("*", to("all")))
    tree: Tree = MatcherTree("domains", K, entries=entries)
    values = ("a.test", "A.test", "b.a.test", "test", "*.test")
    assert [led(tree, each) for each in values] == ["a", "any", "any", "all", "any"]
    assert (led(tree, ""), led(tree)) == (None, None)
    assert led(MatcherTree("domains", K, entries=(("*.b", to("b")),), on_no_match=ELSE), "a.test") == "else"


def net(text: str) -> Cidr:
    address, _, length = text.partition("/")
    return Cidr(address, int(length))


def test_ranges_go_by_the_longest_prefix_then_by_their_order() -> None:
    ranges = (
        RangeMatcher((net("10.0.0.0/8"), net("fe80::/10")), to("wide")),
        RangeMatcher((net("10.1.0.0/16"),), to("narrow")),
        RangeMatcher((net("10.1.0.0/16"),), to("later")),
    )
    tree: Tree = MatcherTree("ranges", K, ranges=ranges, on_no_match=ELSE)
    values = ("10.0.0.1", "10.1.0.1", "11.0.0.1", "fe80::1", "no address")
    assert [led(tree, each) for each in values] == ["wide", "narrow", "else", "wide", "else"]
    assert led(tree) == "else"


def test_an_exclusive_range_is_for_what_no_narrower_one_holds() -> None:
    ranges = (
        RangeMatcher((net("10.0.0.0/8"),), to("wide"), exclusive=True),
        RangeMatcher((net("10.1.0.0/16"),), NOWHERE),
    )
    tree: Tree = MatcherTree("ranges", K, ranges=ranges)
    assert (led(tree, "10.0.0.1"), led(tree, "10.1.0.1")) == ("wide", None)


@pytest.mark.parametrize(
    ("value", "inside"), [(b"10.9.9.9", True), (b"11.0.0.1", False), (b"x", False), (b"::1", False)]
)
def test_addresses_are_within_ranges(value: bytes, inside: bool) -> None:
    assert value_test(IpRanges((net("10.0.0.0/8"),)))(value) == inside


def test_shares_go_by_the_hash_of_the_value() -> None:
    values = [str(number).encode() for number in range(1000)]
    share = value_test(HashedShare(Fraction(30), 7))
    assert 250 < sum(map(share, values)) < 350
    rest = value_test(HashedRest(30, 100, 7))
    assert [rest(each) for each in values] == [not share(each) for each in values]


def test_a_tree_says_all_that_it_looks_at() -> None:
    inner: Tree = MatcherTree("exact", L, entries=(("1", to("a")),), ranges=(RangeMatcher((), to("b")),))
    outer: Tree = MatcherTree(
        "list", matchers=((Combined("not", (is_("1"),)), below(inner)),), on_no_match=below(inner)
    )
    assert list(outer.inputs()) == [K, L, L]


def brought(method: str, body: Any) -> Extension:
    made = type("Made", (), {method: staticmethod(body)})()
    return Extension(Config("m", "acme.Matcher"), "acme 1.0", made)


def test_another_package_may_say_what_is_looked_at() -> None:
    def get(headers: Mapping[str, str]) -> str | None:
        return headers[":path"] + headers[":method"] + headers[":authority"] if "x-k" in headers else None

    looked_at = Input("extension", "acme.Matcher", brought("get", get))
    tree: Tree = MatcherTree("exact", looked_at, entries=(("/GETshop", to("it")),), on_no_match=ELSE)
    assert (led(tree, "1"), led(tree)) == ("it", "else")


@pytest.mark.parametrize(
    ("get", "why"),
    [(lambda headers: 1, "has returned int"), (lambda headers: headers.pop("x-k"), "has raised TypeError")],
)
def test_what_it_says_is_text_and_it_changes_nothing(get: object, why: str) -> None:
    tree: Tree = MatcherTree("exact", Input("extension", "acme.Matcher", brought("get", get)), entries=(("1", ELSE),))
    with pytest.raises(ExtensionError, match=why):
        led(tree, "1")


def test_another_package_may_match() -> None:
    even = value_test(brought("match", lambda value: int(value) % 2 == 0))
    assert (even(b"2"), even(b"3")) == (True, False)
    with pytest.raises(ExtensionError, match=r"match of m .* has raised ValueError"):
        even(b"x")
