"""A small mesh on loopback for the client suites: real backends, the embedded control plane, four kinds of clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from proxyless import Mesh, Node
from proxyless.governance.cluster import ClusterRuntime
from tests.governance.suites.callers import KINDS, Caller
from tests.support.backends import Backends
from tests.support.behaviour import Behaviour

PORT = 8080
A, B, C, DEAD, PLAIN = (
    ("127.0.41.1", PORT),
    ("127.0.41.2", PORT),
    ("127.0.41.3", PORT),
    ("127.0.41.8", PORT),
    ("127.0.41.9", PORT),
)

ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop}}
spec:
  hosts: [{name}.example.com]
  ports: [{{number: 80, name: {protocol}, protocol: {upper}}}]
  resolution: STATIC
  endpoints: [{endpoints}]
---
"""
HOSTS = {
    "web": (A, B, C),
    "retry": (A, B),
    "one": (A,),
    "slow": (A,),
    "narrow": (A,),
    "few": (A,),
    "dead": (DEAD,),
    "h2": (A,),
    "moved": (A,),
    "eject": (A, B, C),
}
RULES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: retry, namespace: shop}
spec:
  hosts: [retry.example.com]
  http:
  - retries: {attempts: 2, retryOn: "5xx,reset,connect-failure", backoff: 1ms}
    route: [{destination: {host: retry.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: slow, namespace: shop}
spec:
  hosts: [slow.example.com]
  http:
  - timeout: 0.3s
    retries: {attempts: 0}
    route: [{destination: {host: slow.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: one, namespace: shop}
spec:
  hosts: [one.example.com]
  http:
  - retries: {attempts: 0}
    route: [{destination: {host: one.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: dead, namespace: shop}
spec:
  hosts: [dead.example.com]
  http:
  - retries: {attempts: 0}
    route: [{destination: {host: dead.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: h2, namespace: shop}
spec:
  hosts: [h2.example.com]
  http:
  - match: [{uri: {prefix: /slow}}]
    timeout: 0.3s
    retries: {attempts: 0}
    route: [{destination: {host: h2.example.com}}]
  - retries: {attempts: 0}
    route: [{destination: {host: h2.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: retry, namespace: shop}
spec:
  host: retry.example.com
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: narrow, namespace: shop}
spec:
  host: narrow.example.com
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: eject, namespace: shop}
spec:
  host: eject.example.com
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    outlierDetection: {consecutive5xxErrors: 2, interval: 0.2s, baseEjectionTime: 0.4s, maxEjectionPercent: 100}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: eject, namespace: shop}
spec:
  hosts: [eject.example.com]
  http:
  - retries: {attempts: 0}
    route: [{destination: {host: eject.example.com}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: few, namespace: shop}
spec:
  host: few.example.com
  trafficPolicy:
    connectionPool: {http: {maxRequestsPerConnection: 2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: moved, namespace: shop}
spec:
  hosts: [moved.example.com]
  http:
  - match: [{uri: {prefix: /old}}]
    redirect: {uri: /new, authority: web.example.com, redirectCode: 302}
  - match: [{uri: {exact: /teapot}}]
    directResponse: {status: 418, body: {string: teapot}}
  - match: [{uri: {prefix: /gone}}]
    route: [{destination: {host: nowhere.example.com}}]
  - match: [{uri: {prefix: /v1/}}]
    rewrite: {uri: /, authority: inner}
    headers: {request: {set: {x-set: a}, add: {x-add: b}, remove: [x-gone]}, response: {set: {x-served: c}}}
    route: [{destination: {host: moved.example.com}}]
  - match: [{uri: {prefix: /}, method: {exact: GET}}]
    route: [{destination: {host: moved.example.com}}]
"""


@pytest.fixture(scope="package")
def _backends() -> Iterator[Backends]:
    with Backends([A, B, C, DEAD, PLAIN]) as made:
        made.refuse(DEAD)
        yield made


@pytest.fixture
def backends(_backends: Backends) -> Backends:
    """Backends that do as usual and have seen nothing."""
    for address in (A, B, C, PLAIN):
        _backends.behave(address, Behaviour())
    _backends.take()
    return _backends


@pytest.fixture(scope="package")
def folder(_backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mesh")
    entries = []
    for name, addresses in HOSTS.items():
        protocol = "http2" if name == "h2" else "http"
        endpoints = ", ".join(
            f"{{address: {each[0]}, ports: {{{protocol}: {_backends.ports[each]}}}}}" for each in addresses
        )
        entries.append(ENTRY.format(name=name, protocol=protocol, upper=protocol.upper(), endpoints=endpoints))
    (folder / "mesh.yaml").write_text("".join(entries) + RULES)
    return folder


@pytest.fixture
def mesh(folder: Path) -> Iterator[Mesh]:
    """A mesh without connections: those of an event loop are nobody else's."""
    with Mesh.from_config(folder, node=Node(app="me", namespace="shop", ip="127.0.0.9"), registry=False) as made:
        made.wait_ready(20)
        yield made


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def caller(kind: str, mesh: Mesh, backends: Backends) -> Iterator[Caller]:
    with Caller(kind, mesh) as made:
        yield made


def counts(mesh: Mesh, host: str) -> tuple[int, int, int]:
    """(connections, pending, requests) of a host's cluster."""
    cluster = mesh.runtime.plan.cluster(f"outbound|80||{host}.example.com")
    if not isinstance(cluster, ClusterRuntime):
        return 0, 0, 0  # its endpoints are on their way
    breaker = cluster.breaker(False)
    return breaker.connections, breaker.pending, breaker.requests
