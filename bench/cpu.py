"""CPU time that governance adds to a call, metrics included, on a stub network."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import httpx

from proxyless import Mesh

from . import stub
from .configuration import plaintext, service, write
from .report import Table
from .stats import median


def run(*, smoke: bool) -> list[Table]:
    """One row for each variant, sync and async."""
    rounds, calls = (2, 20) if smoke else (41, 200)
    table = Table("CPU per call on a stub backend, us", ("variant", "plain", "A/A", "governed", "added", "noise (A/A)"))
    with tempfile.TemporaryDirectory() as folder:
        mesh = Mesh.from_recorded(write(Path(folder) / "scale", plaintext(80)), registry=True)
        url = f"http://{service(4)}/"
        clients = [stub.plain(), stub.plain(), stub.governed(mesh)]
        found: list[list[float]] = [[], [], []]
        for turn in range(rounds + 1):
            for index, client in enumerate(clients):
                took = _cpu(client, url, calls)
                if turn:
                    found[index].append(took)
        table.rows.append(_row("sync", found))
        table.rows.append(_row("async", asyncio.run(_async(mesh, url, rounds, calls))))
        mesh.close()
    return [table]


def _row(name: str, found: list[list[float]]) -> tuple[object, ...]:
    plain, again, governed = (1e6 * median(each) for each in found)
    return (name, plain, again, governed, governed - plain, again - plain)


def _cpu(client: httpx.Client, url: str, calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        client.get(url)
    return (time.process_time() - started) / calls


async def _async(mesh: Mesh, url: str, rounds: int, calls: int) -> list[list[float]]:
    clients = [stub.plain_async(), stub.plain_async(), stub.governed_async(mesh)]
    found: list[list[float]] = [[], [], []]
    for turn in range(rounds + 1):
        for index, client in enumerate(clients):
            started = time.process_time()
            for _ in range(calls):
                await client.get(url)
            if turn:
                found[index].append((time.process_time() - started) / calls)
    return found
