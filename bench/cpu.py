"""CPU time that governance adds to a call, metrics included, on a stub network."""

from __future__ import annotations

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path

import httpx

from proxyless import Mesh

from . import stub
from .configuration import plaintext, service, write
from .report import Table
from .stats import median
from .turns import taking_turns, taking_turns_async


def run(*, smoke: bool) -> list[Table]:
    """One row for each variant, sync and async."""
    rounds, calls = (2, 20) if smoke else (41, 200)
    table = Table("CPU per call on a stub backend, us", ("variant", "plain", "A/A", "governed", "added", "noise (A/A)"))
    with tempfile.TemporaryDirectory() as folder:
        mesh = Mesh.from_recorded(write(Path(folder) / "scale", plaintext(80)), registry=True)
        url = f"http://{service(4)}/"
        clients = {"plain": stub.plain(), "A/A": stub.plain(), "governed": stub.governed(mesh)}
        sync = {name: partial(_cpu, client, url, calls) for name, client in clients.items()}
        table.rows.append(_row("sync", taking_turns(sync, rounds)))
        table.rows.append(_row("async", asyncio.run(_async(mesh, url, rounds, calls))))
        mesh.close()
    return [table]


def _row(name: str, found: dict[str, list[float]]) -> tuple[object, ...]:
    plain, again, governed = (1e6 * median(each) for each in found.values())
    return (name, plain, again, governed, governed - plain, again - plain)


def _cpu(client: httpx.Client, url: str, calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        client.get(url)
    return (time.process_time() - started) / calls


async def _async(mesh: Mesh, url: str, rounds: int, calls: int) -> dict[str, list[float]]:
    clients = {"plain": stub.plain_async(), "A/A": stub.plain_async(), "governed": stub.governed_async(mesh)}
    return await taking_turns_async(
        {name: partial(_cpu_async, client, url, calls) for name, client in clients.items()}, rounds
    )


async def _cpu_async(client: httpx.AsyncClient, url: str, calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        await client.get(url)
    return (time.process_time() - started) / calls
