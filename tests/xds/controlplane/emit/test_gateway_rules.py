"""What one rule of an HTTPRoute or GRPCRoute is for Envoy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.emit.gateway import TO_V2, V2, WEB, filtered, grpc, http, names, route, routes

TO = f"outbound|80||{V2}"
PLAIN = {"prefix": "/", "case_sensitive": True}


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("", PLAIN),
        ("matches: [], ", {"prefix": "/"}),
        ("matches: [{}], ", PLAIN),
        ("matches: [{path: {value: /api}}], ", {"path_separated_prefix": "/api", "case_sensitive": True}),
        ("matches: [{path: {value: /api/}}], ", {"path_separated_prefix": "/api", "case_sensitive": True}),
        ("matches: [{path: {type: Exact, value: /api/}}], ", {"path": "/api/", "case_sensitive": True}),
        (
            "matches: [{path: {type: RegularExpression, value: '/a+'}}], ",
            {"safe_regex": {"regex": "/a+"}, "case_sensitive": True},
        ),
        (
            "matches: [{method: POST}], ",
            PLAIN | {"headers": [{"name": ":method", "string_match": {"exact": "POST"}}]},
        ),
        (
            "matches: [{headers: [{name: X-B, value: '1'}, {name: a, type: RegularExpression, value: 'x.*'}]}], ",
            PLAIN
            | {
                "headers": [
                    {"name": "X-B", "string_match": {"exact": "1"}},
                    {"name": "a", "string_match": {"safe_regex": {"regex": "x.*"}}},
                ]
            },
        ),
        (
            "matches: [{queryParams: [{name: q, value: '1'}, {name: p, type: RegularExpression, value: '.+'}]}], ",
            PLAIN
            | {
                "query_parameters": [
                    {"name": "p", "string_match": {"safe_regex": {"regex": ".+"}}},
                    {"name": "q", "string_match": {"exact": "1"}},
                ]
            },
        ),
    ],
    ids=str,
)
def test_conditions(match: str, expected: dict[str, Any]) -> None:
    assert route(http(f"{match}{TO_V2}"))["match"] == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("{service: a.B, method: C}", {"path": "/a.B/C"}),
        ("{service: a.B}", {"path_separated_prefix": "/a.B"}),
        ("{method: C}", {"safe_regex": {"regex": "/[^/]+/C"}}),
        ("{type: RegularExpression, service: 'a.*', method: 'C+'}", {"safe_regex": {"regex": "/a.*/C+"}}),
        ("{type: RegularExpression, service: 'a.*'}", {"safe_regex": {"regex": "/a.*/.+"}}),
        ("{type: RegularExpression, method: 'C+'}", {"safe_regex": {"regex": "/[^/]+/C+"}}),
    ],
    ids=str,
)
def test_methods_of_grpc_are_paths(method: str, expected: dict[str, Any]) -> None:
    found = route(grpc(f"matches: [{{method: {method}}}], {TO_V2}"), 81)
    assert found["match"] == expected | {"case_sensitive": True}
    assert found["name"] == "shop.g.0"


def test_a_rule_of_grpc_needs_no_match_and_may_match_headers() -> None:
    assert route(grpc(TO_V2), 81)["match"] == {"prefix": "/"}
    found = route(grpc(f"matches: [{{headers: [{{name: v, value: '2'}}]}}], {TO_V2}"), 81)
    assert found["match"] == PLAIN | {"headers": [{"name": "v", "string_match": {"exact": "2"}}]}


def test_a_rule_is_named_by_itself_or_by_its_place_and_its_metadata_name_istiods_virtual_service() -> None:
    rules = f"name: mine, matches: [{{path: {{value: /a}}}}], {TO_V2}|matches: [{{path: {{value: /b}}}}], {TO_V2}"
    found = routes(http(rules))
    assert names(found) == ["mine", "shop.r.1"]
    path = f"/apis/networking.istio.io/v1/namespaces/shop/virtual-service/shop~{WEB}"
    assert found[0]["metadata"] == {"filter_metadata": {"istio": {"config": path}}}
    assert found[0]["decorator"] == {"operation": f"{V2}:80/*"}


def test_the_only_backend_is_the_cluster_and_several_are_weighted() -> None:
    action = route(http(TO_V2))["route"]
    assert action["cluster"] == TO
    assert action["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"
    both = "backendRefs: [{name: v2, port: 80}, {name: web, port: 80, weight: 3}, {name: web, port: 81, weight: 0}]"
    weighted = route(http(both))["route"]["weighted_clusters"]["clusters"]
    assert weighted == [{"name": TO, "weight": 1}, {"name": f"outbound|80||{WEB}", "weight": 3}]


def test_a_backend_that_is_not_there_keeps_its_share() -> None:
    refs = "backendRefs: [{name: v2, port: 80}, {name: gone, port: 80}, {kind: Bucket, name: b, weight: 2}]"
    weighted = route(http(refs))["route"]["weighted_clusters"]["clusters"]
    assert weighted == [
        {"name": TO, "weight": 1},
        {"name": "outbound|80||gone.shop.svc.cluster.local", "weight": 1},
        {"name": "UnknownService", "weight": 2},
    ]


@pytest.mark.parametrize(
    ("ref", "cluster"),
    [
        ("{name: far, namespace: other, port: 80}", "outbound|80||far.other.svc.cluster.local"),
        ("{group: networking.istio.io, kind: Hostname, name: x.example.com, port: 443}", "outbound|443||x.example.com"),
        ("{group: multicluster.x-k8s.io, kind: ServiceImport, name: v2, port: 80}", TO),
    ],
)
def test_kinds_of_backends(ref: str, cluster: str) -> None:
    assert route(http(f"backendRefs: [{ref}]"))["route"]["cluster"] == cluster


@pytest.mark.parametrize("rule", ["", "backendRefs: [{name: v2, port: 80, weight: 0}]"])
def test_without_a_backend_that_gets_anything_calls_are_answered_500(rule: str) -> None:
    assert route(http(rule))["direct_response"] == {"status": 500}
    assert route(grpc(rule), 81)["direct_response"] == {"status": 500}


HEADERS = "set: [{name: X-Set, value: '1'}, {name: x-set, value: '2'}], add: [{name: a, value: b}], remove: [c]"
SET = {"header": {"key": "x-set", "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
ADD = {"header": {"key": "a", "value": "b"}}


def test_headers_of_requests_and_of_answers() -> None:
    found = route(http(filtered("RequestHeaderModifier", "requestHeaderModifier", HEADERS)))
    assert found["request_headers_to_add"] == [SET, ADD]
    assert found["request_headers_to_remove"] == ["c"]
    found = route(grpc(filtered("ResponseHeaderModifier", "responseHeaderModifier", HEADERS)), 81)
    assert found["response_headers_to_add"] == [SET, ADD]
    assert found["response_headers_to_remove"] == ["c"]


def test_headers_of_one_backend() -> None:
    each = "filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: host, value: h}]}}]"
    rest = "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, value: b}]}}]"
    found = route(http(f"backendRefs: [{{name: v2, port: 80, {each}}}, {{name: web, port: 80, {rest}}}]"))
    first, second = found["route"]["weighted_clusters"]["clusters"]
    assert first["host_rewrite_literal"] == "h"
    assert second["response_headers_to_add"] == [ADD]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", {"response_code": "FOUND", "path_redirect": ""}),
        ("scheme: https", {"response_code": "FOUND", "scheme_redirect": "https", "path_redirect": ""}),
        ("port: 8080, statusCode: 301", {"port_redirect": 8080, "path_redirect": ""}),
        ("statusCode: 308, hostname: a.b", {"host_redirect": "a.b", "response_code": "PERMANENT_REDIRECT"}),
        ("path: {type: ReplaceFullPath, replaceFullPath: /x}", {"path_redirect": "/x", "response_code": "FOUND"}),
        (
            "path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}",
            {"prefix_rewrite": "/x", "response_code": "FOUND"},
        ),
    ],
)
def test_redirects(content: str, expected: dict[str, Any]) -> None:
    found = route(http(filtered("RequestRedirect", "requestRedirect", content, rest="")))["redirect"]
    assert found.pop("path_redirect", "") == expected.pop("path_redirect", "")
    assert found == expected


def test_a_redirect_goes_to_the_port_that_was_called() -> None:
    found = route(http(filtered("RequestRedirect", "requestRedirect", "hostname: a.b", rest="")), 81)
    assert found["redirect"]["port_redirect"] == 81


def rewritten(content: str, value: str = "/a.b/") -> dict[str, Any]:
    rule = f"matches: [{{path: {{value: {value}}}}}], {filtered('URLRewrite', 'urlRewrite', content)}"
    action: dict[str, Any] = route(http(rule))["route"]
    return action


def test_rewrites() -> None:
    assert rewritten("hostname: a.b")["host_rewrite_literal"] == "a.b"
    assert rewritten("path: {type: ReplacePrefixMatch, replacePrefixMatch: /x/}")["prefix_rewrite"] == "/x"
    full = rewritten("path: {type: ReplaceFullPath, replaceFullPath: /x}")
    assert full["regex_rewrite"] == {"pattern": {"regex": "/.*"}, "substitution": "/x"}


@pytest.mark.parametrize("replacement", ["/", "''"])
@pytest.mark.parametrize(("value", "pattern"), [("/a.b/", r"^/a\.b(/?)(.*)"), ("/", "^(/?)(.*)")])
def test_a_prefix_that_is_replaced_by_nothing_is_removed(replacement: str, value: str, pattern: str) -> None:
    action = rewritten(f"path: {{type: ReplacePrefixMatch, replacePrefixMatch: {replacement}}}", value)
    assert action["regex_rewrite"] == {"pattern": {"regex": pattern}, "substitution": r"/\2"}


def test_a_rewrite_of_nothing_is_none() -> None:
    assert rewritten("") == route(http(TO_V2))["route"]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ("", {"numerator": 100}),
        (", percent: 25", {"numerator": 250000, "denominator": "MILLION"}),
        (", fraction: {numerator: 1, denominator: 3}", {"numerator": 333333, "denominator": "MILLION"}),
        (", fraction: {numerator: 5}", {"numerator": 50000, "denominator": "MILLION"}),
    ],
)
def test_mirrors(share: str, expected: dict[str, Any]) -> None:
    mirror = f"backendRef: {{name: web, port: 80}}{share}"
    (policy,) = route(http(filtered("RequestMirror", "requestMirror", mirror)))["route"]["request_mirror_policies"]
    assert policy["cluster"] == f"outbound|80||{WEB}"
    assert policy["runtime_fraction"]["default_value"] == expected


def test_several_mirrors_and_one_that_is_not_there() -> None:
    one = "{type: RequestMirror, requestMirror: {backendRef: {name: %s, port: 80}}}"
    rule = f"filters: [{one % 'web'}, {one % 'gone'}, {one % 'v2'}], {TO_V2}"
    policies = route(http(rule))["route"]["request_mirror_policies"]
    assert [each["cluster"] for each in policies] == [f"outbound|80||{WEB}", TO]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("https://a.example.com", {"exact": "https://a.example.com"}),
        ("*", {"safe_regex": {"regex": r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$"}}),
        ("https://*", {"prefix": "https://"}),
        ("https://*.example.com", {"safe_regex": {"regex": r"^https://.*\.example\.com$"}}),
    ],
)
def test_cors(origin: str, expected: dict[str, Any]) -> None:
    rest = "allowMethods: [GET, PUT], allowHeaders: [a, b], exposeHeaders: [c], allowCredentials: true"
    found = route(http(filtered("CORS", "cors", f"allowOrigins: ['{origin}'], {rest}")))
    cors = found["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert cors["allow_origin_string_match"] == [expected]
    assert cors["allow_methods"] == "GET,PUT"
    assert cors["allow_headers"] == "a,b"
    assert cors["expose_headers"] == "c"
    assert cors["allow_credentials"] is True
    assert cors["max_age"] == "5"
    assert cors["forward_not_matching_preflights"] is False


def test_cors_without_origins_allows_none() -> None:
    cors = route(http(filtered("CORS", "cors", "maxAge: 60")))["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert "allow_origin_string_match" not in cors
    assert "allow_credentials" not in cors
    assert cors["max_age"] == "60"


@pytest.mark.parametrize(
    ("said", "timeout", "per_try"),
    [
        ("timeouts: {request: 10s}", "10s", None),
        ("timeouts: {request: 0s, backendRequest: 0s}", "0s", None),
        ("timeouts: {request: 1m, backendRequest: 500ms}", "0.500s", None),
        ("timeouts: {request: 1m, backendRequest: 500ms}, retry: {}", "60s", "0.500s"),
    ],
)
def test_timeouts(said: str, timeout: str, per_try: str | None) -> None:
    action = route(http(f"{said}, {TO_V2}"))["route"]
    assert action["timeout"] == action["max_grpc_timeout"] == timeout
    assert action["retry_policy"].get("per_try_timeout") == per_try


def test_retries() -> None:
    policy = route(http(f"retry: {{attempts: 3, backoff: 100ms, codes: [503, 429]}}, {TO_V2}"))["route"]["retry_policy"]
    assert policy["num_retries"] == 3
    assert policy["retry_on"] == "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    assert policy["retriable_status_codes"] == [503, 429]
    assert policy["retry_back_off"] == {"base_interval": "0.100s"}
    assert route(http(f"retry: {{}}, {TO_V2}"))["route"]["retry_policy"]["num_retries"] == 2
    assert "retry_policy" not in route(http(f"retry: {{attempts: 0}}, {TO_V2}"))["route"]


@pytest.mark.parametrize(
    "rule",
    [
        filtered("ExtensionRef", "extensionRef", "group: a, kind: B, name: c"),
        filtered("ExternalAuth", "externalAuth", "protocol: GRPC, backendRef: {name: v2, port: 80}, grpc: {}"),
        "backendRefs: [{name: v2.shop, port: 80}]",
        "backendRefs: [{group: networking.istio.io, kind: Hostname, name: a.b, namespace: shop, port: 80}]",
        "backendRefs: [{group: networking.istio.io, kind: Hostname, name: a.b}]",
        "backendRefs: [{name: v2, port: 80, filters: [{type: CORS, cors: {}}]}]",
    ],
)
def test_what_istiod_cannot_read_leaves_the_whole_route_out(rule: str) -> None:
    text = http(f"{rule}|matches: [{{path: {{value: /good}}}}], {TO_V2}")
    assert names(routes(text)) == ["default"]


def test_a_mirror_that_is_not_there_leaves_out_the_whole_route_of_grpc() -> None:
    mirror = filtered("RequestMirror", "requestMirror", "backendRef: {name: gone, port: 80}")
    assert names(routes(grpc(mirror), 81)) == ["default"]
