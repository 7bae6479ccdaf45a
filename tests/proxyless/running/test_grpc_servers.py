"""gRPC servers below `proxyless run`: their calls are governed, once, and proxyless's own servers are left alone."""

from __future__ import annotations

import json
import sys

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve
from tests.docs.conftest import PLAIN, World
from tests.proxyless.running.test_run import run

POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: denied, namespace: shop}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: [/shop.Words/Denied, /envoy.service.discovery.v3.AggregatedDiscoveryService/*]}}]}]
"""
PROGRAM = """
import asyncio, json, sys, time
from concurrent.futures import ThreadPoolExecutor
from grpc import server
import grpc, grpc.aio
from prometheus_client import REGISTRY

import proxyless
import proxyless.grpc, proxyless.grpc.aio
from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve

METHODS = ("Upper", "Denied")


def handlers(made):
    return grpc.method_handlers_generic_handler("shop.Words", dict.fromkeys(METHODS, made))


def upper(request, context):
    return request.upper()


async def awaited(request, context):
    return request.upper()


def asked(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return [one(channel, method) for method in METHODS]


def one(channel, method):
    end = time.monotonic() + 120
    while True:
        try:
            return channel.unary_unary(f"/shop.Words/{method}")(b"a", timeout=60).decode()
        except grpc.RpcError as error:
            if "configuration" not in error.details() or time.monotonic() > end:
                return f"{error.code().name} {error.details()}"
        time.sleep(0.1)


def threads(*interceptors):
    made = server(ThreadPoolExecutor(4), interceptors=interceptors)
    made.add_generic_rpc_handlers([handlers(grpc.unary_unary_rpc_method_handler(upper))])
    port = made.add_insecure_port("127.0.0.1:0")
    made.start()
    try:
        return asked(port)
    finally:
        made.stop(None).wait()


async def loop():
    made = grpc.aio.server()
    made.add_generic_rpc_handlers([handlers(grpc.unary_unary_rpc_method_handler(awaited))])
    port = made.add_insecure_port("127.0.0.1:0")
    await made.start()
    try:
        return await asyncio.to_thread(asked, port)
    finally:
        await made.stop(None)


def counted(code):
    samples = [each for metric in REGISTRY.collect() for each in metric.samples]
    return sum(
        each.value
        for each in samples
        if each.name == "istio_requests_total"
        and each.labels["reporter"] == "destination"
        and each.labels["grpc_response_status"] == code
    )


found = {"threads": threads(), "counted": [counted("0"), counted("7")], "loop": asyncio.run(loop())}
found["explicit"] = threads(proxyless.grpc.ServerInterceptor(port=8000))
found["all"] = [counted("0"), counted("7")]
twice = server(ThreadPoolExecutor(1))
twice.add_insecure_port("127.0.0.1:0")
try:
    twice.add_insecure_port("127.0.0.1:0")
except proxyless.UnsupportedError as error:
    found["two"] = str(error)
plane = Plane(FolderSource("istio"))
own = serve(plane, "127.0.0.1:0")
node = proxyless.Node(app="storefront", namespace="shop", ip="127.0.10.1")
with proxyless.Mesh(f"xds://{own.address}", node=node, registry=False) as mesh:
    mesh.wait_ready(60)
    found["plane"] = mesh.ready
own.stop()
plane.close()
print(json.dumps(found))
"""


def test_calls_are_governed_once(world: World) -> None:
    (world.folder / "program.py").write_text(PROGRAM)
    (world.folder / "istio" / "denied.yaml").write_text(POLICY)
    (world.folder / "istio" / "storefront.yaml").unlink()  # its limit
    plane = Plane(FolderSource(world.folder / "istio"))
    server = serve(plane, "127.0.0.1:0")
    world.real[PLAIN] = server.address
    try:
        done = run(sys.executable, "program.py", world=world, folder=world.folder, options=("--skip", "grpc"))
    finally:
        server.stop()
        plane.close()
    assert done.returncode == 0, done.stderr
    assert "governs incoming requests of grpc.server " in done.stderr
    assert "governed already" not in done.stderr
    found = json.loads(done.stdout)
    decided = ["A", "PERMISSION_DENIED RBAC: access denied"]
    assert [found.pop(name) for name in ("threads", "loop", "explicit")] == [decided] * 3
    assert (found.pop("counted"), found.pop("all")) == ([1, 1], [3, 3])
    assert found.pop("two").startswith("a gRPC server at ports ")
    assert found == {"plane": True}
