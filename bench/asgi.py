"""What the ASGI middleware adds to a request, with the recorded inbound chain and its local rate limit.

The limit is met but never reached: the mesh's clock runs so fast that the buckets are full again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import proxyless.asgi
from proxyless import Mesh

from .configuration import RECORDED
from .report import Table
from .stats import median

SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "GET",
    "scheme": "http",
    "path": "/items/1",
    "raw_path": b"/items/1",
    "query_string": b"",
    "headers": [
        (b"host", b"frontend.shop"),
        (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip, deflate"),
        (b"connection", b"keep-alive"),
        (b"user-agent", b"python-httpx/0.28.1"),
    ],
    "client": ("127.0.0.1", 40000),
    "server": ("127.0.10.1", 8080),
}
Message = MutableMapping[str, Any]


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Message) -> None: ...


def run(*, smoke: bool) -> list[Table]:
    """The app alone, and behind the middleware, in turn."""
    rounds, calls = (2, 50) if smoke else (41, 500)
    table = Table("ASGI middleware, us per request", ("chain", "app alone", "A/A", "governed", "added"))
    for name in ("frontend", "ledger"):
        mesh = Mesh.from_recorded(Path(RECORDED) / "shop" / "xds" / name, registry=True, clock=_fast)
        apps = [_app, _app, proxyless.asgi.Middleware(_app, mesh)]
        found = asyncio.run(_measure(apps, rounds, calls))
        alone, again, governed = (1e6 * median(each) for each in found)
        table.rows.append((f"{name} ({_says(name)})", alone, again, governed, governed - alone))
        mesh.close()
    return [table]


def _fast() -> float:
    return time.monotonic() * 1e4


def _says(name: str) -> str:
    return {"frontend": "rate limit by descriptors", "ledger": "STRICT: refused"}[name]


async def _measure(apps: list[Any], rounds: int, calls: int) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in apps]
    for turn in range(rounds + 1):
        for index, app in enumerate(apps):
            started = time.perf_counter()
            for _ in range(calls):
                await app(dict(SCOPE), _receive, _send)
            if turn:
                found[index].append((time.perf_counter() - started) / calls)
    return found
