"""Real servers below `proxyless run` in a mesh: a governed client calls them by mTLS, without a change to code."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import proxyless
import proxyless.httpx
from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve
from tests.governance.suites.served import client_context
from tests.proxyless.running.test_servers import RUN
from tests.proxyless.test_server_matrix import Served
from tests.support.certificates import Authority, authority, spiffe, write
from tests.support.ports import free_port
from tests.support.waiting import wait_for

APPS = "tests.proxyless.running.mirrors"
GUNICORN = f"gunicorn {APPS}:app --bind 127.0.0.1:PORT --no-control-socket"
SERVERS = {
    "uvicorn": f"uvicorn {APPS}:asgi --port PORT",
    "gunicorn, sync": GUNICORN,
    "gunicorn, gthread": f"{GUNICORN} --threads 2 --preload",
    "gunicorn, uvicorn's worker": f"{GUNICORN.replace(':app', ':asgi')} -k uvicorn_worker.UvicornWorker",
    "hypercorn": f"hypercorn {APPS}:asgi --bind 127.0.0.1:PORT",
    "aiohttp": f"aiohttp.web -H 127.0.0.1 -P PORT {APPS}:aiohttp_app",
    "flask": f"flask --app {APPS}:flask_app() run --port PORT",
}
WORKLOAD = """
apiVersion: v1
kind: Service
metadata: {name: mirror, namespace: shop}
spec: {clusterIP: 10.96.1.1, selector: {app: mirror}, ports: [{name: http, port: 80, targetPort: PORT}]}
---
apiVersion: v1
kind: Pod
metadata: {name: mirror-0, namespace: shop, labels: {app: mirror, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: mirror, containers: [{name: app, ports: [{containerPort: PORT}]}]}
status: {podIP: 127.0.0.1, podIPs: [{ip: 127.0.0.1}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: mirror, namespace: shop, labels: {kubernetes.io/service-name: mirror}}
addressType: IPv4
endpoints:
- {addresses: [127.0.0.1], conditions: {ready: true}, targetRef: {kind: Pod, name: mirror-0, namespace: shop}}
ports: [{name: http, port: PORT}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: mirror, namespace: shop}
spec:
  action: DENY
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/caller]}}]
    to: [{operation: {paths: [/denied]}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: MODE}}
"""
PATIENCE = 60
IN_THE_CLEAR: dict[str, Any] = {"scheme": "http", "xfcc": None, "uris": []}
BY_MTLS = [spiffe("caller")]


class World:
    """A mesh with one server and one client."""

    def __init__(self, folder: Path, command: str, held: ExitStack, *before: str) -> None:
        self.ca: Authority = authority()
        self._istio = folder / "istio"
        self._istio.mkdir()
        (folder / "certs").mkdir()
        chain, key = write(self.ca.workload("mirror"), folder / "certs")
        chain.rename(chain.with_name("cert-chain.pem"))
        key.rename(key.with_name("key.pem"))
        (folder / "certs" / "root-cert.pem").write_bytes(self.ca.pem)
        self._port = free_port()
        self.mode("PERMISSIVE")
        plane = Plane(FolderSource(self._istio))
        held.callback(plane.close)
        server = serve(plane, "127.0.0.1:0")
        held.callback(server.stop)
        address = f"xds://{server.address}"
        more = {"POD_NAME": "mirror-0", "ISTIO_META_APP": "mirror", "INSTANCE_IP": "127.0.0.1"}
        more |= {"SERVICE_ACCOUNT": "mirror", "OUTPUT_CERTS": str(folder / "certs")}
        self.served = Served(command, address, folder, *before, port=self._port, more=more)
        held.callback(self.served.close)
        mine = folder / "mine"
        mine.mkdir()
        pair = write(self.ca.workload("caller"), mine)
        identity = proxyless.Identity.from_files(*pair, folder / "certs" / "root-cert.pem")
        node = proxyless.Node(app="caller", namespace="shop", ip="127.0.46.1")
        mesh = held.enter_context(proxyless.Mesh(address, node=node, identity=identity))
        mesh.wait_ready(PATIENCE)
        self._governed = held.enter_context(
            httpx.Client(transport=proxyless.httpx.Transport(mesh), base_url="http://mirror.shop", timeout=PATIENCE)
        )
        self.bare = f"127.0.0.1:{self._port}"

    def mode(self, mode: str) -> None:
        """Of PeerAuthentication."""
        (self._istio / "all.yaml").write_text(WORKLOAD.replace("PORT", str(self._port)).replace("MODE", mode))

    def by_mesh(self, path: str = "/") -> httpx.Response:
        """By the governed client."""
        return self._governed.get(path)

    def in_the_clear(self, path: str = "/") -> httpx.Response | None:
        """None where nobody answers."""
        try:
            with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
                return client.get(f"http://{self.bare}{path}")
        except httpx.TransportError:
            return None

    def takes(self, mode: str) -> bool:
        """Whether that is in force, as plaintext shows."""
        assert self.served.process.poll() is None, self.log
        answer = self.in_the_clear()
        if answer is None:
            return False
        if mode == "STRICT":
            return answer.status_code == 503 and "takes mTLS only" in answer.text
        return answer.status_code == 200

    @property
    def log(self) -> str:
        """Of the server's process."""
        return self.served.log.read_text()


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def world_of(command: str, folder: Path, held: ExitStack, *before: str) -> World:
    module = command.split()[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    made = World(folder, command, held, *(before or RUN))
    try:
        wait_for(lambda: made.takes("PERMISSIVE"), 200)
    except AssertionError as error:
        raise AssertionError(made.log) from error
    return made


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_takes_the_mtls_of_the_mesh(name: str, tmp_path: Path, held: ExitStack) -> None:
    serves_by_mtls(SERVERS[name], tmp_path, held)


def serves_by_mtls(command: str, folder: Path, held: ExitStack) -> None:
    """A server's process, from its start to its end."""
    world = world_of(command, folder, held)

    def by_mesh() -> None:
        answer = world.by_mesh()
        assert answer.status_code == 200, world.log
        told = answer.json()
        assert (told["scheme"], told["uris"]) == ("http", BY_MTLS)
        assert f"URI={spiffe('caller')}" in told["xfcc"]
        denied = world.by_mesh("/denied")
        assert (denied.status_code, denied.text) == (403, "RBAC: access denied")

    by_mesh()
    clear = world.in_the_clear("/denied")
    assert clear is not None
    assert clear.json() == IN_THE_CLEAR
    world.mode("STRICT")
    wait_for(lambda: world.takes("STRICT"), 200)
    by_mesh()
    for pair in (None, world.ca.workload("caller", domain="other.local"), authority().workload("caller")):
        context = client_context(world.ca, pair)
        with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.TransportError):
            client.get(f"https://{world.bare}/")
    world.mode("DISABLE")
    wait_for(lambda: world.takes("DISABLE"), 200)
    clear = world.in_the_clear()
    assert clear is not None
    assert clear.json() == IN_THE_CLEAR


def test_the_mtls_of_all_servers_can_be_left_alone(tmp_path: Path, held: ExitStack) -> None:
    world = world_of(SERVERS["uvicorn"], tmp_path, held, *RUN[:-1], "--skip", "mtls", "--")
    assert world.by_mesh().status_code == 503
    assert world.in_the_clear("/denied") is not None
    assert "with the mesh's mTLS" not in world.log
    assert "leaves sockets of uvicorn" in world.log


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (f"{GUNICORN} -k gevent", "gunicorn serves by greenlets"),
        (f"{GUNICORN.replace(':app', ':asgi')} -k asgi", "gunicorn serves ASGI by a worker of its own"),
        (f"hypercorn {APPS}:app --bind 127.0.0.1:PORT", "hypercorn serves WSGI by threads"),
    ],
)
def test_a_server_that_cannot_take_it_goes_on_in_the_clear(
    command: str, said: str, tmp_path: Path, held: ExitStack
) -> None:
    world = world_of(command, tmp_path, held)
    assert world.by_mesh().status_code == 503
    assert said in world.log
    world.mode("STRICT")
    wait_for(lambda: world.takes("STRICT"), 200)


def test_what_a_proxy_says_of_the_scheme_is_heard_as_before(tmp_path: Path, held: ExitStack) -> None:
    """gunicorn believes proxies on loopback; what the mesh decides by is the connection."""
    world = world_of(SERVERS["gunicorn, sync"], tmp_path, held)
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:

        def ask() -> httpx.Response:
            return client.get(f"http://{world.bare}/", headers={"x-forwarded-proto": "https"})

        assert ask().json()["scheme"] == "https"
        world.mode("STRICT")
        wait_for(lambda: ask().status_code == 503, 200)


def test_tls_of_the_programs_own_is_left_alone(tmp_path: Path, held: ExitStack) -> None:
    own = authority()
    chain, key = write(own.leaf(dns=("localhost",)), tmp_path)
    world = World(tmp_path, f"{SERVERS['uvicorn']} --ssl-certfile {chain} --ssl-keyfile {key}", held, *RUN)
    with httpx.Client(verify=client_context(own, None), trust_env=False, timeout=PATIENCE) as client:

        def answered() -> bool:
            try:
                return client.get(f"https://{world.bare}/").status_code == 200
            except httpx.TransportError:
                return False

        wait_for(answered, 200)
    assert "uvicorn speaks TLS of its own: its socket is left as it is" in world.log


def test_an_app_that_its_program_governs_has_the_socket_of_its_program(tmp_path: Path, held: ExitStack) -> None:
    world = world_of(f"uvicorn {APPS}:governed --port PORT", tmp_path, held)
    assert world.by_mesh().status_code == 503
