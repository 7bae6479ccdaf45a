"""RequestAuthentications: what of a token is checked, and what goes on to the application."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.xds.controlplane.emit.inbound import ROOT, configs, http_filters, tcp_filters
from tests.xds.controlplane.support import istio

NAME = "envoy.filters.http.jwt_authn"
KEYS = json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "k": "c2VjcmV0", "kid": "k"}]})
ANY: dict[str, Any] = {"allow_missing": {}}


def tokens(rules: str, name: str = "t", **meta: Any) -> str:
    return istio("RequestAuthentication", name, f"jwtRules: [{rules}]", **meta)


def rule(issuer: str, rest: str = "") -> str:
    return f"{{issuer: '{issuer}', jwks: '{KEYS}'{rest}}}"


def jwt(text: str) -> dict[str, Any]:
    (found,) = configs(http_filters(text), NAME)
    return found


def provider(issuer: str, **rest: Any) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "local_jwks": {"inline_string": KEYS},
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["permission", "scope"]},
    } | rest


def test_a_token_that_is_there_must_be_valid() -> None:
    assert jwt(tokens(rule("a"))) == {
        "providers": {"origins-0": provider("a")},
        "rules": [
            {
                "match": {"prefix": "/"},
                "requires": {"requires_any": {"requirements": [{"provider_name": "origins-0"}, ANY]}},
            }
        ],
        "bypass_cors_preflight": True,
    }


def test_everything_that_a_rule_may_say() -> None:
    rest = """, audiences: [x, y], fromHeaders: [{name: X-Jwt, prefix: 'T '}], fromParams: [t], fromCookies: [c],
    outputPayloadToHeader: x-payload, forwardOriginalToken: true, timeout: 9s, spaceDelimitedClaims: [roles, scope],
    outputClaimToHeaders: [{header: x-sub, claim: sub}, {header: x-role, claim: a.b}]"""
    assert jwt(tokens(rule("a", rest)))["providers"]["origins-0"] == provider(
        "a",
        audiences=["x", "y"],
        from_headers=[{"name": "X-Jwt", "value_prefix": "T "}],
        from_params=["t"],
        from_cookies=["c"],
        forward_payload_header="x-payload",
        forward=True,
        normalize_payload_in_metadata={"space_delimited_claims": ["permission", "roles", "scope"]},
        claim_to_headers=[
            {"header_name": "x-sub", "claim_name": "sub"},
            {"header_name": "x-role", "claim_name": "a.b"},
        ],
    )


def test_rules_of_all_policies_stand_by_issuer() -> None:
    found = jwt(tokens(rule("c"), "one") + tokens(f"{rule('b')}, {rule('a')}", "two", namespace=ROOT))
    assert {name: each["issuer"] for name, each in found["providers"].items()} == {
        "origins-0": "a",
        "origins-1": "b",
        "origins-2": "c",
    }
    names = [{"provider_name": name} for name in sorted(found["providers"])]
    together = {"requires_all": {"requirements": [{"requires_any": {"requirements": [name, ANY]}} for name in names]}}
    assert found["rules"] == [
        {"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [*names, together]}}}
    ]


@pytest.mark.parametrize("rest", ["", ", jwksUri: 'https://keys.example/k.json'"])
def test_where_no_keys_are_given_no_token_is_valid(rest: str) -> None:
    """What istiod sends where it cannot fetch them."""
    (key,) = json.loads(jwt(tokens(f"{{issuer: a{rest}}}"))["providers"]["origins-0"]["local_jwks"]["inline_string"])[
        "keys"
    ]
    assert set(key) == {"kty", "e", "n"}


def test_tokens_come_after_external_authorizers_and_before_rules() -> None:
    custom = istio("AuthorizationPolicy", "c", "{action: CUSTOM, provider: {name: none}, rules: [{}]}")
    allow = istio("AuthorizationPolicy", "a", "{rules: [{}]}")
    found = [each["name"] for each in http_filters(custom + allow + tokens(rule("a")))]
    rbac = "envoy.filters.http.rbac"
    assert found[:5] == ["istio.metadata_exchange", rbac, NAME, rbac, "envoy.filters.http.grpc_stats"]


def test_tokens_are_nothing_to_bytes_nor_to_those_not_selected() -> None:
    assert [each["name"] for each in tcp_filters(tokens(rule("a")))] == [
        "istio.metadata_exchange",
        "envoy.filters.network.tcp_proxy",
    ]
    spec = f"{{selector: {{matchLabels: {{app: other}}}}, jwtRules: [{rule('a')}]}}"
    assert not configs(http_filters(istio("RequestAuthentication", "t", spec)), NAME)
