"""Calls as a program sees them: plain httpx, governed, and through two Envoys; sync and async; 1 and 64 at once."""

from __future__ import annotations

import asyncio
import tempfile
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

import proxyless.httpx
from proxyless import Mesh
from tests.support.envoy import EnvoyError

from .backend import Backend
from .configuration import plaintext, service, write
from .envoys import TwoEnvoys
from .report import Table
from .stats import median, percentile, ratio
from .turns import taking_turns, taking_turns_async

LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=200)
TIMEOUT = httpx.Timeout(30.0)
Samples = dict[str, list[list[float]]]
"""By variant and round: seconds of each call, and last those of all together."""


def run(*, smoke: bool) -> list[Table]:
    """One table for each of sync and async, at each concurrency."""
    rounds, calls = (2, 20) if smoke else (15, 400)
    tables = []
    with ExitStack() as stack:
        backend = stack.enter_context(Backend())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mesh = Mesh.from_recorded(write(folder / "scale", plaintext(backend.port)), registry=True)
        stack.callback(mesh.close)
        urls = {"plain": f"http://127.0.0.1:{backend.port}/", "A/A": f"http://127.0.0.1:{backend.port}/"}
        urls["governed"] = f"http://{service(4)}/"
        notes = []
        try:
            urls["two Envoys"] = f"http://127.0.0.1:{stack.enter_context(TwoEnvoys(backend.port)).port}/"
        except EnvoyError as error:
            notes.append(f"without Envoy: {error}")
        for width in (1, 64):
            per_round = max(calls, width)
            tables.append(_table(f"sync, {width} at once", _sync(urls, mesh, rounds, per_round, width), notes))
            samples = asyncio.run(_async(urls, mesh, rounds, per_round, width))
            tables.append(_table(f"async, {width} at once", samples, notes))
    return tables


def _table(title: str, samples: Samples, notes: list[str]) -> Table:
    table = Table(f"httpx, {title}", ("variant", "median ms", "p99 ms", "calls/s", "over plain"), notes=list(notes))
    walls = {name: [sum(each[-1:]) for each in rounds] for name, rounds in samples.items()}
    for name, rounds in samples.items():
        latencies = [value for each in rounds for value in each[:-1]]
        per_second = median([(len(each) - 1) / wall for each, wall in zip(rounds, walls[name], strict=True)])
        over = ratio([each[:-1] for each in rounds], [each[:-1] for each in samples["plain"]])
        table.rows.append((name, 1000 * median(latencies), 1000 * percentile(latencies, 99), round(per_second), over))
    if "two Envoys" in samples:
        added = {name: median([v for r in rounds for v in r[:-1]]) for name, rounds in samples.items()}
        envoys, ours = added["two Envoys"] - added["plain"], added["governed"] - added["plain"]
        table.notes.append(f"added at the median: governed {1e6 * ours:.0f} us, two Envoys {1e6 * envoys:.0f} us")
    return table


def _sync(urls: dict[str, str], mesh: Mesh, rounds: int, calls: int, width: int) -> Samples:
    clients = {
        name: httpx.Client(transport=proxyless.httpx.Transport(mesh), timeout=TIMEOUT)
        if name == "governed"
        else httpx.Client(limits=LIMITS, timeout=TIMEOUT, trust_env=False)
        for name in urls
    }
    with ThreadPoolExecutor(width) as workers:
        variants = {name: partial(_batch, workers, clients[name], urls[name], calls, width) for name in urls}
        samples = taking_turns(variants, rounds)
    for client in clients.values():
        client.close()
    return samples


def _batch(workers: Executor, client: httpx.Client, url: str, calls: int, width: int) -> list[float]:
    started = time.perf_counter()
    if width == 1:
        found = [_timed(client, url) for _ in range(calls)]
    else:
        found = list(workers.map(partial(_timed, client), [url] * calls))
    return [*found, time.perf_counter() - started]


def _timed(client: httpx.Client, url: str) -> float:
    started = time.perf_counter()
    status = client.get(url).status_code
    took = time.perf_counter() - started
    if status != 200:
        raise RuntimeError(f"{url}: {status}")
    return took


async def _async(urls: dict[str, str], mesh: Mesh, rounds: int, calls: int, width: int) -> Samples:
    clients = {
        name: httpx.AsyncClient(transport=proxyless.httpx.AsyncTransport(mesh), timeout=TIMEOUT)
        if name == "governed"
        else httpx.AsyncClient(limits=LIMITS, timeout=TIMEOUT, trust_env=False)
        for name in urls
    }
    variants = {name: partial(_batch_async, clients[name], urls[name], calls, width) for name in urls}
    samples = await taking_turns_async(variants, rounds)
    for client in clients.values():
        await client.aclose()
    return samples


async def _batch_async(client: httpx.AsyncClient, url: str, calls: int, width: int) -> list[float]:
    found: list[float] = []
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            started = time.perf_counter()
            response = await client.get(url)
            found.append(time.perf_counter() - started)
            if response.status_code != 200:
                raise RuntimeError(f"{url}: {response.status_code} {response.text}")

    started = time.perf_counter()
    await asyncio.gather(*[worker() for _ in range(width)])
    return [*found, time.perf_counter() - started]
