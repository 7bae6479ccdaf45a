"""What the control thread pays for a push of 1,000 services that holds again what it has: read, decoded, in force."""

from __future__ import annotations

import time

from proxyless.xds.graph import Graph
from proxyless.xds.wire import codec, envelope
from proxyless.xds.wire.schema import types as pb

from .configuration import scale
from .report import Table

KINDS = {"Cluster": "clusters", "ClusterLoadAssignment": "assignments", "RouteConfiguration": "route tables"}
NEW = "one virtual host changed"


def run(*, smoke: bool) -> list[Table]:
    """CPU of one thread; the least of several, since noise only ever adds. `first`: by a graph that holds nothing."""
    rounds = 2 if smoke else 8
    table = Table(
        "a push of the recorded mesh, ms of CPU",
        ("push", "MB", "first", "the same again", NEW),
        notes=["route tables are decoded as far as a push decodes them; virtual hosts when a call needs them"],
    )
    for kind, label in KINDS.items():
        raw = max((raw for name, raw in scale().items() if f"-{kind}." in name), key=len)
        first, again, changed = [], [], []
        for turn in range(rounds):
            graph = Graph(codec.resource)
            first.append(_take(graph, raw))
            again.append(_take(graph, raw))
            if kind == "RouteConfiguration":
                changed.append(_take(graph, _changed(raw, turn)))
        last = 1000 * min(changed) if changed else "-"
        table.rows.append((label, len(raw) / 1e6, 1000 * min(first), 1000 * min(again), last))
    return [table]


def _take(graph: Graph, raw: bytes) -> float:
    started = time.thread_time()
    response = envelope.read_response(raw, held=graph.newest)
    graph.apply(response)
    held = {} if response.type is None else graph.newest[response.type]
    for each in response.resources:
        held[each.name].get()
    return time.thread_time() - started


def _changed(raw: bytes, turn: int) -> bytes:
    """The response with another timeout in the middle of its largest table."""
    response = pb.discovery_v3.DiscoveryResponse.FromString(raw)
    largest = max(response.resources, key=lambda each: len(each.value))
    message = pb.route_v3.RouteConfiguration.FromString(largest.value)
    host = message.virtual_hosts[len(message.virtual_hosts) // 2]
    host.routes[0].route.timeout.seconds = 100 + turn
    largest.value = message.SerializeToString()
    return response.SerializeToString()
