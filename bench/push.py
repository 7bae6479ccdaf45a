"""Calls while a push of 1,000 services comes in: how much slower than in quiet."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

import proxyless.httpx
from proxyless import Mesh, Node

from .backend import Backend
from .configuration import plaintext, service, write
from .memory import ControlPlane
from .report import Table
from .stats import median, percentile

NODE = Node(app="svc0", namespace="ns0", ip="127.1.0.1")


def run(*, smoke: bool) -> list[Table]:
    """Async calls, one at a time and eight at once; each push changes every cluster and every assignment."""
    pushes = 1 if smoke else 6
    table = Table(
        "calls while 1,000 services are pushed, ms",
        ("at once", "quiet median", "quiet p99", "pushed median", "pushed p99", "median x", "p99 x", "pushes took s"),
    )
    with Backend() as backend, tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder) / "scale", plaintext(backend.port))
        plane = ControlPlane(source)
        with plane as address:
            mesh = Mesh(address, node=NODE, cache_dir=False, registry=False)
            mesh.wait_ready(30)
            for width in (1, 8):
                quiet, pushed, took = asyncio.run(_measure(mesh, plane, pushes, width))
                figures = [
                    1000 * f for f in (median(quiet), percentile(quiet, 99), median(pushed), percentile(pushed, 99))
                ]
                table.rows.append((width, *figures, figures[2] / figures[0], figures[3] / figures[1], took))
            mesh.close()
    return [table]


async def _measure(mesh: Mesh, plane: ControlPlane, pushes: int, width: int) -> tuple[list[float], list[float], float]:
    async with httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=30) as client:
        for number in range(1, 11):
            (await client.get(f"http://{service(number)}/")).raise_for_status()
        quiet, pushed = [], []
        took = 0.0
        for _ in range(pushes):
            quiet += await _for(client, width, lambda started: time.perf_counter() - started < 0.5)
            before = mesh.snapshot.clusters
            plane.push()
            begun = time.perf_counter()

            def coming(started: float, before: object = before) -> bool:
                del started
                control = mesh._control
                return mesh.snapshot.clusters is before or (control is not None and control.busy)

            pushed += await _for(client, width, coming)
            took += time.perf_counter() - begun
        return quiet, pushed, took / pushes


async def _for(client: httpx.AsyncClient, width: int, going: Callable[[float], bool]) -> list[float]:
    found: list[float] = []
    started = time.perf_counter()

    async def worker() -> None:
        number = 0
        while going(started):
            number += 1
            begun = time.perf_counter()
            response = await client.get(f"http://{service(1 + number % 10)}/")
            found.append(time.perf_counter() - begun)
            response.raise_for_status()

    await asyncio.gather(*[worker() for _ in range(width)])
    return found
