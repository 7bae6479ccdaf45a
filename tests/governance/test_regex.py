"""RE2 as Envoy uses it: whole values, and GlobalReplace."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxyless.governance.regex import BadRegexError, Rewriter, compile_regex, literal_prefix
from proxyless.xds.model.matchers import RegexRewrite


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("/items/[0-9]+", b"/items/42", True),
        ("/items/[0-9]+", b"/items/42/x", False),
        ("/items/[0-9]+", b"x/items/42", False),
        ("a|ab", b"ab", True),
        ("(?i)ABC", b"abc", True),
        (".", "é".encode(), True),
        ("é.", "éx".encode(), True),
        (".", b"\xff", False),
        ("", b"", True),
    ],
)
def test_a_pattern_matches_the_whole_text_in_utf8(pattern: str, text: bytes, matches: bool) -> None:
    assert (compile_regex(pattern).fullmatch(text) is not None) == matches


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", "(a)\\1", "[z-a]", "a**"])
def test_what_re2_does_not_know_is_refused_with_its_reason(pattern: str) -> None:
    with pytest.raises(BadRegexError, match=r"\w"):
        compile_regex(pattern)


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("/api/v[0-9]+", "/api/v"),
        ("/api", "/api"),
        ("^/api", "/api"),
        ("/a?b", "/"),
        ("/ab*", "/a"),
        ("/ab{2}", "/a"),
        ("/ab+", "/ab"),
        ("a|b", ""),
        ("(a)", ""),
        ("?", ""),
        ("(?i)a", ""),
        ("", ""),
        ("a\\.b", "a"),
    ],
)
def test_the_literal_beginning_of_a_pattern(pattern: str, prefix: str) -> None:
    assert literal_prefix(pattern) == prefix


PIECES = st.sampled_from(["a", "b", "/", "[ab]", "a?", "b*", "(ab)", "b+", "a{1,2}", "|", "."])


@given(st.lists(PIECES, max_size=6).map("".join), st.text("ab/", max_size=8))
def test_whatever_matches_a_pattern_begins_with_its_literal_prefix(pattern: str, text: str) -> None:
    try:
        program = compile_regex(pattern)
    except BadRegexError:
        return
    if program.fullmatch(text.encode()) is not None:
        assert text.startswith(literal_prefix(pattern))


def rewritten(pattern: str, substitution: str, text: str) -> str:
    return Rewriter(RegexRewrite(pattern, substitution))(text.encode()).decode()


@pytest.mark.parametrize(
    ("pattern", "substitution", "text", "result"),
    [
        ("a*", "-", "/baac", "-/-b-c-"),
        ("a", "b", "/aXa", "/bXb"),
        ("^/a", "/z", "/a/a", "/z/a"),
        ("a$", "z", "aa", "az"),
        ("/([^/]+)/([^/]+)", "/\\2/\\1", "/x/y/z", "/y/x/z"),
        ("[ab]", "<\\0>", "axb", "<a>x<b>"),
        ("a", "\\\\", "xax", "x\\x"),
        ("a", "\\\\1", "a", "\\1"),
        ("(a)|b", "[\\1]", "ab", "[a][]"),
        ("x", "y", "abc", "abc"),
        ("", "-", "ab", "-a-b-"),
        ("", "-", "", "-"),
        (".*", "", "/abc", ""),
        ("b*", "-", "abb", "-a-"),
        ("\\b", "|", "ab cd", "|ab| |cd|"),
        ("x*", "-", "é€", "-é-€-"),
    ],
)
def test_all_matches_are_replaced_as_re2s_global_replace_does(
    pattern: str, substitution: str, text: str, result: str
) -> None:
    assert rewritten(pattern, substitution, text) == result


def test_bytes_that_are_no_utf8_are_stepped_over_one_by_one() -> None:
    assert Rewriter(RegexRewrite("x*", "-"))(b"\xff\xc3") == b"-\xff-\xc3-"


@pytest.mark.parametrize(
    ("pattern", "substitution", "result"),
    [
        ("a", "x\\1y", "/zaqa1"),
        ("(a)", "\\2", "/zaqa1"),
        ("a", "\\n\\1", "/zaqa1"),
        ("a", "x\\ny", "/zxqx1"),
        ("a", "x\\", "/zxqx1"),
        ("(a)", "x\\\\\\1\\n\\1", "/zx\\aqx\\a1"),
    ],
)
def test_a_substitution_that_makes_no_sense_is_taken_as_envoy_takes_it(
    pattern: str, substitution: str, result: str
) -> None:
    assert rewritten(pattern, substitution, "/zaqa1") == result


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(BadRegexError, match="missing"):
        Rewriter(RegexRewrite("(", "x"))


@given(st.sampled_from(["a", "ab", "[ab]+", "a(b)", "/", "b{2}", "(a)(b)?"]), st.text("ab/", max_size=12))
def test_a_pattern_that_never_matches_nothing_replaces_as_python_does(pattern: str, text: str) -> None:
    assert rewritten(pattern, "<\\0>", text) == re.sub(pattern, lambda match: f"<{match[0]}>", text)
