"""Which requests a route match takes: query parameters, headers, paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes.show import short
from tests.differential.recording import Recording, Resource
from tests.differential.rig import Rig
from tests.support.behaviour import Headers

EXACT: Resource = {"string_match": {"exact": "v"}}
QUERY: dict[str, Resource] = {
    "exact v": {"name": "q", "string_match": {"exact": "v"}},
    "exact empty": {"name": "q", "string_match": {"exact": ""}},
    "exact 'a b'": {"name": "q", "string_match": {"exact": "a b"}},
    "exact 'a%20b'": {"name": "q", "string_match": {"exact": "a%20b"}},
    "exact 'a+b'": {"name": "q", "string_match": {"exact": "a+b"}},
    "present": {"name": "q", "present_match": True},
    "not present": {"name": "q", "present_match": False},
    "name only": {"name": "q"},
    "prefix v": {"name": "q", "string_match": {"prefix": "v"}},
    "regex v.": {"name": "q", "string_match": {"safe_regex": {"regex": "v."}}},
    "ignore case V": {"name": "q", "string_match": {"exact": "V", "ignore_case": True}},
    "name 'a b'": {"name": "a b", "present_match": True},
    "name 'a%20b'": {"name": "a%20b", "present_match": True},
}
QUERIES = (
    "? ?q ?q= ?q=v ?q=V ?Q=v ?q=vx ?q=x&q=v ?q=v&q=x ?q&q=v ?q=v&q ?q=%76 ?%71=v ?q=a%20b ?q=a+b ?q=a%2Bb "
    "?a%20b=1 ?a+b=1 ?q=v;x=1 ?x=1;q=v ?x=1&q=v ?&q=v ?=v ?q=v#f ?q==v ?q=v%26 ??q=v ?x?q=v ?q=%zz ?q=v%00"
)

HEADER: dict[str, Resource] = {
    "exact v": {"string_match": {"exact": "v"}},
    "exact 'v,w'": {"string_match": {"exact": "v,w"}},
    "exact empty": {"string_match": {"exact": ""}},
    "exact V ignore_case": {"string_match": {"exact": "V", "ignore_case": True}},
    "prefix v": {"string_match": {"prefix": "v"}},
    "suffix w": {"string_match": {"suffix": "w"}},
    "contains ,": {"string_match": {"contains": ","}},
    "regex v": {"string_match": {"safe_regex": {"regex": "v"}}},
    "regex v.*": {"string_match": {"safe_regex": {"regex": "v.*"}}},
    "range [-5,10)": {"range_match": {"start": "-5", "end": "10"}},
    "present": {"present_match": True},
    "present false": {"present_match": False},
    "name only": {},
    "present invert": {"present_match": True, "invert_match": True},
    "present false invert": {"present_match": False, "invert_match": True},
    "exact v invert": {"string_match": {"exact": "v"}, "invert_match": True},
    "exact v invert missing_as_empty": {
        "string_match": {"exact": "v"},
        "invert_match": True,
        "treat_missing_header_as_empty": True,
    },
    "exact empty missing_as_empty": {"string_match": {"exact": ""}, "treat_missing_header_as_empty": True},
    "present missing_as_empty": {"present_match": True, "treat_missing_header_as_empty": True},
    "present false missing_as_empty": {"present_match": False, "treat_missing_header_as_empty": True},
    "range [-5,10) missing_as_empty": {
        "range_match": {"start": "-5", "end": "10"},
        "treat_missing_header_as_empty": True,
    },
    "range [-5,10) invert": {"range_match": {"start": "-5", "end": "10"}, "invert_match": True},
}
VALUES: tuple[Headers, ...] = (
    (),
    (("h", ""),),
    (("h", "v"),),
    (("H", "v"),),
    (("h", "V"),),
    (("h", "v,w"),),
    (("h", "v, w"),),
    (("h", "v"), ("h", "w")),
    (("h", "w"), ("h", "v")),
    (("h", "vw"),),
    (("h", "xv"),),
    *((("h", n),) for n in ("-5", "-6", "9", "10", "9.5", "+3", "03", "0x3", "3 3", "9223372036854775808")),
    (("h", "3"), ("h", "4")),
)

NAMES = (
    "x-request-id x-forwarded-proto x-forwarded-for x-envoy-attempt-count x-envoy-expected-rq-timeout-ms "
    "x-envoy-decorator-operation x-envoy-internal x-envoy-original-path :method :path :authority :scheme host "
    "connection te x-forwarded-client-cert x-envoy-max-retries content-length"
)
SEEN: dict[str, Resource] = {
    **{f"{name} present": {"name": name, "present_match": True} for name in NAMES.split()},
    "x-forwarded-proto exact http": {"name": "x-forwarded-proto", "string_match": {"exact": "http"}},
    ":scheme exact http": {"name": ":scheme", "string_match": {"exact": "http"}},
    ":path exact /a/b?q (sent /a/./b?q)": {"name": ":path", "string_match": {"exact": "/a/b?q"}},
    ":authority exact sent (sent SENT:80)": {"name": ":authority", "string_match": {"exact": "SENT:80"}},
    "host exact": {"name": "host", "string_match": {"exact": "SENT:80"}},
    ":method exact get": {"name": ":method", "string_match": {"exact": "get"}},
    "accept exact a (sent a and b)": {"name": "accept", "string_match": {"exact": "a"}},
    "accept exact a,b": {"name": "accept", "string_match": {"exact": "a,b"}},
    "cookie exact c=1 (sent c=1 and d=2)": {"name": "cookie", "string_match": {"exact": "c=1"}},
    "cookie exact c=1; d=2": {"name": "cookie", "string_match": {"exact": "c=1; d=2"}},
}

PATH: dict[str, Resource] = {
    "prefix /svc": {"prefix": "/svc"},
    "prefix /svc/": {"prefix": "/svc/"},
    "prefix empty": {"prefix": ""},
    "prefix /svc any case": {"prefix": "/svc", "case_sensitive": False},
    "path /svc": {"path": "/svc"},
    "path /svc any case": {"path": "/svc", "case_sensitive": False},
    "separated /svc": {"path_separated_prefix": "/svc"},
    "separated /svc any case": {"path_separated_prefix": "/svc", "case_sensitive": False},
    "regex /svc": {"safe_regex": {"regex": "/svc"}},
    "regex /s.*": {"safe_regex": {"regex": "/s.*"}},
    "regex /svc.*q": {"safe_regex": {"regex": "/svc.*q"}},
    "regex /s(v|vc)": {"safe_regex": {"regex": "/s(v|vc)"}},
    "regex (?i)/svc": {"safe_regex": {"regex": "(?i)/svc"}},
    "template /{x}/b": {
        "path_match_policy": {
            "name": "envoy.path.match.uri_template.uri_template_matcher",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": "/{x}/b",
            },
        }
    },
}
TARGETS = (
    "/ /svc /svc/ /svc/x /svcx /svc?q /svc/?q /svc?x/y /SVC /SVC/x /sv /%73vc /svc%2Fx /svc;p /svc/../svc /a/b /svc/b "
    "/svc/b?q /a/b/c //b"
)


def run(base: Recording) -> Iterator[str]:
    """Each matcher is one route of its own path; the rest falls to a second cluster."""
    hit, miss = cluster("hit", ("127.0.20.1", 80)), cluster("miss", ("127.0.20.2", 80))
    fallback = route({"prefix": "/"}, "miss")
    tables: list[Resource] = []
    cases: list[tuple[str, str, Sequence[tuple[str, str, Headers]]]] = []
    for index, (label, matcher) in enumerate(QUERY.items()):
        domain = f"q{index}"
        tables.append(host(route({"prefix": "/", "query_parameters": [matcher]}, "hit"), fallback, domains=(domain,)))
        cases.append((f"query {label}", domain, [(q, f"/{q}", ()) for q in QUERIES.split()]))
    for index, (label, matcher) in enumerate(HEADER.items()):
        domain = f"h{index}"
        match = {"prefix": "/", "headers": [{"name": "H", **matcher}]}
        tables.append(host(route(match, "hit"), fallback, domains=(domain,)))
        cases.append((f"header {label}", domain, [(_label(v), "/", v) for v in VALUES]))
    for index, (label, match) in enumerate(PATH.items()):
        domain = f"p{index}"
        tables.append(host(route(match, "hit"), fallback, domains=(domain,)))
        cases.append((f"path {label}", domain, [(t, t, ()) for t in TARGETS.split()]))
    with Rig(custom(base, tables, [hit, miss])) as rig:
        for label, domain, sent in cases:
            found: dict[str, list[str]] = {"hit": [], "miss": []}
            for shown, target, headers in sent:
                seen = rig.send("GET", target, *headers, host=domain)
                took = (seen.log or {}).get("cluster") or f"{seen.response.status} {seen.details}"
                found.setdefault(took, []).append(short(shown))
            hits, misses = "  ".join(found.pop("hit")), "  ".join(found.pop("miss"))
            yield f"{label}: matched [{hits}] missed [{misses}] {found or ''}"

    yield from _seen(base, hit, miss)


def _seen(base: Recording, hit: Resource, miss: Resource) -> Iterator[str]:
    """What a route match sees of one request: Envoy's additions before routing, pseudo headers, joined headers."""
    sent = (
        *(("accept", value) for value in ("a", "b")),
        *(("cookie", value) for value in ("c=1", "d=2")),
        ("connection", "te"),
        ("te", "trailers"),
        ("x-forwarded-client-cert", "x"),
        ("x-envoy-max-retries", "3"),
        ("x-envoy-internal", "true"),
    )
    matched = []
    for label, matcher in SEEN.items():
        table = [host(route({"prefix": "/", "headers": [matcher]}, "hit"), route({"prefix": "/"}, "miss"))]
        with Rig(custom(base, table, [hit, miss])) as rig:
            seen = rig.send("GET", "/a/./b?q", *sent, host="SENT:80")
            if (seen.log or {}).get("cluster") == "hit":
                matched.append(label)
    yield f"seen by a route match: matched {matched}; missed {[label for label in SEEN if label not in matched]}"


def _label(headers: Headers) -> str:
    return " & ".join(f"{n}:{v!r}" for n, v in headers) or "none"
