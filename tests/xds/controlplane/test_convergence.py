"""Whatever clients do, and however the folder changes meanwhile: in the end each holds what its last state gives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import grpc.aio
import pytest

from proxyless.xds.controlplane import FolderSource, Plane
from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.controlplane.discovery.sotw import SotwSession
from proxyless.xds.controlplane.server import SERVICE, Server, serve
from proxyless.xds.wire.schema import types as pb

from .support import endpoints, istio, service

TYPES = (rules.CLUSTER, rules.ENDPOINT, rules.LISTENER, rules.ROUTE, rules.NAMES)
WAYS = ("quick", "slow", "stuck", "deaf", "refusing", "leaving")
"""Reads at once; now and then; not until the end; acknowledges nothing but endpoints; refuses half of all but these;
goes and comes back."""
ROUTE = "{{hosts: [b], http: [{{timeout: {0}s, route: [{{destination: {{host: b}}}}]}}]}}"
Holdings = dict[str, dict[str, bytes]]


def written(name: str, number: int) -> str:
    """One of several things that may stand in a file."""
    texts = {
        "a": service("a", "http:80", f"tcp:{7000 + number % 3}"),
        "b": service("b", "http:80", ip="10.96.0.2") if number % 4 else "",
        "ends": endpoints("a", "http:8080", f"10.1.0.{1 + number}", "10.9.0.2"),
        "more": endpoints("b", "http:8080", *[f"10.2.0.{each}" for each in range(1, 1 + number % 5)]),
        "routes": istio("VirtualService", "v", ROUTE.format(number + 1)),
        "rule": istio("DestinationRule", "d", f"{{host: a, subsets: [{{name: s{number % 3}}}]}}"),
        "mtls": istio("PeerAuthentication", "p", "{mtls: {mode: STRICT}}") if number % 2 else "",
        "headless": service("h", "tcp:90", rest="clusterIP: None") + endpoints("h", "tcp:90", f"10.9.0.{number % 7}"),
    }
    return texts[name]


FILES = ("a", "b", "ends", "more", "routes", "rule", "mtls", "headless")


def node(number: int) -> pb.core_v3.Node:
    made = pb.core_v3.Node(id=f"sidecar~10.9.0.{number}~web-{number}.shop~shop.svc.cluster.local")
    made.metadata.update({"NAMESPACE": "shop", "LABELS": {"app": "web"}, "INSTANCE_IPS": f"10.9.0.{number}"})
    return made


class Client:
    """One sidecar: clusters and listeners, the endpoints of its clusters, one route table."""

    def __init__(self, address: str, number: int, *, delta: bool, way: str, random: Random) -> None:
        self.number, self.way = number, way
        self._address, self._delta, self._random = address, delta, random
        self.held: Holdings = {}
        self.released = asyncio.Event()

    async def run(self) -> None:
        while True:
            self.held = {type_.label: {} for type_ in TYPES}
            self._nonces: dict[str, str] = {}
            self._asked: dict[str, set[str]] = {rules.ENDPOINT.url: set(), rules.ROUTE.url: {"80"}}
            channel: Any = grpc.aio.insecure_channel(self._address, options=[("grpc.use_local_subchannel_pool", 1)])
            async with channel:
                method = "DeltaAggregatedResources" if self._delta else "StreamAggregatedResources"
                stream = channel.stream_stream(f"/{SERVICE}/{method}")()
                for type_ in (rules.CLUSTER, rules.LISTENER, rules.ROUTE, rules.NAMES):
                    await self._ask(stream, type_, self._asked.get(type_.url, set()))
                left = self._random.randrange(3, 9)
                while self.way != "leaving" or self.released.is_set() or left:
                    left -= 1
                    if self.way == "stuck" and len(self._nonces) > 2 and not self.released.is_set():
                        await self.released.wait()
                    if self.way == "slow":
                        await asyncio.sleep(self._random.random() / 50)
                    if self.way == "leaving" and not self.released.is_set():
                        try:
                            raw = await asyncio.wait_for(stream.read(), 0.2)
                        except TimeoutError:
                            break
                    else:
                        raw = await stream.read()
                    if not isinstance(raw, bytes):
                        break
                    await self._take(stream, raw)

    async def _ask(self, stream: Any, type_: rules.ResourceType, names: set[str], gone: Any = (), **more: Any) -> None:
        if self._delta:
            request: Any = pb.discovery_v3.DeltaDiscoveryRequest(
                type_url=type_.url, resource_names_subscribe=names, resource_names_unsubscribe=gone, **more
            )
        else:
            request = pb.discovery_v3.DiscoveryRequest(type_url=type_.url, resource_names=names, **more)
        request.node.CopyFrom(node(self.number))
        await stream.write(request.SerializeToString())

    async def _take(self, stream: Any, raw: bytes) -> None:
        kind = pb.discovery_v3.DeltaDiscoveryResponse if self._delta else pb.discovery_v3.DiscoveryResponse
        response: Any = kind.FromString(raw)
        type_ = rules.TYPES[response.type_url]
        held = self.held[type_.label]
        contents = [each.resource if self._delta else each for each in response.resources]
        if not self._delta and type_.wildcard:
            held.clear()
        told = {name_of(type_, each): each.value for each in contents}
        wanted = self._asked[type_.url] if type_ is rules.ENDPOINT else told.keys()
        held.update((name, value) for name, value in told.items() if name in wanted)
        for name in response.removed_resources if self._delta else ():
            held.pop(name, None)
        self._nonces[type_.url] = response.nonce
        # Names that go with a refusal, or with an answer to an older response, do not count, as with istiod.
        asks = type_ is rules.ENDPOINT
        if self.way != "deaf" or asks:
            more: dict[str, Any] = {"response_nonce": response.nonce}
            if self.way == "refusing" and not asks and self._random.random() < 0.5:
                more["error_detail"] = pb.google_rpc.Status(code=3, message="no")
            await self._ask(stream, type_, set() if self._delta else self._asked.get(type_.url, set()), **more)
        if type_ is rules.CLUSTER:
            await self._follow(stream)

    async def _follow(self, stream: Any) -> None:
        """The endpoints of the clusters that there are now."""
        wanted = set(clusters_of_eds(self.held["CDS"]))
        known, self._asked[rules.ENDPOINT.url] = self._asked[rules.ENDPOINT.url], wanted
        if wanted == known:
            return
        self.held["EDS"] = {name: value for name, value in self.held["EDS"].items() if name in wanted}
        if self._delta:
            await self._ask(stream, rules.ENDPOINT, wanted - known, known - wanted)
        else:
            nonce = self._nonces.get(rules.ENDPOINT.url, "")
            await self._ask(stream, rules.ENDPOINT, wanted, response_nonce=nonce)


def name_of(type_: rules.ResourceType, content: Any) -> str:
    if type_ is rules.NAMES:
        return ""
    message: Any = {
        rules.CLUSTER: pb.cluster_v3.Cluster,
        rules.ENDPOINT: pb.endpoint_v3.ClusterLoadAssignment,
        rules.LISTENER: pb.listener_v3.Listener,
        rules.ROUTE: pb.route_v3.RouteConfiguration,
    }[type_]
    made = message.FromString(content.value)
    return str(made.cluster_name if type_ is rules.ENDPOINT else made.name)


def clusters_of_eds(held: dict[str, bytes]) -> Iterator[str]:
    for name, value in held.items():
        if pb.cluster_v3.Cluster.FromString(value).type == pb.cluster_v3.Cluster.EDS:
            yield name


def from_scratch(folder: Path, number: int) -> Holdings:
    """What a plane that remembers nothing tells a client that has never been told anything."""
    plane = Plane(FolderSource(folder))
    session: Any = SotwSession(plane)
    out: Holdings = {}
    for type_ in TYPES:
        names = {"EDS": list(clusters_of_eds(out.get("CDS", {}))), "RDS": ["80"]}.get(type_.label, [])
        request = pb.discovery_v3.DiscoveryRequest(type_url=type_.url, resource_names=names, node=node(number))
        contents = [each for response in session.receive(request) for each in response.resources]
        out[type_.label] = {name_of(type_, each): each.value for each in contents}
    plane.close()
    return out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / f"{name}.yaml").write_text(written(name, 1))
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    plane = Plane(FolderSource(folder))
    running = serve(plane, "127.0.0.1:0")
    yield running
    running.stop()
    plane.close()


@pytest.mark.parametrize("delta", [False, True], ids=["sotw", "delta"])
def test_each_client_holds_in_the_end_what_a_translation_from_scratch_gives(
    server: Server, folder: Path, *, delta: bool
) -> None:
    random = Random(7)

    async def live() -> None:
        numbers = range(len(WAYS) * 2)
        clients = [
            Client(server.address, number, delta=delta, way=WAYS[number % len(WAYS)], random=Random(number))
            for number in numbers
        ]
        tasks = [asyncio.create_task(client.run()) for client in clients]
        for step in range(25):
            name = random.choice(FILES)
            draft = folder / f"{name}.draft"
            draft.write_text(written(name, random.randrange(20)))
            draft.replace(folder / f"{name}.yaml")
            await asyncio.sleep(random.choice([0.0, 0.02, 0.1]))
            if step == 20:
                for client in clients:
                    client.released.set()
        wanted = await asyncio.to_thread(lambda: [from_scratch(folder, client.number) for client in clients])
        while any(client.held != held for client, held in zip(clients, wanted, strict=True)):
            assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(live(), 120))
