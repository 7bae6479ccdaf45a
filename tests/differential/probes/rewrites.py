"""Rewrites of path and host on the way to a cluster, and what is remembered of the original."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import headers
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

TEMPLATE = "type.googleapis.com/envoy.extensions.path."
SHOWN = ("host", "x-envoy-original-path", "x-envoy-original-host", "x-forwarded-host", "x-copy")


def regex(pattern: str, substitution: str) -> Resource:
    """A RegexMatchAndSubstitute."""
    return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": substitution}}


PATHS: dict[str, tuple[Resource, Resource, tuple[str, ...]]] = {
    "prefix /a -> /b": (
        {"prefix": "/a"},
        {"prefix_rewrite": "/b"},
        ("/a", "/a?x=1", "/a/c?x=/a", "/ac", "/a?", "/a/../a/x"),
    ),
    "prefix /a/ -> /": ({"prefix": "/a/"}, {"prefix_rewrite": "/"}, ("/a/", "/a/c", "/a//c", "/a/?x")),
    "prefix /a -> /": ({"prefix": "/a"}, {"prefix_rewrite": "/"}, ("/a", "/a/c", "/ac", "/a?x")),
    "prefix /a -> b": ({"prefix": "/a"}, {"prefix_rewrite": "b"}, ("/a/c",)),
    "prefix / -> /b": ({"prefix": "/"}, {"prefix_rewrite": "/b"}, ("/", "/c", "/?x", "//")),
    "prefix / -> /b/": ({"prefix": "/"}, {"prefix_rewrite": "/b/"}, ("/", "/c")),
    "prefix /a any case -> /b": (
        {"prefix": "/a", "case_sensitive": False},
        {"prefix_rewrite": "/b"},
        ("/A/c", "/a/c"),
    ),
    "prefix /a -> /a (same)": ({"prefix": "/a"}, {"prefix_rewrite": "/a"}, ("/a/c",)),
    "path /a -> /b": ({"path": "/a"}, {"prefix_rewrite": "/b"}, ("/a", "/a?x=1")),
    "separated /a -> /b": ({"path_separated_prefix": "/a"}, {"prefix_rewrite": "/b"}, ("/a", "/a/c", "/a?x")),
    "separated /a -> /": ({"path_separated_prefix": "/a"}, {"prefix_rewrite": "/"}, ("/a", "/a/c", "/a?x")),
    "regex /a/.* -> prefix /b": ({"safe_regex": {"regex": "/a/.*"}}, {"prefix_rewrite": "/b"}, ("/a/c", "/a/c?x")),
    "prefix /a, regex ^/a/(.*)$ -> /b/\\1": (
        {"prefix": "/a"},
        regex("^/a/(.*)$", "/b/\\1"),
        ("/a/c?x=1", "/a", "/a/c/d"),
    ),
    "prefix /, regex a -> X (all)": ({"prefix": "/"}, regex("a", "X"), ("/a/a?a=a", "/b")),
    "prefix /, regex ^/(?P<n>[^/]+)/(.*)$ -> /\\2/\\1": (
        {"prefix": "/"},
        regex("^/(?P<n>[^/]+)/(.*)$", "/\\2/\\1"),
        ("/a/b/c?x",),
    ),
    "prefix /, regex .* -> (nothing)": ({"prefix": "/"}, regex(".*", ""), ("/a", "/a?x")),
    "prefix /, regex ^.*$ -> no-slash": ({"prefix": "/"}, regex("^.*$", "no-slash"), ("/a",)),
    "prefix /, regex a -> \\0\\0 and \\\\": ({"prefix": "/"}, regex("a", "\\0\\0\\\\"), ("/a",)),
    "prefix /, regex a* -> -": ({"prefix": "/"}, regex("a*", "-"), ("/baac",)),
    "prefix /, regex a -> b?c=1": ({"prefix": "/"}, regex("a", "b?c=1"), ("/a?x",)),
    "prefix /, path_rewrite /x/%REQ(x-t)%": ({"prefix": "/"}, {"path_rewrite": "/x/%REQ(x-t)%"}, ("/a?x",)),
    "template /{p}/{q=**} -> /r/{q}/{p}": (
        {
            "path_match_policy": {
                "name": "envoy.path.match.uri_template.uri_template_matcher",
                "typed_config": {
                    "@type": TEMPLATE + "match.uri_template.v3.UriTemplateMatchConfig",
                    "path_template": "/{p}/{q=**}",
                },
            }
        },
        {
            "path_rewrite_policy": {
                "name": "envoy.path.rewrite.uri_template.uri_template_rewriter",
                "typed_config": {
                    "@type": TEMPLATE + "rewrite.uri_template.v3.UriTemplateRewriteConfig",
                    "path_template_rewrite": "/r/{q}/{p}",
                },
            }
        },
        ("/a/b/c?x", "/a/b"),
    ),
}
HOSTS: dict[str, Resource] = {
    "host_rewrite_literal": {"host_rewrite_literal": "other"},
    "host_rewrite_literal, append_x_forwarded_host": {"host_rewrite_literal": "other", "append_x_forwarded_host": True},
    "host_rewrite_literal same": {"host_rewrite_literal": "HOST"},
    "host_rewrite_header": {"host_rewrite_header": "x-host"},
    "host_rewrite_header missing": {"host_rewrite_header": "x-none"},
    "host_rewrite_path_regex": {
        "host_rewrite_path_regex": {"pattern": {"regex": "^/(.+)/.+$"}, "substitution": "\\1"},
    },
    "host_rewrite_path_regex without match": {
        "host_rewrite_path_regex": {"pattern": {"regex": "^/nomatch/(.+)$"}, "substitution": "\\1"},
    },
    "auto_host_rewrite": {"auto_host_rewrite": True},
    "host_rewrite %REQ(x-host)%.svc": {"host_rewrite": "%REQ(x-host)%.svc"},
    "both": {"host_rewrite_literal": "other", "prefix_rewrite": "/new"},
}


def run(base: Recording) -> Iterator[str]:
    """Each line: the rule, then what arrived for each target."""
    a = cluster("a", ("127.0.20.1", 80))
    copy = [{"header": {"key": "x-copy", "value": "%REQ(:PATH)% %REQ(:AUTHORITY)%"}}]
    for label, (match, action, targets) in PATHS.items():
        rule = route(match, {"cluster": "a", **action})
        try:
            with Rig(custom(base, [host(rule)], [a])) as rig:
                for target in targets:
                    seen = rig.send("GET", target, ("x-t", "t?u"))
                    got = [(x.target, x.header("x-envoy-original-path")) for x in seen.arrivals]
                    yield f"{label}: {target} -> {got or (seen.response.status, seen.flags, seen.details)}"
        except Exception as error:
            yield f"{label}: refused: {error}"
    for label, action in HOSTS.items():
        rule = route({"prefix": "/"}, {"cluster": "a", **action}, request_headers_to_add=copy)
        name = "HOST" if "same" in label else "catalog"
        try:
            with Rig(custom(base, [host(rule)], [a])) as rig:
                seen = rig.send("GET", "/p/q", ("x-host", "hdr"), ("x-forwarded-host", "before"), host=name)
                shown = headers(h for h in seen.arrivals[0].headers if h[0] in SHOWN)
                yield f"{label}: {shown} path={seen.arrivals[0].target}"
        except Exception as error:
            yield f"{label}: refused: {error}"
