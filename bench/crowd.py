"""`python -m bench.crowd ADDRESS COUNT [--delta]`: clients of a control plane, which take everything and keep nothing.

Prints a line of JSON when all are connected and hold everything, and one when all have been sent the route table again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from collections.abc import Iterator
from typing import Any

import grpc.aio

from proxyless.xds.controlplane.discovery import rules
from proxyless.xds.wire.schema import types as pb

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService"
WORKLOADS, MACHINES = 50, 20
AT_ONCE = 50
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
]


def envelope(raw: bytes) -> tuple[str, str]:
    """Type and nonce of a response (fields 4 and 5), without a look at its resources."""
    at = 0
    found: dict[int, str] = {}
    while at < len(raw) and len(found) < 2:
        tag, at = _varint(raw, at)
        size, at = _varint(raw, at)  # all fields of a response that is sent here are length-delimited
        if tag >> 3 in (4, 5):
            found[tag >> 3] = raw[at : at + size].decode()
        at += size
    return found[4], found[5]


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


class Crowd:
    """What its clients share: the encoded requests, and how far they are."""

    def __init__(self, address: str, count: int, *, delta: bool) -> None:
        self._address, self._count, self._delta = address, count, delta
        self._method = f"{SERVICE}/{'Delta' if delta else 'Stream'}AggregatedResources"
        self._bodies: dict[str, bytes] = {}
        self._endpoints: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._connecting = asyncio.Semaphore(AT_ONCE)
        self._holding = 0
        self._told: list[float] = []
        self.connected, self.changed = asyncio.Event(), asyncio.Event()

    @property
    def times(self) -> list[float]:
        return self._told

    async def client(self, number: int) -> None:
        channel: Any = grpc.aio.insecure_channel(self._address, options=OPTIONS)
        stream = channel.stream_stream(self._method)()
        async with self._connecting:
            kind = pb.discovery_v3.DeltaDiscoveryRequest if self._delta else pb.discovery_v3.DiscoveryRequest
            node: bytes = kind(node=_node(number)).SerializeToString()
            for type_ in (rules.CLUSTER, rules.LISTENER, rules.NAMES, rules.ENDPOINT, rules.ROUTE):
                await stream.write(node + await self._request(type_))
                node = b""
                raw = await stream.read()
                url, nonce = envelope(raw)
                if url != type_.url:
                    raise RuntimeError(f"{url} instead of {type_.url}")
                if type_ is rules.CLUSTER and not self._endpoints.done():
                    self._endpoints.set_result(list(_assignments(raw, self._delta)))
                await stream.write(self._acknowledgement(url, nonce))
        self._holding += 1
        if self._holding == self._count:
            self.connected.set()
        told = False
        while True:
            url, nonce = envelope(await stream.read())
            if url == rules.ROUTE.url and not told:
                told = True
                self._told.append(time.monotonic())
                if len(self._told) == self._count:
                    self.changed.set()
            await stream.write(self._acknowledgement(url, nonce))

    async def _request(self, type_: rules.ResourceType) -> bytes:
        if type_.url not in self._bodies:
            names = {rules.ROUTE: ["80"]}.get(type_, [])
            if type_ is rules.ENDPOINT:
                names = await self._endpoints
            if self._delta:
                request: Any = pb.discovery_v3.DeltaDiscoveryRequest(resource_names_subscribe=names)
            else:
                request = pb.discovery_v3.DiscoveryRequest(resource_names=names)
            request.type_url = type_.url
            self._bodies[type_.url] = request.SerializeToString()
        return self._bodies[type_.url]

    def _acknowledgement(self, url: str, nonce: str) -> bytes:
        if self._delta:
            raw: bytes = pb.discovery_v3.DeltaDiscoveryRequest(type_url=url, response_nonce=nonce).SerializeToString()
            return raw
        said: bytes = pb.discovery_v3.DiscoveryRequest(response_nonce=nonce).SerializeToString()
        return self._bodies[url] + said


def _node(number: int) -> Any:
    workload, machine = number % WORKLOADS, number % MACHINES
    ip = f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"
    name = f"crowd{workload}-{number}"
    made = pb.core_v3.Node(id=f"sidecar~{ip}~{name}.ns0~ns0.svc.cluster.local", cluster=f"crowd{workload}.ns0")
    labels = {"app": f"crowd{workload}", "kubernetes.io/hostname": f"machine{machine}"}
    made.metadata.update(
        {
            "NAME": name,
            "NAMESPACE": "ns0",
            "CLUSTER_ID": "Kubernetes",
            "ISTIO_VERSION": "1.31.0",
            "INSTANCE_IPS": ip,
            "NODE_NAME": f"machine{machine}",
            "LABELS": labels,
        }
    )
    return made


def _assignments(raw: bytes, delta: bool) -> Iterator[str]:
    """The clusters of a response that have endpoints to be asked for."""
    if delta:
        contents = [each.resource for each in pb.discovery_v3.DeltaDiscoveryResponse.FromString(raw).resources]
    else:
        contents = list(pb.discovery_v3.DiscoveryResponse.FromString(raw).resources)
    for content in contents:
        cluster = pb.cluster_v3.Cluster.FromString(content.value)
        if cluster.type == pb.cluster_v3.Cluster.EDS:
            yield cluster.name


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("count", type=int)
    parser.add_argument("--delta", action="store_true")
    given = parser.parse_args()
    crowd = Crowd(given.address, given.count, delta=given.delta)
    tasks = [asyncio.create_task(crowd.client(number)) for number in range(given.count)]
    await _event(crowd.connected, tasks)
    print(json.dumps({"event": "connected", "times": [time.monotonic()]}), flush=True)
    await _event(crowd.changed, tasks)
    print(json.dumps({"event": "changed", "times": sorted(crowd.times)}), flush=True)
    await asyncio.Event().wait()


async def _event(event: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Or a client that fails."""
    waiting = asyncio.create_task(event.wait())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for each in done:
        each.result()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main())
