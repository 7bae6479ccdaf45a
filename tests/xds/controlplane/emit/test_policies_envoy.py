"""The real Envoy accepts what security and telemetry policies come to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.xds.controlplane.emit.inbound import node
from tests.xds.controlplane.support import istio, mesh, service
from tests.xds.controlplane.validate import refusal

pytestmark = pytest.mark.envoy

HOST = "authz.auth.svc.cluster.local"
AUTHZ = service("authz", "grpc:9000", namespace="auth", ip="10.96.0.9")
HTTP = f"""
name: asker
envoyExtAuthzHttp:
  service: {HOST}
  port: 9000
  timeout: 2s
  pathPrefix: /check
  failOpen: true
  statusOnError: '503'
  includeRequestHeadersInCheck: [x-id, x-auth-*, '*-token']
  includeAdditionalHeadersInCheck: {{x-a: one}}
  includeRequestBodyInCheck: {{maxRequestBytes: 1024, allowPartialMessage: true, packAsBytes: true}}
  headersToUpstreamOnAllow: [x-user]
  headersToDownstreamOnDeny: [x-why]
  headersToDownstreamOnAllow: [x-seen]
"""
GRPC = f"{{name: asker, envoyExtAuthzGrpc: {{service: {HOST}, port: 9000, statusOnError: '401'}}}}"
NONE = "{name: other, envoyFileAccessLog: {}}"
CUSTOM = istio(
    "AuthorizationPolicy",
    "ask",
    "{action: CUSTOM, provider: {name: asker}, rules: [{to: [{operation: {paths: ['/a*']}}]}]}",
) + istio(
    "AuthorizationPolicy",
    "try",
    "{action: CUSTOM, provider: {name: asker}, rules: [{}]}",
    annotations={"istio.io/dry-run": "true"},
)


def providers(*written: str) -> str:
    items = "".join(f"- {each.strip().replace(chr(10), chr(10) + '  ')}\n" for each in written)
    return mesh(f"extensionProviders:\n{items}")


@pytest.mark.parametrize(
    "provider", [HTTP, GRPC, "{name: other, envoyFileAccessLog: {}}"], ids=["http", "grpc", "none"]
)
def test_external_authorizers(provider: str, tmp_path: Path) -> None:
    assert refusal(node(AUTHZ + providers(provider) + CUSTOM), tmp_path) == ""


def test_certificates_in_files(tmp_path: Path) -> None:
    files = {"TLS_SERVER_CERT_CHAIN": "/c.pem", "TLS_SERVER_KEY": "/k.pem", "TLS_SERVER_ROOT_CERT": "/r.pem"}
    assert refusal(node("", **files), tmp_path) == ""
