"""What a workload's own ports do otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.proxyless.comparing.support import changes, compared, policies, shop
from tests.xds.controlplane.support import istio


def between(where: Path, old: str, new: str) -> dict[str, Any]:
    return compared(where, shop(rest=old), shop(rest=new))


def peer(mode: str) -> str:
    return istio("PeerAuthentication", "default", f"{{mtls: {{mode: {mode}}}}}")


def allowed(action: str, *paths: str) -> str:
    rules = ", ".join(f"{{to: [{{operation: {{paths: [{path}]}}}}]}}" for path in paths)
    return istio("AuthorizationPolicy", "web", f"{{action: {action}, rules: [{rules}]}}")


def tokens(issuer: str, key: str = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ") -> str:
    keys = f'{{"keys":[{{"kty":"oct","alg":"HS256","k":"{key}","kid":"k1"}}]}}'
    return istio("RequestAuthentication", "web", f"{{jwtRules: [{{issuer: {issuer}, jwks: '{keys}'}}]}}")


def test_mutual_tls_by_port(tmp_path: Path) -> None:
    document = between(tmp_path, "", peer("STRICT"))
    (found,) = [each for each in changes(document, "policies") if each["field"] == "mtls"]
    assert (found["old"], found["new"], found["effect"]) == ("PERMISSIVE", "STRICT", "tightens")
    assert (found["of"], found["host"], found["ports"]) == ("inbound", "web.shop", ["others", 8080])
    assert found["every_port"]
    assert policies(between(tmp_path, peer("STRICT"), peer("DISABLE")))["mtls"][2] == "loosens"


def test_rules_that_allow(tmp_path: Path) -> None:
    # The first policy that allows anything refuses the rest.
    assert policies(between(tmp_path, "", allowed("ALLOW", "/a")))["authorization"][2] == "tightens"
    assert policies(between(tmp_path, allowed("ALLOW", "/a"), ""))["authorization"][2] == "loosens"
    document = between(tmp_path, allowed("ALLOW", "/a"), allowed("ALLOW", "/a", "/b"))
    (found,) = changes(document, "policies")
    assert (found["action"], found["policy_name"], found["old"]) == ("ALLOW", "shop/web", None)
    assert (found["new"], found["effect"]) == ({"rule": "1", "says": "from any, to path = /b"}, "loosens")
    assert policies(between(tmp_path, allowed("ALLOW", "/a", "/b"), allowed("ALLOW", "/a")))["authorization"][2] == (
        "tightens"
    )


def test_rules_that_deny(tmp_path: Path) -> None:
    assert policies(between(tmp_path, "", allowed("DENY", "/a")))["authorization"][2] == "tightens"
    assert policies(between(tmp_path, allowed("DENY", "/a"), ""))["authorization"][2] == "loosens"
    document = between(tmp_path, allowed("DENY", "/a"), allowed("DENY", "/b*"))
    assert policies(document)["authorization"][2] == "changes"


def test_tokens(tmp_path: Path) -> None:
    assert policies(between(tmp_path, "", tokens("https://a")))["jwt"][2] == "tightens"
    assert policies(between(tmp_path, tokens("https://a"), ""))["jwt"][2] == "loosens"
    other = tokens("https://a", "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItMTIzNA")
    document = between(tmp_path, tokens("https://a"), other)
    (found,) = changes(document, "policies")
    assert found["field"] == "jwt.keys"
    assert found["old"].startswith("sha256:")
    assert "b3RoZXIt" not in str(document)


LIMIT = """\
workloadSelector: {labels: {app: web}}
configPatches:
- applyTo: HTTP_FILTER
  match:
    context: SIDECAR_INBOUND
    listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
  patch:
    operation: INSERT_BEFORE
    value:
      name: envoy.filters.http.local_ratelimit
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
        stat_prefix: PREFIX
        token_bucket: {max_tokens: TOKENS, tokens_per_fill: 5, fill_interval: INTERVAL}
"""


def limit(tokens: int, interval: str = "10s", prefix: str = "rl") -> str:
    text = LIMIT.replace("TOKENS", str(tokens)).replace("INTERVAL", interval).replace("PREFIX", prefix)
    return istio("EnvoyFilter", "limit", text)


def test_local_limits(tmp_path: Path) -> None:
    name = "http.http_filters[envoy.filters.http.local_ratelimit]"
    assert policies(between(tmp_path, "", limit(5)))[name][2] == "tightens"
    assert policies(between(tmp_path, limit(5), limit(4)))[f"{name}.token_bucket.max_tokens"] == (5, 4, "tightens")
    found = policies(between(tmp_path, limit(5), limit(5, "5s")))
    assert found[f"{name}.token_bucket.fill_interval"] == ("10s", "5s", "loosens")
    assert not between(tmp_path, limit(5), limit(5, prefix="other"))["differs"]


LOCAL = """\
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: till, namespace: shop, annotations: {proxyless.dev/endpoints: "%s"}}
spec:
  template:
    metadata: {labels: {app: till}}
    spec: {serviceAccountName: tills, containers: [{name: c}]}
"""


def test_a_deployment_that_says_where_its_processes_are_is_asked_for(tmp_path: Path) -> None:
    def limited(where: str, path: str) -> str:
        rules = f"[{{to: [{{operation: {{paths: [{path}]}}}}]}}]"
        rule = f"{{selector: {{matchLabels: {{app: till}}}}, action: DENY, rules: {rules}}}"
        return LOCAL % where + istio("AuthorizationPolicy", "till", rule)

    document = compared(tmp_path, limited("127.0.0.1:9000", "/a"), limited("127.0.0.1:9000", "/b"))
    (group,) = document["groups"]
    assert [(each["name"], each["service_account"]) for each in group["clients"]] == [("till.shop", "tills")]
    assert [each["policy_name"] for each in group["policies"]] == ["shop/till"]
    # One that has none at the moment is asked for all the same.
    assert compared(tmp_path, limited("", "/a"), limited("", "/b"))["differs"]
