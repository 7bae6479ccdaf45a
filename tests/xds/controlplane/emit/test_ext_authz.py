"""AuthorizationPolicies of action CUSTOM: whom they ask, and what is denied where nobody can be asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xds.controlplane.emit.inbound import ROOT, configs, http_filters, tcp_filters
from tests.xds.controlplane.support import istio, mesh, service

RBAC, EXT = "envoy.filters.http.rbac", "envoy.filters.http.ext_authz"
TCP_RBAC, TCP_EXT = "envoy.filters.network.rbac", "envoy.filters.network.ext_authz"
HOST = "authz.auth.svc.cluster.local"
CLUSTER = f"outbound|9000||{HOST}"
AUTHZ = service("authz", "grpc:9000", namespace="auth")
ANYBODY: dict[str, Any] = {"and_ids": {"ids": [{"any": True}]}}
ADMIN = {"and_rules": {"rules": [{"or_rules": {"rules": [{"url_path": {"path": {"prefix": "/admin"}}}]}}]}}
ASKED = "istio-ext-authz-asker-ns[shop]-policy[ask]-rule[0]"


def providers(*written: str) -> str:
    return AUTHZ + mesh(f"extensionProviders: [{', '.join(written)}]")


def grpc(rest: str = "", name: str = "asker") -> str:
    return f"{{name: {name}, envoyExtAuthzGrpc: {{service: {HOST}, port: 9000{rest}}}}}"


def http(rest: str = "", name: str = "asker") -> str:
    return f"{{name: {name}, envoyExtAuthzHttp: {{service: auth/{HOST}, port: 9000{rest}}}}}"


def custom(name: str = "ask", provider: str = "asker", rules: str = "[{}]", **meta: Any) -> str:
    return istio(
        "AuthorizationPolicy", name, f"{{action: CUSTOM, provider: {{name: {provider}}}, rules: {rules}}}", **meta
    )


def named(rbac: str) -> dict[str, Any]:
    return {
        "filter": rbac,
        "path": [{"key": "istio_ext_authz_shadow_effective_policy_id"}],
        "value": {"string_match": {"prefix": "istio-ext-authz-asker"}},
    }


def test_a_shadow_rule_marks_what_an_authorizer_is_asked_about() -> None:
    filters = http_filters(providers(grpc()) + custom(rules="[{to: [{operation: {paths: ['/admin*']}}]}]"))
    assert [each["name"] for each in filters][:3] == ["istio.metadata_exchange", RBAC, EXT]
    (rbac,), (asking,) = configs(filters, RBAC), configs(filters, EXT)
    assert rbac == {
        "shadow_rules": {"action": "DENY", "policies": {ASKED: {"permissions": [ADMIN], "principals": [ANYBODY]}}},
        "shadow_rules_stat_prefix": "istio_ext_authz_",
    }
    assert asking == {
        "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER, "authority": HOST}, "timeout": "600s"},
        "transport_api_version": "V3",
        "filter_enabled_metadata": named(RBAC),
    }


def test_connections_are_asked_about_with_grpc_only() -> None:
    of = custom(rules="[{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]")
    filters = tcp_filters(providers(grpc(", failOpen: true")) + of)
    assert [each["name"] for each in filters] == [
        "istio.metadata_exchange",
        TCP_RBAC,
        TCP_EXT,
        "envoy.filters.network.tcp_proxy",
    ]
    (rbac,), (asking,) = configs(filters, TCP_RBAC), configs(filters, TCP_EXT)
    assert list(rbac["shadow_rules"]["policies"]) == [ASKED]
    assert rbac == {
        "shadow_rules": rbac["shadow_rules"],
        "stat_prefix": "tcp.",
        "shadow_rules_stat_prefix": "istio_ext_authz_",
    }
    assert asking == {
        "stat_prefix": "tcp.",
        "grpc_service": {"envoy_grpc": {"cluster_name": CLUSTER, "authority": HOST}, "timeout": "600s"},
        "failure_mode_allow": True,
        "transport_api_version": "V3",
        "filter_enabled_metadata": named(TCP_RBAC),
    }
    assert [each["name"] for each in tcp_filters(providers(http()) + of)] == [
        "istio.metadata_exchange",
        "envoy.filters.network.tcp_proxy",
    ]


def test_every_option_of_an_authorizer_that_speaks_http() -> None:
    options = """
    , timeout: 2s, pathPrefix: /check, failOpen: true, statusOnError: '503',
    includeHeadersInCheck: [ignored], includeRequestHeadersInCheck: [x-id, x-auth-*, '*-token'],
    includeAdditionalHeadersInCheck: {x-b: two, x-a: one},
    includeRequestBodyInCheck: {maxRequestBytes: 1024, allowPartialMessage: true, packAsBytes: true},
    headersToUpstreamOnAllow: [x-user], headersToDownstreamOnDeny: [x-why], headersToDownstreamOnAllow: [x-seen]
    """
    (asking,) = configs(http_filters(providers(http(options)) + custom()), EXT)
    assert asking == {
        "http_service": {
            "server_uri": {"uri": f"http://{HOST}", "cluster": CLUSTER, "timeout": "2s"},
            "path_prefix": "/check",
            "authorization_request": {
                "headers_to_add": [{"key": "x-a", "value": "one"}, {"key": "x-b", "value": "two"}]
            },
            "authorization_response": {
                "allowed_upstream_headers": {"patterns": [{"exact": "x-user", "ignore_case": True}]},
                "allowed_client_headers": {"patterns": [{"exact": "x-why", "ignore_case": True}]},
                "allowed_client_headers_on_success": {"patterns": [{"exact": "x-seen", "ignore_case": True}]},
            },
        },
        "failure_mode_allow": True,
        "status_on_error": {"code": "ServiceUnavailable"},
        "transport_api_version": "V3",
        "with_request_body": {"max_request_bytes": 1024, "allow_partial_message": True, "pack_as_bytes": True},
        "filter_enabled_metadata": named(RBAC),
        "allowed_headers": {
            "patterns": [
                {"exact": "x-id", "ignore_case": True},
                {"prefix": "x-auth-", "ignore_case": True},
                {"suffix": "-token", "ignore_case": True},
            ]
        },
    }


def test_the_older_list_of_headers_counts_where_the_newer_is_empty() -> None:
    (asking,) = configs(http_filters(providers(http(", includeHeadersInCheck: [x-old]")) + custom()), EXT)
    assert asking["allowed_headers"] == {"patterns": [{"exact": "x-old", "ignore_case": True}]}
    assert not asking["http_service"].keys() & {"authorization_request", "authorization_response", "path_prefix"}


def test_a_policy_that_only_tries_is_asked_about_too() -> None:
    dry = custom("try", annotations={"istio.io/dry-run": "true"})
    (rbac,) = configs(http_filters(providers(grpc()) + custom() + dry), RBAC)
    assert list(rbac["shadow_rules"]["policies"]) == [ASKED]
    assert rbac["rules"]["action"] == "DENY"
    assert list(rbac["rules"]["policies"]) == ["istio-ext-authz-asker-ns[shop]-policy[try]-rule[0]"]


BAD = [
    pytest.param(grpc(name="other"), id="another name"),
    pytest.param(grpc().replace(HOST, "missing.auth.svc.cluster.local"), id="no such service"),
    pytest.param("{name: asker, envoyFileAccessLog: {}}", id="no authorizer"),
    pytest.param(grpc(", statusOnError: '999'"), id="unknown status"),
    pytest.param(grpc(", statusOnError: none"), id="no status"),
    pytest.param(grpc().replace("9000", "0"), id="no port"),
    pytest.param(http(", pathPrefix: check"), id="path without a slash"),
    pytest.param(http(", headersToUpstreamOnAllow: ['*']"), id="a bare wildcard"),
]


@pytest.mark.parametrize("provider", BAD)
def test_what_a_bad_provider_would_decide_is_denied(provider: str) -> None:
    of = providers(provider) + custom(rules="[{from: [{source: {ipBlocks: [10.0.0.1]}}]}]")
    filters, bytes_filters = http_filters(of), tcp_filters(of)
    assert configs(filters, EXT) == configs(bytes_filters, TCP_EXT) == []
    ((rbac,), (tcp,)) = configs(filters, RBAC), configs(bytes_filters, TCP_RBAC)
    assert rbac["rules"]["action"] == "DENY"
    assert list(rbac["rules"]["policies"]) == [f"{ASKED}-deny-due-to-bad-CUSTOM-action"]
    assert tcp == {"rules": rbac["rules"], "stat_prefix": "tcp."}


def test_a_name_that_is_no_label_is_a_bad_provider() -> None:
    of = providers(grpc(name="Asker")) + custom(provider="Asker")
    (rbac,) = configs(http_filters(of), RBAC)
    assert list(rbac["rules"]["policies"]) == [
        "istio-ext-authz-Asker-ns[shop]-policy[ask]-rule[0]-deny-due-to-bad-CUSTOM-action"
    ]


def test_two_providers_for_one_workload_deny_what_both_would_decide() -> None:
    of = providers(grpc(), grpc(name="second")) + custom() + custom("more", "second", namespace=ROOT)
    first, second = configs(http_filters(of), RBAC)
    assert list(first["rules"]["policies"]) == [f"{ASKED}-deny-due-to-bad-CUSTOM-action"]
    assert list(second["rules"]["policies"]) == [
        "istio-ext-authz-second-ns[istio-system]-policy[more]-rule[0]-deny-due-to-bad-CUSTOM-action"
    ]
    assert "shadow_rules" not in first


def test_one_that_only_tries_to_ask_a_bad_provider_denies_nothing() -> None:
    of = providers(grpc(name="other")) + custom(annotations={"istio.io/dry-run": "1"})
    (rbac,) = configs(http_filters(of), RBAC)
    assert rbac == {"rules": {"action": "DENY"}}
