"""What governance costs a call of each library, one at a time: plain, plain again (the noise), governed, in turns."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import aiohttp
import requests
import urllib3

import proxyless.aiohttp
import proxyless.requests
import proxyless.urllib3
from proxyless import Mesh

from . import grpc_calls
from .backend import Backend
from .configuration import plaintext, service, write
from .report import Table
from .stats import median, percentile, ratio

COLUMNS = ("variant", "median us", "p99 us", "over plain")
Call = Callable[[str], int]


def run(*, smoke: bool) -> list[Table]:
    """One table for each library."""
    rounds, calls = (2, 20) if smoke else (25, 300)
    tables = []
    with ExitStack() as stack:
        backend = stack.enter_context(Backend())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mesh = Mesh.from_recorded(write(folder / "scale", plaintext(backend.port)), registry=True)
        stack.callback(mesh.close)
        plain, governed = f"http://127.0.0.1:{backend.port}/", f"http://{service(4)}/"
        for name, made in {"urllib3": _urllib3, "requests": _requests}.items():
            variants = {"plain": (made(None), plain), "A/A": (made(None), plain), "governed": (made(mesh), governed)}
            tables.append(_table(f"{name}, sync", _samples(variants, rounds, calls)))
        tables.append(_table("aiohttp, async", asyncio.run(_aiohttp(mesh, plain, governed, rounds, calls))))
        for api, found in grpc_calls.samples(folder / "grpc", rounds, calls).items():
            tables.append(_table(f"gRPC unary, {api}", found))
    return tables


def _urllib3(mesh: Mesh | None) -> Call:
    client = urllib3.PoolManager() if mesh is None else proxyless.urllib3.PoolManager(mesh)
    return lambda url: client.request("GET", url).status


def _requests(mesh: Mesh | None) -> Call:
    session = requests.Session()
    session.trust_env = False
    if mesh is not None:
        session.mount("http://", proxyless.requests.Adapter(mesh))
    return lambda url: session.get(url).status_code


async def _aiohttp(mesh: Mesh, plain: str, governed: str, rounds: int, calls: int) -> dict[str, list[list[float]]]:
    governs = [proxyless.aiohttp.middleware(mesh)]
    samples: dict[str, list[list[float]]] = {}
    async with AsyncExitStack() as stack:
        variants = {}
        for name, middlewares, url in (("plain", [], plain), ("A/A", [], plain), ("governed", governs, governed)):
            session = aiohttp.ClientSession(middlewares=middlewares)
            variants[name] = await stack.enter_async_context(session), url
            samples[name] = []
        for turn in range(rounds + 1):
            for name in _turned(list(variants), turn):
                found = [await _timed_async(*variants[name]) for _ in range(calls)]
                if turn:
                    samples[name].append(found)
    return samples


def _turned(names: list[str], turn: int) -> list[str]:
    return names[turn % len(names) :] + names[: turn % len(names)]


def _samples(variants: dict[str, tuple[Call, str]], rounds: int, calls: int) -> dict[str, list[list[float]]]:
    names = list(variants)
    samples: dict[str, list[list[float]]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in _turned(names, turn):
            call, url = variants[name]
            found = [_timed(call, url) for _ in range(calls)]
            if turn:
                samples[name].append(found)
    return samples


async def _timed_async(session: aiohttp.ClientSession, url: str) -> float:
    started = time.perf_counter()
    async with session.get(url) as response:
        await response.read()
    took = time.perf_counter() - started
    if response.status != 200:
        raise RuntimeError(f"{url}: {response.status}")
    return took


def _timed(call: Call, url: str) -> float:
    started = time.perf_counter()
    status = call(url)
    took = time.perf_counter() - started
    if status != 200:
        raise RuntimeError(f"{url}: {status}")
    return took


def _table(library: str, samples: dict[str, list[list[float]]]) -> Table:
    table = Table(f"{library}, 1 at once", COLUMNS)
    for name, rounds in samples.items():
        values = [value for each in rounds for value in each]
        over = ratio(rounds, samples["plain"])
        table.rows.append((name, round(1e6 * median(values)), round(1e6 * percentile(values, 99)), over))
    return table
