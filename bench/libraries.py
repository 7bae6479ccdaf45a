"""What governance costs a call of each library, one at a time: plain, plain again (the noise), governed, in turns."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from functools import partial
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
from .turns import taking_turns, taking_turns_async

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
            ways = {"plain": (made(None), plain), "A/A": (made(None), plain), "governed": (made(mesh), governed)}
            variants = {each: partial(_timed, *way, calls) for each, way in ways.items()}
            tables.append(_table(f"{name}, sync", taking_turns(variants, rounds)))
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
    async with AsyncExitStack() as stack:
        variants = {}
        for name, middlewares, url in (("plain", [], plain), ("A/A", [], plain), ("governed", governs, governed)):
            session = await stack.enter_async_context(aiohttp.ClientSession(middlewares=middlewares))
            variants[name] = partial(_timed_async, session, url, calls)
        return await taking_turns_async(variants, rounds)


async def _timed_async(session: aiohttp.ClientSession, url: str, calls: int) -> list[float]:
    found = []
    for _ in range(calls):
        started = time.perf_counter()
        async with session.get(url) as response:
            await response.read()
        found.append(time.perf_counter() - started)
        if response.status != 200:
            raise RuntimeError(f"{url}: {response.status}")
    return found


def _timed(call: Call, url: str, calls: int) -> list[float]:
    found = []
    for _ in range(calls):
        started = time.perf_counter()
        status = call(url)
        found.append(time.perf_counter() - started)
        if status != 200:
            raise RuntimeError(f"{url}: {status}")
    return found


def _table(library: str, samples: dict[str, list[list[float]]]) -> Table:
    table = Table(f"{library}, 1 at once", COLUMNS)
    for name, rounds in samples.items():
        values = [value for each in rounds for value in each]
        over = ratio(rounds, samples["plain"])
        table.rows.append((name, round(1e6 * median(values)), round(1e6 * percentile(values, 99)), over))
    return table
