"""The suites' small mesh with what the conformance cases need beside it, and a governed client of each library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxyless import Mesh, Node
from tests.governance.suites.conformance.adapter import Adapter
from tests.governance.suites.conformance.adapters import found
from tests.governance.suites.conftest import A, B
from tests.support.backends import Backends

FOUND = found()
MORE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}.example.com]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: {address}, ports: {{http: {port}}}}}]
---
"""
RULES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: split, namespace: shop}
spec:
  hosts: [split.example.com]
  http:
  - route:
    - {destination: {host: one.example.com}, weight: 50}
    - {destination: {host: other.example.com}, weight: 50}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: limit, namespace: shop}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_OUTBOUND
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.local_ratelimit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          stat_prefix: limit
  - applyTo: VIRTUAL_HOST
    match: {context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: "limited.example.com:80"}}}
    patch:
      operation: MERGE
      value:
        typed_per_filter_config:
          envoy.filters.http.local_ratelimit:
            "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
            stat_prefix: limit
            token_bucket: {max_tokens: 2, tokens_per_fill: 2, fill_interval: 3600s}
            filter_enabled: {default_value: {numerator: 100}}
            filter_enforced: {default_value: {numerator: 100}}
---
"""


@pytest.fixture(scope="package")
def more(folder: Path, _backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suites' configuration, and what only these cases need."""
    made = tmp_path_factory.mktemp("conformance")
    hosts = {"other": B, "split": A, "limited": A}
    entries = [
        MORE.format(name=name, address=address[0], port=_backends.ports[address]) for name, address in hosts.items()
    ]
    (made / "more.yaml").write_text((folder / "mesh.yaml").read_text() + "---\n" + "".join(entries) + RULES)
    return made


@pytest.fixture
def mesh(more: Path) -> Iterator[Mesh]:
    """A mesh without connections."""
    with Mesh.from_config(more, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as made:
        made.wait_ready(20)
        yield made


@pytest.fixture(params=sorted(FOUND))
def suite(request: pytest.FixtureRequest) -> type[Adapter]:
    """Each library's adapter."""
    return FOUND[str(request.param)]


@pytest.fixture
def client(suite: type[Adapter], mesh: Mesh, backends: Backends) -> Iterator[Adapter]:
    """A governed client of each library."""
    with suite(mesh) as made:
        yield made
