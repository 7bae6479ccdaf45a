"""Programs with aiohttp and gRPC under `proxyless run`: governed once, and hosts that are switched off left alone."""

from __future__ import annotations

import json
import sys

import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.server import serve
from tests.docs.conftest import PLAIN, World
from tests.governance.suites.grpc_served import Served, entry
from tests.proxyless.running.test_run import CLUSTER, run

PROGRAM = """
import asyncio, json, sys
from grpc import insecure_channel
import grpc, aiohttp

ALICE = {"x-user": "alice"}
URL = "http://catalog.shop/items"
HOST = "recommend.example.com:50051"
(OFF,) = sys.argv[1:]
METHOD = "/shop.Recommend/Get"


class Own(aiohttp.ClientSession):
    pass


async def seen(request, handler):
    found["seen"] = found.get("seen", 0) + 1
    return await handler(request)


async def cluster(session, url=URL, **options):
    async with session.get(url, headers=ALICE, **options) as response:
        await response.read()
        call = proxyless.aiohttp.call(response)
        return call.cluster.name if call is not None and call.cluster is not None else str(response.status)


async def sessions():
    for name, options in {
        "plain": {},
        "own": {"middlewares": [seen]},
        "explicit": {"middlewares": [proxyless.aiohttp.middleware()]},
    }.items():
        async with Own(**options) as session:
            found[name] = await cluster(session)
            found[name + " here"] = await cluster(session, middlewares=(seen,))
    async with aiohttp.request("GET", URL, headers=ALICE) as response:
        found["request"] = proxyless.aiohttp.call(response).cluster.name
    async with aiohttp.ClientSession() as session:
        try:
            found["nowhere"] = await cluster(session, "http://nowhere.shop/")
        except aiohttp.ClientConnectorError:
            found["nowhere"] = "not found"
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector("/no/such/socket")) as session:
        found["unix"] = len(session._middlewares)


async def aio(channel):
    async with channel:
        return (await channel.unary_unary(METHOD)(b"x", timeout=60)).decode()


def sync(channel):
    with channel:
        return channel.unary_unary(METHOD)(b"x", timeout=60).decode()


found = {}
import proxyless

asyncio.run(sessions())
found["channel"] = sync(insecure_channel(HOST))
found["channel options"] = sync(grpc.insecure_channel(target=HOST, options=[("grpc.primary_user_agent", "own")]))
found["channel off"] = sync(grpc.insecure_channel(OFF))
explicit = proxyless.grpc.channel(HOST)
found["inside"] = type(explicit.bypassed(None)).__module__
found["channel explicit"] = sync(explicit)
found["secure"] = type(grpc.secure_channel(HOST, grpc.ssl_channel_credentials())).__module__
found["aio"] = asyncio.run(aio(grpc.aio.insecure_channel(HOST)))
try:
    grpc.secure_channel(HOST, None)
except Exception:
    found["none"] = "refused"
print(json.dumps(found))
"""
REQUEST_ID = "x-request-id"
LOCAL = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: local, namespace: shop}
spec:
  hosts: [localhost]
  ports: [{number: PORT, name: grpc, protocol: GRPC}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: nowhere, namespace: shop}
spec:
  hosts: [nowhere.shop]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: ADDRESS, ports: {http: BACKEND}}]
"""


@pytest.mark.parametrize("off", [False, True])
def test_sessions_and_channels_are_governed_once_but_to_hosts_that_are_switched_off(world: World, off: bool) -> None:
    (world.folder / "program.py").write_text(PROGRAM)
    with Served("a") as served:
        (host, _), port = next(iter(world.backends.ports.items()))
        configuration = LOCAL.replace("PORT", str(served.port))
        configuration = configuration.replace("ADDRESS", host).replace("BACKEND", str(port))
        made = entry("recommend", [served.port]) + configuration
        (world.folder / "istio" / "recommend.yaml").write_text(made)
        plane = Plane(FolderSource(world.folder / "istio"))
        server = serve(plane, "127.0.0.1:0")
        world.real[PLAIN] = server.address
        try:
            done = run(
                sys.executable,
                "program.py",
                f"localhost:{served.port}",
                world=world,
                folder=world.folder,
                options=("--off", "localhost", "--off", "nowhere.shop") if off else (),
            )
        finally:
            server.stop()
            plane.close()
        assert done.returncode == 0, done.stderr
        calls = served.take()
    found = json.loads(done.stdout)
    assert "proxyless run: governs aiohttp " in done.stderr
    assert "proxyless run: governs grpc " in done.stderr
    sessions = [f"{kind}{where}" for kind in ("plain", "own", "explicit") for where in ("", " here")]
    assert {name: found.pop(name) for name in [*sessions, "request"]} == dict.fromkeys([*sessions, "request"], CLUSTER)
    assert (found.pop("seen"), found.pop("unix")) == (4, 0)
    channels = ("channel", "channel options", "channel off", "channel explicit", "aio")
    assert {name: found.pop(name) for name in channels} == dict.fromkeys(channels, "a:x")
    assert [REQUEST_ID in metadata for _, metadata in calls] == [True, True, not off, True, True]
    assert len(world.backends.take()) == 7 + (not off)
    assert found.pop("nowhere") == ("not found" if off else "outbound|80||nowhere.shop")
    assert found == {"inside": "grpc._channel", "secure": "proxyless.governance.suites.grpc", "none": "refused"}
