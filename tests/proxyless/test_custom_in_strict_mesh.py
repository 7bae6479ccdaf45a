"""Authorization of every action in a STRICT mesh, end to end: a folder of YAML and a development authority, apps under
uvicorn with `proxyless.tls`, a governed client, and services that are asked, in the mesh themselves, by mTLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

import proxyless.httpx
from proxyless import Mesh, Node
from proxyless.asgi import Middleware
from proxyless.xds.model.tls import SecretName, Validation
from tests.governance.telemetry.conftest import labels
from tests.support.authorizers import GrpcAuthorizer, answer
from tests.support.certificates import spiffe
from tests.support.serving import Server, by_uvicorn, listen
from tests.support.waiting import wait_for

ASKS = {"by-grpc": "grpc", "by-http": "http", "shut": "shut", "shut-503": "shut-503", "open": "open", "tries": "grpc"}
"""The apps, and the provider that each one's CUSTOM policy names."""

DOWN_PORT = 9
"""Where nobody listens."""

PROVIDERS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
    - name: grpc
      envoyExtAuthzGrpc: {service: authz-grpc.shop.svc.cluster.local, port: 80, timeout: 60s}
    - name: http
      envoyExtAuthzHttp:
        service: authz-http.shop.svc.cluster.local
        port: 80
        timeout: 60s
        includeRequestHeadersInCheck: [x-user]
        headersToUpstreamOnAllow: [x-checked]
        headersToDownstreamOnAllow: [x-seen]
        headersToDownstreamOnDeny: [x-why]
    - name: shut
      envoyExtAuthzGrpc: {service: authz-down.shop.svc.cluster.local, port: 80, timeout: 60s}
    - name: shut-503
      envoyExtAuthzHttp: {service: authz-down.shop.svc.cluster.local, port: 80, timeout: 60s, statusOnError: '503'}
    - name: open
      envoyExtAuthzGrpc: {service: authz-down.shop.svc.cluster.local, port: 80, timeout: 60s, failOpen: true}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""

WORKLOAD = """
---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {clusterIP: VIRTUAL, selector: {app: NAME}, ports: [{name: PROTOCOL, port: 80, targetPort: PORT}]}
---
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: shop, labels: {app: NAME, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: NAME, containers: [{name: app, ports: [{containerPort: PORT}]}]}
status: {podIP: ADDRESS, podIPs: [{ip: ADDRESS}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME, namespace: shop, labels: {kubernetes.io/service-name: NAME}}
addressType: IPv4
endpoints: [{addresses: [ADDRESS], conditions: {ready: true}, targetRef: {kind: Pod, name: NAME, namespace: shop}}]
ports: [{name: PROTOCOL, port: PORT}]
"""

POLICIES = """
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME-asks, namespace: shop, annotations: {istio.io/dry-run: 'TRIES'}}
spec:
  selector: {matchLabels: {app: NAME}}
  action: CUSTOM
  provider: {name: PROVIDER}
  rules: [{to: [{operation: {paths: [/asked*]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME-allows, namespace: shop}
spec:
  selector: {matchLabels: {app: NAME}}
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/caller]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME-denies, namespace: shop}
spec:
  selector: {matchLabels: {app: NAME}}
  action: DENY
  rules: [{to: [{operation: {paths: [/asked/never, /never]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: NAME-might-deny, namespace: shop, annotations: {istio.io/dry-run: 'true'}}
spec:
  selector: {matchLabels: {app: NAME}}
  action: DENY
  rules: [{to: [{operation: {paths: [/doubtful]}}]}]
"""


class App:
    """Remembers what has reached it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.got.append((scope["path"], headers))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"yes")]})
        await send({"type": "http.response.body", "body": b"served"})


class Authorizer(App):
    """An authorization service over HTTP: who says /asked/no is refused."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.got.append((scope["path"], headers))
        refused = scope["path"] == "/asked/no"
        said = [(b"x-checked", b"http"), (b"x-seen", b"seen"), (b"x-why", b"because"), (b"x-secret", b"kept")]
        await send({"type": "http.response.start", "status": 401 if refused else 200, "headers": said})
        await send({"type": "http.response.body", "body": b"no, by http" if refused else b""})


def checked(request: Any) -> Any:
    """The authorization service over gRPC."""
    if request.attributes.request.http.path == "/asked/no":
        return answer(
            status={"code": 7},
            denied_response={
                "status": {"code": "PaymentRequired"},
                "headers": [{"header": {"key": "x-why", "value": "because"}}],
                "body": "no, by grpc",
            },
        )
    return answer(
        status={"code": 0},
        ok_response={
            "headers": [{"header": {"key": "x-checked", "value": "grpc"}}],
            "headers_to_remove": ["x-user"],
            "response_headers_to_add": [{"header": {"key": "x-seen", "value": "seen"}}],
        },
    )


@dataclass
class World:
    """The mesh: apps by name, the two services, and a client for each identity."""

    apps: dict[str, App]
    meshes: dict[str, Mesh]
    registries: dict[str, CollectorRegistry]
    ports: dict[str, int]
    by_grpc: GrpcAuthorizer
    by_http: Authorizer
    clients: dict[str, httpx.Client]

    def get(self, app: str, path: str, *, who: str = "caller") -> httpx.Response:
        return self.clients[who].get(f"http://{app}.shop{path}", headers={"x-user": "alice"})

    def asked(self) -> int:
        """How many questions there were since the last time."""
        found = len(self.by_grpc.take()) + len(self.by_http.got)
        self.by_http.got.clear()
        return found


def address(name: str) -> str:
    return f"127.0.45.{[*ASKS, 'authz-grpc', 'authz-http', 'authz-down', 'caller', 'stranger'].index(name) + 1}"


def folder_of(folder: Path, ports: dict[str, int]) -> None:
    """All of the configuration, in one file."""
    text = PROVIDERS
    for number, (name, port) in enumerate(ports.items(), 1):
        protocol = "grpc" if name == "authz-grpc" else "http"
        made = WORKLOAD.replace("NAME", name).replace("ADDRESS", address(name)).replace("PROTOCOL", protocol)
        text += made.replace("PORT", str(port)).replace("VIRTUAL", f"10.96.1.{number}")
    for name, provider in ASKS.items():
        made = POLICIES.replace("NAME", name).replace("PROVIDER", provider)
        text += made.replace("TRIES", "true" if name == "tries" else "false")
    (folder / "all.yaml").write_text(text)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, ca = tmp_path_factory.mktemp("istio"), tmp_path_factory.mktemp("authority") / "ca"
    registries: dict[str, CollectorRegistry] = {}
    with ExitStack() as stack:
        listening = {name: listen(address(name)) for name in [*ASKS, "authz-http"]}
        ports = {name: int(each.getsockname()[1]) for name, each in listening.items()}

        def mesh(name: str) -> Mesh:
            node = Node(app=name, namespace="shop", service_account=name, ip=address(name), labels={"app": name})
            registries[name] = CollectorRegistry()
            made = Mesh.from_config(folder, node=node, ca_dir=ca, registry=registries[name])
            return stack.enter_context(made)

        folder_of(folder, {})
        identity = (issuer := mesh("authz-grpc")).identity
        issuer.wait_ready(60)
        roots = identity.roots(Validation(secret=SecretName("ROOTCA")))
        assert roots is not None
        by_grpc = GrpcAuthorizer(identity.key_pair(SecretName("default")), roots.pem, address("authz-grpc"))
        by_grpc.answer = checked
        stack.enter_context(by_grpc)
        folder_of(folder, {**ports, "authz-grpc": by_grpc.port, "authz-down": DOWN_PORT})
        meshes = {name: mesh(name) for name in [*listening, "caller", "stranger"]}
        for each in meshes.values():
            each.wait_ready(60)
        apps: dict[str, App] = {name: App() for name in ASKS}
        by_http = Authorizer()
        for name, sock in listening.items():
            own, app = meshes[name], apps.get(name, by_http)

            def secured(config: Any, own: Mesh = own, port: int = ports[name]) -> Any:
                return proxyless.tls.uvicorn(config, own, port=port)

            stack.enter_context(Server(Middleware(app, own, port=ports[name]), by_uvicorn(secured), sock))
        clients = {
            who: stack.enter_context(httpx.Client(transport=proxyless.httpx.Transport(meshes[who]), timeout=120))
            for who in ("caller", "stranger")
        }
        yield World(apps, meshes, registries, ports, by_grpc, by_http, clients)
        for each in meshes.values():
            each.close()  # a server waits for those who hold connections of TLS to it


def test_who_may_come_in_is_asked_about_and_comes_in_as_the_service_says(world: World) -> None:
    for app, service in (("by-grpc", "grpc"), ("by-http", "http")):
        world.asked()
        found = world.get(app, "/asked/yes")
        assert (found.status_code, found.text, found.headers["x-seen"]) == (200, "served", "seen")
        assert "x-secret" not in found.headers
        path, headers = world.apps[app].got.pop()
        assert (path, headers["x-checked"]) == ("/asked/yes", service)
        assert headers.get("x-user") == (None if service == "grpc" else "alice")
        assert "x-secret" not in headers
        assert f"URI={spiffe('caller')}" in headers["x-forwarded-client-cert"]
        if service == "grpc":
            (query,) = world.by_grpc.take()
            assert query.attributes.source.principal == spiffe("caller")
            assert query.attributes.destination.principal == spiffe(app)
            assert query.attributes.request.http.headers["x-user"] == "alice"
            assert world.by_grpc.callers[-1] == spiffe(app)
        else:
            path, headers = world.by_http.got.pop()
            assert (path, headers["x-user"]) == ("/asked/yes", "alice")
            assert f"URI={spiffe(app)}" in headers["x-forwarded-client-cert"]
        assert world.get(app, "/other").status_code == 200
        assert world.asked() == 0
        world.apps[app].got.clear()


def test_who_is_refused_is_answered_as_the_service_says(world: World) -> None:
    for app, status, body in (("by-grpc", 402, "no, by grpc"), ("by-http", 401, "no, by http")):
        found = world.get(app, "/asked/no")
        assert (found.status_code, found.text) == (status, body)
        assert found.headers["x-why"] == "because"
        assert not {"x-secret", "x-seen", "x-app"} & found.headers.keys()
        assert not world.apps[app].got


def test_what_the_mesh_refuses_itself(world: World) -> None:
    """DENY stands behind the question, ALLOW too: as in Envoy's chain, CUSTOM comes first."""
    for app in ("by-grpc", "by-http"):
        world.asked()
        for path, who in (("/never", "caller"), ("/other", "stranger"), ("/asked/never", "caller")):
            found = world.get(app, path, who=who)
            assert (found.status_code, found.text) == (403, "RBAC: access denied"), path
        assert world.asked() == 1
        assert not world.apps[app].got


def test_a_service_that_is_down(world: World) -> None:
    for app, status in (("shut", 403), ("shut-503", 503), ("open", 200)):
        found = world.get(app, "/asked/yes")
        assert (found.status_code, found.text) == (status, "served" if status == 200 else ""), app
        assert world.get(app, "/other").status_code == 200
        assert world.get(app, "/other", who="stranger").status_code == 403
        assert [path for path, _ in world.apps[app].got] == [*(["/asked/yes"] if status == 200 else []), "/other"]
        world.apps[app].got.clear()
        (asked,) = (each for each in world.meshes[app].status()["services"] if "authz-down" in each["cluster"])
        assert (asked["answers"], asked["failures"]) == (0, 1)
        assert f"endpoint {address('authz-down')}:{DOWN_PORT}: " in asked["last_failure"]


def test_a_policy_that_only_tries(world: World) -> None:
    """DENY and ALLOW are tried and counted. Of CUSTOM istiod makes rules that deny, and nobody is asked."""
    world.asked()
    assert world.get("by-grpc", "/doubtful").status_code == 200
    tried = {"mode": "shadow", "prefix": "istio_dry_run_deny_", "result": "denied"}
    wait_for(lambda: labels(world.registries["by-grpc"], "proxyless_authorizations_total", **tried))
    assert world.get("tries", "/other").status_code == 200
    assert (found := world.get("tries", "/asked/yes")).status_code == 403
    assert found.text == "RBAC: access denied"
    assert world.asked() == 0


def test_nobody_comes_in_without_an_identity_of_the_mesh(world: World) -> None:
    world.apps["by-grpc"].got.clear()
    where = f"{address('by-grpc')}:{world.ports['by-grpc']}"
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with httpx.Client(trust_env=False, verify=context) as plain:
        for scheme in ("http", "https"):
            with pytest.raises(httpx.TransportError):
                plain.get(f"{scheme}://{where}/other")
    assert not world.apps["by-grpc"].got


def test_the_metrics_of_both_sides_say_who_it_was(world: World) -> None:
    assert world.get("by-grpc", "/other").status_code == 200
    expected = {
        "source_principal": spiffe("caller"),
        "destination_principal": spiffe("by-grpc"),
        "source_workload_namespace": "shop",
        "destination_workload_namespace": "shop",
        "response_code": "200",
    }
    for who, reporter, policy in (("caller", "source", "unknown"), ("by-grpc", "destination", "mutual_tls")):
        wanted = {**expected, "reporter": reporter, "connection_security_policy": policy}
        wait_for(partial(labels, world.registries[who], "istio_requests_total", **wanted))
