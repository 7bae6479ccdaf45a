"""What each field of a VirtualService's HTTP routes becomes, as istiod has it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.emit.traffic import HOST, Json, hosts, parsed, route, routes, routing, rule
from tests.xds.controlplane.support import istio

TO = "route: [{destination: {host: web}}]"
CLUSTER = f"outbound|80||{HOST}"


def only(http: str, **rest: Any) -> Json:
    """The one route of a VirtualService with one HTTP route."""
    return route(f"[{{{http}}}]", **rest)


def test_a_plain_route_has_istiods_defaults() -> None:
    assert only(TO) == parsed(
        f"""
        match: {{prefix: /}}
        metadata:
          filter_metadata:
            istio: {{config: /apis/networking.istio.io/v1/namespaces/shop/virtual-service/web}}
        decorator: {{operation: "{HOST}:80/*"}}
        route:
          cluster: {CLUSTER}
          timeout: 0s
          max_grpc_timeout: 0s
          retry_policy:
            retry_on: connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes
            num_retries: 2
            host_selection_retry_max_attempts: '5'
            retry_host_predicate:
            - name: envoy.retry_host_predicates.previous_hosts
              typed_config:
                '@type': >-
                  type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate
        """
    )


REDIRECTS = [
    ("uri: /new", {"path_redirect": "/new"}),
    ("authority: a.com", {"host_redirect": "a.com", "path_redirect": ""}),
    ("prefixRewrite: /b", {"prefix_rewrite": "/b"}),
    ("uri: /, scheme: https", {"path_redirect": "/", "scheme_redirect": "https"}),
    ("uri: /, port: 8443", {"path_redirect": "/", "port_redirect": 8443}),
    ("uri: /, port: 80", {"path_redirect": "/"}),
    ("uri: /, port: 443, scheme: https", {"path_redirect": "/", "scheme_redirect": "https"}),
    ("uri: /, port: 443, scheme: http", {"path_redirect": "/", "scheme_redirect": "http", "port_redirect": 443}),
    ("uri: /, derivePort: FROM_PROTOCOL_DEFAULT", {"path_redirect": "/"}),
    ("uri: /, derivePort: FROM_REQUEST_PORT, scheme: https", {
        "path_redirect": "/", "scheme_redirect": "https", "port_redirect": 80,
    }),
    ("uri: /, redirectCode: 302", {"path_redirect": "/", "response_code": "FOUND"}),
    ("uri: /, redirectCode: 308", {"path_redirect": "/", "response_code": "PERMANENT_REDIRECT"}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), REDIRECTS)
def test_redirects(said: str, expected: Json) -> None:
    made = only(f"redirect: {{{said}}}")
    assert made["redirect"] == expected
    assert "route" not in made
    assert made["decorator"] == {"operation": "web:80/*"}


def test_direct_responses() -> None:
    assert only("directResponse: {status: 404}")["direct_response"] == {"status": 404}
    text = only("directResponse: {status: 418, body: {string: short}}")["direct_response"]
    assert text == {"status": 418, "body": {"inline_string": "short"}}
    held = only("directResponse: {status: 200, body: {bytes: YQ==}}")["direct_response"]
    assert held == {"status": 200, "body": {"inline_bytes": "YQ=="}}


REWRITES = [
    ("uri: /b", {"prefix_rewrite": "/b"}),
    ("authority: b.com", {"host_rewrite_literal": "b.com"}),
    ("uri: /b, authority: b.com", {"prefix_rewrite": "/b", "host_rewrite_literal": "b.com"}),
    (
        r"uriRegexRewrite: {match: '^/a/(.*)', rewrite: '/\1'}",
        {"regex_rewrite": {"pattern": {"regex": "^/a/(.*)"}, "substitution": r"/\1"}},
    ),
]


@pytest.mark.parametrize(("said", "expected"), REWRITES)
def test_rewrites(said: str, expected: Json) -> None:
    action = only(f"match: [{{uri: {{prefix: /a}}}}], rewrite: {{{said}}}, {TO}")["route"]
    found = {key: action[key] for key in ("prefix_rewrite", "host_rewrite_literal", "regex_rewrite") if key in action}
    assert found == expected


def header(name: str, value: str, action: str = "OVERWRITE_IF_EXISTS_OR_ADD") -> Json:
    made: Json = {"header": {"key": name, "value": value}}
    return made if action == "APPEND_IF_EXISTS_OR_ADD" else {**made, "append_action": action}


ADD = "APPEND_IF_EXISTS_OR_ADD"


def test_headers_are_set_then_added_by_name_and_the_authority_is_a_rewrite() -> None:
    made = only(
        "headers: {request: {set: {b: 1, a: 2, ':authority': x.com}, add: {c: 3}, remove: [d, ':path']}, "
        f"response: {{set: {{e: 4}}, add: {{f: 5}}, remove: [g]}}}}, {TO}".replace("1", "'1'")
        .replace("2", "'2'").replace("3", "'3'").replace("4", "'4'").replace("5", "'5'")
    )  # fmt: skip
    assert made["request_headers_to_add"] == [header("a", "2"), header("b", "1"), header("c", "3", ADD)]
    assert made["request_headers_to_remove"] == ["d"]
    assert made["response_headers_to_add"] == [header("e", "4"), header("f", "5", ADD)]
    assert made["response_headers_to_remove"] == ["g"]
    assert made["route"]["host_rewrite_literal"] == "x.com"


def test_a_destinations_headers_are_the_routes_where_it_is_the_only_one() -> None:
    each = "{destination: {host: %s}, weight: %d, headers: {request: {set: {x: a, host: %s}}}}"
    one = only(f"headers: {{request: {{set: {{y: b}}}}}}, route: [{each % ('web', 0, 'w.com')}]")
    assert one["request_headers_to_add"] == [header("y", "b"), header("x", "a")]
    assert one["route"]["host_rewrite_literal"] == "w.com"
    two = only(
        f"rewrite: {{authority: r.com}}, route: [{each % ('web', 9, 'w.com')}, {each % ('one', 1, 'o.com')}, "
        "{destination: {host: far.other}, weight: 0}]"
    )
    assert two["route"]["host_rewrite_literal"] == "r.com"
    assert two["route"]["weighted_clusters"]["clusters"] == [
        {
            "name": name,
            "weight": weight,
            "request_headers_to_add": [header("x", "a")],
            "host_rewrite_literal": host,
        }
        for name, weight, host in (
            (CLUSTER, 9, "w.com"),
            ("outbound|80||one.shop.svc.cluster.local", 1, "o.com"),
        )
    ]
    assert two["decorator"] == {"operation": "web:80/*"}


MIRRORS = [
    ("mirror: {host: one}", {"numerator": 100}),
    ("mirror: {host: one}, mirrorPercent: 7", {"numerator": 7}),
    ("mirror: {host: one}, mirrorPercentage: {value: 0.5}", {"numerator": 5000, "denominator": "MILLION"}),
    ("mirror: {host: one}, mirrorPercentage: {value: 0}", None),
    ("mirror: {host: one}, mirrorPercent: 0", None),
    ("mirrors: [{destination: {host: one}}]", {"numerator": 100}),
    ("mirrors: [{destination: {host: one}, percentage: {value: 10}}]", {"numerator": 100000, "denominator": "MILLION"}),
    ("mirrors: [{destination: {host: one}, percentage: {value: 0}}]", None),
]


@pytest.mark.parametrize(("said", "share"), MIRRORS)
def test_mirrors(said: str, share: Json | None) -> None:
    found = only(f"{said}, {TO}")["route"].get("request_mirror_policies")
    expected = {
        "cluster": "outbound|80||one.shop.svc.cluster.local",
        "runtime_fraction": {"default_value": share},
        "trace_sampled": False,
        "disable_shadow_host_suffix_append": True,
    }
    assert found == (None if share is None else [expected])


FAULTS = [
    ("delay: {fixedDelay: 2s, percentage: {value: 0.1}}", {
        "delay": {"fixed_delay": "2s", "percentage": {"numerator": 1000, "denominator": "MILLION"}},
    }),
    ("delay: {fixedDelay: 2s, percent: 5}", {"delay": {"fixed_delay": "2s", "percentage": {"numerator": 5}}}),
    ("delay: {fixedDelay: 2s}", {"delay": {"fixed_delay": "2s", "percentage": {}}}),
    ("abort: {httpStatus: 503}", {"abort": {"http_status": 503}}),
    ("abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}", {
        "abort": {"grpc_status": 14, "percentage": {"numerator": 1000000, "denominator": "MILLION"}},
    }),
    ("abort: {percentage: {value: 1}}", {}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), FAULTS)
def test_faults(said: str, expected: Json) -> None:
    found = only(f"fault: {{{said}}}, {TO}")["typed_per_filter_config"]["envoy.filters.http.fault"]
    del found["@type"]
    assert found == expected


def test_cors() -> None:
    made = only(
        "corsPolicy: {allowOrigins: [{exact: a}, {prefix: b}, {regex: c.*}], allowMethods: [GET, PUT], "
        "allowHeaders: [x, y], exposeHeaders: [z], maxAge: 90s, allowCredentials: true, unmatchedPreflights: IGNORE}, "
        + TO
    )["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert made == {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"exact": "a"}, {"prefix": "b"}, {"safe_regex": {"regex": "c.*"}}],
        "allow_methods": "GET,PUT",
        "allow_headers": "x,y",
        "expose_headers": "z",
        "max_age": "90",
        "allow_credentials": True,
        "filter_enabled": {"default_value": {"numerator": 100}},
        "forward_not_matching_preflights": False,
    }
    old = only(f"corsPolicy: {{allowOrigin: [a, '*']}}, {TO}")["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert old["allow_origin_string_match"] == [{"exact": "a"}, {"exact": "*"}]
    assert old["forward_not_matching_preflights"] is True


RETRIES = [
    ("attempts: 0", None),
    ("attempts: 3", {"num_retries": 3}),
    ("attempts: 1, retryOn: '5xx,409'", {
        "num_retries": 1, "retry_on": "5xx,retriable-status-codes", "retriable_status_codes": [409],
    }),
    ("attempts: 1, retryOn: '503'", {
        "num_retries": 1, "retry_on": ",retriable-status-codes", "retriable_status_codes": [503],
    }),
    ("attempts: 1, retryOn: 'retriable-status-codes,503,502'", {
        "num_retries": 1, "retry_on": "retriable-status-codes", "retriable_status_codes": [503, 502],
    }),
    ("attempts: 1, perTryTimeout: 2s, backoff: 5ms", {
        "num_retries": 1, "per_try_timeout": "2s", "retry_back_off": {"base_interval": "0.005s"},
    }),
    ("attempts: 1, retryIgnorePreviousHosts: false", {"num_retries": 1, "retry_host_predicate": None}),
    ("attempts: 1, retryIgnorePreviousHosts: true", {"num_retries": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), RETRIES)
def test_retries(said: str, expected: Json | None) -> None:
    plain = only(TO)["route"]["retry_policy"]
    found = only(f"retries: {{{said}}}, {TO}")["route"].get("retry_policy")
    if expected is not None:
        expected = {key: value for key, value in {**plain, **expected}.items() if value is not None}
    assert found == expected


def test_retries_may_go_to_other_places() -> None:
    found = only(f"retries: {{attempts: 1, retryRemoteLocalities: true}}, {TO}")["route"]["retry_policy"]
    assert found["retry_priority"]["name"] == "envoy.retry_priorities.previous_priorities"
    assert found["retry_priority"]["typed_config"]["update_frequency"] == 2


@pytest.mark.parametrize("seconds", ["3s", "0s"])
def test_timeouts_bound_grpc_too(seconds: str) -> None:
    action = only(f"timeout: {seconds}, {TO}")["route"]
    assert (action["timeout"], action["max_grpc_timeout"]) == (seconds, seconds)


MATCHES = [
    ("uri: {exact: /a}", {"path": "/a"}, "/a"),
    ("uri: {prefix: /a}", {"prefix": "/a"}, "/a*"),
    ("uri: {regex: /a.*}", {"safe_regex": {"regex": "/a.*"}}, "/a.*"),
    ("uri: {prefix: /a}, ignoreUriCase: true", {"prefix": "/a", "case_sensitive": False}, "/a*"),
    ("headers: {b: {exact: x}, a: {}}", {
        "headers": [{"name": "a", "present_match": True}, {"name": "b", "string_match": {"exact": "x"}}],
    }, "/*"),
    ("headers: {a: {regex: '*'}}", {"headers": [{"name": "a", "present_match": True}]}, "/*"),
    ("withoutHeaders: {a: {}}", {"headers": [{"name": "a", "present_match": True, "invert_match": True}]}, "/*"),
    ("withoutHeaders: {a: {prefix: x}}", {
        "headers": [
            {
                "name": "a",
                "string_match": {"prefix": "x"},
                "invert_match": True,
                "treat_missing_header_as_empty": True,
            }
        ],
    }, "/*"),
    ("method: {exact: GET}, authority: {prefix: w}, scheme: {regex: 'http.*'}, headers: {z: {}}", {
        "headers": [
            {"name": "z", "present_match": True},
            {"name": ":method", "string_match": {"exact": "GET"}},
            {"name": ":authority", "string_match": {"prefix": "w"}},
            {"name": ":scheme", "string_match": {"safe_regex": {"regex": "http.*"}}},
        ],
    }, "/*"),
    ("queryParams: {a: {}, b: {exact: x}, c: {regex: y+}}", {
        "query_parameters": [
            {"name": "a", "present_match": True},
            {"name": "b", "string_match": {"exact": "x"}},
            {"name": "c", "string_match": {"safe_regex": {"regex": "y+"}}},
        ],
    }, "/*"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "expected", "path"), MATCHES)
def test_matches(said: str, expected: Json, path: str) -> None:
    made = only(f"match: [{{{said}}}], {TO}")
    held = dict(made["match"])
    default: Json = {"case_sensitive": True}
    if not {"path", "prefix", "safe_regex"} & expected.keys():
        default["prefix"] = "/"
    assert held == default | expected
    assert made["decorator"] == {"operation": f"{HOST}:80{path}"}


SOURCES = [
    ("port: 80", True),
    ("port: 81", False),
    ("sourceNamespace: shop", True),
    ("sourceNamespace: other", False),
    ("sourceLabels: {app: client}", True),
    ("sourceLabels: {app: other}", False),
    ("gateways: [mesh]", True),
    ("gateways: [ingress]", False),
    ("gateways: [mesh], sourceLabels: {app: other}", True),  # a gateway's name goes before labels
]


@pytest.mark.parametrize(("said", "there"), SOURCES)
def test_what_is_known_of_the_caller_decides_which_routes_it_gets(said: str, there: bool) -> None:
    found = routes(f"[{{name: some, match: [{{{said}}}], {TO}}}, {{name: rest, {TO}}}]", labels={"app": "client"})
    names = [each["name"] for each in found]
    assert names == (["some"] if there else ["rest"])  # without conditions left it takes everything


def test_names_and_statistics() -> None:
    matches = "[{name: m, uri: {prefix: /a}, statPrefix: s}, {uri: {prefix: /b}}]"
    found = routes(f"[{{name: a, match: {matches}, {TO}}}, {{{TO}}}]")
    names = [(each.get("name", ""), each.get("stat_prefix", "")) for each in found]
    assert names == [("a.m", "s"), ("a", ""), ("", "")]


def test_nothing_follows_a_route_that_takes_everything() -> None:
    text = f"[{{name: a, match: [{{uri: {{prefix: /}}}}, {{uri: {{exact: /x}}}}], {TO}}}, {{name: b, {TO}}}]"
    assert [each["name"] for each in routes(text)] == ["a"]


@pytest.mark.parametrize(
    ("destination", "table", "cluster"),
    [
        ("{host: web}", "80", CLUSTER),
        ("{host: web, subset: v1}", "80", f"outbound|80|v1|{HOST}"),
        ("{host: web, port: {number: 81}}", "80", f"outbound|81||{HOST}"),
        ("{host: far.other}", "80", "outbound|80||far.other"),
        ("{host: far.other.svc.cluster.local}", "80", "outbound|80||far.other.svc.cluster.local"),
        ("{host: one}", "80", "outbound|80||one.shop.svc.cluster.local"),  # it is not on that port
        ("{host: nobody.example.com}", "80", "outbound|80||nobody.example.com"),
        ("{host: web}", "81", f"outbound|81||{HOST}"),
    ],
)
def test_a_destination_without_a_port_means_the_one_that_was_called(destination: str, table: str, cluster: str) -> None:
    text = f"[{{route: [{{destination: {destination}}}]}}]"
    assert route(text, table=table, name=f"{HOST}:{table}")["route"]["cluster"] == cluster


HASHES = [
    ("httpHeaderName: x", {"header": {"header_name": "x"}}),
    ("httpQueryParameterName: q", {"query_parameter": {"name": "q"}}),
    ("useSourceIp: true", {"connection_properties": {"source_ip": True}}),
    ("httpCookie: {name: c}", {"cookie": {"name": "c"}}),
    (
        "httpCookie: {name: c, path: /p, ttl: 0s, attributes: [{name: SameSite, value: Lax}]}",
        {"cookie": {"name": "c", "path": "/p", "ttl": "0s", "attributes": [{"name": "SameSite", "value": "Lax"}]}},
    ),
]


@pytest.mark.parametrize(("said", "expected"), HASHES)
def test_a_destinations_rule_says_what_is_hashed_and_retries_stay(said: str, expected: Json) -> None:
    extra = rule(f"{{loadBalancer: {{consistentHash: {{{said}}}}}}}")
    for http in (f"[{{{TO}}}]", ""):
        if http:
            action = route(http, extra=extra)["route"]
            assert "retry_host_predicate" not in action["retry_policy"]
        else:
            (found,) = [each for each in hosts(extra) if each["name"] == f"{HOST}:80"]
            action = found["routes"][0]["route"]
            assert "retry_host_predicate" in action["retry_policy"]  # istiod forgets it without a VirtualService
        assert action["hash_policy"] == [expected]


def delegated(root: str, delegate: str, **meta: Any) -> list[Json]:
    extra = istio("VirtualService", "leaf", f"{{http: [{delegate}]}}", namespace="other", **meta)
    return routes(f"[{{{root}, delegate: {{name: leaf, namespace: other}}}}]", extra=extra)


def test_a_delegates_routes_are_under_the_roots_conditions_and_defaults() -> None:
    (found,) = delegated(
        "name: r, match: [{uri: {prefix: /a}, headers: {h: {exact: x}}}], timeout: 4s",
        "{name: l, match: [{uri: {prefix: /a/b}, headers: {i: {}}}], route: [{destination: {host: far}}]}",
    )
    assert found["name"] == "r-l"
    assert found["match"]["prefix"] == "/a/b"
    assert [each["name"] for each in found["match"]["headers"]] == ["h", "i"]
    assert found["route"]["cluster"] == "outbound|80||far.other.svc.cluster.local"
    assert found["route"]["timeout"] == "4s"
    config = found["metadata"]["filter_metadata"]["istio"]["config"]
    assert config == "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/web"


@pytest.mark.parametrize(
    ("root", "leaf", "there"),
    [
        ("uri: {prefix: /a}", "uri: {prefix: /b}", False),
        ("uri: {prefix: /a}", "uri: {exact: /a/b}", True),
        ("uri: {exact: /a}", "uri: {exact: /a}", True),
        ("uri: {exact: /a}", "uri: {prefix: /a}", False),
        ("uri: {regex: /a.*}", "uri: {prefix: /a}", False),
        ("uri: {regex: /a.*}", "method: {exact: GET}", True),
        ("headers: {x: {exact: a}}", "headers: {x: {exact: b}}", False),
        ("withoutHeaders: {x: {exact: a}}", "withoutHeaders: {x: {exact: b}}", False),
        ("queryParams: {x: {exact: a}}", "queryParams: {x: {exact: b}}", False),
        ("ignoreUriCase: true", "uri: {prefix: /a}", False),
        ("port: 80", "port: 81", False),
        ("sourceNamespace: shop", "uri: {prefix: /a}", False),
        ("sourceNamespace: shop", "sourceNamespace: shop", True),
        ("sourceLabels: {app: client}", "sourceLabels: {app: other}", False),
        ("gateways: [mesh]", "gateways: [mesh]", True),
        ("gateways: [mesh]", "gateways: [mesh, in]", False),
    ],
)
def test_a_delegates_route_that_contradicts_the_root_is_left_out(root: str, leaf: str, there: bool) -> None:
    found = delegated(f"match: [{{{root}}}]", f"{{match: [{{{leaf}}}], route: [{{destination: {{host: far}}}}]}}")
    clusters = {each["route"]["cluster"] for each in found}
    assert ("outbound|80||far.other.svc.cluster.local" in clusters) is there


def test_a_roots_direct_response_is_its_delegates() -> None:
    (found,) = delegated("directResponse: {status: 404}", "{route: [{destination: {host: far}}]}")
    assert found["direct_response"] == {"status": 404}


def test_a_delegate_that_the_root_may_not_see_gives_nothing() -> None:
    extra = istio(
        "VirtualService", "leaf", "{exportTo: ['.'], http: [{route: [{destination: {host: far}}]}]}", namespace="other"
    )
    text = f"[{{match: [{{uri: {{prefix: /a}}}}], delegate: {{name: leaf, namespace: other}}}}, {{name: rest, {TO}}}]"
    assert [each["name"] for each in routes(text, extra=extra)] == ["rest"]


def test_of_two_virtual_services_for_a_host_the_older_one_counts() -> None:
    old = routing(f"[{{name: old, {TO}}}]", name="b", creationTimestamp="2024-01-01T00:00:00Z")
    new = routing(f"[{{name: new, {TO}}}]", name="a", creationTimestamp="2025-01-01T00:00:00Z")
    (found,) = [each for each in hosts(new + old) if each["name"] == f"{HOST}:80"]
    assert [each["name"] for each in found["routes"]] == ["old"]


def test_a_wildcard_takes_the_services_that_nothing_names_better() -> None:
    wide = routing(f"[{{name: wide, {TO}}}]", name="wide", hosts="['*.svc.cluster.local']")
    near = routing(f"[{{name: near, {TO}}}]", name="near", hosts="['*.shop.svc.cluster.local']")
    found = {each["name"]: each["routes"][0]["name"] for each in hosts(wide + near)}
    assert found == {f"{HOST}:80": "near", "far.other.svc.cluster.local:80": "wide", "allow_any": "allow_any"}


def test_of_two_for_a_host_one_with_a_time_is_older_than_one_without() -> None:
    first = routing("[{name: a, route: [{destination: {host: web}}]}]", name="a")
    second = routing(
        "[{name: b, route: [{destination: {host: web}}]}]", name="b", creationTimestamp="2026-01-01T00:00:00Z"
    )
    assert [each["routes"][0]["name"] for each in hosts(first + second) if each["name"] == f"{HOST}:80"] == ["b"]
