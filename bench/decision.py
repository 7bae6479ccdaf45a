"""Time per decision: from a request to the endpoint and the headers that go there, with 1, 100 and 1,000 services."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from proxyless import Mesh
from proxyless.governance.call import OutgoingCall
from proxyless.governance.request import RequestView
from proxyless.governance.runtime import Runtime

from .configuration import plaintext, service, write
from .report import Table

HEADERS = [
    (b"Host", b""),
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"Connection", b"keep-alive"),
    (b"User-Agent", b"python-httpx/0.28.1"),
]


def run(*, smoke: bool) -> list[Table]:
    """One row for each size; the figure is the least of many batches, since noise only ever adds."""
    batches, calls = (3, 50) if smoke else (60, 500)
    table = Table(
        "time per decision, us", ("services", "route and cluster", "and endpoint", "distinct hosts called in turn")
    )
    with tempfile.TemporaryDirectory() as folder:
        for services in (1, 100, 1000):
            source = write(Path(folder) / str(services), plaintext(80, services))
            mesh = Mesh.from_recorded(source, registry=False)
            hosts = [service(number).encode() for number in range(min(services, 50))]
            one = _least(mesh.runtime, hosts[:1], batches, calls, pick=False)
            picked = _least(mesh.runtime, hosts[:1], batches, calls, pick=True)
            many = _least(mesh.runtime, hosts, batches, calls, pick=True)
            table.rows.append((services, one, picked, many))
            mesh.close()
    return [table]


def _least(runtime: Runtime, hosts: list[bytes], batches: int, calls: int, *, pick: bool) -> float:
    for host in hosts:
        decide(runtime, host, pick=pick)
    best = float("inf")
    for _ in range(batches):
        started = time.perf_counter()
        for index in range(calls):
            decide(runtime, hosts[index % len(hosts)], pick=pick)
        best = min(best, (time.perf_counter() - started) / calls)
    return best * 1e6


def decide(runtime: Runtime, host: bytes, *, pick: bool) -> None:
    """What a call decides before it touches a connection."""
    call = OutgoingCall(runtime, "bench", RequestView(b"GET", b"http", host, b"/", HEADERS), host, 80)
    call._decide()
    if call.upstream is None or call.cluster is None:
        raise RuntimeError(f"no decision for {host!r}: {call.reply}")
    if pick and call.cluster.choose() is None:
        raise RuntimeError("no endpoint")
