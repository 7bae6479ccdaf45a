"""What governance costs a unary call of gRPC, in threads and on an event loop: variants that take turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

import proxyless.grpc
import proxyless.grpc.aio
from proxyless import Mesh, Node

from .backend import Backend
from .grpc_backend import METHOD, TARGET, configure
from .turns import taking_turns

Samples = dict[str, list[list[float]]]
Timed = Callable[[], list[float]]
"""Seconds of each of some calls."""


def samples(folder: Path, rounds: int, calls: int) -> dict[str, Samples]:
    """By API, variant and round."""
    with ExitStack() as stack:
        backend = stack.enter_context(Backend("bench.grpc_backend"))
        node = Node(app="bench", namespace="bench", ip="127.0.0.9")
        mesh = Mesh.from_config(configure(folder, backend.port), node=node, registry=True)
        stack.callback(mesh.close)
        mesh.wait_ready(30)
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)
        plain = f"127.0.0.1:{backend.port}"
        ways = {"plain": (None, plain), "A/A": (None, plain), "governed": (mesh, TARGET)}
        sync = {name: _sync(*way, calls) for name, way in ways.items()}
        aio = {name: _aio(*way, calls, loop) for name, way in ways.items()}
        return {"sync": taking_turns(sync, rounds), "aio": taking_turns(aio, rounds)}


def _sync(mesh: Mesh | None, target: str, calls: int) -> Timed:
    channel = grpc.insecure_channel(target) if mesh is None else proxyless.grpc.channel(target, mesh)
    method: Any = channel.unary_unary(METHOD, None, None)

    def timed() -> list[float]:
        found = []
        for _ in range(calls):
            started = time.perf_counter()
            method(b"x")
            found.append(time.perf_counter() - started)
        return found

    return timed


def _aio(mesh: Mesh | None, target: str, calls: int, loop: asyncio.AbstractEventLoop) -> Timed:
    async def opened() -> Any:
        channel = grpc.aio.insecure_channel(target) if mesh is None else proxyless.grpc.aio.channel(target, mesh)
        return channel.unary_unary(METHOD, None, None)

    method: Any = loop.run_until_complete(opened())

    async def timed() -> list[float]:
        found = []
        for _ in range(calls):
            started = time.perf_counter()
            await method(b"x")
            found.append(time.perf_counter() - started)
        return found

    return lambda: loop.run_until_complete(timed())
