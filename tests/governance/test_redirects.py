"""Where redirects and direct responses lead (docs/envoy-facts.md, "Redirects and direct responses")."""

from __future__ import annotations

from typing import Any

import pytest

from proxyless.governance.redirects import Redirect, own_url, scheme_of
from proxyless.governance.request import RequestView
from proxyless.xds.model.matchers import PathMatcher, RegexRewrite
from proxyless.xds.model.route import RedirectAction

ANY = PathMatcher("prefix", "/")


def request(url: str, proto: str = "http") -> RequestView:
    """`url` is authority and path; `proto` is what `x-forwarded-proto` says."""
    authority, slash, path = url.partition("/")
    headers = [(b"x-forwarded-proto", proto.encode())] if proto else []
    return RequestView(b"GET", b"http", authority.encode(), (slash + path).encode(), headers)


def location(url: str, matcher: PathMatcher = ANY, proto: str = "http", **fields: Any) -> str:
    return Redirect(RedirectAction(**fields), matcher).location(request(url, proto)).decode()


@pytest.mark.parametrize(
    ("fields", "url", "expected"),
    [
        ({}, "catalog/a?x", "http://catalog/a?x"),
        ({"path": "/new"}, "catalog/a?x=1", "http://catalog/new?x=1"),
        ({"path": "/new"}, "catalog:80/a", "http://catalog:80/new"),
        ({"path": "/new"}, "CATALOG/a", "http://CATALOG/new"),
        ({"path": "/new?y=2"}, "catalog/a?x=1", "http://catalog/new?y=2"),
        ({"path": "/new?"}, "catalog/a?x=1", "http://catalog/new?"),
        ({"path": "/new#f"}, "catalog/a?x=1", "http://catalog/new#f?x=1"),
        ({"path": "/new", "strip_query": True}, "catalog/a?x=1", "http://catalog/new"),
        ({"path": "/new?y=2", "strip_query": True}, "catalog/a?x=1", "http://catalog/new?y=2"),
        ({"strip_query": True}, "catalog/a?x=1", "http://catalog/a"),
        ({"host": "other"}, "catalog:8080/a?x=1", "http://other/a?x=1"),
        ({"host": "other:81"}, "catalog:8080/a", "http://other:81/a"),
        ({"port": 81}, "catalog/a", "http://catalog:81/a"),
        ({"port": 81}, "[::1]:8080/a", "http://[::1]:81/a"),
        ({"port": 81}, "[::1]/a", "http://[::1]:81/a"),
        ({"port": 80}, "catalog:8080/a", "http://catalog:80/a"),
        ({"host": "other", "port": 81}, "catalog/a", "http://other:81/a"),
        ({"https": True}, "catalog/a", "https://catalog/a"),
        ({"https": True}, "catalog:80/a", "https://catalog/a"),
        ({"https": True}, "catalog:443/a", "https://catalog:443/a"),
        ({"https": True}, "catalog:8080/a", "https://catalog:8080/a"),
        ({"https": True, "port": 443}, "catalog/a", "https://catalog:443/a"),
        ({"scheme": "ftp"}, "catalog:80/a", "ftp://catalog/a"),
    ],
)
def test_a_redirect_changes_what_it_says_and_no_more(fields: dict[str, Any], url: str, expected: str) -> None:
    assert location(url, **fields) == expected


@pytest.mark.parametrize(
    ("matcher", "fields", "url", "expected"),
    [
        (PathMatcher("prefix", "/a"), {"prefix_rewrite": "/b"}, "c/a/d?x=1", "/b/d?x=1"),
        (PathMatcher("prefix", "/a"), {"prefix_rewrite": "/b"}, "c/a?", "/b?"),
        (PathMatcher("prefix", "/a"), {"prefix_rewrite": ""}, "c/a/d", "/d"),
        (PathMatcher("prefix", "/a"), {"prefix_rewrite": "/b", "strip_query": True}, "c/a/d?x", "/b/d"),
        (PathMatcher("path", "/a"), {"prefix_rewrite": "/b"}, "c/a?x", "/b?x"),
        (PathMatcher("safe_regex", "/a.*"), {"prefix_rewrite": "/b"}, "c/a/d?x", "/b?x"),
        (ANY, {"regex_rewrite": RegexRewrite("^/a/(.*)$", r"/b/\1")}, "c/a/d?x=1", "/b/d?x=1"),
        (ANY, {"regex_rewrite": RegexRewrite("^/a/(.*)$", r"/b/\1")}, "c/e?x=1", "/e?x=1"),
        (ANY, {"regex_rewrite": RegexRewrite("^/", "n")}, "c/a?x", "/na?x"),
        (PathMatcher("prefix", "/a"), {"prefix_rewrite": "/b?y", "strip_query": True}, "c/a?x", "/b"),
    ],
)
def test_a_redirect_rewrites_paths_as_a_route_does(
    matcher: PathMatcher, fields: dict[str, Any], url: str, expected: str
) -> None:
    assert location(url, matcher, **fields) == f"http://c{expected}"


@pytest.mark.parametrize(
    ("authority", "expected"),
    [("catalog:443", "catalog"), ("catalog:80", "catalog:80"), ("catalog:8443", "catalog:8443")],
)
def test_a_change_from_https_drops_its_default_port(authority: str, expected: str) -> None:
    assert location(f"{authority}/a", proto="https", scheme="http") == f"http://{expected}/a"


@pytest.mark.parametrize(
    ("proto", "scheme"), [("https", "https"), ("HTTPS", "https"), ("http", "http"), ("ftp", "http"), ("", "http")]
)
def test_the_scheme_is_what_was_forwarded_if_that_is_one(proto: str, scheme: str) -> None:
    assert scheme_of(request("c/", proto)).decode() == scheme
    assert location("c/", proto=proto, host="other") == f"{scheme}://other/"
    assert own_url(request("c:81/x?y", proto)).decode() == f"{scheme}://c:81/x?y"


def test_the_mutations_of_a_response_see_the_path_that_the_redirect_rewrote() -> None:
    sent = RequestView(b"GET", b"http", b"c", b"/a/d?x", [(b"X-Envoy-Original-Path", b"mine"), (b"b", b"1")])
    seen = Redirect(RedirectAction(prefix_rewrite="n"), PathMatcher("prefix", "/a")).rewritten(sent)
    assert (seen.path, seen.raw_headers) == (b"n/d?x", [(b"b", b"1"), (b"x-envoy-original-path", b"/a/d?x")])
    assert Redirect(RedirectAction(path="/new"), ANY).rewritten(sent) is sent
