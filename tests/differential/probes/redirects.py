"""Redirects and direct responses: the exact answer."""

from __future__ import annotations

from collections.abc import Iterator

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import answer
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig

Case = tuple[Resource, Resource, tuple[tuple[str, str], ...]]
ANY: Resource = {"prefix": "/"}
REGEX: Resource = {"regex_rewrite": {"pattern": {"regex": "^/a/(.*)$"}, "substitution": "/b/\\1"}}

REDIRECTS: dict[str, Case] = {
    "path_redirect /new": (
        ANY,
        {"path_redirect": "/new"},
        (("catalog", "/a?x=1"), ("catalog:80", "/a"), ("CATALOG", "/a")),
    ),
    "path_redirect /new?y=2": (ANY, {"path_redirect": "/new?y=2"}, (("catalog", "/a?x=1"), ("catalog", "/a"))),
    "path_redirect /new#f": (ANY, {"path_redirect": "/new#f"}, (("catalog", "/a?x=1"),)),
    "path_redirect, strip_query": (ANY, {"path_redirect": "/new", "strip_query": True}, (("catalog", "/a?x=1"),)),
    "host_redirect": (
        ANY,
        {"host_redirect": "other"},
        (("catalog", "/a?x=1"), ("catalog:8080", "/a"), ("catalog:80", "/")),
    ),
    "host_redirect with port": (ANY, {"host_redirect": "other:81"}, (("catalog:8080", "/a"),)),
    "port_redirect 81": (ANY, {"port_redirect": 81}, (("catalog", "/a"), ("catalog:8080", "/a"), ("[::1]:8080", "/a"))),
    "port_redirect 80": (ANY, {"port_redirect": 80}, (("catalog", "/a"), ("catalog:8080", "/a"))),
    "https_redirect": (
        ANY,
        {"https_redirect": True},
        (("catalog", "/a"), ("catalog:80", "/a"), ("catalog:443", "/a"), ("catalog:8080", "/a")),
    ),
    "https_redirect, port 443": (ANY, {"https_redirect": True, "port_redirect": 443}, (("catalog", "/a"),)),
    "https_redirect, port 80": (ANY, {"https_redirect": True, "port_redirect": 80}, (("catalog", "/a"),)),
    "scheme_redirect ftp": (ANY, {"scheme_redirect": "ftp"}, (("catalog:80", "/a"), ("catalog", "/a"))),
    "prefix_rewrite /a -> /b": (
        {"prefix": "/a"},
        {"prefix_rewrite": "/b"},
        (("catalog", "/a/c?x=1"), ("catalog", "/a"), ("catalog", "/a?")),
    ),
    "prefix_rewrite, strip_query": (
        {"prefix": "/a"},
        {"prefix_rewrite": "/b", "strip_query": True},
        (("catalog", "/a/c?x"),),
    ),
    "regex_rewrite": ({"prefix": "/a"}, REGEX, (("catalog", "/a/c?x=1"), ("catalog", "/a"))),
    "302": (ANY, {"response_code": "FOUND", "host_redirect": "other"}, (("catalog", "/a"),)),
    "303": (ANY, {"response_code": "SEE_OTHER", "host_redirect": "other"}, (("catalog", "/a"),)),
    "307": (ANY, {"response_code": "TEMPORARY_REDIRECT", "host_redirect": "other"}, (("catalog", "/a"),)),
    "308": (ANY, {"response_code": "PERMANENT_REDIRECT", "host_redirect": "other"}, (("catalog", "/a"),)),
    "empty redirect": (ANY, {}, (("catalog", "/a?x"),)),
}
DIRECT: dict[str, Resource] = {
    "418 with body": {"status": 418, "body": {"inline_string": "teapot"}},
    "200 without body": {"status": 200},
    "204": {"status": 204},
    "503 with empty body": {"status": 503, "body": {"inline_string": ""}},
    "302 with body": {"status": 302, "body": {"inline_string": "x"}},
    "201": {"status": 201},
    "404": {"status": 404},
    "599": {"status": 599},
    "bytes body": {"status": 200, "body": {"inline_bytes": "AAH/"}},
}


def run(base: Recording) -> Iterator[str]:
    """Each line: the rule and the request, then status, flags, details, headers and body of the answer."""
    a = cluster("a", ("127.0.20.1", 80))
    for label, (match, redirect, requests) in REDIRECTS.items():
        rule: Resource = {"match": match, "redirect": redirect}
        with Rig(custom(base, [host(rule, route(ANY, "a"))], [a])) as rig:
            for name, target in requests:
                seen = rig.send("GET", target, host=name)
                full = f" ({answer(seen)})" if label in ("302", "empty redirect") else ""
                yield f"{label}: {name}{target} -> {seen.response.status} {seen.response.header('location')}{full}"
    with Rig(custom(base, [host({"match": ANY, "redirect": {"host_redirect": "other"}})], [a])) as rig:
        seen = rig.send("GET", "/a", ("x-forwarded-proto", "https"))
        yield f"host_redirect with x-forwarded-proto https -> {seen.response.header('location')}"
        seen = rig.send("POST", "/a", body=b"x" * 10)
        yield f"host_redirect of a POST -> {answer(seen)}"
        seen = rig.send("HEAD", "/a")
        yield f"host_redirect of a HEAD -> {answer(seen)}"
        seen = rig.send("GET", "//evil/..;/a")
        yield f"host_redirect of //evil/..;/a -> {seen.response.header('location')}"
    with Rig(custom(base, [host({"match": ANY, "redirect": {"scheme_redirect": "http"}})], [a])) as rig:
        for name in ("catalog:443", "catalog:80", "catalog:8443"):
            seen = rig.send("GET", "/a", ("x-forwarded-proto", "https"), host=name)
            yield f"scheme_redirect http with x-forwarded-proto https: {name} -> {seen.response.header('location')}"
    added: Resource = {
        "response_headers_to_add": [{"header": {"key": "x-added", "value": "%RESPONSE_CODE% %ROUTE_NAME%"}}],
        "response_headers_to_remove": ["content-type"],
    }
    for label, direct in DIRECT.items():
        rule = {"match": ANY, "direct_response": direct, "name": "rule"}
        with Rig(custom(base, [host(rule)], [a])) as rig:
            yield f"direct {label} -> {answer(rig.send())}"
            if label == "418 with body":
                yield f"direct {label}, HEAD -> {answer(rig.send('HEAD'))}"
                yield f"direct {label}, POST -> {answer(rig.send('POST', body=b'x' * 10))}"
                yield f"direct {label}, accept application/grpc -> " + answer(
                    rig.send("POST", "/", ("content-type", "application/grpc"), ("te", "trailers"))
                )
    with Rig(
        custom(base, [host({"match": ANY, "direct_response": DIRECT["418 with body"], "name": "r", **added})], [a])
    ) as rig:
        yield f"direct with response headers added and content-type removed -> {answer(rig.send())}"
    with Rig(
        custom(base, [host({"match": ANY, "redirect": {"host_redirect": "other"}, "name": "r", **added})], [a])
    ) as rig:
        yield f"redirect with response headers added -> {answer(rig.send())}"
    yield from _limit(base, a)


def _limit(base: Recording, a: Resource) -> Iterator[str]:
    for size in (4096, 4097):
        body = {"inline_string": "x" * size}
        try:
            with Rig(
                custom(base, [host({"match": ANY, "direct_response": {"status": 200, "body": body}})], [a])
            ) as rig:
                yield f"direct body of {size} bytes, no limit given -> {rig.send().response.status}"
        except Exception as error:
            yield f"direct body of {size} bytes, no limit given -> refused: {error}"
