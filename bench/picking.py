"""What a pick costs with 10, 1,000 and 10,000 endpoints and each policy, and what a change of one endpoint does."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from proxyless.governance.balancing.context import PickContext
from proxyless.governance.balancing.setting import Setting
from proxyless.governance.cluster import ClusterRuntime, ClusterState
from proxyless.governance.runtime import Runtime
from proxyless.xds.graph import Graph
from proxyless.xds.model.cluster import Cluster
from proxyless.xds.model.endpoint import ClusterLoadAssignment
from proxyless.xds.model.resource import ResourceType
from proxyless.xds.wire import codec, envelope
from proxyless.xds.wire.decode.cluster import cluster as decode_cluster
from proxyless.xds.wire.decode.endpoint import load_assignment
from proxyless.xds.wire.schema import types as pb

from .report import Table

SIZES = (10, 1_000, 10_000)
POLICIES = ("ROUND_ROBIN", "LEAST_REQUEST", "RANDOM", "RING_HASH", "MAGLEV")
WEIGHED = ("ROUND_ROBIN", "LEAST_REQUEST")
WEIGHTS = 5
NAME = "many"
SEED = 4
REQUESTS = 500


def run(*, smoke: bool) -> list[Table]:
    """Each figure is the least of many, since noise only ever adds. Picks are of requests with hashes of all kinds."""
    sizes = (10, 50, 100) if smoke else SIZES
    batches, changes = (3, 2) if smoke else (60, 4)
    picks = Table("pick, us", ("policy", *(f"{size:,} endpoints" for size in sizes), "last over first"))
    for policy, weights in [*((each, 1) for each in POLICIES), *((each, WEIGHTS) for each in WEIGHED)]:
        costs = _picks(policy, sizes, weights, batches)
        label = policy if weights == 1 else f"unequal weights, {policy}"
        picks.rows.append((label, *costs, costs[-1] / costs[0]))
    size = sizes[-1]
    rebuilt = Table(
        f"one of {size:,} endpoints changes, ms",
        (
            "policy",
            "from the model",
            "then the first pick",
            "EDS bytes in force",
            "then rebuilt",
            "then the first pick",
        ),
        notes=[
            "in force: read, decoded, applied and published by the control thread; the rest waits for the next call"
        ],
    )
    for policy in POLICIES:
        rebuilt.rows.append((policy, *_from_model(policy, size, changes), *_from_bytes(policy, size, changes)))
    return [picks, rebuilt]


def _contexts() -> list[PickContext]:
    draw = random.Random(SEED)
    return [PickContext(draw.getrandbits(64)) for _ in range(REQUESTS)]


def _picks(policy: str, sizes: Sequence[int], weights: int, batches: int) -> list[float]:
    """For each size; they take turns, so that what else the machine does hits all of them."""
    contexts = _contexts()
    found = [_runtime(_cluster(policy), load_assignment(_endpoints(size, weights))) for size in sizes]
    best = [float("inf")] * len(sizes)
    for _ in range(batches + 1):  # the first makes the tables
        for index, runtime in enumerate(found):
            choose = runtime.choose
            started = time.perf_counter()
            for context in contexts:
                choose(context)
            best[index] = min(best[index], time.perf_counter() - started)
    for runtime in found:
        if runtime.choose(contexts[0]) is None:
            raise RuntimeError(f"{policy}: no endpoint")
    return [each / len(contexts) * 1e6 for each in best]


def _from_model(policy: str, size: int, changes: int) -> tuple[float, float]:
    """A new version of the runtime of a cluster from a decoded assignment; and its first pick."""
    config, context = _cluster(policy), PickContext(SEED)
    first = _runtime(config, load_assignment(_endpoints(size)))
    first.choose(context)
    built, picked = [], []
    for number in range(1, changes + 1):
        changed = load_assignment(_endpoints(size, changed=number))
        built.append(_timed(lambda each=changed: _runtime(config, each, first.state)))
        runtime = _runtime(config, changed, first.state)
        picked.append(_timed(lambda each=runtime: each.choose(context)))
    return min(built), min(picked)


def _from_bytes(policy: str, size: int, changes: int) -> tuple[float, float, float]:
    """An EDS response until it is in force; then what the first call adds: making the hosts anew, and the pick."""
    runtime, graph, context = Runtime(rng=random.Random(SEED)), Graph(codec.resource), PickContext(SEED)
    graph.want(ResourceType.ENDPOINT, [NAME])
    _in_force(graph, runtime, _response(ResourceType.CLUSTER, _cluster_bytes(policy)))
    applied, rebuilt, picked = [], [], []
    for number in range(changes + 1):
        raw = _response(ResourceType.ENDPOINT, _endpoints(size, changed=number))
        applied.append(_timed(lambda each=raw: _in_force(graph, runtime, each)))
        rebuilt.append(_timed(lambda: runtime.plan.cluster(NAME)))
        found = runtime.plan.cluster(NAME)
        if not isinstance(found, ClusterRuntime) or len(found.hosts) != size:
            raise RuntimeError(f"{policy}: {found}")
        picked.append(_timed(lambda each=found: each.choose(context)))
    return min(applied[1:]), min(rebuilt[1:]), min(picked[1:])


def _timed(work: Callable[..., Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def _in_force(graph: Graph, runtime: Runtime, raw: bytes) -> None:
    if rejected := graph.apply(envelope.read_response(raw)):
        raise RuntimeError(str(rejected))
    runtime.publish(graph.snapshot)


def _runtime(config: Cluster, assignment: ClusterLoadAssignment, state: ClusterState | None = None) -> ClusterRuntime:
    chance = random.Random(SEED).random
    setting = Setting(lambda n: int(chance() * n))
    return ClusterRuntime(config, assignment, state or ClusterState(config.name, config), setting)


def _cluster(policy: str) -> Cluster:
    return decode_cluster(_cluster_bytes(policy))


def _cluster_bytes(policy: str) -> bytes:
    message = pb.cluster_v3.Cluster(
        name=NAME, type=pb.cluster_v3.Cluster.EDS, lb_policy=pb.cluster_v3.Cluster.LbPolicy.Value(policy)
    )
    message.connect_timeout.seconds = 1
    message.eds_cluster_config.eds_config.ads.SetInParent()
    message.eds_cluster_config.eds_config.resource_api_version = pb.core_v3.ApiVersion.V3
    return message.SerializeToString()


@cache
def _endpoints(size: int, weights: int = 1, changed: int = 0) -> bytes:
    """`changed`: another address in the middle, which no other number has."""
    message = pb.endpoint_v3.ClusterLoadAssignment(cluster_name=NAME)
    locality = message.endpoints.add()
    locality.locality.region, locality.locality.zone = "region", "zone"
    for number in range(size):
        endpoint = locality.lb_endpoints.add()
        endpoint.load_balancing_weight.value = 1 + number % weights
        address = endpoint.endpoint.address.socket_address
        address.port_value = 8080 + (changed if number == size // 2 else 0)
        address.address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return message.SerializeToString()


def _response(type_: ResourceType, resource: bytes) -> bytes:
    response = pb.discovery_v3.DiscoveryResponse(type_url=type_.value, version_info="1", nonce="1")
    response.resources.add(type_url=type_.value, value=resource)
    return response.SerializeToString()
