"""A table with one virtual host for each kind of matcher: route 0 has the matcher alone, route 1 takes the rest.

So Envoy's own choice says of each request whether the matcher matched. The requests of a kind are the product of what
a matcher of its family may meet: absent, empty, repeated, other case, longer at either end.
"""

from __future__ import annotations

from itertools import product

from tests.differential.actions import template
from tests.differential.custom import cluster, custom, host, route
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

BACKEND = ("127.0.20.1", 80)
DOMAIN = ".kinds.test"
NAME = "x-k"

STRINGS: dict[str, Resource] = {
    "exact": {"exact": "va"},
    "prefix": {"prefix": "va"},
    "suffix": {"suffix": "va"},
    "contains": {"contains": "va"},
    "regex": {"safe_regex": {"regex": "v[a-c]"}},
    **{f"{kind}-any-case": {kind: "Va", "ignore_case": True} for kind in ("exact", "prefix", "suffix", "contains")},
}
RANGE: Resource = {"range_match": {"start": "-3", "end": "10"}}
TWISTS: dict[str, Resource] = {
    "": {},
    "-inverted": {"invert_match": True},
    "-or-missing": {"treat_missing_header_as_empty": True},
    "-inverted-or-missing": {"invert_match": True, "treat_missing_header_as_empty": True},
}
PRESENCE: dict[str, Resource] = {
    "named": {},
    "present": {"present_match": True},
    "present-inverted": {"present_match": True, "invert_match": True},
    "absent": {"present_match": False},
    "absent-inverted": {"present_match": False, "invert_match": True},
}
PSEUDO: dict[str, Resource] = {
    "method": {"name": ":method", "string_match": {"exact": "POST"}},
    "method-inverted": {"name": ":method", "string_match": {"exact": "POST"}, "invert_match": True},
    "method-regex": {"name": ":method", "string_match": {"safe_regex": {"regex": "P(OS|U)T"}}},
    "path-header": {"name": ":path", "string_match": {"prefix": "/svc?q"}},
    "authority": {"name": ":authority", "string_match": {"contains": ":80"}},
    "host-header": {"name": "host", "string_match": {"suffix": ".test"}},
    "scheme": {"name": ":scheme", "string_match": {"exact": "https"}},
    "forwarded-proto": {"name": "x-forwarded-proto", "string_match": {"exact": "https"}},
    "joined": {"name": "accept", "string_match": {"exact": "a,b"}},
    "apart": {"name": "cookie", "string_match": {"exact": "a,b"}},
    "cookie": {"name": "cookie", "string_match": {"exact": "b"}},
    "hop": {"name": "connection", "present_match": True},
    "trailers": {"name": "te", "string_match": {"exact": "trailers"}},
}

PATHS: dict[str, Resource] = {
    "path-exact": {"path": "/svc"},
    "path-exact-any-case": {"path": "/Svc", "case_sensitive": False},
    "path-prefix": {"prefix": "/svc"},
    "path-prefix-any-case": {"prefix": "/Svc", "case_sensitive": False},
    "path-separated-prefix": {"path_separated_prefix": "/svc"},
    "path-separated-prefix-any-case": {"path_separated_prefix": "/Svc", "case_sensitive": False},
    "path-regex": {"safe_regex": {"regex": "/s[a-z]+/?"}},
    "path-regex-alternatives": {"safe_regex": {"regex": "/svc|/SVC/a"}},
}
FRACTIONS: dict[str, Resource] = {
    "fraction-never": {"prefix": "/svc", "runtime_fraction": {"default_value": {"numerator": 0}}},
    "fraction-always": {"prefix": "/svc", "runtime_fraction": {"default_value": {"numerator": 100}}},
}

NEVER = (
    *("fraction-never", "header-apart", "header-hop", "tls-presented", "tls-validated", "tls-presented-not-validated"),
    *("dynamic-said", "dynamic-there", "dynamic-null"),
)
"""Kinds that match no request at all, because of what they are."""

ALWAYS = ("tls-not-presented", "tls-not-validated", "tls-nothing", "dynamic-not-said")
"""Kinds that match every request."""

TARGETS = (
    *("/svc", "/svc/", "/svc/a", "/svcx", "/SVC", "/Svc/a", "/svc?x=1", "/svc/?x", "/sv", "/", "/a/svc", "/svc;x"),
    *("/b/x/", "/b/x", "/b/x/c/d", "/b/y/c"),
    *("/svc%2Fa", "/svc.a", "//svc", "/a/../svc", "/svc/..", "/%73vc", "/SVC/a", "/svc//", "/svc/a?q=/svc"),
)
QUERIES = (
    *("", "?", "?q", "?q=", "?q=va", "?q=VA", "?q=vab", "?q=xva", "?q=xvab", "?q=Xvab", "?q=vb", "?q=vA", "?Q=va"),
    *("?q=w&q=va", "?q=va&q=w", "?q=%76a", "?a=1&q=va", "??q=va", "?q=va;a", "?&q=va", "?q==va", "?a=q=va", "?a=1"),
)
VALUES: tuple[Headers, ...] = (
    *(((NAME, value),) for value in ("", "va", "VA", "vab", "xva", "xvab", "Xvab", "vb", "vA", "w", "va,w")),
    *(
        ((NAME, value),)
        for value in ("5", "+5", "-3", "-4", "05", "10", "9", "9.5", "0x5", "5x", "9223372036854775808")
    ),
    ((NAME, "va"), (NAME, "w")),
    ((NAME, "w"), ("X-K", "va")),
    ((NAME, "w"), (NAME, "5")),
    ((NAME, ""), (NAME, "va")),
    (("x-other", "va"),),
    (),
)
OTHERS: tuple[Headers, ...] = (
    (),
    (("accept", "a"), ("accept", "b")),
    (("accept", "a,b"), ("cookie", "a"), ("cookie", "b")),
    (("cookie", "c"), ("te", "trailers"), ("connection", "te")),
    (("x-forwarded-proto", "https"), ("te", "gzip")),
)
COOKIES: dict[str, Resource] = {
    **{kind: {"string_match": matcher} for kind, matcher in STRINGS.items() if kind in ("exact", "prefix", "regex")},
    "inverted": {"string_match": {"exact": "va"}, "invert_match": True},
    "empty": {"string_match": {"exact": ""}},
}
JARS: tuple[Headers, ...] = (
    (),
    *(
        (("cookie", line),)
        for line in (
            *("c=va", "c=VA", "c=vab", "d=1; c=va", "c=w; c=va", "c=va; c=w", 'c="va"', " c = va ", "c", "c=", "C=va"),
            *("d=c=va", "c=va=b", ";c=va", "c=va;", 'c="va', "c=v a", "c=vb,c=va", "dc=va", "c=va; d"),
        )
    ),
    (("cookie", "d=1"), ("cookie", "c=va")),
    (("cookie", "c=w"), ("cookie", "c=va")),
)
TLS: dict[str, Resource] = {
    "presented": {"presented": True},
    "not-presented": {"presented": False},
    "validated": {"validated": True},
    "not-validated": {"validated": False},
    "presented-not-validated": {"presented": True, "validated": False},
    "nothing": {},
}
DYNAMIC: dict[str, Resource] = {
    "said": {"filter": "f", "path": [{"key": "k"}], "value": {"string_match": {"exact": "v"}}},
    "not-said": {"filter": "f", "path": [{"key": "k"}], "value": {"string_match": {"exact": "v"}}, "invert": True},
    "there": {"filter": "f", "path": [{"key": "k"}], "value": {"present_match": True}},
    "null": {"filter": "f", "path": [{"key": "k"}], "value": {"null_match": {}}},
}
CONTENT: tuple[Headers, ...] = (
    (),
    *((("content-type", f"application/{kind}"),) for kind in ("grpc", "grpc+proto", "grpc;x=1", "grpcx", "grpc-web")),
)


def matches() -> dict[str, Resource]:
    """Kind to match."""
    found: dict[str, Resource] = dict(PATHS)
    for kind, matcher in STRINGS.items():
        for twist, fields in TWISTS.items():
            found[f"header-{kind}{twist}"] = _header({"string_match": matcher, **fields})
        found[f"query-{kind}"] = _query({"string_match": matcher})
    for twist, fields in TWISTS.items():
        found[f"header-range{twist}"] = _header({**RANGE, **fields})
    for kind, fields in PRESENCE.items():
        found[f"header-{kind}"] = _header(fields)
    for kind, matcher in PSEUDO.items():
        found[f"header-{kind}"] = {"prefix": "/", "headers": [matcher]}
    for kind in ("named", "present", "absent"):
        found[f"query-{kind}"] = _query(PRESENCE[kind])
    for kind, cookie in COOKIES.items():
        found[f"cookie-{kind}"] = {"prefix": "/", "cookies": [{"name": "c", **cookie}]}
    for kind, wanted in TLS.items():
        found[f"tls-{kind}"] = {"prefix": "/", "tls_context": wanted}
    for kind, policy in DYNAMIC.items():
        found[f"dynamic-{kind}"] = {"prefix": "/", "dynamic_metadata": [policy]}
    found["template"] = template("/{a}/x/{b=**}")[0]
    found["grpc"] = {"prefix": "/", "grpc": {}}
    return {**found, **FRACTIONS}


def table(base: Recording) -> Recording:
    """The table and its one cluster, under the recorded listeners."""
    hosts = [
        host(route(match, "a"), route({"prefix": "/"}, "a"), domains=(kind + DOMAIN,), name=kind)
        for kind, match in matches().items()
    ]
    return custom(base, hosts, [cluster("a", BACKEND)])


def requests() -> list[Request]:
    """What a matcher of each kind may meet."""
    return [each for kind in matches() for each in _of(kind)]


def _of(kind: str) -> list[Request]:
    url = f"http://{kind}{DOMAIN}"
    if kind.startswith("cookie"):
        return [Request("GET", url + "/svc", headers) for headers in JARS]
    if kind.startswith(("path", "fraction", "tls", "dynamic", "template")):
        return [Request("GET", url + target) for target in TARGETS]
    if kind.startswith("query"):
        return [Request("GET", f"{url}/svc{query}") for query in QUERIES]
    if kind == "grpc":
        return [Request(method, url + "/svc", headers) for method, headers in product(("GET", "POST"), CONTENT)]
    if kind.removeprefix("header-") in PSEUDO:
        hosts: tuple[Headers, ...] = ((), (("host", kind + DOMAIN + ":80"),))
        return [
            Request(method, url + target, (*own, *headers))
            for method, target, own, headers in product(("GET", "POST", "PUT"), ("/svc?q=1", "/svc"), hosts, OTHERS)
        ]
    return [Request("GET", url + "/svc", headers) for headers in VALUES]


def _header(fields: Resource) -> Resource:
    return {"prefix": "/", "headers": [{"name": NAME, **fields}]}


def _query(fields: Resource) -> Resource:
    return {"prefix": "/", "query_parameters": [{"name": "q", **fields}]}
