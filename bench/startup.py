"""From the bytes of the recorded push of 1,000 services to the first governed call."""

from __future__ import annotations

import gc
import time

import httpx

import proxyless.httpx
from proxyless import Mesh
from proxyless.xds.graph import Graph
from proxyless.xds.model.snapshot import Snapshot
from proxyless.xds.wire import codec, envelope

from .backend import Backend
from .configuration import plaintext, service
from .report import Table
from .stats import median


def run(*, smoke: bool) -> list[Table]:
    """Imports are done, a mesh and a client wait; they are new each time."""
    rounds = 2 if smoke else 15
    applied, first = [], []
    with Backend() as backend:
        responses = list(plaintext(backend.port).values())
        for _ in range(rounds):
            mesh = Mesh._from_snapshot(Snapshot())
            client = httpx.Client(transport=proxyless.httpx.Transport(mesh), trust_env=False)
            gc.collect()  # of the round before
            started = time.perf_counter()
            graph = Graph(codec.resource)
            for raw in responses:
                graph.apply(envelope.read_response(raw))
            mesh.runtime.publish(graph.snapshot)
            applied.append(time.perf_counter() - started)
            response = client.get(f"http://{service(3)}/")
            first.append(time.perf_counter() - started)
            if response.status_code != 200:
                raise RuntimeError(response.text)
            client.close()
            mesh.close()
    size = sum(map(len, responses)) / 1e6
    table = Table(f"1,000 services, {size:.1f} MB of configuration, s", ("from the bytes to", "median", "least"))
    table.rows.append(("every resource parsed and in force", median(applied), min(applied)))
    table.rows.append(("the first governed call answered", median(first), min(first)))
    return [table]
