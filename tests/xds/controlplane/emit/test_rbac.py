"""AuthorizationPolicies: each source, operation and condition, which filters come of which policies, and for whom."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.emit.inbound import ROOT, configs, http_filters, tcp_filters
from tests.xds.controlplane.support import istio, mesh

HTTP, TCP = "envoy.filters.http.rbac", "envoy.filters.network.rbac"
JWT = "envoy.filters.http.jwt_authn"


def policy(rules: str, action: str = "ALLOW", name: str = "p", **meta: Any) -> str:
    return istio("AuthorizationPolicy", name, f"{{action: {action}, rules: {rules}}}", **meta)


def one(rule: str, settings: str = "", **meta: Any) -> dict[str, Any]:
    """What one rule of an allowing policy comes to, on an HTTP chain."""
    (rbac,) = configs(http_filters(settings + policy(f"[{rule}]", **meta)), HTTP)
    ((made),) = rbac["rules"]["policies"].values()
    found: dict[str, Any] = made
    return found


def principal(source: str, settings: str = "") -> Any:
    (found,) = one(f"{{from: [{{source: {source}}}]}}", settings)["principals"]
    return found["and_ids"]["ids"]


def permission(operation: str) -> Any:
    (found,) = one(f"{{to: [{{operation: {operation}}}]}}")["permissions"]
    return found["and_rules"]["rules"]


def who(**match: Any) -> dict[str, Any]:
    return {"authenticated": {"principal_name": match}}


def regex(text: str) -> dict[str, Any]:
    return {"safe_regex": {"regex": text}}


def claim(match: dict[str, Any], *names: str) -> dict[str, Any]:
    path = [{"key": "payload"}, *({"key": name} for name in names)]
    return {"metadata": {"filter": JWT, "path": path, "value": match}}


def token(issuer: dict[str, Any], subject: dict[str, Any]) -> dict[str, Any]:
    both = [claim({"string_match": issuer}, "iss"), claim({"string_match": subject}, "sub")]
    return {"and_ids": {"ids": both}}


def listed(match: dict[str, Any]) -> dict[str, Any]:
    return {"or_match": {"value_matchers": [{"list_match": {"one_of": match}}, match]}}


def block(prefix: str, bits: int) -> dict[str, Any]:
    return {"address_prefix": prefix, "prefix_len": bits}


SOURCES = [
    ("principals: [td/ns/a/sa/b]", who(exact="spiffe://td/ns/a/sa/b")),
    ("principals: ['*']", who(**regex(".+"))),
    ("principals: ['*/sa/b.c']", who(**regex(r"spiffe://.*/sa/b\.c"))),
    ("principals: ['td/ns/a/*']", who(prefix="spiffe://td/ns/a/")),
    ("namespaces: [shop]", who(**regex(".*/ns/shop/.*"))),
    ("namespaces: ['sh*p.']", who(**regex(r".*/ns/sh.*p\./.*"))),
    ("serviceAccounts: [cart]", who(**regex("spiffe://.+/ns/shop/(.+/|)sa/cart(/.+)?"))),
    ("serviceAccounts: [bank/a.b]", who(**regex(r"spiffe://.+/ns/bank/(.+/|)sa/a\.b(/.+)?"))),
    ("trustDomains: ['*']", who(prefix="spiffe://")),
    ("trustDomains: [td]", who(prefix="spiffe://td/")),
    ("trustDomains: ['*.td']", who(**regex(r"spiffe://[^/]*\.td/.*"))),
    ("ipBlocks: [10.1.2.3]", {"direct_remote_ip": block("10.1.2.3", 32)}),
    ("ipBlocks: ['2001:db8::/32']", {"direct_remote_ip": block("2001:db8::", 32)}),
    ("remoteIpBlocks: [10.0.0.0/8]", {"remote_ip": block("10.0.0.0", 8)}),
]


@pytest.mark.parametrize(("source", "expected"), SOURCES)
def test_each_source_is_a_principal(source: str, expected: dict[str, Any]) -> None:
    assert principal(f"{{{source}}}") == [{"or_ids": {"ids": [expected]}}]
    negated = f"not{source[0].upper()}{source[1:]}"
    assert principal(f"{{{negated}}}") == [{"not_id": {"or_ids": {"ids": [expected]}}}]


TOKENS = [
    ("iss/sub", token({"exact": "iss"}, {"exact": "sub"})),
    ("https://iss/a/sub", token({"exact": "https://iss/a"}, {"exact": "sub"})),
    ("iss", token({"exact": "iss"}, {"exact": ""})),
    ("*", token(regex(".+"), regex(".+"))),
    ("*/sub", token(regex(".+"), {"exact": "sub"})),
    ("*.iss/sub", token({"suffix": ".iss"}, {"exact": "sub"})),
    ("*sub", token(regex(".+"), {"suffix": "sub"})),
    ("iss/*", token({"exact": "iss"}, regex(".+"))),
    ("iss/su*", token({"exact": "iss"}, {"prefix": "su"})),
    ("is*", token({"prefix": "is"}, regex(".+"))),
]


@pytest.mark.parametrize(("value", "expected"), TOKENS)
def test_request_principals_are_an_issuer_and_a_subject(value: str, expected: dict[str, Any]) -> None:
    assert principal(f"{{requestPrincipals: ['{value}']}}") == [expected]
    assert principal(f"{{notRequestPrincipals: ['{value}', '*']}}") == [
        {"not_id": {"or_ids": {"ids": [expected, token(regex(".+"), regex(".+"))]}}}
    ]


def test_sources_stand_in_istiods_order() -> None:
    found = principal(
        """{ipBlocks: [1.1.1.1], remoteIpBlocks: [2.2.2.2], namespaces: [n], trustDomains: [t], principals: [p],
        requestPrincipals: [r], notIpBlocks: [3.3.3.3]}"""
    )
    assert [next(iter(each)) for each in found] == [
        "or_ids",
        "and_ids",
        "or_ids",
        "or_ids",
        "or_ids",
        "or_ids",
        "not_id",
    ]
    assert found[0] == {"or_ids": {"ids": [who(exact="spiffe://p")]}}
    assert found[2] == {"or_ids": {"ids": [who(prefix="spiffe://t/")]}}
    assert found[4] == {"or_ids": {"ids": [{"remote_ip": block("2.2.2.2", 32)}]}}
    assert found[6] == {"not_id": {"or_ids": {"ids": [{"direct_remote_ip": block("3.3.3.3", 32)}]}}}


def header(name: str, **match: Any) -> dict[str, Any]:
    return {"header": {"name": name} | match}


def template(path: str) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
    return {"uri_template": {"name": "uri-template", "typed_config": {"@type": kind, "path_template": path}}}


OPERATIONS = [
    ("hosts: [Shop.example]", header(":authority", string_match={"exact": "Shop.example", "ignore_case": True})),
    ("hosts: ['*.example']", header(":authority", string_match={"suffix": ".example", "ignore_case": True})),
    ("hosts: ['shop.*']", header(":authority", string_match={"prefix": "shop.", "ignore_case": True})),
    ("hosts: ['*']", header(":authority", present_match=True)),
    ("methods: [GET]", header(":method", string_match={"exact": "GET"})),
    ("methods: ['*']", header(":method", present_match=True)),
    ("paths: [/a]", {"url_path": {"path": {"exact": "/a"}}}),
    ("paths: [/a*]", {"url_path": {"path": {"prefix": "/a"}}}),
    ("paths: ['*/a']", {"url_path": {"path": {"suffix": "/a"}}}),
    ("paths: ['*']", {"url_path": {"path": regex(".+")}}),
    ("paths: ['/a/{*}/b']", template("/a/*/b")),
    ("paths: ['/a/{**}']", template("/a/**")),
    ("ports: ['8080']", {"destination_port": 8080}),
]


@pytest.mark.parametrize(("operation", "expected"), OPERATIONS)
def test_each_operation_is_a_permission(operation: str, expected: dict[str, Any]) -> None:
    assert permission(f"{{{operation}}}") == [{"or_rules": {"rules": [expected]}}]
    negated = f"not{operation[0].upper()}{operation[1:]}"
    assert permission(f"{{{negated}}}") == [{"not_rule": {"or_rules": {"rules": [expected]}}}]


def test_operations_stand_in_istiods_order_and_before_conditions() -> None:
    found = one(
        """{to: [{operation: {ports: ['1'], paths: [/p], methods: [M], hosts: [h]}}],
        when: [{key: connection.sni, values: [s]}]}"""
    )["permissions"][0]["and_rules"]["rules"]
    inner = [each["or_rules"]["rules"][0] for each in found]
    assert [next(iter(each)) for each in inner] == [
        "header",
        "header",
        "url_path",
        "destination_port",
        "requested_server_name",
    ]
    assert inner[0]["header"]["name"] == ":authority"


def filter_metadata(match: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"filter": "envoy.filters.a.b", "path": [{"key": "c"}], "value": match}}


CALLED = [
    ("destination.ip", "10.1.0.0/16", {"or_rules": {"rules": [{"destination_ip": block("10.1.0.0", 16)}]}}),
    ("destination.port", "80", {"or_rules": {"rules": [{"destination_port": 80}]}}),
    ("connection.sni", "*.x", {"or_rules": {"rules": [{"requested_server_name": {"suffix": ".x"}}]}}),
    ("experimental.envoy.filters.a.b[c]", "v*", filter_metadata({"string_match": {"prefix": "v"}})),
    (
        "experimental.envoy.filters.a.b[c]",
        "[v]",
        filter_metadata({"list_match": {"one_of": {"string_match": {"exact": "v"}}}}),
    ),
]


@pytest.mark.parametrize(("key", "value", "expected"), CALLED)
def test_conditions_of_the_call(key: str, value: str, expected: dict[str, Any]) -> None:
    (found,) = one(f"{{when: [{{key: '{key}', values: ['{value}']}}]}}")["permissions"]
    assert found["and_rules"]["rules"] == [expected]
    (found,) = one(f"{{when: [{{key: '{key}', notValues: ['{value}']}}]}}")["permissions"]
    assert found["and_rules"]["rules"] == [{"not_rule": expected}]


def text(value: str) -> dict[str, Any]:
    return {"string_match": {"exact": value}}


CALLER = [
    ("source.ip", "10.0.0.1", {"or_ids": {"ids": [{"direct_remote_ip": block("10.0.0.1", 32)}]}}),
    ("remote.ip", "10.0.0.1", {"or_ids": {"ids": [{"remote_ip": block("10.0.0.1", 32)}]}}),
    ("source.namespace", "n", {"or_ids": {"ids": [who(**regex(".*/ns/n/.*"))]}}),
    ("source.trustDomain", "t", {"or_ids": {"ids": [who(prefix="spiffe://t/")]}}),
    ("source.serviceAccount", "s", {"or_ids": {"ids": [who(**regex("spiffe://.+/ns/shop/(.+/|)sa/s(/.+)?"))]}}),
    ("source.principal", "p", {"or_ids": {"ids": [who(exact="spiffe://p")]}}),
    ("request.auth.principal", "i/s", token({"exact": "i"}, {"exact": "s"})),
    ("request.auth.audiences", "a", claim(listed(text("a")), "aud")),
    ("request.auth.presenter", "a", claim(listed(text("a")), "azp")),
    ("request.auth.claims[role]", "a", claim(listed(text("a")), "role")),
    ("request.auth.claims[a][b]", "v", claim(listed(text("v")), "a", "b")),
    ("request.auth.claims[a[b]", "v", claim(listed(text("v")), "a[b")),
    ("request.headers[X-A]", "v", {"or_ids": {"ids": [header("X-A", string_match={"exact": "v"})]}}),
]


@pytest.mark.parametrize(("key", "value", "expected"), CALLER)
def test_conditions_of_the_caller(key: str, value: str, expected: dict[str, Any]) -> None:
    (found,) = one(f"{{when: [{{key: '{key}', values: ['{value}']}}]}}")["principals"]
    assert found["and_ids"]["ids"] == [expected]
    (found,) = one(f"{{when: [{{key: '{key}', notValues: ['{value}']}}]}}")["principals"]
    assert found["and_ids"]["ids"] == [{"not_id": expected}]


def test_several_values_of_a_claim_are_one_alternative() -> None:
    (found,) = one("{when: [{key: 'request.auth.claims[role]', values: [a, b]}]}")["principals"]
    either = {"or_match": {"value_matchers": [text("a"), text("b")]}}
    assert found["and_ids"]["ids"] == [claim(listed(either), "role")]


DOMAINS = mesh("{trustDomain: new, trustDomainAliases: [old-b, old-a]}")


@pytest.mark.parametrize(
    ("written", "accepted"),
    [
        ("new/ns/a/sa/b", ["new/ns/a/sa/b", "old-a/ns/a/sa/b", "old-b/ns/a/sa/b"]),
        ("old-a/ns/a/sa/b", ["new/ns/a/sa/b", "old-a/ns/a/sa/b", "old-b/ns/a/sa/b"]),
        ("cluster.local/ns/a/sa/b", ["new/ns/a/sa/b", "old-a/ns/a/sa/b", "old-b/ns/a/sa/b"]),
        ("other/ns/a/sa/b", ["other/ns/a/sa/b"]),
        ("ns/a/sa/b", ["ns/a/sa/b"]),
    ],
)
def test_a_principal_of_the_mesh_is_one_under_each_of_its_trust_domains(written: str, accepted: list[str]) -> None:
    found = principal(f"{{principals: ['{written}']}}", DOMAINS)
    assert found == [{"or_ids": {"ids": [who(exact=f"spiffe://{each}") for each in accepted]}}]


def test_a_pattern_of_trust_domains_stands_for_those_that_it_covers() -> None:
    found = principal("{principals: ['*-a/ns/a/sa/b', '*/ns/a/sa/b']}", DOMAINS)
    under = ["new/ns/a/sa/b", None, "old-b/ns/a/sa/b"]
    pattern = who(**regex("spiffe://.*-a/ns/a/sa/b"))
    expected = [pattern if each is None else who(exact=f"spiffe://{each}") for each in under]
    assert found == [{"or_ids": {"ids": [*expected, who(**regex("spiffe://.*/ns/a/sa/b"))]}}]


def test_a_trust_domain_of_the_mesh_stands_for_all_of_them() -> None:
    found = principal("{trustDomains: [new, other]}", DOMAINS)
    expected = [who(prefix=f"spiffe://{each}/") for each in ("new", "old-a", "old-b", "other")]
    assert found == [{"or_ids": {"ids": expected}}]


# -- filters -------------------------------------------------------------------------------------------------------


def test_filters_stand_by_action_and_policies_by_namespace() -> None:
    rule = "[{to: [{operation: {ports: ['1']}}]}]"
    text_ = (
        policy(rule, "ALLOW", "a")
        + policy(rule, "DENY", "d", creationTimestamp="2026-01-02T00:00:00Z")
        + policy(rule, "DENY", "older", creationTimestamp="2026-01-01T00:00:00Z")
        + policy(rule, "DENY", "root", namespace=ROOT)
        + policy(rule, "AUDIT", "l")
        + policy(rule, "DENY", "far", namespace="other")
    )
    log, deny, allow = configs(http_filters(text_), HTTP)
    assert log["rules"]["action"] == "LOG"
    assert set(deny["rules"]["policies"]) == {
        "ns[istio-system]-policy[root]-rule[0]",
        "ns[shop]-policy[older]-rule[0]",
        "ns[shop]-policy[d]-rule[0]",
    }
    assert list(allow["rules"]["policies"]) == ["ns[shop]-policy[a]-rule[0]"]
    assert {each["shadow_rules_stat_prefix"] for each in (log, deny, allow)} == {"istio_dry_run_allow_"}
    tcp = configs(tcp_filters(text_), TCP)
    assert tcp == [each | {"stat_prefix": "tcp."} for each in (log, deny, allow)]


def test_a_policy_without_rules_lets_nobody_in() -> None:
    (rbac,) = configs(http_filters(istio("AuthorizationPolicy", "none", "{}")), HTTP)
    never = {
        "permissions": [{"not_rule": {"any": True}}],
        "principals": [{"not_id": {"any": True}}],
    }
    assert rbac["rules"] == {"policies": {"ns[shop]-policy[none]-rule[0]": never}}


@pytest.mark.parametrize(("action", "prefix"), [("ALLOW", "istio_dry_run_allow_"), ("DENY", "istio_dry_run_deny_")])
def test_a_dry_run_is_counted_beside_what_is_enforced(action: str, prefix: str) -> None:
    dry = policy("[{}]", action, "dry", annotations={"istio.io/dry-run": "true"})
    (rbac,) = configs(http_filters(dry), HTTP)
    assert rbac.keys() == {"shadow_rules", "shadow_rules_stat_prefix"}
    assert rbac["shadow_rules_stat_prefix"] == prefix
    (rbac,) = configs(http_filters(dry + policy("[{}]", action, "real")), HTTP)
    assert list(rbac["rules"]["policies"]) == ["ns[shop]-policy[real]-rule[0]"]
    assert list(rbac["shadow_rules"]["policies"]) == ["ns[shop]-policy[dry]-rule[0]"]


def test_an_annotation_that_is_no_boolean_is_no_dry_run() -> None:
    (rbac,) = configs(http_filters(policy("[{}]", annotations={"istio.io/dry-run": "yes"})), HTTP)
    assert "rules" in rbac


HTTP_ONLY = [
    "to: [{operation: {methods: [GET]}}]",
    "to: [{operation: {hosts: [h]}}]",
    "to: [{operation: {paths: [/p]}}]",
    "from: [{source: {requestPrincipals: ['*']}}]",
    "when: [{key: 'request.headers[x]', values: [v]}]",
    "when: [{key: 'request.auth.claims[x]', values: [v]}]",
    "when: [{key: request.auth.audiences, notValues: [v]}]",
]


@pytest.mark.parametrize("rule", HTTP_ONLY)
def test_on_a_tcp_chain_http_rules_allow_nothing_and_deny_everything(rule: str) -> None:
    (allow,) = configs(tcp_filters(policy(f"[{{{rule}}}]")), TCP)
    assert allow["rules"] == {}
    for action in ("DENY", "AUDIT"):
        (other,) = configs(tcp_filters(policy(f"[{{{rule}}}]", action)), TCP)
        assert list(other["rules"]["policies"].values()) == [
            {
                "permissions": [{"and_rules": {"rules": [{"any": True}]}}],
                "principals": [{"and_ids": {"ids": [{"any": True}]}}],
            }
        ]


def test_on_a_tcp_chain_what_else_a_denying_rule_says_still_holds() -> None:
    (deny,) = configs(tcp_filters(policy("[{to: [{operation: {methods: [GET], ports: ['9090']}}]}]", "DENY")), TCP)
    ((made),) = deny["rules"]["policies"].values()
    assert made["permissions"] == [{"and_rules": {"rules": [{"or_rules": {"rules": [{"destination_port": 9090}]}}]}}]


# -- whom a policy is for --------------------------------------------------------------------------------------------

GATEWAY = "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]"


@pytest.mark.parametrize(
    ("spec", "labels", "holds"),
    [
        ("selector: {matchLabels: {app: web}}", {"app": "web"}, True),
        ("selector: {matchLabels: {app: web, v: '2'}}", {"app": "web"}, False),
        ("selector: {}", {"app": "web"}, True),
        (GATEWAY, {"app": "web"}, False),
        (GATEWAY, {"app": "web", "gateway.networking.k8s.io/gateway-name": "gw"}, True),
        (GATEWAY, {"app": "web", "gateway.networking.k8s.io/gateway-name": "other"}, False),
        ("targetRef: {kind: Service, group: '', name: web}", {"app": "web"}, False),
    ],
)
def test_a_policy_is_for_those_that_it_selects_or_targets(spec: str, labels: dict[str, str], holds: bool) -> None:
    found = configs(http_filters(istio("AuthorizationPolicy", "p", f"{{{spec}}}"), labels=labels), HTTP)
    assert bool(found) == holds


def test_a_target_is_looked_for_in_the_policys_own_namespace() -> None:
    labels = {"app": "web", "gateway.networking.k8s.io/gateway-name": "gw"}
    spec = istio("AuthorizationPolicy", "p", f"{{{GATEWAY}}}", namespace=ROOT)
    assert not configs(http_filters(spec, labels=labels), HTTP)
