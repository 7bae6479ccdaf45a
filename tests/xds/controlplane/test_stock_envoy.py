"""A stock Envoy as a sidecar of the control plane: it connects, becomes ready, routes requests and follows changes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.emit.view import View
from proxyless.xds.controlplane.registry.node import parse_node
from proxyless.xds.controlplane.registry.proxy import place
from proxyless.xds.controlplane.registry.scope import Scope
from proxyless.xds.controlplane.server import serve
from tests.support import envoy
from tests.support.backends import Backends
from tests.support.ports import free_port
from tests.xds.controlplane.support import endpoints, istio, made, mesh, service, view, world

pytestmark = pytest.mark.envoy


def bootstrap(address: str, *, delta: bool, **metadata: object) -> dict[str, Any]:
    """A sidecar's: ADS, and the cluster of an agent that is not there."""
    host, _, port = address.rpartition(":")
    place = {"socket_address": {"address": host, "port_value": int(port)}}
    absent = {"pipe": {"path": "{FOLDER}/no-agent"}}

    def cluster(name: str, where: Any) -> dict[str, Any]:
        return {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "http2_protocol_options": {},
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": where}}]}],
            },
        }

    ads = {
        "api_type": "DELTA_GRPC" if delta else "GRPC",
        "transport_api_version": "V3",
        "set_node_on_first_message_only": True,
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
    }
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return {
        "node": {
            "id": "sidecar~127.0.0.1~web.shop~shop.svc.cluster.local",
            "cluster": "web.shop",
            "metadata": {"NAMESPACE": "shop", "CLUSTER_ID": "Kubernetes", "INTERCEPTION_MODE": "NONE", **metadata},
        },
        "dynamic_resources": {"ads_config": ads, "cds_config": source, "lds_config": source},
        "static_resources": {"clusters": [cluster("xds-grpc", place), cluster("sds-grpc", absent)]},
    }


def get(port: int, path: str = "/") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": f"catalog.shop:{port}"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(port: int, status: int) -> int:
    """The status at last: a change takes its time."""
    deadline = time.monotonic() + 10
    while (found := get(port)[0]) != status and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@pytest.fixture
def backends() -> Iterator[Backends]:
    with Backends([("127.0.8.1", 8080)]) as running:
        yield running


@pytest.mark.parametrize("said", ["by the control plane", "by the node"])
@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_a_stock_envoy_routes_and_follows_changes(delta: bool, said: str, backends: Backends, tmp_path: Path) -> None:
    envoy.require()
    port, target = free_port(), backends.ports["127.0.8.1", 8080]
    catalog = service("catalog", f"http:{port}:{target}") + endpoints("catalog", f"http:{target}", "127.0.8.1")
    (tmp_path / "catalog.yaml").write_text(catalog)
    by_node = said == "by the node"
    with ExitStack() as stack:
        plane = Plane(FolderSource(tmp_path), stock_envoy=not by_node)
        stack.callback(plane.close)
        server = serve(plane, "127.0.0.1:0")
        stack.callback(server.stop)
        metadata = {"STOCK_ENVOY": "true"} if by_node else {}
        stack.enter_context(envoy.Envoy(bootstrap(server.address, delta=delta, **metadata)))
        status, body = get(port, "/items")
        assert status == 200
        assert '"/items"' in body
        teapot = "{hosts: [catalog], http: [{directResponse: {status: 418}}]}"
        (tmp_path / "teapot.yaml").write_text(istio("VirtualService", "teapot", teapot))
        assert until(port, 418) == 418
        (tmp_path / "teapot.yaml").unlink()
        assert until(port, 200) == 200
        (client,) = plane.status().clients
        assert client.rejected == 0
        assert all(each.acked == each.sent for each in client.subscriptions if each.type in ("CDS", "LDS"))


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_a_stock_envoy_with_redirected_traffic_becomes_ready_without_an_agent(delta: bool, tmp_path: Path) -> None:
    envoy.require()
    (tmp_path / "web.yaml").write_text(
        service("web", "http:80:8080", "tcp-x:81:8081") + endpoints("web", "http:8080", "127.0.0.1")
    )
    settings = {"proxyListenPort": free_port(), "proxyInboundListenPort": free_port()}
    (tmp_path / "mesh.yaml").write_text(mesh("\n".join(f"{key}: {value}" for key, value in settings.items())))
    with ExitStack() as stack:
        plane = Plane(FolderSource(tmp_path), stock_envoy=True)
        stack.callback(plane.close)
        server = serve(plane, "127.0.0.1:0")
        stack.callback(server.stop)
        written = bootstrap(server.address, delta=delta, INTERCEPTION_MODE="REDIRECT", INSTANCE_IPS="127.0.0.1")
        running = stack.enter_context(envoy.Envoy(written))
        assert {"virtualInbound", "virtualOutbound"} <= set(listeners(running))
        assert plane.status().clients[0].rejected == 0


def listeners(running: envoy.Envoy) -> list[str]:
    return [each["name"] for each in json.loads(running.admin("/listeners?format=json"))["listener_statuses"]]


def test_istio_s_filters_are_left_out_and_secrets_are_not_waited_for_without_end() -> None:
    text = service("web", "http:80:8080") + endpoints("web", "http:8080", "10.0.0.1")
    kinds: list[dict[str, Any]] = [{}, {"STOCK_ENVOY": "true"}]
    plain, stock = (view(text, labels={"app": "web"}, **more) for more in kinds)
    for type_ in (rules.CLUSTER, rules.LISTENER):
        assert "istio.metadata_exchange" in json.dumps(made(plain, type_))
        assert '"initial_fetch_timeout": "0s", "resource_api_version": "V3"}}]' in json.dumps(made(plain, type_))
        written = json.dumps(made(stock, type_))
        assert '"name": "istio.' not in written
        assert '"initial_fetch_timeout": "0s", "resource_api_version": "V3"}}]' not in written
        assert '"initial_fetch_timeout": "1s"' in written


def test_proxyless_is_sent_everything_also_where_envoys_are_stock() -> None:
    world_ = world(service("web", "http:80"))
    node = parse_node("sidecar~10.0.0.1~a.shop~shop.svc.cluster.local", {}, agent="proxyless")
    proxy = place(node, world_)
    assert not View(Scope.of(world_, proxy), proxy, stock=True).stock
    envoy_node = parse_node("sidecar~10.0.0.1~a.shop~shop.svc.cluster.local", {}, agent="envoy")
    proxy = place(envoy_node, world_)
    assert View(Scope.of(world_, proxy), proxy, stock=True).stock
