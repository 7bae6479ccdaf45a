"""Paths as Envoy normalizes and rewrites them; every expectation was seen on Envoy 1.40."""

from __future__ import annotations

import pytest

from proxyless.governance.paths import (
    BadPathError,
    EscapedSlashesError,
    NotHttpError,
    PathRewrite,
    has_rewrite,
    is_http,
    normalize,
)
from proxyless.xds.model.listener import HttpConnectionManager, PathAction
from proxyless.xds.model.matchers import PathMatcher, RegexRewrite
from proxyless.xds.model.route import RouteAction

USUAL = HttpConnectionManager("usual", normalize_path=True)
MERGING = HttpConnectionManager("merging", normalize_path=True, merge_slashes=True)
RAW = HttpConnectionManager("raw")


def slashes(action: PathAction, *, normalizes: bool = True, merges: bool = False) -> HttpConnectionManager:
    return HttpConnectionManager("slashes", normalize_path=normalizes, merge_slashes=merges, escaped_slashes=action)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/a/b.c;d=1,2(x)*!'~", "/a/b.c;d=1,2(x)*!'~"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/..", "/"),
        ("/../../x", "/x"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("//a//../b", "//a/b"),
        ("/...", "/..."),
        ("/.a/a..b/..c", "/.a/a..b/..c"),
        ("/a/..;x=1/b", "/b"),
        ("/a/.;x/b", "/a/b"),
        ("/a/..;", "/"),
        ("/a/%2e%2e;x/b", "/a/..;x/b"),
        ("/a\\..\\b", "/b"),
        ("/a/..;b\\c/d", "/d"),
        ("/\\..;b/d", "//..;b/d"),
        ("/a%2fb%5cc", "/a%2fb%5cc"),
        ("/%41%5a%61%7A%30%39%2d%2E%5f%7e", "/AZaz09-._~"),
        ("/%20%c3%A9%7f", "/%20%c3%A9%7f"),
        ("/%zz/%/%2", "/%zz/%/%2"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        ('/a?b=/../c%41"|', '/a?b=/../c%41"|'),
        ("/a/#/../b", "/a/"),
        ("/a?b#c?d", "/a?b"),
        ("/a??b", "/a??b"),
    ],
)
def test_a_path_is_normalized_as_envoy_does_it(path: str, expected: str) -> None:
    assert normalize(path.encode(), USUAL).decode() == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/%%41", "/%A"),
        ("/%%41g", "/%Ag"),
        ("/%%41a", "/%25Aa"),
        ("/a%%32fb", "/a%252fb"),
        ("/%2%66", "/%252f"),
        ("/%2%35%30", "/%25250"),
        ("/%%32/f", "/%2/f"),
        ("/%%3%32f", "/%%2532f"),
        ("/%2541", "/%2541"),
        ("/%g%41", "/%gA"),
        ("/%ab%%20%41", "/%ab%%20A"),
    ],
)
def test_decoding_never_makes_a_new_escape(path: str, expected: str) -> None:
    assert normalize(path.encode(), USUAL).decode() == expected


@pytest.mark.parametrize("path", ["/a%00b", "/a%00/../b"])
def test_a_path_with_a_zero_byte_is_refused_wherever_it_stands(path: str) -> None:
    with pytest.raises(BadPathError):
        normalize(path.encode(), USUAL)


@pytest.mark.parametrize("path", [b"*", b"a", b"", b"?x=1", b"/a b", b"/a\x7f", b"/caf\xc3\xa9", b"/a?q=\xe9", b"/a\n"])
def test_what_no_request_line_may_hold_is_not_http(path: bytes) -> None:
    assert not is_http(path)
    with pytest.raises(NotHttpError):
        normalize(path, USUAL)


def test_without_normalization_only_the_fragment_goes() -> None:
    assert normalize(b"/a/../%41//b\\c#d", RAW) == b"/a/../%41//b\\c"
    assert normalize(b"/a%00b", RAW) == b"/a%00b"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a//b", "/a/b"),
        ("//a///b//", "/a/b/"),
        ("/a/..//b", "/b"),
        ("/a?b//c", "/a?b//c"),
        ("//", "//"),
        ("///", "//"),
        ("/", "/"),
        ("/./", "/"),
    ],
)
def test_merge_slashes_comes_after_normalization_and_leaves_two_that_stand_alone(path: str, expected: str) -> None:
    assert normalize(path.encode(), MERGING).decode() == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a%2fb/../c", "/a/c"),
        ("/a%5Cb", "/a/b"),
        ("/a%2f..%2Fb", "/b"),
        ("/a%2f/b", "/a//b"),
        ("/a?x=%2f", "/a?x=%2f"),
        ("/a%%32fb", "/a%252fb"),
        ("/%2f", "//"),
    ],
)
def test_escaped_slashes_become_slashes_before_anything_else(path: str, expected: str) -> None:
    assert normalize(path.encode(), slashes("UNESCAPE_AND_FORWARD")).decode() == expected


def test_unescaped_slashes_are_merged_and_an_unnormalized_backslash_stays() -> None:
    assert normalize(b"/a%2f/b", slashes("UNESCAPE_AND_FORWARD", merges=True)) == b"/a/b"
    assert normalize(b"/a%5cb/../c", slashes("UNESCAPE_AND_FORWARD", normalizes=False)) == b"/a\\b/../c"


@pytest.mark.parametrize(
    ("action", "path", "redirect"),
    [
        ("REJECT_REQUEST", "/a%2fb/../c", None),
        ("UNESCAPE_AND_REDIRECT", "/a%2fb/../c?x=%2f", "/a/c?x=%2f"),
        ("UNESCAPE_AND_REDIRECT", "/a%2f/b#c", "/a//b"),
    ],
)
def test_the_connection_manager_may_answer_escaped_slashes_itself(
    action: PathAction, path: str, redirect: str | None
) -> None:
    with pytest.raises(EscapedSlashesError) as caught:
        normalize(path.encode(), slashes(action))
    assert caught.value.redirect == (None if redirect is None else redirect.encode())
    assert normalize(b"/a/%2e/b?%2f", slashes(action)) == b"/a/b?%2f"


def test_a_redirect_of_escaped_slashes_has_merged_ones() -> None:
    with pytest.raises(EscapedSlashesError) as caught:
        normalize(b"/a%2f/b", slashes("UNESCAPE_AND_REDIRECT", merges=True))
    assert caught.value.redirect == b"/a/b"


@pytest.mark.parametrize(
    ("matcher", "rewrite", "path", "expected"),
    [
        (PathMatcher("prefix", "/a"), "/b", "/ac?x=1", "/bc?x=1"),
        (PathMatcher("prefix", "/a"), "/", "/a/c", "//c"),
        (PathMatcher("prefix", "/"), "b", "/c", "bc"),
        (PathMatcher("path", "/a"), "/b", "/a?x", "/b?x"),
        (PathMatcher("safe_regex", "/a.*"), "/b", "/a/c/d?x", "/b?x"),
    ],
)
def test_a_prefix_rewrite_replaces_what_the_route_matched(
    matcher: PathMatcher, rewrite: str, path: str, expected: str
) -> None:
    action = RouteAction(cluster="a", prefix_rewrite=rewrite)
    assert has_rewrite(action)
    assert PathRewrite(action, matcher)(path.encode()) == expected.encode()


@pytest.mark.parametrize(
    ("pattern", "substitution", "path", "expected"),
    [
        ("^/a/(.*)$", r"/b/\1", "/a/c?x=1", "/b/c?x=1"),
        ("^/a/(.*)$", r"/b/\1", "/d?x", "/d?x"),
        ("^/a$", "", "/a?x", None),
    ],
)
def test_a_regex_rewrite_leaves_the_query_and_never_an_empty_path(
    pattern: str, substitution: str, path: str, expected: str | None
) -> None:
    action = RouteAction(cluster="a", regex_rewrite=RegexRewrite(pattern, substitution))
    rewritten = PathRewrite(action, PathMatcher("prefix", "/"))(path.encode())
    assert rewritten == (None if expected is None else expected.encode())


def test_an_empty_prefix_rewrite_is_none() -> None:
    assert not has_rewrite(RouteAction(cluster="a", prefix_rewrite=""))
    assert not has_rewrite(RouteAction(cluster="a"))
