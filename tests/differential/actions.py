"""Tables with one virtual host for each thing that a route can do: rewrites, redirects, answers, mutations, weights.

The rules are those of the probes behind `docs/envoy-facts.md`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from itertools import product

from tests.differential.custom import cluster, custom, host, route
from tests.differential.probes import mutations, redirects, rewrites
from tests.differential.probes.mutations import add
from tests.differential.recording import Recording, Resource
from tests.differential.requests import Request
from tests.support.behaviour import Headers

DOMAIN = ".actions.test"
ANY: Resource = {"prefix": "/"}
BACKENDS = {name: (f"127.0.20.{number}", 80) for number, name in enumerate("abc", 1)}

TARGETS = (
    "/",
    "/a",
    "/a/c",
    "/a/c?x=/a",
    "/ac?x=1",
    "/A/c",
    "/a/",
    "/a//c",
    "/b",
    "/a?",
    "/baac",
    "/p/q/r",
    "/a/../a/x",
)
MUTATION_REFUSED = ("host", "host overwrite", ":path", ":authority", "remove host", "remove :path")
"""Rules of the probe that Envoy refuses to load."""

UNSENDABLE = ("content-length", "connection", "x-request-id")
"""Rules of the probe that break the framing, the connection, or the name by which the rig knows a request."""

SEEN = "%REQ(x-a)%|%REQ(x-d)%|%REQ(:path)%|%REQ(:authority)%|%REQ(x-envoy-attempt-count)%|%REQ(x-new?x-t)%"

SENT: Headers = (
    *(("x-a", "1"), ("user-agent", "1"), ("accept", "1"), ("x-d", "1"), ("x-host", "from-header")),
    *(("x-d", "2"), ("x-all", "client"), ("x-t", "t?u")),
)
GRPC: Headers = (("content-type", "application/grpc"), ("te", "trailers"))
TIMEOUTS: dict[str, Resource] = {
    "default": {},
    "off": {"timeout": "0s"},
    "two seconds": {"timeout": "2s"},
    "odd": {"timeout": "1.2345s"},
    "per try": {"timeout": "2s", "retry_policy": {"retry_on": "5xx", "per_try_timeout": "0.25s"}},
    "per try above": {"timeout": "0.5s", "retry_policy": {"retry_on": "5xx", "per_try_timeout": "3s"}},
    "per try alone": {"timeout": "0s", "retry_policy": {"retry_on": "5xx", "per_try_timeout": "3s"}},
    "grpc at most 1 s": {"timeout": "0s", "max_grpc_timeout": "1s"},
    "grpc unlimited": {"timeout": "4s", "max_grpc_timeout": "0s"},
    "grpc offset": {"timeout": "4s", "max_grpc_timeout": "9s", "grpc_timeout_offset": "0.1s"},
}
CLUSTERS: dict[str, Resource] = {
    "unknown": {"cluster": "none"},
    "unknown is 404": {"cluster": "none", "cluster_not_found_response_code": "NOT_FOUND"},
    "unknown is 500": {"cluster": "none", "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR"},
    "empty": {"cluster": "empty"},
    "by header": {"cluster_header": "x-cluster"},
    "weights": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 70}, {"name": "b", "weight": 30}]}},
    "weight 0": {"weighted_clusters": {"clusters": [{"name": "a", "weight": 0}, {"name": "b", "weight": 1}]}},
    "weights by header": {
        "weighted_clusters": {
            "clusters": [{"name": "a", "weight": 80}, {"name": "b", "weight": 20}],
            "header_name": "x-draw",
        }
    },
    "weights with an unknown": {
        "weighted_clusters": {"clusters": [{"name": "a", "weight": 1}, {"name": "none", "weight": 1}]}
    },
    "weight rewrites the host": {
        "weighted_clusters": {
            "clusters": [
                {"name": "a", "weight": 1, "host_rewrite_literal": "own"},
                {"name": "b", "weight": 1, "request_headers_to_remove": ["x-a"]},
            ]
        },
        "host_rewrite_literal": "other",
    },
}
HOSTS: dict[str, Resource] = {
    "format without value": {"host_rewrite": "%REQ(x-none)%"},
    "header, forwarded": {"host_rewrite_header": "x-host", "append_x_forwarded_host": True},
    "regex, forwarded": {
        "host_rewrite_path_regex": {"pattern": {"regex": "^/(.+)/.+$"}, "substitution": "\\1"},
        "append_x_forwarded_host": True,
    },
    "nothing, forwarded": {"append_x_forwarded_host": True},
    "drawn, forwarded": {
        "weighted_clusters": {"clusters": [{"name": "a", "weight": 1, "host_rewrite_literal": "own"}]},
        "append_x_forwarded_host": True,
        "cluster": None,
    },
    "named": {"cluster": "named", "auto_host_rewrite": True},
    "named, forwarded": {"cluster": "named", "auto_host_rewrite": True, "append_x_forwarded_host": True},
    "format of metadata": {"host_rewrite": "x%METADATA(CLUSTER:m:a)%"},
}


def template(pattern: str, rewrite: str = "", *targets: str) -> tuple[Resource, Resource, tuple[str, ...]]:
    """A match by URI template, the rewrite by one, and what is asked."""
    match = {"name": "m", "typed_config": {"@type": rewrites.TEMPLATE + MATCH, "path_template": pattern}}
    action = {"name": "r", "typed_config": {"@type": rewrites.TEMPLATE + REWRITE, "path_template_rewrite": rewrite}}
    return {"path_match_policy": match}, {"path_rewrite_policy": action} if rewrite else {}, targets


MATCH = "match.uri_template.v3.UriTemplateMatchConfig"
REWRITE = "rewrite.uri_template.v3.UriTemplateRewriteConfig"
TEMPLATES: dict[str, tuple[Resource, Resource, tuple[str, ...]]] = {
    "template literal": template("/a/c"),
    "template star": template("/*/c", "", "/x/c", "/c", "/x/y/c", "/%20/c", "/a-b_~!$&'()+,;:@/c", "/a=b/c"),
    "template rest": template("/a/**", "", "/a/", "/a/b/c", "/a"),
    "template inner": template("/{x=p/*}/{y}", "/{y}/{x}", "/p/q/r", "/p/q"),
    "template suffix": template("/{x=**}.js", "/js/{x}", "/a/b.js", "/a.jsx"),
    "template format": (
        template("/{x}/{y}")[0],
        {"path_rewrite": "/%REQ(x-a)%/%PATH(NQ)%"},
        ("/p/q", "/p/q?r"),
    ),
}
SHARES = 80
"""How often each request is made where clusters have weights: shares show only then."""

HOST_NAMES = (
    *("exact.names.test", "EXACT.names.test", "a.names.test", "a.b.names.test", "xb.names.test", ".names.test"),
    *("names.test", "pre.x", "pre.x.y", "pre.", "pre", "pre.names.test", "exact.names.test:80", "other", "exact.names"),
)


def slug(label: str) -> str:
    """A label as part of a host name."""
    return re.sub("[^a-z0-9]+", "-", label.lower()).strip("-")


class _Tables:
    def __init__(self) -> None:
        self.hosts: list[Resource] = []
        self.requests: list[Request] = []

    def add(self, label: str, *rules: Resource, asked: list[tuple[str, str, Headers]], **fields: object) -> None:
        name = slug(label)
        taken = {each["name"] for each in self.hosts}
        while name in taken:
            name += "-x"
        domain = name + DOMAIN
        self.hosts.append(host(*rules, domains=(domain,), name=name, **fields))
        for method, target, headers in asked:
            named = tuple((key, value.replace("HOST", domain)) for key, value in headers)
            self.requests.append(Request(method, f"http://{domain}{target}", named))


def _rewrites(tables: _Tables) -> None:
    for label, (match, action, targets) in (*rewrites.PATHS.items(), *TEMPLATES.items()):
        rule = route(match, {"cluster": "a", **action})
        asked: list[tuple[str, str, Headers]] = [
            ("GET", each, headers) for each in dict.fromkeys((*targets, *TARGETS)) for headers in ((), SENT)
        ]
        tables.add(f"path {label}", rule, asked=asked)
    for label, action in (*rewrites.HOSTS.items(), *HOSTS.items()):
        chosen = {name: value for name, value in {"cluster": "a", **action}.items() if value is not None}
        rule = route(ANY, chosen)
        hosts: tuple[Headers, ...] = ((), (("host", "HOST:80"),), (("x-forwarded-host", "first"),))
        tables.add(f"host {label}", rule, asked=[("GET", "/p/q", (*own, *SENT)) for own in hosts])


def _answers(tables: _Tables) -> None:
    protos: tuple[Headers, ...] = ((), (("x-forwarded-proto", "https"),))
    ports: tuple[Headers, ...] = ((), *((("host", f"HOST:{port}"),) for port in (80, 443, 8080)))
    for label, (match, redirect, _) in redirects.REDIRECTS.items():
        rule: Resource = {"match": match, "redirect": redirect}
        asked: list[tuple[str, str, Headers]] = [
            ("GET", target, (*own, *proto))
            for target, own, proto in product(("/a?x=1", "/a/c?", "/a", "/b?y"), ports, protos)
        ]
        tables.add(f"redirect {label}", rule, asked=[*asked, ("HEAD", "/a", ()), ("POST", "/a", ())])
    added: Resource = {
        "response_headers_to_add": [add("x-added", "%REQ(x-a)%")],
        "response_headers_to_remove": ["content-type"],
    }
    for label, direct in redirects.DIRECT.items():
        for name, fields in ((f"direct {label}", {}), (f"direct {label} mutated", added)):
            rule = {"match": ANY, "direct_response": direct, **fields}
            methods = ("GET", "HEAD", "POST")
            tables.add(name, rule, asked=[(m, "/x?y", SENT) for m in methods] + [("POST", "/x", GRPC)])
    tables.add(
        "non forwarding", {"match": ANY, "non_forwarding_action": {}}, asked=[("GET", "/", ()), ("GET", "/", GRPC)]
    )


def _clusters(tables: _Tables) -> None:
    wanted: tuple[Headers, ...] = ((), *((("x-cluster", name),) for name in ("a", "b", "none", "", "empty")))
    draws: tuple[Headers, ...] = tuple((("x-draw", text),) for text in ("0", "79", "80", "99", "100", "180"))
    for label, action in CLUSTERS.items():
        asked = [("GET", "/", (*each, *SENT)) for each in (*(draws if "header_name" in str(action) else wanted), GRPC)]
        often = SHARES if "weighted_clusters" in action else 1
        tables.add(f"cluster {label}", route(ANY, action), asked=asked * often)
    for label, action in TIMEOUTS.items():
        limits: tuple[Headers, ...] = (
            (),
            GRPC,
            *((*GRPC, ("grpc-timeout", t)) for t in ("300m", "5S", "0S", "soon", "2H")),
        )
        asked = [("POST", "/", each) for each in (*limits, (("x-envoy-expected-rq-timeout-ms", "7"),))]
        tables.add(f"timeout {label}", route(ANY, {"cluster": "a", **action}), asked=asked)


def _mutations(tables: _Tables) -> None:
    for label, fields in mutations.RULES.items():
        if label not in (*MUTATION_REFUSED, *UNSENDABLE):
            tables.add(f"mutation {label}", route(ANY, "a", **fields), asked=[("GET", "/", SENT), ("GET", "/", ())])
    for counted in (False, True):
        asked: list[tuple[str, str, Headers]] = [("GET", "/", each) for each in ((), (("x-envoy-attempt-count", "7"),))]
        label = f"attempt count {counted}"
        tables.add(label, route(ANY, "a"), asked=asked, include_request_attempt_count=counted)
    for label, decorator in (("said", {"operation": "op"}), ("kept", {"operation": "op", "propagate": False})):
        asked = [("GET", "/", each) for each in ((), (("x-envoy-decorator-operation", "mine"),))]
        tables.add(f"decorator {label}", route(ANY, "a", decorator=decorator), asked=asked)


def _formats(tables: _Tables) -> None:
    own = {"request_headers_to_add": [add("x-own", SEEN)], "response_headers_to_add": [add("x-own", SEEN)]}
    of_route: Resource = {
        "request_headers_to_add": [add("x-a", "route", "OVERWRITE_IF_EXISTS_OR_ADD"), add("x-new", SEEN)],
        "request_headers_to_remove": ["x-d"],
        "response_headers_to_add": [add("x-response", SEEN)],
    }
    of_host = {
        "request_headers_to_add": [add("x-host-saw", SEEN)],
        "response_headers_to_add": [add("x-host-saw", SEEN)],
    }
    entry: Resource = {"name": "a", "weight": 1, **own}
    for name, entries in (("a", [entry]), ("rewritten", [{**entry, "host_rewrite_literal": "drawn"}])):
        for rewrite in (
            {},
            {"host_rewrite_literal": "other", "prefix_rewrite": "/new/"},
            {"host_rewrite_header": "x-a"},
        ):
            rule = route(ANY, {"weighted_clusters": {"clusters": entries}, **rewrite}, **of_route)
            label = f"formats {name} {' '.join(rewrite)}"
            tables.add(label, rule, asked=[("GET", "/p", SENT)], include_request_attempt_count=True, **of_host)
    for cluster_name in ("none", "empty"):
        rule = route(ANY, {"cluster": cluster_name, "prefix_rewrite": "/new/"}, **of_route)
        label = f"formats {cluster_name}"
        tables.add(label, rule, asked=[("GET", "/p", SENT)], include_request_attempt_count=True, **of_host)
    rule = {"match": ANY, "redirect": {"path_redirect": "/z"}, **of_route}
    tables.add("formats redirect", rule, asked=[("GET", "/p", SENT)], **of_host)


COMMANDS = (
    *("ACCESS_LOG_TYPE", "BYTES_RECEIVED", "BYTES_SENT", "CONNECTION_TERMINATION_DETAILS", "CUSTOM_FLAGS"),
    *("DOWNSTREAM_LOCAL_PORT", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"),
    *("DOWNSTREAM_PEER_SUBJECT", "DOWNSTREAM_TLS_VERSION", "FILTER_CHAIN_NAME", "GRPC_STATUS_NUMBER", "GRPC_STATUS"),
    *("GRPC_STATUS(SNAKE_STRING)", "HOSTNAME", "LISTENER_NAME", "LOCAL_REPLY_BODY", "PROTOCOL", "RESPONSE_CODE"),
    *("RESPONSE_FLAGS", "RESPONSE_FLAGS_LONG", "RESPONSE_CODE_DETAILS", "RESPONSE_TRAILERS_BYTES", "ROUTE_NAME"),
    *("ROUTE_RESOLUTION_COUNT", "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW", "UPSTREAM_HOST", "UPSTREAM_HOST_NAME"),
    *("UPSTREAM_PROTOCOL", "UPSTREAM_REMOTE_ADDRESS", "UPSTREAM_REMOTE_PORT", "UPSTREAM_REQUEST_ATTEMPT_COUNT"),
    *("VIRTUAL_CLUSTER_NAME", "REQUESTED_SERVER_NAME", "REQUESTED_SERVER_NAME(HOST_FIRST)", "REQ(:status)"),
    *("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "RESP(content-type)", "RESP(:status)", "RESP(x-own)", "TRAILER(x)"),
    *("REQUEST_HEADER(x-a)", "STREAM_INFO_REQ(x-a)", "RESPONSE_HEADER(content-type):4", "QUERY_PARAM(q)"),
    *("QUERY_PARAMS", "PATH", "PATH(NQ)", "PATH(WQ:ORIG)", "PATH(NQ:PATH)", "PATH(NQ:ORIG_OR_PATH)", "PATH:3"),
    *("METADATA(ROUTE:m:a)", "METADATA(ROUTE:m:a):2", "METADATA(ROUTE:m)", "METADATA(ROUTE:m:s:t)"),
    *(
        "METADATA(ROUTE:m:s)",
        "METADATA(ROUTE:m:l)",
        "METADATA(ROUTE:m:n)",
        "METADATA(ROUTE:m:b)",
        "METADATA(ROUTE:m:f)",
    ),
    *("METADATA(ROUTE:n:a)", "METADATA(ROUTE:m:a:b)", "METADATA(VIRTUAL_HOST:m:a)", "METADATA(CLUSTER:m:a)"),
    *("METADATA(UPSTREAM_HOST:m:a)", "CLUSTER_METADATA(m:a)", "DYNAMIC_METADATA(a:b)", "FILTER_STATE(a)"),
    *("START_TIME(x)", "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)", "RESPONSE_TX_DURATION"),
)
"""Commands that say the same of a request in both; those about sockets and times are left out."""

METADATA: Resource = {
    "filter_metadata": {
        "m": {"a": "word", "s": {"t": "u", "n": 1}, "l": [1, "a", None, 0.5], "n": 1.5, "b": True, "f": 2}
    }
}


def _commands(tables: _Tables) -> None:
    for number in range(0, len(COMMANDS), 8):
        value = "|".join(f"{each.replace('%', '%%')}=%{each}%" for each in COMMANDS[number : number + 8])
        levels: Resource = {
            "request_headers_to_add": [add("x-seen", value)],
            "response_headers_to_add": [add("x-seen", value)],
            "name": "its-name",
        }
        rules: dict[str, Resource] = {
            "proxied": {"match": ANY, "route": {"cluster": "a", "prefix_rewrite": "/new/"}, **levels},
            "empty": {"match": ANY, "route": {"cluster": "empty"}, **levels},
            "missing": {"match": ANY, "route": {"cluster": "none"}, **levels},
            "direct": {"match": ANY, "direct_response": {"status": 418, "body": {"inline_string": "tea"}}, **levels},
        }
        for label, rule in rules.items():
            rule["metadata"] = copy.deepcopy(METADATA)  # the rig adds its own
            asked = [("POST", "/p/x?q=v&r", (("x-a", "abc"), *more)) for more in ((), GRPC)]
            tables.add(f"commands {number} {label}", rule, asked=asked, metadata=METADATA)


def _names() -> tuple[list[Resource], list[Request]]:
    domains = ("exact.names.test", "*.names.test", "*b.names.test", "pre.*", "pre.x*")
    hosts = [host(route(ANY, "a"), domains=(each,), name=each) for each in domains]
    asked = [Request("GET", "http://names.test/", (("host", each),)) for each in HOST_NAMES]
    return hosts, asked


def tables(base: Recording) -> Iterator[tuple[str, Recording, list[Request]]]:
    """Label, table and requests: everything in one table; then mutations of each action at all levels."""
    found = _Tables()
    for fill in (_rewrites, _answers, _clusters, _mutations, _formats, _commands):
        fill(found)
    hosts, asked = _names()
    clusters = [cluster(name, address, metadata=METADATA) for name, address in BACKENDS.items()]
    named = cluster("named", BACKENDS["a"])
    named["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["hostname"] = "its.name"
    empty = cluster("empty")
    yield "actions", custom(base, [*found.hosts, *hosts], [*clusters, named, empty]), [*found.requests, *asked]
    for action, specific in product(mutations.ACTIONS, (False, True)):
        levels, fields = mutations.levels(action, specific_wins=specific)
        asked = [Request("GET", "http://any.test/", each) for each in ((), (("x-all", "client"),), SENT)]
        label = f"levels {action}{' specific first' if specific else ''}"
        yield label, custom(base, levels, clusters, **fields), asked
